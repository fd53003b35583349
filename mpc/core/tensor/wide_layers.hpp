// Loops over numbers in two words, which the compiler turns into vectors. The kernel files include this, each compiled
// for its instruction set, so that all of it has internal linkage. See wide.hpp and WideKernel in kernels.hpp.
#pragma once

#include <cstring>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

// The upper word of x y, from products of 32 bits, for which every instruction set has vectors.
MPC_INLINE std::uint64_t upper_product(std::uint64_t x, std::uint64_t y) {
    constexpr std::uint64_t half = 0xffffffff;
    const std::uint64_t x_low = x & half, x_top = x >> 32, y_low = y & half, y_top = y >> 32;
    const std::uint64_t first = x_top * y_low + ((x_low * y_low) >> 32);  // below 2^64, as is the next
    const std::uint64_t second = x_low * y_top + (first & half);
    return x_top * y_top + (first >> 32) + (second >> 32);
}

[[maybe_unused]] void products_in_lanes(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* low,
                       std::uint64_t* high) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t x = a[i], y = b[i];
        low[i] = x * y;
        high[i] = upper_product(x, y);
    }
}

[[maybe_unused]] void times_in_lanes(const WideWords& x, const std::uint64_t* c, std::size_t n, std::uint64_t* low,
                    std::uint64_t* high) {
    const std::uint64_t *const x_low = x.low, *const x_high = x.high;
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t word = x_low[i], factor = c[i];
        low[i] = word * factor;
        high[i] = upper_product(word, factor) + x_high[i] * factor;
    }
}

__extension__ typedef unsigned __int128 TwoWords;

[[maybe_unused]] void products_one_by_one(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* low,
                         std::uint64_t* high) {
    for (std::size_t i = 0; i < n; ++i) {
        const TwoWords product = TwoWords{a[i]} * b[i];
        low[i] = static_cast<std::uint64_t>(product);
        high[i] = static_cast<std::uint64_t>(product >> 64);
    }
}

[[maybe_unused]] void times_one_by_one(const WideWords& x, const std::uint64_t* c, std::size_t n, std::uint64_t* low,
                      std::uint64_t* high) {
    for (std::size_t i = 0; i < n; ++i) {
        const TwoWords product = TwoWords{x.low[i]} * c[i];
        low[i] = static_cast<std::uint64_t>(product);
        high[i] = static_cast<std::uint64_t>(product >> 64) + x.high[i] * c[i];
    }
}

void add_wide(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high) {
    const std::uint64_t *const x_low = x.low, *const x_high = x.high, *const y_low = y.low, *const y_high = y.high;
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t other = y_low[i], sum = x_low[i] + other;
        low[i] = sum;
        high[i] = x_high[i] + y_high[i] + static_cast<std::uint64_t>(sum < other);
    }
}

void subtract_wide(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high) {
    const std::uint64_t *const x_low = x.low, *const x_high = x.high, *const y_low = y.low, *const y_high = y.high;
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t one = x_low[i], other = y_low[i];
        low[i] = one - other;
        high[i] = x_high[i] - y_high[i] - static_cast<std::uint64_t>(one < other);
    }
}

// Words as doubles, without the branch on the highest bit that a conversion may have.
MPC_INLINE double as_double(std::uint64_t word) {
#if defined(__AVX512DQ__)
    return static_cast<double>(word);  // an instruction
#else
    constexpr double scale = 4294967296.0;
    return static_cast<double>(static_cast<std::int64_t>(word >> 32)) * scale +
           static_cast<double>(static_cast<std::int64_t>(word & 0xffffffff));
#endif
}

constexpr std::uint64_t kLowerHalf = 0xffffffff;

MPC_INLINE void split_lane(const std::uint64_t* words, std::ptrdiff_t step, std::size_t n, double* low, double* high,
                           double* top) {
    std::uint64_t* const bits = reinterpret_cast<std::uint64_t*>(top);
    for (std::size_t k = 0; k < n; ++k, words += step) {
        const std::uint64_t word = *words, upper = word >> 32;
        low[k] = as_double(word & kLowerHalf);
        high[k] = as_double(word & ~kLowerHalf);
        std::memcpy(bits + k, &upper, sizeof upper);
    }
}

template <std::size_t rows>
void pack_wide_left(const Matrix<const std::uint64_t>& a, double* panel) {
    const std::size_t depth = a.columns;
    for (std::size_t i = 0; i < rows; ++i, panel += 3 * depth) {
        double *const high = panel + depth, *const top = high + depth;
        if (i >= a.rows) {
            std::memset(panel, 0, 3 * depth * sizeof(double));
            continue;
        }
        const std::uint64_t* const row = a.data + static_cast<std::ptrdiff_t>(i) * a.row_step;
        if (a.column_step == 1) {
            split_lane(row, 1, depth, panel, high, top);
        } else {
            split_lane(row, a.column_step, depth, panel, high, top);
        }
    }
}

template <std::size_t columns>
void pack_wide_right(const Matrix<const std::uint64_t>& b, double* panel) {
    for (std::size_t k = 0; k < b.rows; ++k, panel += 3 * columns) {
        const std::uint64_t* const row = b.data + static_cast<std::ptrdiff_t>(k) * b.row_step;
        std::uint64_t words[columns] = {};
        if (b.columns == columns && b.column_step == 1) {
            std::memcpy(words, row, sizeof words);
        } else {
            for (std::size_t j = 0; j < b.columns; ++j) words[j] = row[static_cast<std::ptrdiff_t>(j) * b.column_step];
        }
        std::uint64_t tops[columns];
        for (std::size_t j = 0; j < columns; ++j) {
            panel[j] = as_double(words[j]);
            panel[columns + j] = as_double(words[j] & kLowerHalf);
            tops[j] = words[j] >> 32;
        }
        std::memcpy(panel + 2 * columns, tops, sizeof tops);
    }
}

[[maybe_unused]] void add_wide_row(const double* rest, const std::uint64_t* top, const std::uint64_t* lower, std::size_t n,
                  std::uint64_t* low, std::uint64_t* high) {
    constexpr double word = 18446744073709551616.0;  // 2^64
    for (std::size_t j = 0; j < n; ++j) {
        const std::uint64_t product = lower[j], sum = low[j] + product;
        const double upper = (rest[j] - as_double(product)) / word + 0.5;
        low[j] = sum;
        high[j] += top[j] + static_cast<std::uint64_t>(static_cast<std::int64_t>(upper)) +
                   static_cast<std::uint64_t>(sum < product);
    }
}

[[maybe_unused]] constexpr WideLoops wide_loops = {products_one_by_one, add_wide, subtract_wide, times_one_by_one};
[[maybe_unused]] constexpr WideLoops wide_loops_in_lanes = {products_in_lanes, add_wide, subtract_wide, times_in_lanes};

}  // namespace
}  // namespace mpc::tensor
