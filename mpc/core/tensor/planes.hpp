// Bit planes: n words of up to 64 bits as one row of n bits for each bit, and binary arithmetic on them, 64 words at a
// time. Comparisons of shared values run on planes.
//
// Bit j of word i of plane b is bit b of value 64 i + j. What is missing of a plane's last word is zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::tensor {

inline std::size_t plane_words(std::size_t n) { return n / 64 + (n % 64 != 0); }
// Throws ParameterError unless 1 <= bits <= 64.
void check_plane_bits(std::size_t bits);

// Writes planes 0 to bits - 1, each plane_words(n) words, one after another. Higher bits of the values are ignored.
// Throws as check_plane_bits does, as does the inverse.
void planes_of_words(const std::uint64_t* words, std::size_t n, unsigned bits, std::uint64_t* planes);
// The inverse. What lies beyond value n in a plane is ignored.
void words_of_planes(const std::uint64_t* planes, std::size_t n, unsigned bits, std::uint64_t* words);

// A party's step of a Beaver multiplication (CRYPTO 1991): with x - a = d and y - b = e opened, and shares of a, b and
// a b = c, its share of x y is c + d b + a e, to which one party adds d e.
struct Triple {
    const std::uint64_t *d, *e, *a, *b, *c;
};
// Of bits, 64 a word: z = c ^ d & b ^ a & e, and ^ d & e if this party adds the product.
void and_layer(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z);
// Of words, mod 2^64, where c may be null, for zeros. z may be c in both.
void multiply_layer(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z);

}  // namespace mpc::tensor
