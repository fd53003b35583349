// The ring under the encrypted linear layers, with primes, transforms against schoolbook products, packing, scaling and
// samplers.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/lattice/packing.hpp"
#include "core/bfv/parameters.hpp"
#include "core/bfv/scaling.hpp"
#include "core/lattice/ntt.hpp"
#include "core/lattice/primes.hpp"
#include "core/lattice/sampling.hpp"
#include "tests/check.hpp"

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;

namespace {

Prg seeded(std::uint64_t number) { return Prg(Block{number, 0x726c7765}); }

Words random_residues(Prg& prg, const Ntt& ntt, std::size_t degree) {
    Words x(degree);
    uniform_residues(prg, ntt.modulus(), x.data(), degree);
    return x;
}

// x * y in Z_p[X]/(X^N + 1), term by term.
Words schoolbook(const Words& x, const Words& y, std::uint64_t p) {
    const std::size_t n = x.size();
    std::vector<Wide> sum(2 * n, 0);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) sum[i + j] = (sum[i + j] + Wide{x[i]} * y[j]) % p;
    }
    Words product(n);
    for (std::size_t i = 0; i < n; ++i) product[i] = static_cast<std::uint64_t>((sum[i] + p - sum[i + n]) % p);
    return product;
}

void primes_are_primes() {
    // Small ones by trial division; strong pseudoprimes to the bases 2, 3, 5, 7 and to the first nine primes.
    for (std::uint64_t n = 0; n < 2000; ++n) {
        bool prime = n > 1;
        for (std::uint64_t d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
        CHECK(is_prime(n) == prime);
    }
    CHECK(!is_prime(3215031751) && !is_prime(3825123056546413051));
    CHECK(is_prime((std::uint64_t{1} << 61) - 1) && is_prime(0xFFFFFFFFFFE8001));
    const auto primes = ntt_primes(8192, 112, 3);
    CHECK(primes.size() == 3 && primes[0] >> 37 == 0 && primes[2] >> 37 == 1 && primes[0] != primes[1]);
    for (const std::uint64_t p : primes) CHECK(is_prime(p) && p % 16384 == 1);
    CHECK_THROWS(ntt_primes(8192, 30, 2), ParameterError);  // 15 bits: no prime = 1 mod 2^14 but those taken
}

void transform_gives_values_at_odd_powers() {
    for (const std::size_t degree : {64u, 128u, 256u, 512u}) {
        const Ntt ntt(ntt_primes(degree, 94, 2)[0], degree);
        const std::uint64_t p = ntt.p(), psi = smallest_primitive_root(p, degree);
        CHECK(power(psi, degree, p) == p - 1);
        Prg prg = seeded(degree);
        const Words x = random_residues(prg, ntt, degree);
        Words values = x;
        ntt.forward(values.data());
        for (std::size_t j = 0; j < degree; ++j) {
            std::size_t reversed = 0;
            for (std::size_t bit = 1, k = j; bit < degree; bit *= 2, k /= 2) reversed = 2 * reversed + k % 2;
            const std::uint64_t point = power(psi, 2 * reversed + 1, p);
            Wide value = 0;
            for (std::size_t i = degree; i-- > 0;) value = (value * point + x[i]) % p;
            CHECK(values[j] == value);
        }
        ntt.inverse(values.data());
        CHECK(values == x);
    }
}

void products_are_negacyclic() {
    for (const std::size_t degree : {64u, 1024u}) {
        for (const int bits : {20, 36, 47}) {
            const Ntt ntt(ntt_primes(degree, bits, 1)[0], degree);
            Prg prg = seeded(degree + static_cast<std::size_t>(bits));
            Words x = random_residues(prg, ntt, degree), y = random_residues(prg, ntt, degree);
            x[0] = y[degree - 1] = ntt.p() - 1;
            const Words expected = schoolbook(x, y, ntt.p());
            ntt.forward(x.data());
            ntt.forward(y.data());
            const std::uint64_t *left = x.data(), *right = y.data();
            ntt.inner_product(&left, &right, 1, x.data());
            ntt.inverse(x.data());
            CHECK(x == expected);
        }
    }
}

// The largest prime, the largest degree and entries at the bounds that the lazy butterflies are proven for.
void extremes_survive() {
    for (const std::size_t degree : {4096u, 8192u, 16384u, 32768u}) {
        const Ntt ntt(ntt_primes(degree, 47, 1)[0], degree);
        const std::uint64_t p = ntt.p();
        for (const std::uint64_t entry : {p - 1, 2 * p - 1, p, std::uint64_t{0}}) {
            Words x(degree, entry), y(degree, entry % p);
            ntt.forward(x.data());
            for (const std::uint64_t residue : x) CHECK(residue < p);
            ntt.inverse(x.data());
            CHECK(x == y);
        }
        Words alternating(degree);
        for (std::size_t i = 0; i < degree; ++i) alternating[i] = i % 2 == 0 ? 2 * p - 1 : 0;
        ntt.inverse(alternating.data());  // entries below 2p enter here, too
        ntt.forward(alternating.data());
        for (std::size_t i = 0; i < degree; ++i) CHECK(alternating[i] == (i % 2 == 0 ? p - 1 : 0));
    }
}

void sums_of_products_are_exact() {
    const std::size_t degree = 64;
    const Ntt ntt(ntt_primes(degree, 47, 1)[0], degree);
    Prg prg = seeded(3);
    std::vector<Words> x, y;
    std::vector<const std::uint64_t*> left, right;
    for (std::size_t k = 0; k < Ntt::kMaxTerms; ++k) {
        x.push_back(k % 2 == 0 ? Words(degree, ntt.p() - 1) : random_residues(prg, ntt, degree));
        y.push_back(k % 3 == 0 ? random_residues(prg, ntt, degree) : Words(degree, ntt.p() - 1));
    }
    for (std::size_t k = 0; k < Ntt::kMaxTerms; ++k) {
        left.push_back(x[k].data());
        right.push_back(y[k].data());
    }
    for (const std::size_t terms : {std::size_t{1}, std::size_t{2}, Ntt::kMaxTerms}) {
        Words sum(degree);
        ntt.inner_product(left.data(), right.data(), terms, sum.data());
        for (std::size_t j = 0; j < degree; ++j) {
            Wide expected = 0;
            for (std::size_t k = 0; k < terms; ++k) expected = (expected + Wide{x[k][j]} * y[k][j]) % ntt.p();
            CHECK(sum[j] == expected);
        }
    }
}

void sums_of_many_rows_and_columns_are_those_of_each() {
    const std::size_t degree = 128;
    const Ntt ntt(ntt_primes(degree, 47, 1)[0], degree);
    Prg prg = seeded(9);
    for (const std::size_t terms : {std::size_t{1}, std::size_t{9}, std::size_t{33}}) {
        for (const std::size_t columns : {std::size_t{1}, std::size_t{3}}) {
            const std::size_t rows = 2;
            std::vector<Words> x, y, sums(rows * columns, Words(degree));
            std::vector<const std::uint64_t*> left, right;
            std::vector<std::uint64_t*> out;
            for (std::size_t k = 0; k < rows * terms; ++k)
                x.push_back(k % 2 == 0 ? Words(degree, ntt.p() - 1) : random_residues(prg, ntt, degree));
            for (std::size_t k = 0; k < columns * terms; ++k) y.push_back(random_residues(prg, ntt, degree));
            for (const Words& polynomial : x) left.push_back(polynomial.data());
            for (const Words& polynomial : y) right.push_back(polynomial.data());
            for (Words& sum : sums) out.push_back(sum.data());
            ntt.inner_products(left.data(), rows, right.data(), columns, terms, out.data());
            Words wanted(degree);
            for (std::size_t r = 0; r < rows; ++r) {
                for (std::size_t c = 0; c < columns; ++c) {
                    ntt.inner_product(&left[r * terms], &right[c * terms], terms, wanted.data());
                    CHECK(sums[r * columns + c] == wanted);
                }
            }
        }
    }
}

std::uint64_t digest_of_transforms(std::size_t degree, int bits, std::size_t primes) {
    const Ntt ntt(ntt_primes(degree, bits, primes)[primes / 2], degree);
    Prg prg = seeded(4);
    Words x = random_residues(prg, ntt, degree);
    ntt.forward(x.data());
    std::uint64_t digest = 0;
    for (const std::uint64_t word : x) digest = (digest ^ word) * 0x9e3779b97f4a7c15;
    ntt.inverse(x.data());
    ntt.inverse(x.data());
    for (const std::uint64_t word : x) digest = (digest ^ word) * 0x9e3779b97f4a7c15;
    return digest;
}

// One digest for every CPU level: the levels agree, and a later change of the order or of the roots is noticed.
void transforms_are_the_known_ones() {
    CHECK(digest_of_transforms(8192, 120, 3) == 0xe04c648ad4abc1ce);
    for (const std::size_t degree : {16384u, 32768u}) {
        for (const int bits : {36, 47}) {
            const cpu::Level usual = cpu::level();
            const std::uint64_t found = digest_of_transforms(degree, bits, 1);
            cpu::force_level(cpu::Level::portable);
            CHECK(digest_of_transforms(degree, bits, 1) == found);
            cpu::force_level(usual);
        }
    }
}

void packing_is_exact_and_strict() {
    Prg prg = seeded(5);
    for (int bits = 1; bits <= 64; ++bits) {
        for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{64}, std::size_t{131}}) {
            std::vector<std::uint64_t> words(count), read(count);
            uniform_words(prg, bits, words.data(), count);
            words[0] = ~std::uint64_t{0} >> (64 - bits);
            std::vector<std::uint8_t> bytes(packed_bytes(count, bits) + 1, 0xA5);
            pack(words, bits, MutableByteView(bytes).slice(0, packed_bytes(count, bits)));
            CHECK(bytes.back() == 0xA5);
            bytes.pop_back();  // so that a read past the end is seen by the sanitizer
            bytes.shrink_to_fit();
            for (std::size_t i = 0; i < count; ++i) {
                for (std::size_t b = 0; b < static_cast<std::size_t>(bits); ++b) {
                    const std::size_t at = i * static_cast<std::size_t>(bits) + b;
                    CHECK(((bytes[at / 8] >> (at % 8)) & 1) == ((words[i] >> b) & 1));
                }
            }
            unpack(bytes, bits, read, "test");
            CHECK(read == words);
            if (count * static_cast<std::size_t>(bits) % 8 != 0) {
                bytes.back() = static_cast<std::uint8_t>(bytes.back() | 0x80);
                CHECK_THROWS(unpack(bytes, bits, read, "test"), MalformedError);
            }
            bytes.pop_back();
            CHECK_THROWS(unpack(bytes, bits, read, "test"), LengthError);
            CHECK_THROWS(pack(words, bits, bytes), LengthError);
        }
    }
}

// Wide integers for the scaling: q has up to 141 bits, q m up to 195.
struct Long {
    static constexpr int kLimbs = 8;
    std::uint64_t limb[kLimbs] = {};

    static Long of(std::uint64_t x) {
        Long r;
        r.limb[0] = x;
        return r;
    }
    Long times(std::uint64_t x) const {
        Long r;
        Wide carry = 0;
        for (int i = 0; i < kLimbs; ++i) {
            carry += Wide{limb[i]} * x;
            r.limb[i] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        return r;
    }
    Long plus(const Long& other) const {
        Long r;
        Wide carry = 0;
        for (int i = 0; i < kLimbs; ++i) {
            carry += Wide{limb[i]} + other.limb[i];
            r.limb[i] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        return r;
    }
    Long divided(std::uint64_t d) const {
        Long r;
        Wide rest = 0;
        for (int i = kLimbs; i-- > 0;) {
            rest = (rest << 64) | limb[i];
            r.limb[i] = static_cast<std::uint64_t>(rest / d);
            rest %= d;
        }
        return r;
    }
    std::uint64_t modulo(std::uint64_t d) const {
        Wide rest = 0;
        for (int i = kLimbs; i-- > 0;) rest = ((rest << 64) | limb[i]) % d;
        return static_cast<std::uint64_t>(rest);
    }
};

void scaling_is_exact() {
    for (const int plain_bits : {2, 20, 41, 54}) {
        const Parameters parameters(8192, plain_bits, {{std::uint64_t{1} << 40, 1000}}, 40);
        const Scaling scaling(parameters);
        const std::uint64_t top = (std::uint64_t{1} << plain_bits) - 1;
        Long q = Long::of(1);
        for (const Ntt& prime : parameters.primes()) q = q.times(prime.p());
        Prg prg = seeded(6);
        std::vector<std::uint64_t> m(200), dither(200);
        uniform_words(prg, plain_bits, m.data(), m.size());
        uniform_words(prg, plain_bits, dither.data(), m.size());
        m[0] = 0, dither[0] = 0, m[1] = top, dither[1] = top, m[2] = top, dither[2] = 0, m[3] = 0, dither[3] = top;
        for (std::size_t i = 0; i < m.size(); ++i) {
            const Long scaled = q.times(m[i]).plus(Long::of(dither[i])).divided(std::uint64_t{1} << plain_bits);
            std::uint64_t residues[3];
            for (std::size_t k = 0; k < parameters.primes().size(); ++k) {
                const std::uint64_t p = parameters.primes()[k].p();
                residues[k] = scaling.up(m[i], dither[i], k);
                CHECK(residues[k] == scaled.modulo(p));
                residues[k] += p * (i % 3);  // `down` takes any representative
            }
            // Down again: m 2^(k-l), the fraction lost being far below one.
            const std::uint64_t reply = ~std::uint64_t{0} >> (64 - parameters.reply_bits());
            CHECK(scaling.down(residues, 1) == ((m[i] << kReplyGuardBits) & reply));
        }
        // c a little above and below (2 j + 1) q / 2^(k + 1), where round(2^k c / q) steps from j to j + 1; "a
        // little" is q / 2^75, more than the error of the 128-bit fractions.
        const int half = (parameters.reply_bits() + 1) / 2, rest = parameters.reply_bits() + 1 - half;
        const Long step = q.divided(std::uint64_t{1} << 60).divided(std::uint64_t{1} << 15).plus(Long::of(1));
        for (const std::uint64_t j : {std::uint64_t{0}, std::uint64_t{1}, top}) {
            const Long twice = q.times(2 * j + 1).divided(std::uint64_t{1} << half);
            const Long boundary = twice.divided(std::uint64_t{1} << rest).plus(Long::of(1));
            std::uint64_t above[3], below[3];
            for (std::size_t k = 0; k < parameters.primes().size(); ++k) {
                const std::uint64_t p = parameters.primes()[k].p();
                above[k] = (boundary.modulo(p) + step.modulo(p)) % p;
                below[k] = (boundary.modulo(p) + p - step.modulo(p)) % p;
            }
            CHECK(scaling.down(above, 1) == j + 1);
            CHECK(scaling.down(below, 1) == j);
        }
    }
}

void samplers_have_their_distributions() {
    Prg prg = seeded(7);
    SignedWords x(1 << 18);
    const double n = static_cast<double>(x.size());
    ternary(prg, x);
    for (const std::int64_t value : {-1, 0, 1}) {
        const double count = static_cast<double>(std::count(x.begin(), x.end(), value));
        CHECK(std::fabs(count - n / 3) < 5 * std::sqrt(n * 2 / 9));
    }
    centred_binomial(prg, x);
    double sum = 0, squares = 0;
    for (const std::int64_t value : x) {
        CHECK(-kNoiseBound <= value && value <= kNoiseBound);
        sum += static_cast<double>(value);
        squares += static_cast<double>(value * value);
    }
    CHECK(std::fabs(sum) < 5 * std::sqrt(n * kNoiseVariance));
    CHECK(std::fabs(squares / n - kNoiseVariance) < 5 * kNoiseVariance * std::sqrt(2 / n));
    Words small(1 << 16);
    for (const unsigned bound : {1u, 8u, 11u, 16u}) {
        uniform_below(prg, bound, small.data(), small.size());
        const double expected = static_cast<double>(small.size()) / bound;
        double off = 0;
        for (std::uint64_t value = 0; value < bound; ++value) {
            const double count = static_cast<double>(std::count(small.begin(), small.end(), value));
            off += (count - expected) * (count - expected) / expected;
        }
        CHECK(off < bound + 6 * std::sqrt(2.0 * bound));
        for (const std::uint64_t value : small) CHECK(value < bound);
    }
    const Modulus modulus(97);  // a quarter of the words is refused
    Words residues(1 << 18);
    uniform_residues(prg, modulus, residues.data(), residues.size());
    double chi = 0;
    for (std::uint64_t value = 0; value < 97; ++value) {
        const double expected = n / 97;
        const double off = static_cast<double>(std::count(residues.begin(), residues.end(), value)) - expected;
        chi += off * off / expected;
    }
    CHECK(chi < 96 + 6 * std::sqrt(2.0 * 96));
    for (const std::uint64_t value : residues) CHECK(value < 97);
}

// Both ends of a seed draw the same, whatever their processors: words in order, and then as many again as were refused.
void residues_are_the_words_that_are_small_enough() {
    for (const std::uint64_t p : {std::uint64_t{97}, std::uint64_t{65537}, ntt_primes(64, 47, 1)[0]}) {
        const Modulus modulus(p);
        for (const std::size_t count : {1u, 7u, 8u, 9u, 64u, 1003u}) {
            Prg prg = seeded(count), plain = seeded(count);
            std::vector<std::uint64_t> found(count + 1, 5), expected;
            uniform_residues(prg, modulus, found.data(), count);
            while (expected.size() < count) {
                std::vector<std::uint64_t> drawn(count - expected.size());
                plain.fill(drawn.data(), drawn.size() * sizeof drawn[0]);
                for (const std::uint64_t word : drawn) {
                    const std::uint64_t cut = word & ((std::uint64_t{1} << modulus.bits) - 1);
                    if (cut < p) expected.push_back(cut);
                }
            }
            CHECK(found.back() == 5);
            found.pop_back();
            CHECK(found == expected);
            CHECK(prg.word() == plain.word());
        }
    }
}

void parameters_hold_the_standard() {
    CHECK(largest_modulus_bits(4096) == 106 && largest_modulus_bits(8192) == 214);
    CHECK_THROWS(largest_modulus_bits(2048), ParameterError);
    const std::vector<LayerBound> layers{{std::uint64_t{1} << 36, 1000}};
    for (int bits = kSmallestPlainBits; bits <= kLargestPlainBits; ++bits) {
        const Parameters parameters(8192, bits, layers, 40);
        double modulus = 0;
        for (const Ntt& prime : parameters.primes()) modulus += std::log2(static_cast<double>(prime.p()));
        CHECK(modulus < parameters.modulus_bits() && parameters.modulus_bits() <= 141);
        CHECK(modulus > parameters.modulus_bits() - 0.01);
        // Wide enough to hide, narrow enough to decrypt.
        const double leak = 1000 * (std::sqrt(10.75 * std::ldexp(1, 36) + 21 * 8192) + 0.5);
        const double hidden = parameters.flood_bits() + 1 - std::log2(leak);
        CHECK(hidden >= 40 && hidden < 40.2);
        const double noise = std::exp2(parameters.flood_bits() + parameters.reply_bits() - modulus);
        CHECK(noise + 9 * std::sqrt(8192.0 / 12) + 2 < 512);
    }
    const std::vector<LayerBound> wide{{980 * 12 * std::uint64_t{2047 * 2047}, 100}};
    CHECK(Parameters(4096, 39, wide, 40).modulus_bits() == 106);
    CHECK_THROWS(Parameters(4096, 40, wide, 40), ParameterError);
    CHECK_THROWS(Parameters(4096, 54, layers, 40), ParameterError);
    CHECK_THROWS(Parameters(8192, 55, layers, 40), ParameterError);
    CHECK_THROWS(Parameters(8192, 1, layers, 40), ParameterError);
    CHECK_THROWS(Parameters(2048, 20, layers, 40), ParameterError);
    CHECK_THROWS(Parameters(8192, 20, {}, 40), ParameterError);
    CHECK_THROWS(Parameters(8192, 20, {{1, 0}}, 40), ParameterError);
}

}  // namespace

int main() {
    check::run("primes are primes", primes_are_primes);
    check::run_on_all_levels("a transform gives the values at odd powers", transform_gives_values_at_odd_powers);
    check::run_on_all_levels("products are negacyclic", products_are_negacyclic);
    check::run_on_all_levels("extremes survive", extremes_survive);
    check::run_on_all_levels("sums of products are exact", sums_of_products_are_exact);
    check::run_on_all_levels("sums of many rows and columns are those of each",
                             sums_of_many_rows_and_columns_are_those_of_each);
    check::run_on_all_levels("transforms are the known ones", transforms_are_the_known_ones);
    check::run_on_all_levels("packing is exact and strict", packing_is_exact_and_strict);
    check::run("scaling is exact", scaling_is_exact);
    check::run_on_all_levels("residues are the words that are small enough", residues_are_the_words_that_are_small_enough);
    check::run("samplers have their distributions", samplers_have_their_distributions);
    check::run("parameters hold the standard", parameters_hold_the_standard);
    return check::result();
}
