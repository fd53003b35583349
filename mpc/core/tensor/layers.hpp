// Loops over words and bit planes that the compiler turns into vectors. The kernel files include this, each compiled for
// its instruction set, so that all of it has internal linkage.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/tensor/planes.hpp"

namespace mpc::tensor {
namespace {

constexpr std::size_t kSquares = 8;  // transposed at once, a cache line of every plane

// Squares of 64 x 64 bits, side by side: row r of square s is rows[r][s]. A vector is one row of all of them.
typedef std::uint64_t Row __attribute__((vector_size(8 * kSquares)));
struct Squares {
    Row rows[64];
};

MPC_INLINE void swap_bits(Row& low, Row& high, unsigned apart, std::uint64_t keep) {
    const Row swapped = ((low >> apart) ^ high) & keep;
    high ^= swapped;
    low ^= swapped << apart;
}

// Bit j of row i goes to bit i of row j (Hacker's Delight, 7-3), two of the six steps in one pass over the rows.
template <unsigned apart>
MPC_INLINE void two_steps(Squares& squares, std::uint64_t keep, std::uint64_t keep_next) {
    constexpr unsigned next = apart / 2;
    for (unsigned i = 0; i < 64; ++i) {
        if ((i & (apart | next)) != 0) continue;
        Row r[4] = {squares.rows[i], squares.rows[i + next], squares.rows[i + apart], squares.rows[i + apart + next]};
        swap_bits(r[0], r[2], apart, keep);
        swap_bits(r[1], r[3], apart, keep);
        swap_bits(r[0], r[1], next, keep_next);
        swap_bits(r[2], r[3], next, keep_next);
        squares.rows[i] = r[0];
        squares.rows[i + next] = r[1];
        squares.rows[i + apart] = r[2];
        squares.rows[i + apart + next] = r[3];
    }
}

MPC_INLINE void transpose_squares(Squares& squares) {
    two_steps<32>(squares, 0x00000000ffffffff, 0x0000ffff0000ffff);
    two_steps<8>(squares, 0x00ff00ff00ff00ff, 0x0f0f0f0f0f0f0f0f);
    two_steps<2>(squares, 0x3333333333333333, 0x5555555555555555);
}

void split_planes(const std::uint64_t* words, std::size_t n, unsigned bits, std::uint64_t* planes) {
    const std::size_t length = plane_words(n);
    Squares squares;
    for (std::size_t first = 0; first < length; first += kSquares) {
        const std::size_t count = std::min(kSquares, length - first), values = std::min(n - 64 * first, 64 * kSquares);
        const std::uint64_t* from = words + 64 * first;
        if (values == 64 * kSquares) {
            for (std::size_t r = 0; r < 64; ++r) {
                for (std::size_t s = 0; s < kSquares; ++s) squares.rows[r][s] = from[64 * s + r];
            }
        } else {
            std::memset(&squares, 0, sizeof squares);
            for (std::size_t i = 0; i < values; ++i) squares.rows[i % 64][i / 64] = from[i];
        }
        transpose_squares(squares);
        for (std::size_t b = 0; b < bits; ++b)
            std::memcpy(planes + b * length + first, &squares.rows[b], count * sizeof(std::uint64_t));
    }
    wipe(&squares, sizeof squares);
}

void join_planes(const std::uint64_t* planes, std::size_t n, unsigned bits, std::uint64_t* words) {
    const std::size_t length = plane_words(n);
    Squares squares;
    for (std::size_t first = 0; first < length; first += kSquares) {
        const std::size_t count = std::min(kSquares, length - first), values = std::min(n - 64 * first, 64 * kSquares);
        std::memset(&squares, 0, sizeof squares);
        for (std::size_t b = 0; b < bits; ++b)
            std::memcpy(&squares.rows[b], planes + b * length + first, count * sizeof(std::uint64_t));
        transpose_squares(squares);
        std::uint64_t* to = words + 64 * first;
        for (std::size_t i = 0; i < values; ++i) to[i] = squares.rows[i % 64][i / 64];
    }
    wipe(&squares, sizeof squares);
}

// d and e are public, so that d b + a e + d e may be d (b + e) + a e.
void and_words(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z) {
    const std::uint64_t *const d = triple.d, *const e = triple.e, *const a = triple.a, *const b = triple.b;
    const std::uint64_t* const c = triple.c;
    const std::uint64_t mine = std::uint64_t{0} - std::uint64_t{adds_product};
    for (std::size_t i = 0; i < words; ++i) z[i] = c[i] ^ (d[i] & (b[i] ^ (e[i] & mine))) ^ (a[i] & e[i]);
}

void multiply_words(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z) {
    const std::uint64_t *const d = triple.d, *const e = triple.e, *const a = triple.a, *const b = triple.b;
    const std::uint64_t* const c = triple.c;
    const std::uint64_t mine = std::uint64_t{0} - std::uint64_t{adds_product};
    for (std::size_t i = 0; i < words; ++i) z[i] = c[i] + d[i] * (b[i] + (e[i] & mine)) + a[i] * e[i];
}

}  // namespace
}  // namespace mpc::tensor
