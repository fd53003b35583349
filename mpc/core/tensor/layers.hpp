// Loops over words and bit planes that the compiler turns into vectors. The kernel files include this, each compiled
// for its instruction set, so that all of it has internal linkage.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/tensor/planes.hpp"

namespace mpc::tensor {
namespace {

// As many words as a register of this instruction set holds.
#if defined(__AVX512F__)
typedef std::uint64_t Part __attribute__((vector_size(64), may_alias));
#elif defined(__AVX2__)
typedef std::uint64_t Part __attribute__((vector_size(32), may_alias));
#else
typedef std::uint64_t Part __attribute__((vector_size(16), may_alias));
#endif

constexpr std::size_t kSquares = 8;  // transposed at once, a cache line of every plane

// Squares of 64 x 64 bits, side by side: row r of square s is words[r][s].
struct alignas(64) Squares {
    std::uint64_t words[64][kSquares];
};

MPC_INLINE Part& part(Squares& squares, std::size_t row, std::size_t square) {
    return *reinterpret_cast<Part*>(&squares.words[row][square]);
}

MPC_INLINE void swap_bits(Part& low, Part& high, unsigned apart, std::uint64_t keep) {
    const Part swapped = ((low >> apart) ^ high) & keep;
    high ^= swapped;
    low ^= swapped << apart;
}

// Bit j of row i goes to bit i of row j (Hacker's Delight, 7-3), two of the six steps in one pass over the rows.
template <unsigned apart>
MPC_INLINE void two_steps(Squares& squares, std::uint64_t keep, std::uint64_t keep_next) {
    constexpr unsigned next = apart / 2;
    for (std::size_t i = 0; i < 64; ++i) {
        if ((i & (apart | next)) != 0) continue;
        for (std::size_t s = 0; s < kSquares; s += sizeof(Part) / sizeof(std::uint64_t)) {
            Part& first = part(squares, i, s);
            Part& second = part(squares, i + next, s);
            Part& third = part(squares, i + apart, s);
            Part& fourth = part(squares, i + apart + next, s);
            Part a = first, b = second, c = third, d = fourth;
            swap_bits(a, c, apart, keep);
            swap_bits(b, d, apart, keep);
            swap_bits(a, b, next, keep_next);
            swap_bits(c, d, next, keep_next);
            first = a;
            second = b;
            third = c;
            fourth = d;
        }
    }
}

MPC_INLINE void transpose_squares(Squares& squares) {
    two_steps<32>(squares, 0x00000000ffffffff, 0x0000ffff0000ffff);
    two_steps<8>(squares, 0x00ff00ff00ff00ff, 0x0f0f0f0f0f0f0f0f);
    two_steps<2>(squares, 0x3333333333333333, 0x5555555555555555);
}

// The words of a whole row are known to the compiler, which then copies them at once.
MPC_INLINE void copy_row(std::uint64_t* to, const std::uint64_t* from, std::size_t count) {
    if (count == kSquares) {
        std::memcpy(to, from, kSquares * sizeof(std::uint64_t));
    } else {
        std::memcpy(to, from, count * sizeof(std::uint64_t));
    }
}

void split_planes(const std::uint64_t* words, std::size_t n, unsigned bits, std::uint64_t* planes) {
    const std::size_t length = plane_words(n);
    Squares squares;
    for (std::size_t first = 0; first < length; first += kSquares) {
        const std::size_t count = std::min(kSquares, length - first), values = std::min(n - 64 * first, 64 * kSquares);
        const std::uint64_t* from = words + 64 * first;
        if (values == 64 * kSquares) {
            for (std::size_t r = 0; r < 64; ++r) {
                for (std::size_t s = 0; s < kSquares; ++s) squares.words[r][s] = from[64 * s + r];
            }
        } else {
            std::memset(&squares, 0, sizeof squares);
            for (std::size_t i = 0; i < values; ++i) squares.words[i % 64][i / 64] = from[i];
        }
        transpose_squares(squares);
        for (std::size_t b = 0; b < bits; ++b) copy_row(planes + b * length + first, squares.words[b], count);
    }
    wipe(&squares, sizeof squares);
}

void join_planes(const std::uint64_t* planes, std::size_t n, unsigned bits, std::uint64_t* words) {
    const std::size_t length = plane_words(n);
    Squares squares;
    for (std::size_t first = 0; first < length; first += kSquares) {
        const std::size_t count = std::min(kSquares, length - first), values = std::min(n - 64 * first, 64 * kSquares);
        std::memset(squares.words[bits < 64 ? bits : 0], 0, (64 - bits) * sizeof squares.words[0]);
        for (std::size_t b = 0; b < bits; ++b) copy_row(squares.words[b], planes + b * length + first, count);
        transpose_squares(squares);
        std::uint64_t* to = words + 64 * first;
        if (values == 64 * kSquares) {
            for (std::size_t s = 0; s < kSquares; ++s) {
                for (std::size_t r = 0; r < 64; ++r) to[64 * s + r] = squares.words[r][s];
            }
        } else {
            for (std::size_t i = 0; i < values; ++i) to[i] = squares.words[i % 64][i / 64];
        }
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
    if (c == nullptr) {
        for (std::size_t i = 0; i < words; ++i) z[i] = d[i] * (b[i] + (e[i] & mine)) + a[i] * e[i];
        return;
    }
    for (std::size_t i = 0; i < words; ++i) z[i] = c[i] + d[i] * (b[i] + (e[i] & mine)) + a[i] * e[i];
}

}  // namespace
}  // namespace mpc::tensor
