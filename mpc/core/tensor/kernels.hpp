// The inner loops of this folder, one table of functions for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/bit_words.hpp"
#include "core/tensor/matmul.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/wide.hpp"

namespace mpc::tensor {

// Products of tiles by the inner-product formula of Winograd (IEEE Transactions on Computers C-17, 1968), which needs
// half the multiplications and holds in any commutative ring:
//
//     sum_k a_k b_k = sum_p (a_2p + b_2p+1) (a_2p+1 + b_2p) - sum_p a_2p a_2p+1 - sum_p b_2p b_2p+1
//
// The last two sums belong to a row of the left matrix and a column of the right one, and are made while packing.
template <class T>
struct MatmulKernel {
    std::size_t rows;     // of a tile
    std::size_t columns;  // of a tile
    // Copy up to `rows` rows of a, or up to `columns` columns of b, into a panel of panel_words(...) words. What is
    // missing of a panel is zero, and so is what is missing of the last pair.
    void (*pack_left)(const Matrix<const T>& a, T* panel);
    void (*pack_right)(const Matrix<const T>& b, T* panel);
    // Adds the product of two panels of `pairs` pairs to a tile whose rows are `row_step` apart. The right panel and
    // the tile's size are multiples of 64 bytes.
    void (*tile)(const T* left, const T* right, std::size_t pairs, T* c, std::ptrdiff_t row_step);
};

inline std::size_t pairs_of(std::size_t k) { return k / 2 + k % 2; }
inline std::size_t panel_words(std::size_t width, std::size_t k) { return width * (1 + 2 * pairs_of(k)); }

// What is left of products of words when their lower words are known (wide.cpp). A word e of the left matrix is
// e = low + high, with the lower 32 bits in low, and top = high / 2^32. A word b of the right one is split likewise.
constexpr std::size_t kMostWideSums = 64;
struct WideSums {  // of a tile, row after row: sums over k of low b + high b_low, rounded, and of top b_top mod 2^64
    double rest[kMostWideSums];
    std::uint64_t top[kMostWideSums];
};
struct WideKernel {
    std::size_t rows, columns;  // of a tile, of no more than kMostWideSums entries
    // Copy up to `rows` rows of a into 3 * rows * depth doubles, for each row all low, all high and all top. Copy up to
    // `columns` columns of b into 3 * columns * depth doubles, for each k all b, all b_low and all b_top. What is missing
    // is zero. A top is a word in the place of a double.
    void (*pack_left)(const Matrix<const std::uint64_t>& a, double* panel);
    void (*pack_right)(const Matrix<const std::uint64_t>& b, double* panel);
    void (*tile)(const double* left, const double* right, std::size_t depth, WideSums& sums);
    // Adds to n entries of a row the products whose sums these are and whose lower words are `lower`.
    void (*add_row)(const double* rest, const std::uint64_t* top, const std::uint64_t* lower, std::size_t n,
                    std::uint64_t* low, std::uint64_t* high);
};

// Loops of wide.hpp over numbers in two words.
struct WideLoops {
    void (*products)(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* low,
                     std::uint64_t* high);
    void (*add)(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high);
    void (*subtract)(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high);
    void (*times)(const WideWords& x, const std::uint64_t* c, std::size_t n, std::uint64_t* low, std::uint64_t* high);
};

// What a term of bit_products in bit_words.hpp takes at a time.
constexpr std::size_t kBitRow = 128;
using BitRow = std::uint64_t[kBitRow];

struct Kernels {
    MatmulKernel<std::uint64_t> matmul64;
    MatmulKernel<std::uint32_t> matmul32;
    // planes_of_words, words_of_planes, and_layer and multiply_layer of planes.hpp, with bits that were checked.
    void (*split_planes)(const std::uint64_t* words, std::size_t n, unsigned bits, std::uint64_t* planes);
    void (*join_planes)(const std::uint64_t* planes, std::size_t n, unsigned bits, std::uint64_t* words);
    void (*and_words)(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z);
    void (*multiply_words)(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z);
    // field_chosen, field_gram and field_combined of binary_field.hpp. The first two add to what `out` holds.
    void (*field_chosen)(const std::uint64_t* bits, const std::uint64_t* elements, std::size_t n, std::uint64_t* out);
    void (*field_gram)(const std::uint64_t* u, const std::uint64_t* v, const std::uint64_t* elements, std::size_t n,
                       std::uint64_t* out);
    void (*field_combined)(const std::uint64_t* bits, const std::uint64_t* table, std::size_t n, std::uint64_t* out);
    // chosen_words of bit_words.hpp.
    void (*choose_words)(const std::uint64_t* table, std::size_t rows, std::size_t n, const std::uint64_t* number,
                         std::uint64_t one, std::uint64_t* less, std::uint64_t* equal);
    // One row of number_planes of bit_words.hpp, and open_words.
    void (*where_number)(const std::uint64_t* number, std::size_t n, std::uint64_t wanted, std::uint64_t* plane);
    void (*open_words)(const std::uint64_t* plane, const std::uint64_t* words, std::uint64_t one, std::size_t n,
                       std::uint64_t* bits, std::uint64_t* rest);
    // Adds a term to `size` words of a sum. There are 2^factors sets in the order of a BitTerm, and half as much room.
    void (*add_bit_term)(const std::uint64_t* const* sets, const std::uint64_t* const* opened, std::size_t factors,
                         std::size_t size, BitRow* room, std::uint64_t* sum);
    WideLoops wide;
    const WideKernel* wide_matmul;  // or null, where words are multiplied one by one
};

// The table of the level in use (cpu::level()).
const Kernels& kernels();

extern const Kernels kernels_portable;
#if defined(MPC_X86_KERNELS)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

}  // namespace mpc::tensor
