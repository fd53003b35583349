// Arithmetic modulo L; see scalar.hpp.
#include "core/curve/scalar.hpp"

#include "core/base/block.hpp"  // wipe

namespace mpc {
namespace {

struct Words {
    std::uint64_t word[4];
};

constexpr Words kL{{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};
constexpr std::uint64_t kMinusInverse = 0xd2b51da312547e1b;  // -1 / L modulo 2^64
// R and R^2 modulo L, R = 2^256.
constexpr Words kR{{0xd6ec31748d98951d, 0xc6ef5bf4737dcf70, 0xfffffffffffffffe, 0xfffffffffffffff}};
constexpr Words kRR{{0xa40611e3449c0f01, 0xd00e1ba768859347, 0xceec73d217f5be65, 0x399411b7c309a3d}};

Words load(const std::uint8_t* in) {
    Words r{};
    for (int i = 0; i < 32; ++i) r.word[i / 8] |= static_cast<std::uint64_t>(in[i]) << (8 * (i % 8));
    return r;
}

Scalar store(const Words& a) {
    Scalar out;
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(a.word[i / 8] >> (8 * (i % 8)));
    return out;
}

// a - L where that is not negative, else a; for a < 2 L.
Words reduced(const Words& a) {
    Words r;
    std::uint64_t borrow = 0;
    for (int i = 0; i < 4; ++i) {
        const Wide difference = static_cast<Wide>(a.word[i]) - kL.word[i] - borrow;
        r.word[i] = static_cast<std::uint64_t>(difference);
        borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
    }
    const std::uint64_t keep = std::uint64_t{0} - borrow;
    for (int i = 0; i < 4; ++i) r.word[i] ^= keep & (r.word[i] ^ a.word[i]);
    return r;
}

// a b / R modulo L, for any a below 2^256 and b below L: before the last step (a b + m L) / R < b + L < 2 L.
Words montgomery(const Words& a, const Words& b) {
    std::uint64_t t[5] = {0, 0, 0, 0, 0};
    for (int i = 0; i < 4; ++i) {
        Wide carry = 0;
        for (int j = 0; j < 4; ++j) {
            carry += static_cast<Wide>(a.word[i]) * b.word[j] + t[j];
            t[j] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        const Wide top = static_cast<Wide>(t[4]) + carry;
        const std::uint64_t m = t[0] * kMinusInverse;
        carry = (static_cast<Wide>(m) * kL.word[0] + t[0]) >> 64;
        for (int j = 1; j < 4; ++j) {
            carry += static_cast<Wide>(m) * kL.word[j] + t[j];
            t[j - 1] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        carry += top;
        t[3] = static_cast<std::uint64_t>(carry);
        t[4] = static_cast<std::uint64_t>(carry >> 64);
    }
    const Words r = reduced(Words{{t[0], t[1], t[2], t[3]}});
    wipe(t, sizeof t);
    return r;
}

// a + b modulo L, for a and b below L.
Words add(const Words& a, const Words& b) {
    Words r;
    std::uint64_t carry = 0;
    for (int i = 0; i < 4; ++i) {
        const Wide sum = static_cast<Wide>(a.word[i]) + b.word[i] + carry;
        r.word[i] = static_cast<std::uint64_t>(sum);
        carry = static_cast<std::uint64_t>(sum >> 64);
    }
    return reduced(r);
}

}  // namespace

Scalar reduce_scalar(const std::uint8_t wide[kWideScalarBytes]) {
    return store(add(montgomery(load(wide), kR), montgomery(load(wide + 32), kRR)));
}

Scalar multiply_add(const Scalar& a, const Scalar& b, const Scalar& c) {
    const Words product = montgomery(montgomery(load(a.data()), kRR), load(b.data()));
    return store(add(product, load(c.data())));
}

}  // namespace mpc
