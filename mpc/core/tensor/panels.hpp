// Packs panels of matrices, once for each tile shape. The kernel files include this, each compiled for its instruction
// set, so that all of it has internal linkage.
#pragma once

#include <cstddef>
#include <cstring>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

// `width` lanes are rows of a left matrix, or columns of a right one, which comes in transposed. A panel begins with
// the sum of products of each lane. Then, for each pair of positions in a lane, `place` tells where its two entries are.
template <class T, std::size_t width, class Place>
MPC_INLINE void pack(const Matrix<const T>& lanes, T* panel, Place place) {
    const std::size_t pairs = lanes.columns / 2;
    T* const sums = panel;
    T* const entries = panel + width;
    if (lanes.rows < width || lanes.columns % 2 != 0)
        std::memset(panel, 0, sizeof(T) * panel_words(width, lanes.columns));
    if (lanes.rows == width && lanes.row_step == 1) {  // entries that follow each other in memory
        T products[width] = {};
        for (std::size_t p = 0; p < pairs; ++p) {
            const T* first = lanes.data + static_cast<std::ptrdiff_t>(2 * p) * lanes.column_step;
            const T* second = first + lanes.column_step;
            for (std::size_t i = 0; i < width; ++i) {
                entries[2 * width * p + place(i, 0)] = first[i];
                entries[2 * width * p + place(i, 1)] = second[i];
                products[i] = static_cast<T>(products[i] + first[i] * second[i]);
            }
        }
        std::memcpy(sums, products, sizeof products);
        wipe(products, sizeof products);
    } else {
        for (std::size_t i = 0; i < lanes.rows; ++i) {
            const T* const lane = lanes.data + static_cast<std::ptrdiff_t>(i) * lanes.row_step;
            T products = 0;
            for (std::size_t p = 0; p < pairs; ++p) {
                const T* first = lane + static_cast<std::ptrdiff_t>(2 * p) * lanes.column_step;
                const T one = first[0], two = first[lanes.column_step];
                entries[2 * width * p + place(i, 0)] = one;
                entries[2 * width * p + place(i, 1)] = two;
                products = static_cast<T>(products + one * two);
            }
            sums[i] = products;
        }
    }
    if (lanes.columns % 2 != 0) {
        for (std::size_t i = 0; i < lanes.rows; ++i)
            entries[2 * width * pairs + place(i, 0)] =
                lanes.data[static_cast<std::ptrdiff_t>(i) * lanes.row_step +
                           static_cast<std::ptrdiff_t>(2 * pairs) * lanes.column_step];
    }
}

// The two entries of a row stand beside each other.
template <class T, std::size_t rows>
void pack_left(const Matrix<const T>& a, T* panel) {
    pack<T, rows>(a, panel, [](std::size_t i, std::size_t which) { return 2 * i + which; });
}

// The first entries of all columns, then their second ones.
template <class T, std::size_t columns>
void pack_right(const Matrix<const T>& b, T* panel) {
    pack<T, columns>(b.transposed(), panel, [](std::size_t i, std::size_t which) { return which * columns + i; });
}

}  // namespace
}  // namespace mpc::tensor
