// Residues as double-precision numbers, four a vector, for the kernels on AVX2 and FMA; ntt_avx2.cpp has the bounds.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"
#include "core/lattice/ntt_kernels.hpp"

namespace mpc::lattice {

// Of the class Ntt, see products_avx2.cpp.
void inner_product_avx2(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                        std::size_t terms, std::uint64_t* out);
void inner_product_pairs_avx2(const NttTables& ntt, const std::uint64_t* const* x, const std::uint8_t* pairs,
                              std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second);
void inner_products_avx2(const NttTables& ntt, const std::uint64_t* const* x, std::size_t rows,
                         const std::uint64_t* const* y, std::size_t columns, std::size_t terms,
                         std::uint64_t* const* out, double* room);

// Each file that includes this is compiled for AVX2 and has its own copy.
namespace {

using V = __m256d;

constexpr std::size_t kLanes = 4;
constexpr std::size_t kBeside = 4;      // products that go side by side, step by step

MPC_INLINE V repeat(double x) { return _mm256_set1_pd(x); }
MPC_INLINE V load(const std::uint64_t* p) { return _mm256_castsi256_pd(_mm256_loadu_si256((const __m256i*)p)); }
MPC_INLINE void store(std::uint64_t* p, V x) { _mm256_storeu_si256((__m256i*)p, _mm256_castpd_si256(x)); }
MPC_INLINE V load(const double* p) { return _mm256_loadu_pd(p); }
MPC_INLINE V add(V x, V y) { return _mm256_add_pd(x, y); }
MPC_INLINE V subtract(V x, V y) { return _mm256_sub_pd(x, y); }

// Integers in [0, 2^52) are the low bits of the numbers in [2^52, 2^53).
MPC_INLINE V two_to_52() { return repeat(4503599627370496.0); }
MPC_INLINE V to_double(V words) { return subtract(_mm256_or_pd(words, two_to_52()), two_to_52()); }
MPC_INLINE V to_words(V x) { return _mm256_xor_pd(add(x, two_to_52()), two_to_52()); }

MPC_INLINE V nearest(V x) { return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

struct Prime {
    V p, inverse;

    explicit MPC_INLINE Prime(const NttTables& ntt) : p(repeat(ntt.real.p)), inverse(repeat(ntt.real.inverse)) {}

    MPC_INLINE V multiply(V x, V w) const {
        const V high = _mm256_mul_pd(x, w), low = _mm256_fmsub_pd(x, w, high);
        const V quotient = nearest(_mm256_mul_pd(high, inverse));
        return add(_mm256_fnmadd_pd(quotient, p, high), low);
    }
    MPC_INLINE V reduce(V x) const { return _mm256_fnmadd_pd(nearest(_mm256_mul_pd(x, inverse)), p, x); }
    // (-p, p) to words in [0, p).
    MPC_INLINE V residue(V x) const {
        const V negative = _mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ);
        return to_words(add(x, _mm256_and_pd(p, negative)));
    }
    // The parts of the product are added one after the other, so that x + l need not wait for the quotient.
    MPC_INLINE void forward(V& x, V& y, V w) const {
        const V high = _mm256_mul_pd(y, w), low = _mm256_fmsub_pd(y, w, high);
        const V rest = _mm256_fnmadd_pd(nearest(_mm256_mul_pd(high, inverse)), p, high);
        y = subtract(subtract(x, low), rest);
        x = add(add(x, low), rest);
    }
    MPC_INLINE void inverse_butterfly(V& x, V& y, V w) const {
        const V difference = subtract(x, y);
        x = add(x, y);
        y = multiply(difference, w);
    }
};

}  // namespace

}  // namespace mpc::lattice
