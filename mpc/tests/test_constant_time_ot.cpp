// Shows that no branch and no address of the OTs depends on a secret. Scalars, shared points, choice bits, delta and
// keys are marked as undefined memory for valgrind's memcheck (test_constant_time.cpp). Without valgrind this runs as a
// plain test. Valgrind knows no AVX-512, so the vector code for eight points is out of its sight.
#include "core/base/bit_matrix.hpp"
#include "core/base/sha256.hpp"
#include "core/ot/base_ot.hpp"
#include "core/ot/ot_extension.hpp"
#include "core/ot/word_ot.hpp"
#include "tests/check.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;

namespace {

template <class T>
void make_secret(T* values, std::size_t count) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values, count * sizeof(T));
}
template <class T>
void make_public(T* values, std::size_t count) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values, count * sizeof(T));
}

std::string encoded(const Point& point) {
    std::uint8_t bytes[kPointBytes];
    encode_points(&point, 1, bytes);  // of a secret point
    make_public(bytes, sizeof bytes);
    return check::hex(bytes, sizeof bytes);
}

void multiplication() {
    Scalar scalar;
    Prg(Block{1, 7}).fill(scalar.data(), scalar.size());
    scalar[31] &= 0x0f;
    make_secret(scalar.data(), scalar.size());
    const Point product = multiply(scalar, base_point());
    CHECK(encoded(product) == encoded(FixedBase::generator().multiply(scalar)));
    CHECK(encoded(times_eight(product - base_point())) ==
          encoded(doubled(doubled(doubled(product))) - times_eight(base_point())));
}

void hashing() {
    std::uint8_t secret[100] = {1, 2, 3};
    make_secret(secret, sizeof secret);
    Sha256::Digest digest = Sha256().update(secret, sizeof secret).digest();
    make_public(digest.data(), digest.size());
    CHECK(digest[0] != digest[1]);
}

// Scalars come from rejection sampling, which is allowed to say that a candidate was refused, so they stay public here;
// `multiplication` covers them.
void base_ots_and_extension() {
    Prg one(Block{1, 1}), two(Block{2, 2});
    Block delta = two.block();
    delta.lo |= 1;
    make_secret(&delta, 1);
    const BaseOtSender base(one);
    const auto choices = CotSender::base_choices(delta);
    Bytes points(kBaseOts * kPointBytes), sums(kTreeMessageBytes);
    Blocks keys = base_ot_receive(base.message(), choices, two, points);
    make_public(points.data(), points.size());  // sent
    std::vector<KeyPair> pairs = base.finish(points);
    make_secret(keys.data(), keys.size());
    make_secret(pairs.data(), pairs.size());
    const Block salt{5, 6};
    CotReceiver receiver(pairs, salt, sums);
    make_public(sums.data(), sums.size());  // sent
    CotSender sender(delta, keys, salt, sums);
    make_public(&sender.tree_difference(), 1);  // whether it goes on shows
    CHECK(sender.trees_agree());
    constexpr std::size_t columns = 3;
    Bytes message(extension_bytes(columns));
    Blocks t(128 * columns), q(128 * columns), u(columns);
    receiver.extend(columns, message, t.data(), u.data());
    make_public(message.data(), message.size());  // sent
    std::uint64_t differs = sender.extend(columns, message, q.data());
    make_public(&differs, 1);
    CHECK(differs == 0);
    make_public(&delta, 1);
    make_public(t.data(), t.size());
    make_public(q.data(), q.size());
    make_public(u.data(), u.size());
    for (std::size_t i = 0; i < t.size(); ++i) {
        const std::uint64_t choice = get_bits(reinterpret_cast<const std::uint8_t*>(u.data()), i, 1);
        CHECK(t[i] == (q[i] ^ (mask_of(choice) & delta)));
    }
}

// Offset, OTs, choices and both parties' words are secret. What is sent is public.
void words_and_products() {
    constexpr std::size_t n = 40;
    constexpr unsigned bits = 24;
    Prg random(Block{8, 9});
    Block delta = random.block();
    delta.lo |= 1;
    const HashKeys keys{random.block(), 3};
    std::uint64_t x[n], y[n];
    random.fill(x, sizeof x);
    random.fill(y, sizeof y);
    Blocks q(n * bits), t(n * bits);
    random.fill_blocks(q.data(), q.size());
    Bytes choices(bytes_of_bits(n * bits));
    for (std::size_t i = 0; i < n; ++i) put_bits(choices.data(), i * bits, bits, y[i] & 0xffffff);
    for (std::size_t i = 0; i < q.size(); ++i) t[i] = q[i] ^ (mask_of(get_bits(choices.data(), i, 1)) & delta);
    make_secret(&delta, 1);
    make_secret(q.data(), q.size());
    make_secret(t.data(), t.size());
    make_secret(choices.data(), choices.size());
    make_secret(x, n);
    const WordProducts products{n, bits};
    Bytes message(products.message_bytes());
    std::uint64_t sent[2 * n], received[2 * n];
    send_products(products, keys, delta, q.data(), WordView(x, n), message, sent);
    make_public(message.data(), message.size());
    receive_products(products, keys, t.data(), choices, message, received);
    make_public(x, n);
    make_public(sent, n);
    make_public(received, n);
    for (std::size_t i = 0; i < n; ++i) CHECK(((sent[i] + received[i] - x[i] * y[i]) & 0xffffff) == 0);

    const WordOts words{n / 2, 2, bits};
    Bytes more(words.message_bytes());
    make_secret(x, n);
    send_words(words, keys, delta, q.data(), WordView(x, n), more, sent);
    make_public(more.data(), more.size());
    receive_words(words, keys, t.data(), choices, more, received);
    make_public(x, n);
    make_public(sent, n);
    make_public(received, n);
    make_public(choices.data(), choices.size());
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t chosen = x[i] & (std::uint64_t{0} - get_bits(choices.data(), i / 2, 1));
        CHECK(((sent[i] + received[i] - chosen) & 0xffffff) == 0);
    }
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run_on_all_levels("multiplication", multiplication);
    check::run("hashing", hashing);
    check::run_on_all_levels("base_ots_and_extension", base_ots_and_extension);
    check::run_on_all_levels("words_and_products", words_and_products);
    return check::result();
}
