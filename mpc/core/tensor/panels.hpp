// Packs panels of matrices, once for each tile shape. The kernel files include this, each compiled for its instruction
// set, so that all of it has internal linkage.
#pragma once

#include <cstddef>
#include <cstring>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

template <class T>
MPC_INLINE const T* lane_of(const Matrix<const T>& lanes, std::size_t i) {
    return lanes.data + static_cast<std::ptrdiff_t>(i) * lanes.row_step;
}

// Returns the sum of products of the lane.
template <class T, std::size_t width, class Place>
MPC_INLINE T pack_lane(const T* lane, std::ptrdiff_t step, std::size_t i, std::size_t pairs, T* entries,
                       Place place) {
    T products = 0;
    for (std::size_t p = 0; p < pairs; ++p, lane += 2 * step, entries += 2 * width) {
        const T one = lane[0], two = lane[step];
        entries[place(i, 0)] = one;
        entries[place(i, 1)] = two;
        products = static_cast<T>(products + one * two);
    }
    return products;
}

// `width` lanes are rows of a left matrix, or columns of a right one, which comes in transposed. A panel begins with the
// sum of products of each lane. Then, for each pair of positions in a lane, `place` tells where its two entries are.
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
    } else if (lanes.column_step == 1) {  // entries of a lane that follow each other
        for (std::size_t i = 0; i < lanes.rows; ++i)
            sums[i] = pack_lane<T, width>(lane_of(lanes, i), 1, i, pairs, entries, place);
    } else {
        for (std::size_t i = 0; i < lanes.rows; ++i)
            sums[i] = pack_lane<T, width>(lane_of(lanes, i), lanes.column_step, i, pairs, entries, place);
    }
    if (lanes.columns % 2 != 0) {
        for (std::size_t i = 0; i < lanes.rows; ++i)
            entries[2 * width * pairs + place(i, 0)] =
                lane_of(lanes, i)[static_cast<std::ptrdiff_t>(2 * pairs) * lanes.column_step];
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
