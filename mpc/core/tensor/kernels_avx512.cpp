// The kernels compiled for AVX-512; see CMakeLists.txt for the options.
#include <immintrin.h>

#include "core/tensor/kernels.hpp"
#include "core/tensor/bit_layers.hpp"
#include "core/tensor/field_layers.hpp"
#include "core/tensor/layers.hpp"
#include "core/tensor/panels.hpp"
#include "core/tensor/wide_layers.hpp"

namespace mpc::tensor {
namespace {

// A tile is 8 x 2 vectors: 16 accumulators, four vectors of the right panel, and what is under way.
constexpr std::size_t kRows = 8, kVectors = 2;

MPC_INLINE __m512i load(const void* p) { return _mm512_loadu_si512(p); }
MPC_INLINE void store(void* p, __m512i x) { _mm512_storeu_si512(p, x); }

// Words of 64 bits, eight a vector, and of 32 bits, sixteen a vector.
struct Lanes64 {
    using T = std::uint64_t;
    static MPC_INLINE __m512i repeat(T x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
    static MPC_INLINE __m512i add(__m512i x, __m512i y) { return _mm512_add_epi64(x, y); }
    static MPC_INLINE __m512i subtract(__m512i x, __m512i y) { return _mm512_sub_epi64(x, y); }
    static MPC_INLINE __m512i multiply(__m512i x, __m512i y) { return _mm512_mullo_epi64(x, y); }
};
struct Lanes32 {
    using T = std::uint32_t;
    static MPC_INLINE __m512i repeat(T x) { return _mm512_set1_epi32(static_cast<int>(x)); }
    static MPC_INLINE __m512i add(__m512i x, __m512i y) { return _mm512_add_epi32(x, y); }
    static MPC_INLINE __m512i subtract(__m512i x, __m512i y) { return _mm512_sub_epi32(x, y); }
    static MPC_INLINE __m512i multiply(__m512i x, __m512i y) { return _mm512_mullo_epi32(x, y); }
};

template <class L>
void tile(const typename L::T* left, const typename L::T* right, std::size_t pairs, typename L::T* c,
          std::ptrdiff_t row_step) {
    using T = typename L::T;
    constexpr std::size_t lanes = 64 / sizeof(T), columns = lanes * kVectors;
    for (std::size_t i = 0; i < kRows; ++i) {  // the tile's lines are far away, and needed in the end
        const T* line = c + static_cast<std::ptrdiff_t>(i) * row_step;
        _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(line + lanes), _MM_HINT_T0);
    }
    __m512i sum[kRows][kVectors];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j)
            sum[i][j] = L::subtract(L::repeat(static_cast<T>(T{0} - left[i])), load(right + lanes * j));
    }
    const T* a = left + kRows;
    const T* b = right + columns;
    for (std::size_t p = 0; p < pairs; ++p, a += 2 * kRows, b += 2 * columns) {
        __m512i b1[kVectors], b2[kVectors];
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j) {
            b1[j] = load(b + lanes * j);
            b2[j] = load(b + columns + lanes * j);
        }
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kRows; ++i) {
            const __m512i a1 = L::repeat(a[2 * i]), a2 = L::repeat(a[2 * i + 1]);
#pragma GCC unroll 2
            for (std::size_t j = 0; j < kVectors; ++j)
                sum[i][j] = L::add(sum[i][j], L::multiply(L::add(a1, b2[j]), L::add(a2, b1[j])));
        }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRows; ++i, c += row_step) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < kVectors; ++j)
            store(c + lanes * j, L::add(load(c + lanes * j), sum[i][j]));
    }
}

template <class L>
constexpr MatmulKernel<typename L::T> matmul_kernel = {
    kRows, kVectors * 64 / sizeof(typename L::T), pack_left<typename L::T, kRows>,
    pack_right<typename L::T, kVectors * 64 / sizeof(typename L::T)>, tile<L>};

// A tile is 4 x 2 vectors: 16 accumulators, six vectors of the right panel, and what is under way.
constexpr std::size_t kWideRows = 4, kWideColumns = 16;

void wide_tile(const double* left, const double* right, std::size_t depth, WideSums& sums) {
    __m512d rest[kWideRows][2];
    __m512i top[kWideRows][2];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kWideRows; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < 2; ++j) {
            rest[i][j] = _mm512_setzero_pd();
            top[i][j] = _mm512_setzero_si512();
        }
    }
    for (std::size_t k = 0; k < depth; ++k, ++left, right += 3 * kWideColumns) {
        __m512d b[2], b_low[2];
        __m512i b_top[2];
#pragma GCC unroll 2
        for (std::size_t j = 0; j < 2; ++j) {
            b[j] = _mm512_loadu_pd(right + 8 * j);
            b_low[j] = _mm512_loadu_pd(right + kWideColumns + 8 * j);
            b_top[j] = load(right + 2 * kWideColumns + 8 * j);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kWideRows; ++i) {
            const double* const row = left + 3 * i * depth;
            const __m512d low = _mm512_set1_pd(row[0]), high = _mm512_set1_pd(row[depth]);
            const __m512i e_top = _mm512_castpd_si512(_mm512_set1_pd(row[2 * depth]));
#pragma GCC unroll 2
            for (std::size_t j = 0; j < 2; ++j) {
                rest[i][j] = _mm512_fmadd_pd(low, b[j], rest[i][j]);
                rest[i][j] = _mm512_fmadd_pd(high, b_low[j], rest[i][j]);
                top[i][j] = _mm512_add_epi64(top[i][j], _mm512_mul_epu32(e_top, b_top[j]));
            }
        }
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kWideRows; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < 2; ++j) {
            _mm512_storeu_pd(sums.rest + kWideColumns * i + 8 * j, rest[i][j]);
            store(sums.top + kWideColumns * i + 8 * j, top[i][j]);
        }
    }
}

constexpr WideKernel wide_kernel = {kWideRows, kWideColumns, pack_wide_left<kWideRows>, pack_wide_right<kWideColumns>,
                                    wide_tile, add_wide_row};

}  // namespace

const Kernels kernels_avx512 = {matmul_kernel<Lanes64>, matmul_kernel<Lanes32>,
                                split_planes, join_planes, and_words, multiply_words, add_chosen, add_gram, combine, choose_words, where_number, open_plane_words, add_bit_term,
                                wide_loops_in_lanes, &wide_kernel};

}  // namespace mpc::tensor
