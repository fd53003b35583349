// Steps of comparisons on shared bits. A word is a bit with its MAC, or holds 64 bits of as many values. Running time
// and addresses depend on sizes alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpc::tensor {

// Row v - 1 of the table, for v = 1 to `rows`, has shares of the bits that say whether n secret numbers are v. For the
// public number c = number[i], with no more than `rows`, these give shares of
//
//     less[i]  = [c < secret]   the XOR of the rows above c
//     equal[i] = [c = secret]   the row of c, and for c = 0 the XOR of all rows and of `one`, the share of a one
void chosen_words(const std::uint64_t* table, std::size_t rows, std::size_t n, const std::uint64_t* number,
                  std::uint64_t one, std::uint64_t* less, std::uint64_t* equal);

// planes[(v - 1) * n + i] is all ones where number[i] is v, for v = 1 to `rows`, and zero elsewhere.
void number_planes(const std::uint64_t* number, std::size_t n, std::size_t rows, std::uint64_t* planes);

// planes[i] is all ones where the lowest bits of words[i] and bits[i] differ, and zero elsewhere.
void bit_planes(const std::uint64_t* words, const std::uint8_t* bits, std::size_t n, std::uint64_t* planes);

// Writes the lowest `bytes` bytes of each (planes[i] & key) ^ words[i], 1 to 8, the least significant first.
void pack_bit_words(const std::uint64_t* planes, const std::uint64_t* words, std::uint64_t key, std::size_t n,
                    std::size_t bytes, std::uint8_t* packed);

// Of a plane that holds 64 bits a word: bits[i] is all ones where its bit i is one, and zero elsewhere, and rest[i] is
// words[i] ^ (bits[i] & one).
void open_words(const std::uint64_t* plane, const std::uint64_t* words, std::uint64_t one, std::size_t n,
                std::uint64_t* bits, std::uint64_t* rest);

// Rows of planes, a plane of which has a bit of 64 values in each word. `step` is how far apart the rows are.
template <class Word>
struct Rows {
    Word* words;
    std::size_t step;
};

// As chosen_words, for numbers of 1 to 64 `bits` that stand in planes, the lowest bit first. Each group of four bits has
// results of its own, the lowest one first, and the last group may have fewer bits. The table has for each group a row
// for each v from 1 to the largest number that the group can be. All rows are `words` long.
void chosen_planes(Rows<const std::uint64_t> table, Rows<const std::uint64_t> planes, unsigned bits, std::size_t words,
                   std::uint64_t one, Rows<std::uint64_t> less, Rows<std::uint64_t> equal);

// The table of chosen_planes for a number that is known: for each group and each v whether the group is v.
void tables_of_planes(Rows<const std::uint64_t> planes, unsigned bits, std::size_t words, Rows<std::uint64_t> table);

// How many rows the table of so many bits has.
std::size_t table_rows(unsigned bits);

// A product of bits d ^ a, one for each factor, with d open and shares of all products of the a. Set number s of the
// factors has factor j where bit j of s is one. rows[s] is the place of its product's share in this order: the share of
// a one, which is the product of none, then all masks, then all that was dealt.
struct BitTerm {
    std::size_t out;                   // the row of results that it is added to, by XOR
    std::vector<std::size_t> factors;  // rows of what is open, 1 to kMostFactors
    std::vector<std::size_t> rows;     // 2^factors of them
};
constexpr std::size_t kMostFactors = 8;

// What is open, and this party's shares, as rows of n words.
struct BitShares {
    const std::uint64_t* opened;
    const std::uint64_t* masks;
    std::size_t mask_rows;
    const std::uint64_t* dealt;
    std::uint64_t one;  // in every word
};

// Writes `outs` rows of n words, each the sum of its terms.
void bit_products(const BitShares& shares, const std::vector<BitTerm>& terms, std::size_t n, std::size_t outs,
                  std::uint64_t* out);

}  // namespace mpc::tensor
