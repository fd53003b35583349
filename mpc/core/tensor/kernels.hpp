// The inner loops of this folder, one table of functions for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/matmul.hpp"
#include "core/tensor/planes.hpp"

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
// e = low + high, with the lower 32 bits in low, and top = high / 2^32.
struct WideFactor {
    double low, high;
    std::uint64_t top;
};
constexpr std::size_t kWideRows = 4, kWideColumns = 4;  // of a tile
// For a word b of the right matrix, likewise split, the sums over k of low b + high b_low, rounded, and those of
// top b_top mod 2^64. The factors' rows are `depth` apart. The panel has for each k four b, four b_low and four b_top.
struct WideSums {
    double rest[kWideRows][kWideColumns];
    std::uint64_t top[kWideRows][kWideColumns];
};
using WideTile = void (*)(const WideFactor* left, const double* panel, std::size_t depth, WideSums& sums);

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
    WideTile wide_tile;  // or null, where words are multiplied one by one
};

// The table of the level in use (cpu::level()).
const Kernels& kernels();

extern const Kernels kernels_portable;
#if defined(MPC_X86_KERNELS)
extern const Kernels kernels_avx2;
void wide_tile_avx2(const WideFactor* left, const double* panel, std::size_t depth, WideSums& sums);
extern const Kernels kernels_avx512;
#endif

}  // namespace mpc::tensor
