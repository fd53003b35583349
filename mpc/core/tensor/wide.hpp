// Exact products of words, of which the upper half counts too: authenticated shares are numbers mod 2^128, of which a
// value is the lower word. Running time and addresses depend on shapes alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/matmul.hpp"

namespace mpc::tensor {

// The exact products of a[i] and b[i] in two words.
void wide_products(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* low,
                   std::uint64_t* high);

// The product a * b mod 2^128, of words: the lower words of its entries, row after row, and the upper ones. With `adds`
// it is added to those that are there. Throws LengthError if the shapes do not fit. What it copies of a and b is wiped.
void matmul_wide(const Matrix<const std::uint64_t>& a, const Matrix<const std::uint64_t>& b, std::uint64_t* low,
                 std::uint64_t* high, bool adds = false);

// Arrays of numbers mod 2^128, their lower words and their upper ones.
struct WideWords {
    const std::uint64_t* low;
    const std::uint64_t* high;
};

// x[i] + y[i], or x[i] - y[i].
void wide_add(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high);
void wide_subtract(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high);

// x[i] times c[i mod period], for a period that divides n.
void wide_times(const WideWords& x, const std::uint64_t* c, std::size_t period, std::size_t n, std::uint64_t* low,
                std::uint64_t* high);

// x[i] c[i mod period] + y[i] d[i mod period] + z[i], for a period that divides n. The result is no part of the rest.
void wide_sum_of_products(const WideWords& x, const std::uint64_t* c, const WideWords& y, const std::uint64_t* d,
                          const WideWords& z, std::size_t period, std::size_t n, std::uint64_t* low,
                          std::uint64_t* high);

// key x[i] - y[i], for a key of two words, the lower one first. The result is no part of the rest.
void wide_macs(const WideWords& x, const std::uint64_t key[2], const WideWords& y, std::size_t n, std::uint64_t* low,
               std::uint64_t* high);

// The exact products of x[i] and one key.
void wide_keyed(const std::uint64_t* x, std::uint64_t key, std::size_t n, std::uint64_t* low, std::uint64_t* high);

// The sum mod 2^128 of c[i] times the number with the words low[i] and high[i], the lower word in out[0].
void wide_sum(const std::uint64_t* c, const std::uint64_t* low, const std::uint64_t* high, std::size_t n,
              std::uint64_t out[2]);

// The sum of products of a[i] and b[i] as polynomials over F_2, bit i the coefficient of x^i. The lower word of the sum
// is out[0]. The sum is not reduced.
void carryless_sum(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t out[2]);

}  // namespace mpc::tensor
