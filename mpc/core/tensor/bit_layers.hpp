// Loops over bits that have a word each, which the compiler turns into vectors. The kernel files include this after
// layers.hpp, each compiled for its instruction set, so that all of it has internal linkage. See bit_words.hpp.
#pragma once

#include "core/tensor/kernels.hpp"
#include "core/tensor/layers.hpp"

namespace mpc::tensor {
namespace {

// As many words of any alignment as a register of this instruction set holds, and numbers below 2^63 among them.
typedef std::uint64_t LoosePart __attribute__((vector_size(sizeof(Part)), may_alias, aligned(8)));
typedef std::int64_t Numbers __attribute__((vector_size(sizeof(Part)), may_alias, aligned(8)));

MPC_INLINE LoosePart& loose(std::uint64_t* words) { return *reinterpret_cast<LoosePart*>(words); }
MPC_INLINE LoosePart loose(const std::uint64_t* words) { return *reinterpret_cast<const LoosePart*>(words); }

// All ones where x is zero, and zeros where it is 1 to 2^63.
MPC_INLINE std::uint64_t where_zero(std::uint64_t x) { return std::uint64_t{0} - ((x - 1) >> 63); }

// All ones where x < y, for numbers below 2^63.
MPC_INLINE std::uint64_t where_less(std::uint64_t x, std::uint64_t y) { return std::uint64_t{0} - ((x - y) >> 63); }

void choose_words(const std::uint64_t* table, std::size_t rows, std::size_t n, const std::uint64_t* number,
                  std::uint64_t one, std::uint64_t* less, std::uint64_t* equal) {
    constexpr std::size_t lanes = sizeof(Part) / sizeof(std::uint64_t), step = 2 * lanes;
    std::size_t i = 0;
    for (; i + step <= n; i += step) {  // two registers of values at a time, whose results stay in registers
        const Numbers zero = {};
        const Numbers c[2] = {reinterpret_cast<const Numbers&>(number[i]),
                              reinterpret_cast<const Numbers&>(number[i + lanes])};
        const LoosePart none[2] = {reinterpret_cast<LoosePart>(c[0] == zero), reinterpret_cast<LoosePart>(c[1] == zero)};
        LoosePart above[2] = {}, same[2] = {(LoosePart{} + one) & none[0], (LoosePart{} + one) & none[1]};
        for (std::size_t v = 1; v <= rows; ++v) {
            const std::uint64_t* const row = table + (v - 1) * n + i;
            const Numbers here = zero + static_cast<std::int64_t>(v);
            for (std::size_t part = 0; part < 2; ++part) {
                const LoosePart share = loose(row + part * lanes);
                above[part] ^= share & reinterpret_cast<LoosePart>(c[part] < here);
                same[part] ^= share & (none[part] | reinterpret_cast<LoosePart>(c[part] == here));
            }
        }
        for (std::size_t part = 0; part < 2; ++part) {
            loose(less + i + part * lanes) = above[part];
            loose(equal + i + part * lanes) = same[part];
        }
    }
    for (; i < n; ++i) {
        const std::uint64_t c = number[i];
        std::uint64_t above = 0, same = one & where_zero(c);
        for (std::size_t v = 1; v <= rows; ++v) {
            const std::uint64_t share = table[(v - 1) * n + i];
            above ^= share & where_less(c, v);
            same ^= share & (where_zero(c) | where_zero(c ^ v));
        }
        less[i] = above;
        equal[i] = same;
    }
}

// All ones where x is zero, for any x: x | -x has its highest bit where it is not.
MPC_INLINE std::uint64_t where_none(std::uint64_t x) { return ((x | (std::uint64_t{0} - x)) >> 63) - 1; }

void where_number(const std::uint64_t* number, std::size_t n, std::uint64_t wanted, std::uint64_t* plane) {
    for (std::size_t i = 0; i < n; ++i) plane[i] = where_none(number[i] ^ wanted);
}

void open_plane_words(const std::uint64_t* plane, const std::uint64_t* words, std::uint64_t one, std::size_t n,
                      std::uint64_t* bits, std::uint64_t* rest) {
    for (std::size_t first = 0; first < n; first += 64, ++plane) {
        const std::size_t count = std::min<std::size_t>(64, n - first);
        const std::uint64_t held = *plane;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t bit = std::uint64_t{0} - ((held >> i) & 1);
            bits[first + i] = bit;
            rest[first + i] = words[first + i] ^ (bit & one);
        }
    }
}

// Rows of 2^k sets become rows of half as many, with one more factor in each. `halves` may be what `sets` points to.
MPC_INLINE void fold(const std::uint64_t* const* sets, std::size_t count, const std::uint64_t* opened, std::size_t size,
                     BitRow* halves) {
    for (std::size_t s = 0; 2 * s < count; ++s) {
        const std::uint64_t *const without = sets[2 * s], *const with = sets[2 * s + 1];
        std::uint64_t* const half = halves[s];
        for (std::size_t i = 0; i < size; ++i) half[i] = (opened[i] & without[i]) ^ with[i];
    }
}

void add_bit_term(const std::uint64_t* const* sets, const std::uint64_t* const* opened, std::size_t factors,
                  std::size_t size, BitRow* room, std::uint64_t* sum) {
    const std::uint64_t* halves[std::size_t{1} << (kMostFactors - 1)];
    std::size_t count = std::size_t{1} << factors;
    for (std::size_t s = 0; 2 * s < count; ++s) halves[s] = room[s];
    fold(sets, count, opened[0], size, room);
    for (std::size_t j = 1; j < factors; ++j) {
        count /= 2;
        fold(halves, count, opened[j], size, room);
    }
    for (std::size_t i = 0; i < size; ++i) sum[i] ^= room[0][i];
}

}  // namespace
}  // namespace mpc::tensor
