// The field of 2^64 elements, F_2[x] / (x^64 + x^4 + x^3 + x + 1), bit i of a word the coefficient of x^i, and sums of
// its elements that bits choose. A check of many products of shared bits runs on them. Running time and addresses
// depend on counts alone.
//
// A word of bits is four columns of sixteen: bit j of column c of word w is bit 16 c + j. The element of column c of
// word w has the place 4 w + c.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::tensor {

constexpr std::size_t kFieldRows = 16;                  // bits of a column
constexpr std::size_t kFieldColumns = 64 / kFieldRows;  // of a word

// out[i] = a[i] b[i] in the field. `out` may be one of them.
void field_products(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* out);

// out[j] = the sum of the elements whose column has bit j. There are four elements for each of n words of bits.
void field_chosen(const std::uint64_t* bits, const std::uint64_t* elements, std::size_t n,
                  std::uint64_t out[kFieldRows]);

// out[16 i + j] = the sum of the elements whose column in u has bit i, and in v bit j.
void field_gram(const std::uint64_t* u, const std::uint64_t* v, const std::uint64_t* elements, std::size_t n,
                std::uint64_t out[kFieldRows * kFieldRows]);

// out[4 w + c] = the sum of all table[j] where column c of word w has bit j.
void field_combined(const std::uint64_t* bits, const std::uint64_t table[kFieldRows], std::size_t n,
                    std::uint64_t* out);

}  // namespace mpc::tensor
