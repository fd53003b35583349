// Sums of products of polynomials on AVX-512 IFMA; see ntt.hpp.
#include "core/lattice/words_ifma.hpp"

namespace mpc::lattice {

namespace {

// The sum of at most 1000 products below 2^94: low halves stay below 2^62, high halves below 1000 * 2^42 < 2^52.
struct Sum {
    V low = _mm512_setzero_si512(), high = _mm512_setzero_si512();

    MPC_INLINE void add_product(V x, V y) {
        low = _mm512_madd52lo_epu64(low, x, y);
        high = _mm512_madd52hi_epu64(high, x, y);
    }
    MPC_INLINE V residue(const Prime& prime, const Factors& two_to_52) const {
        const V above = add(high, _mm512_srli_epi64(low, 52));
        const V sum = prime.multiply_add(prime.reduce(low), above, two_to_52);
        return prime.residue(reduce_once(_mm512_and_si512(sum, prime.mask), prime.twice));
    }
};

constexpr std::size_t kBeside = 4;  // vectors side by side
// Of pairs that are read ahead, a few kilobytes: pages end the processor's own reading ahead.
constexpr std::size_t kAhead = 4 * kPairedEntries;

}  // namespace

void inner_product_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                        std::size_t terms, std::uint64_t* out) {
    const Prime prime(ntt.modulus);
    const Factors two_to_52 = repeat(ntt.two_to_52);
    for (std::size_t j = 0; j < ntt.degree; j += kBeside * kLanes) {
        Sum sums[kBeside];
        for (std::size_t k = 0; k < terms; ++k) {
            const std::uint64_t *const a = x[k] + j, *const b = y[k] + j;
            for (std::size_t i = 0; i < kBeside; ++i) sums[i].add_product(load(a + i * kLanes), load(b + i * kLanes));
        }
        for (std::size_t i = 0; i < kBeside; ++i) store(out + j + i * kLanes, sums[i].residue(prime, two_to_52));
    }
}

void inner_product_pairs_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint8_t* pairs,
                              std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second) {
    static_assert(kPairedEntries == kBeside * kLanes, "one step reads what is side by side");
    const Prime prime(ntt.modulus);
    const Factors two_to_52 = repeat(ntt.two_to_52);
    const Packed words(ntt.modulus.bits);
    const std::size_t bytes = paired_bytes(ntt.modulus), eight = bytes / kBeside;
    for (std::size_t j = 0; j < ntt.degree; j += kPairedEntries, pairs += 2 * packed * bytes) {
        if (j + kAhead < ntt.degree) {
            const std::uint8_t* const ahead = pairs + kAhead / kPairedEntries * 2 * packed * bytes;
            for (std::size_t i = 0; i < 2 * terms * bytes; i += 64)
                _mm_prefetch(reinterpret_cast<const char*>(ahead + i), _MM_HINT_T0);
        }
        Sum one[kBeside], other[kBeside];
        for (std::size_t k = 0; k < terms; ++k) {
            const std::uint64_t* const a = x[k] + j;
            const std::uint8_t* const b = pairs + 2 * k * bytes;
            for (std::size_t i = 0; i < kBeside; ++i) {
                const V factor = load(a + i * kLanes);
                one[i].add_product(factor, words(b + i * eight));
                other[i].add_product(factor, words(b + bytes + i * eight));
            }
        }
        for (std::size_t i = 0; i < kBeside; ++i) store(first + j + i * kLanes, one[i].residue(prime, two_to_52));
        for (std::size_t i = 0; i < kBeside; ++i) store(second + j + i * kLanes, other[i].residue(prime, two_to_52));
    }
}

// The product is below 2p, so with z it is below 3p.
void scale_difference_ifma(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* y, std::uint64_t factor,
                           const std::uint64_t* z, std::uint64_t* out) {
    const Prime prime(ntt.modulus);
    const Factors w = repeat(ntt.modulus.factor(factor));
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) {
        const V difference = subtract(add(load(x + j), prime.p), load(y + j));
        const V term = z != nullptr ? load(z + j) : _mm512_setzero_si512();
        const V sum = _mm512_and_si512(prime.multiply_add(term, difference, w), prime.mask);
        store(out + j, reduce_once(reduce_once(sum, prime.twice), prime.p));
    }
}

// Eight products, each below 2p, are below 2^51.
void combine_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* factors, std::size_t terms,
                  std::uint64_t* out) {
    const Prime prime(ntt.modulus);
    Factors w[8];
    for (std::size_t k = 0; k < terms; ++k) w[k] = repeat(ntt.modulus.factor(factors[k]));
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) {
        V sum = prime.multiply(load(x[0] + j), w[0]);
        for (std::size_t k = 1; k < terms; ++k) sum = prime.multiply_add(sum, load(x[k] + j), w[k]);
        store(out + j, prime.residue(terms == 1 ? sum : prime.reduce(sum)));
    }
}

namespace {

// floor(y fraction / 2^bits), below 2^62, for y of so many bits, at most 47, and a fraction below 2^62. With the
// fraction's upper ten bits apart, all that is below 2^52 is cut by the shift of the low product.
struct Fraction {
    V low, high;
    __m128i bits, left;

    explicit MPC_INLINE Fraction(const CrtTerm& term)
        : low(repeat(term.fraction & ((std::uint64_t{1} << 52) - 1))), high(repeat(term.fraction >> 52)),
          bits(_mm_cvtsi32_si128(term.modulus->bits)), left(_mm_cvtsi32_si128(52 - term.modulus->bits)) {}
    MPC_INLINE V of(V y) const {
        const V below = _mm512_madd52lo_epu64(_mm512_setzero_si512(), y, low);
        const V above = _mm512_madd52hi_epu64(_mm512_mullo_epi64(y, high), y, low);
        return add(_mm512_sll_epi64(above, left), _mm512_srl_epi64(below, bits));
    }
};

// The eight entries from which the map takes those from `first` on.
MPC_INLINE V image(const std::uint32_t* map, const std::uint64_t* x, std::size_t first) {
    const V places = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(map + first)));
    return _mm512_permutexvar_epi64(places, load(x + map[first] / kLanes * kLanes));  // by their low three bits
}

}  // namespace

// Runs of entries, so that the sums of a run stay in the first cache while one term after the other is added.
void crt_parts_ifma(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out) {
    constexpr std::size_t kRun = 64;
    Factor inverses[kMostCrtTerms];
    for (std::size_t k = 0; k < count; ++k) inverses[k] = terms[k].modulus->factor(terms[k].inverse);
    for (std::size_t at = 0; at < degree; at += kRun, out += (count + 1) * kRun) {
        V sums[kRun / kLanes];
        for (V& sum : sums) sum = repeat(std::uint64_t{1} << 60);
        for (std::size_t k = 0; k < count; ++k) {
            const Prime prime(*terms[k].modulus);
            const Factors inverse = repeat(inverses[k]);
            const Fraction fraction(terms[k]);
            for (std::size_t i = 0; i < kRun / kLanes; ++i) {
                const V y = prime.residue(prime.multiply(load(terms[k].x + at + i * kLanes), inverse));
                store(out + (i * (count + 1) + k) * kLanes, y);
                sums[i] = add(sums[i], fraction.of(y));
            }
        }
        for (std::size_t i = 0; i < kRun / kLanes; ++i) {
            store(out + (i * (count + 1) + count) * kLanes, _mm512_srli_epi64(sums[i], 61));
        }
    }
}

void permute_ifma(const NttTables& ntt, const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) {
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) store(out + j, image(map, x, j));
}

void add_permuted_ifma(const NttTables& ntt, const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) {
    const V p = repeat(ntt.modulus.p);
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) store(out + j, reduce_once(add(load(out + j), image(map, x, j)), p));
}

}  // namespace mpc::lattice
