// The transform on AVX-512 IFMA (52-bit multiply-add), eight residues a vector; see ntt.hpp.
//
// The arithmetic is that of the portable kernels with 2^52 in place of 2^64 in Shoup's quotients (Boemer et al., "Intel
// HEXL", WAHC 2021). A pass over memory does two layers. The last three layers run on transposed 8 x 8 tiles, so that
// all butterflies are between vectors. Results are reduced fully, hence the same as the portable ones.
#include <immintrin.h>

#include "core/base/block.hpp"
#include "core/lattice/ntt_kernels.hpp"

namespace mpc::lattice {

namespace {

using V = __m512i;

MPC_INLINE V load(const std::uint64_t* p) { return _mm512_loadu_si512(p); }
MPC_INLINE void store(std::uint64_t* p, V x) { _mm512_storeu_si512(p, x); }
MPC_INLINE V repeat(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
MPC_INLINE V add(V x, V y) { return _mm512_add_epi64(x, y); }
MPC_INLINE V subtract(V x, V y) { return _mm512_sub_epi64(x, y); }
// [0, 2 bound) to [0, bound): the difference wraps to a huge word where x is below the bound.
MPC_INLINE V reduce_once(V x, V bound) { return _mm512_min_epu64(x, subtract(x, bound)); }

// A factor w with floor(w 2^52 / p), in every lane or lane by lane.
struct Factors {
    V value, quotient;
};

MPC_INLINE Factors repeat(const Twiddles& twiddles, std::size_t k) {
    return {repeat(twiddles.root[k]), repeat(twiddles.quotient[k] >> 12)};
}
MPC_INLINE Factors repeat(const Factor& factor) { return {repeat(factor.value), repeat(factor.quotient >> 12)}; }

struct Prime {
    V p, twice, minus, mask;

    explicit MPC_INLINE Prime(std::uint64_t prime)
        : p(repeat(prime)), twice(repeat(2 * prime)), minus(repeat((std::uint64_t{1} << 52) - prime)),
          mask(repeat((std::uint64_t{1} << 52) - 1)) {}

    // x w mod p, in [0, 2p), for x < 2^52.
    MPC_INLINE V multiply(V x, const Factors& w) const {
        const V zero = _mm512_setzero_si512();
        const V estimate = _mm512_madd52hi_epu64(zero, x, w.quotient);
        const V low = _mm512_madd52lo_epu64(zero, x, w.value);
        return _mm512_and_si512(_mm512_madd52lo_epu64(low, estimate, minus), mask);
    }
    MPC_INLINE void forward(V& x, V& y, const Factors& w) const {
        const V t = multiply(y, w);
        y = subtract(add(x, twice), t);
        x = add(x, t);
    }
    MPC_INLINE void inverse(V& x, V& y, const Factors& w) const {
        const V difference = subtract(add(x, twice), y);
        x = reduce_once(add(x, y), twice);
        y = multiply(difference, w);
    }
};

// Rows to columns of an 8 x 8 matrix of words; its own inverse.
MPC_INLINE void transpose(V* v) {
    V a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int odd = 0; odd < 2; ++odd) {
            b[i + odd] = _mm512_shuffle_i64x2(a[i + odd], a[i + 2 + odd], 0x88);
            b[i + 2 + odd] = _mm512_shuffle_i64x2(a[i + odd], a[i + 2 + odd], 0xdd);
        }
    }
    for (int i = 0; i < 4; ++i) {
        v[i] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0x88);
        v[i + 4] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0xdd);
    }
}

MPC_INLINE void load_tile_factors(const Twiddles& twiddles, std::size_t tile, Factors* w) {
    for (std::size_t i = 0; i < 7; ++i) {
        w[i] = {load(&twiddles.tail_root[56 * tile + 8 * i]), load(&twiddles.tail_quotient[56 * tile + 8 * i])};
    }
}

void forward(const NttTables& ntt, std::uint64_t* x) {
    const std::size_t n = ntt.degree;
    const Prime prime(ntt.modulus.p);
    const Twiddles& twiddles = ntt.forward;
    std::size_t groups = 1, half = n / 2;
    // An odd number of layers before the last three: one alone.
    std::size_t layers = 0;
    for (std::size_t i = n / 8; i > 1; i /= 2) ++layers;
    if (layers % 2 == 1) {
        const Factors w = repeat(twiddles, 1);
        for (std::size_t j = 0; j < half; j += 8) {
            V left = load(x + j), right = load(x + half + j);
            prime.forward(left, right, w);
            store(x + j, left);
            store(x + half + j, right);
        }
        groups *= 2;
        half /= 2;
    }
    for (; half >= 16; groups *= 4, half /= 4) {
        const std::size_t quarter = half / 2;
        for (std::size_t g = 0; g < groups; ++g) {
            const Factors first = repeat(twiddles, groups + g);
            const Factors second = repeat(twiddles, 2 * (groups + g)), third = repeat(twiddles, 2 * (groups + g) + 1);
            std::uint64_t* const at = x + 2 * g * half;
            for (std::size_t j = 0; j < quarter; j += 8) {
                V a = load(at + j), b = load(at + quarter + j), c = load(at + half + j),
                  d = load(at + half + quarter + j);
                prime.forward(a, c, first);
                prime.forward(b, d, first);
                prime.forward(a, b, second);
                prime.forward(c, d, third);
                store(at + j, a);
                store(at + quarter + j, b);
                store(at + half + j, c);
                store(at + half + quarter + j, d);
            }
        }
    }
    const Factors one = repeat(ntt.modulus.one);
    for (std::size_t tile = 0; tile < n / 64; ++tile) {
        Factors w[7];
        load_tile_factors(twiddles, tile, w);
        V v[8];
        for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + 64 * tile + 8 * i);
        transpose(v);
        for (std::size_t i = 0; i < 4; ++i) prime.forward(v[i], v[i + 4], w[0]);
        for (std::size_t i = 0; i < 4; ++i) prime.forward(v[i + (i & 2)], v[i + (i & 2) + 2], w[1 + i / 2]);
        for (std::size_t i = 0; i < 4; ++i) prime.forward(v[2 * i], v[2 * i + 1], w[3 + i]);
        for (V& r : v) r = reduce_once(prime.multiply(r, one), prime.p);
        transpose(v);
        for (std::size_t i = 0; i < 8; ++i) store(x + 64 * tile + 8 * i, v[i]);
    }
}

void inverse(const NttTables& ntt, std::uint64_t* x) {
    const std::size_t n = ntt.degree;
    const Prime prime(ntt.modulus.p);
    const Twiddles& twiddles = ntt.inverse;
    for (std::size_t tile = 0; tile < n / 64; ++tile) {
        Factors w[7];
        load_tile_factors(twiddles, tile, w);
        V v[8];
        for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + 64 * tile + 8 * i);
        transpose(v);
        for (std::size_t i = 0; i < 4; ++i) prime.inverse(v[2 * i], v[2 * i + 1], w[3 + i]);
        for (std::size_t i = 0; i < 4; ++i) prime.inverse(v[i + (i & 2)], v[i + (i & 2) + 2], w[1 + i / 2]);
        for (std::size_t i = 0; i < 4; ++i) prime.inverse(v[i], v[i + 4], w[0]);
        transpose(v);
        for (std::size_t i = 0; i < 8; ++i) store(x + 64 * tile + 8 * i, v[i]);
    }
    // Pairs of layers with `groups` and groups / 2 groups, then what is left before the last layer.
    std::size_t groups = n / 16, quarter = 8;
    for (; groups >= 4; groups /= 4, quarter *= 4) {
        const std::size_t half = 2 * quarter;
        for (std::size_t g = 0; g < groups / 2; ++g) {
            const std::size_t k = groups / 2 + g;
            const Factors first = repeat(twiddles, 2 * k), second = repeat(twiddles, 2 * k + 1);
            const Factors third = repeat(twiddles, k);
            std::uint64_t* const at = x + 2 * g * half;
            for (std::size_t j = 0; j < quarter; j += 8) {
                V a = load(at + j), b = load(at + quarter + j), c = load(at + half + j),
                  d = load(at + half + quarter + j);
                prime.inverse(a, b, first);
                prime.inverse(c, d, second);
                prime.inverse(a, c, third);
                prime.inverse(b, d, third);
                store(at + j, a);
                store(at + quarter + j, b);
                store(at + half + j, c);
                store(at + half + quarter + j, d);
            }
        }
    }
    if (groups == 2) {
        for (std::size_t g = 0; g < 2; ++g) {
            const Factors w = repeat(twiddles, 2 + g);
            std::uint64_t* const at = x + 2 * g * quarter;
            for (std::size_t j = 0; j < quarter; j += 8) {
                V left = load(at + j), right = load(at + quarter + j);
                prime.inverse(left, right, w);
                store(at + j, left);
                store(at + quarter + j, right);
            }
        }
    }
    const Factors scale = repeat(ntt.inverse_degree), last = repeat(ntt.last_root);
    for (std::size_t j = 0; j < n / 2; j += 8) {
        const V left = load(x + j), right = load(x + n / 2 + j);
        store(x + j, reduce_once(prime.multiply(add(left, right), scale), prime.p));
        store(x + n / 2 + j,
              reduce_once(prime.multiply(subtract(add(left, prime.twice), right), last), prime.p));
    }
}

// Sums of at most 1000 products below 2^94: low halves stay below 2^62, high halves below 1000 * 2^42 < 2^52.
void inner_product(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                   std::size_t terms, std::uint64_t* out) {
    const Prime prime(ntt.modulus.p);
    const Factors one = repeat(ntt.modulus.one), two_to_52 = repeat(ntt.two_to_52);
    for (std::size_t j = 0; j < ntt.degree; j += 8) {
        V low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
        for (std::size_t k = 0; k < terms; ++k) {
            const V left = load(x[k] + j), right = load(y[k] + j);
            low = _mm512_madd52lo_epu64(low, left, right);
            high = _mm512_madd52hi_epu64(high, left, right);
        }
        high = add(high, _mm512_srli_epi64(low, 52));
        const V sum = add(prime.multiply(high, two_to_52), prime.multiply(_mm512_and_si512(low, prime.mask), one));
        store(out + j, reduce_once(reduce_once(sum, prime.twice), prime.p));
    }
}

}  // namespace

const NttKernels ifma_kernels = {forward, inverse, inner_product};

}  // namespace mpc::lattice
