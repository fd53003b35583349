// Shows that no branch and no address of the encrypted linear maps depends on a secret. Key, noise, messages, weights,
// masks and flood are marked as undefined memory for valgrind's memcheck (test_constant_time.cpp). Without valgrind this
// runs as a plain test. Valgrind knows no AVX-512, so the transform for eight words is out of its sight.
#include "core/bfv/linear.hpp"
#include "core/lattice/packing.hpp"
#include "tests/check.hpp"
#include "tests/rlwe_setting.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;

namespace mpc::bfv {

// Reaches what an object keeps to itself.
struct Probe {
    static Words& secret(SecretKey& key) { return key.secret_; }
    static LargeWords& transforms(Weights& weights) { return weights.transforms_; }
};

}  // namespace mpc::bfv

namespace {

template <class Values>
void make_secret(Values& values) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof values[0]);
}
template <class Values>
void make_public(Values& values) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof values[0]);
}

// Words stay known to be short: the check of their range is no leak.
void make_secret(std::vector<std::uint64_t>& words, int bits) {
    make_secret(words);
    for (std::uint64_t& word : words) word &= (std::uint64_t{1} << bits) - 1;
}

// The messages, masks, weights and the key are secret; the noise is drawn from seeds of its own, see below.
void maps(std::size_t degree, int bits) {
    Run run(degree, bits, {{degree << 6, 2}});
    Prg prg = seeded(degree);
    std::vector<std::uint64_t> messages = random_words(prg, bits, degree), masks = random_words(prg, bits, 2);
    std::vector<std::int64_t> weights = random_weights(prg, 3, degree);
    const std::vector<std::uint64_t> product = plain_product(weights.data(), messages.data(), 1, degree, bits);
    const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
    const std::vector<std::uint64_t> expected{(product[3] + masks[0]) & mask,
                                              (product[degree - 1] + masks[1]) & mask};
    Weights loaded = run.evaluator.load(weights.data(), 1, 1, 0);
    make_secret(Probe::secret(run.key));
    make_secret(Probe::transforms(loaded));
    make_secret(messages, bits);
    make_secret(masks, bits);
    Bytes upload = run.key.encrypt(messages);
    make_public(upload);  // it is sent
    const Selection selection = select({3, static_cast<std::int64_t>(degree) - 1}, 1, degree);
    Bytes reply = run.reply(loaded, upload, masks, selection);
    make_public(reply);
    std::vector<std::uint64_t> opened = run.opened(reply, selection);
    make_public(opened);
    CHECK(opened == expected);
}

void linear_maps() {
    maps(4096, 20);
    maps(8192, 41);
}

// Secret draws from a secret seed.
void samplers() {
    Block seed{5, 6};
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&seed, sizeof seed);
    Prg prg(seed);
    SignedWords small(4096), noise(4096);
    ternary(prg, small);
    centred_binomial(prg, noise);
    Words words(4096), few(4096);
    uniform_words(prg, 37, words.data(), words.size());
    uniform_below(prg, 11, few.data(), few.size());
    make_public(small);
    make_public(noise);
    make_public(words);
    make_public(few);
    std::int64_t largest = 0, widest = 0;
    for (const std::int64_t x : small) largest = std::max(largest, x);
    for (const std::int64_t x : noise) widest = std::max(widest, x);
    CHECK(largest == 1 && widest > 5 && widest <= kNoiseBound);
    for (const std::uint64_t x : few) CHECK(x < 11);
    for (const std::uint64_t x : words) CHECK(x >> 37 == 0);
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run_on_all_levels("samplers", samplers);
    check::run_on_all_levels("linear_maps", linear_maps);
    return check::result();
}
