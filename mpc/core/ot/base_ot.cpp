// Chou-Orlandi base OTs; see base_ot.hpp.
#include "core/ot/base_ot.hpp"

#include <string>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"

namespace mpc {
namespace {

// Uniform below the group order L by rejection of 253-bit candidates (about two draws); what is rejected is discarded,
// so the number of draws says nothing about the scalar.
Scalar random_scalar(Prg& randomness) {
    Scalar s;
    do {
        randomness.fill(s.data(), s.size());
        s[31] &= 0x1f;
    } while (!below_group_order(s));
    return s;
}

Block derive_key(std::size_t index, const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* p) {
    static constexpr char kDomain[] = "capc base OT 1";
    std::uint8_t number[4];
    for (std::size_t i = 0; i < sizeof number; ++i) number[i] = static_cast<std::uint8_t>(index >> (8 * i));
    Sha256 hash;
    hash.update(kDomain, sizeof kDomain - 1).update(number, sizeof number);
    hash.update(a, kPointBytes).update(b, kPointBytes).update(p, kPointBytes);
    Sha256::Digest digest = hash.digest();
    const Block key = load_block(digest.data());
    wipe(digest.data(), digest.size());
    return key;
}

}  // namespace

BaseOtSender::BaseOtSender(Prg& randomness) : a_(random_scalar(randomness)) {
    const Point a_point = FixedBase::generator().multiply(a_);
    encode_points(&a_point, 1, encoded_a_);
    eight_a_a_ = times_eight(multiply(a_, a_point));
}

BaseOtSender::~BaseOtSender() {
    wipe(a_.data(), a_.size());
    wipe(&eight_a_a_, sizeof eight_a_a_);
}

std::vector<KeyPair> BaseOtSender::finish(ByteView points) const {
    const std::size_t n = points.size() / kPointBytes;
    if (points.size() % kPointBytes != 0) throw LengthError("base OT, points in bytes", n * kPointBytes, points.size());
    std::vector<Point> b(n), product(n), shared(2 * n);
    const std::size_t valid = decode_points(points.data(), n, b.data());
    if (valid != n)
        throw MalformedError("base OT: point " + std::to_string(valid) +
                             " of the receiver is not a valid group element");
    multiply_all(a_, b.data(), n, product.data());
    for (std::size_t i = 0; i < n; ++i) {
        shared[2 * i] = times_eight(product[i]);
        shared[2 * i + 1] = shared[2 * i] - eight_a_a_;
    }
    std::vector<std::uint8_t> encoded(shared.size() * kPointBytes);
    encode_points(shared.data(), shared.size(), encoded.data());
    std::vector<KeyPair> keys(n);
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint8_t* const point = points.slice(kPointBytes * i, kPointBytes).data();
        for (std::size_t x = 0; x < 2; ++x)
            keys[i].key[x] = derive_key(i, encoded_a_, point, &encoded[(2 * i + x) * kPointBytes]);
    }
    wipe(product.data(), product.size() * sizeof(Point));
    wipe(shared.data(), shared.size() * sizeof(Point));
    wipe(encoded.data(), encoded.size());
    return keys;
}

Blocks base_ot_receive(ByteView first, ByteView choices, Prg& randomness, MutableByteView points) {
    const std::size_t n = choices.size();
    if (first.size() != kPointBytes) throw LengthError("base OT, point in bytes", kPointBytes, first.size());
    if (points.size() != n * kPointBytes) throw LengthError("base OT, room for points", n * kPointBytes, points.size());
    Point a;
    if (!decode_point(first.data(), a) || !in_prime_order_subgroup(a))
        throw MalformedError("base OT: the sender's point is not a valid group element");
    const FixedBase eight_a(times_eight(a));
    std::vector<Scalar> b(n);
    for (Scalar& scalar : b) scalar = random_scalar(randomness);
    std::vector<Point> own(n), shared(n);
    FixedBase::generator().multiply_all(b.data(), n, own.data());
    eight_a.multiply_all(b.data(), n, shared.data());
    for (std::size_t i = 0; i < n; ++i) {
        Point chosen = identity_point();
        assign_if(chosen, a, choices[i] & 1u);
        own[i] = own[i] + chosen;
    }
    std::vector<std::uint8_t> encoded(n * kPointBytes);
    encode_points(own.data(), n, points.data());
    encode_points(shared.data(), n, encoded.data());
    Blocks keys(n);
    for (std::size_t i = 0; i < n; ++i)
        keys[i] = derive_key(i, first.data(), points.data() + kPointBytes * i, &encoded[i * kPointBytes]);
    wipe(b.data(), n * sizeof(Scalar));
    wipe(own.data(), n * sizeof(Point));
    wipe(shared.data(), n * sizeof(Point));
    wipe(encoded.data(), encoded.size());
    return keys;
}

}  // namespace mpc
