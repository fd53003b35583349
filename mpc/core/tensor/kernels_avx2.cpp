// The kernels compiled for AVX2; see CMakeLists.txt for the options.
#include <immintrin.h>

#include "core/tensor/kernels.hpp"
#include "core/tensor/bit_layers.hpp"
#include "core/tensor/field_layers.hpp"
#include "core/tensor/layers.hpp"
#include "core/tensor/panels.hpp"
#include "core/tensor/wide_layers.hpp"

namespace mpc::tensor {
namespace {

// A tile is 2 x 2 vectors. Its accumulators, four vectors of the right panel and what is under way fill the registers.
constexpr std::size_t kRows = 2, kVectors = 2;

MPC_INLINE __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
MPC_INLINE void store(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
MPC_INLINE __m256i repeat(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
MPC_INLINE __m256i repeat(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }

// The tile's lines are far away, and needed in the end.
MPC_INLINE void fetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

// Keeps a sum in its register: GCC would copy it at the end of each round.
MPC_INLINE void stay(__m256i& x) { __asm__("" : "+x"(x)); }

// Products of 64 bits from two instructions: x_lo y_lo in full, and (x_lo y_hi, x_hi y_lo) mod 2^32, whose sum counts
// 2^32. The second kind is summed by itself and added in the end.
void tile64(const std::uint64_t* left, const std::uint64_t* right, std::size_t pairs, std::uint64_t* c,
            std::ptrdiff_t row_step) {
    constexpr std::size_t columns = 4 * kVectors;
    for (std::size_t i = 0; i < kRows; ++i) fetch(c + static_cast<std::ptrdiff_t>(i) * row_step);
    __m256i low[kRows][kVectors], cross[kRows][kVectors];
#pragma GCC unroll 2
    for (std::size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j) {
            low[i][j] = _mm256_sub_epi64(repeat(std::uint64_t{0} - left[i]), load(right + 4 * j));
            cross[i][j] = _mm256_setzero_si256();
        }
    }
    const std::uint64_t* a = left + kRows;
    const std::uint64_t* b = right + columns;
    for (std::size_t p = 0; p < pairs; ++p, a += 2 * kRows, b += 2 * columns) {
#pragma GCC unroll 2
        for (std::size_t i = 0; i < kRows; ++i) {
            const __m256i a1 = repeat(a[2 * i]), a2 = repeat(a[2 * i + 1]);
#pragma GCC unroll 2
            for (std::size_t j = 0; j < kVectors; ++j) {
                const __m256i x = _mm256_add_epi64(a1, load(b + columns + 4 * j));
                const __m256i y = _mm256_add_epi64(a2, load(b + 4 * j));
                const __m256i swapped = _mm256_shuffle_epi32(y, 0xB1);
                low[i][j] = _mm256_add_epi64(low[i][j], _mm256_mul_epu32(x, y));
                cross[i][j] = _mm256_add_epi32(cross[i][j], _mm256_mullo_epi32(x, swapped));
            }
        }
#pragma GCC unroll 2
        for (std::size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
            for (std::size_t j = 0; j < kVectors; ++j) {
                stay(low[i][j]);
                stay(cross[i][j]);
            }
        }
    }
#pragma GCC unroll 2
    for (std::size_t i = 0; i < kRows; ++i, c += row_step) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j) {
            const __m256i both = _mm256_add_epi32(cross[i][j], _mm256_shuffle_epi32(cross[i][j], 0xB1));
            const __m256i sum = _mm256_add_epi64(low[i][j], _mm256_slli_epi64(both, 32));
            store(c + 4 * j, _mm256_add_epi64(load(c + 4 * j), sum));
        }
    }
}

constexpr std::size_t kRows32 = 4;

void tile32(const std::uint32_t* left, const std::uint32_t* right, std::size_t pairs, std::uint32_t* c,
            std::ptrdiff_t row_step) {
    constexpr std::size_t columns = 8 * kVectors;
    for (std::size_t i = 0; i < kRows32; ++i) fetch(c + static_cast<std::ptrdiff_t>(i) * row_step);
    __m256i sum[kRows32][kVectors];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kRows32; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j)
            sum[i][j] = _mm256_sub_epi32(repeat(std::uint32_t{0} - left[i]), load(right + 8 * j));
    }
    const std::uint32_t* a = left + kRows32;
    const std::uint32_t* b = right + columns;
    for (std::size_t p = 0; p < pairs; ++p, a += 2 * kRows32, b += 2 * columns) {
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kRows32; ++i) {
            const __m256i a1 = repeat(a[2 * i]), a2 = repeat(a[2 * i + 1]);
#pragma GCC unroll 2
            for (std::size_t j = 0; j < kVectors; ++j) {
                const __m256i x = _mm256_add_epi32(a1, load(b + columns + 8 * j));
                const __m256i y = _mm256_add_epi32(a2, load(b + 8 * j));
                sum[i][j] = _mm256_add_epi32(sum[i][j], _mm256_mullo_epi32(x, y));
            }
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kRows32; ++i) {
#pragma GCC unroll 2
            for (std::size_t j = 0; j < kVectors; ++j) stay(sum[i][j]);
        }
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kRows32; ++i, c += row_step) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j)
            store(c + 8 * j, _mm256_add_epi32(load(c + 8 * j), sum[i][j]));
    }
}

constexpr std::size_t kWideRows = 4, kWideColumns = 4;

void wide_tile(const double* left, const double* right, std::size_t depth, WideSums& sums) {
    static_assert(kWideColumns == 4, "a register has four words");
    __m256d rest[kWideRows];
    __m256i top[kWideRows];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kWideRows; ++i) {
        rest[i] = _mm256_setzero_pd();
        top[i] = _mm256_setzero_si256();
    }
    for (std::size_t k = 0; k < depth; ++k, ++left, right += 12) {
        const __m256d b = _mm256_loadu_pd(right), b_low = _mm256_loadu_pd(right + 4);
        const __m256i b_top = _mm256_castpd_si256(_mm256_loadu_pd(right + 8));
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kWideRows; ++i) {
            const double* const row = left + 3 * i * depth;
            const __m256d sum = _mm256_add_pd(_mm256_mul_pd(_mm256_broadcast_sd(row), b),
                                              _mm256_mul_pd(_mm256_broadcast_sd(row + depth), b_low));
            rest[i] = _mm256_add_pd(rest[i], sum);
            const __m256i e_top = _mm256_castpd_si256(_mm256_broadcast_sd(row + 2 * depth));
            top[i] = _mm256_add_epi64(top[i], _mm256_mul_epu32(e_top, b_top));
        }
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kWideRows; ++i) {
        _mm256_storeu_pd(sums.rest + kWideColumns * i, rest[i]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums.top + kWideColumns * i), top[i]);
    }
}

constexpr WideKernel wide_kernel = {kWideRows, kWideColumns, pack_wide_left<kWideRows>, pack_wide_right<kWideColumns>,
                                    wide_tile, add_wide_row};

}  // namespace

const Kernels kernels_avx2 = {
    {kRows, 4 * kVectors, pack_left<std::uint64_t, kRows>, pack_right<std::uint64_t, 4 * kVectors>, tile64},
    {kRows32, 8 * kVectors, pack_left<std::uint32_t, kRows32>, pack_right<std::uint32_t, 8 * kVectors>, tile32},
    split_planes, join_planes, and_words, multiply_words, add_chosen, add_gram, combine, choose_words, where_number, open_plane_words, add_bit_term,
    wide_loops, &wide_kernel};

}  // namespace mpc::tensor
