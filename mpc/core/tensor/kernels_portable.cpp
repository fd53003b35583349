// The kernels without any instruction set of their own.
#include "core/tensor/kernels.hpp"
#include "core/tensor/bit_layers.hpp"
#include "core/tensor/field_layers.hpp"
#include "core/tensor/layers.hpp"
#include "core/tensor/panels.hpp"
#include "core/tensor/wide_layers.hpp"

namespace mpc::tensor {
namespace {

constexpr std::size_t kRows = 4, kBytes = 64;  // of a tile's row

template <class T>
void tile(const T* left, const T* right, std::size_t pairs, T* c, std::ptrdiff_t row_step) {
    constexpr std::size_t columns = kBytes / sizeof(T);
    for (std::size_t i = 0; i < kRows; ++i) {
        T sums[columns];
        for (std::size_t j = 0; j < columns; ++j) sums[j] = static_cast<T>(T{0} - left[i] - right[j]);
        const T* a = left + kRows + 2 * i;
        const T* b = right + columns;
        for (std::size_t p = 0; p < pairs; ++p, a += 2 * kRows, b += 2 * columns) {
            for (std::size_t j = 0; j < columns; ++j)
                sums[j] = static_cast<T>(sums[j] + (a[0] + b[columns + j]) * (a[1] + b[j]));
        }
        for (std::size_t j = 0; j < columns; ++j) c[j] = static_cast<T>(c[j] + sums[j]);
        wipe(sums, sizeof sums);
        c += row_step;
    }
}

template <class T>
constexpr MatmulKernel<T> matmul_kernel = {kRows, kBytes / sizeof(T), pack_left<T, kRows>,
                                           pack_right<T, kBytes / sizeof(T)>, tile<T>};

}  // namespace

const Kernels kernels_portable = {matmul_kernel<std::uint64_t>, matmul_kernel<std::uint32_t>,
                                  split_planes, join_planes, and_words, multiply_words, add_chosen, add_gram, combine, choose_words, where_number, open_plane_words, add_bit_term,
                                  wide_loops, nullptr};

}  // namespace mpc::tensor
