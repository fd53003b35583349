// Sums of elements of the field of 2^64 that bits choose, as loops that the compiler turns into vectors. The kernel
// files include this after layers.hpp, each compiled for its instruction set, so that all of it has internal linkage.
#pragma once

#include "core/tensor/binary_field.hpp"
#include "core/tensor/layers.hpp"

namespace mpc::tensor {
namespace {

constexpr std::size_t kLanes = sizeof(Part) / sizeof(std::uint64_t);
constexpr std::size_t kRowParts = kFieldRows / kLanes;
constexpr std::size_t kBatch = 16;  // words, whose chosen elements fill a quarter of the first level

struct alignas(64) ChosenElements {
    std::uint64_t words[kBatch * kFieldColumns][kFieldRows];  // the element of a column where it has the bit, else zero
    std::uint64_t masks[kFieldRows][kBatch * kFieldColumns];  // all ones where a column has the bit
};

// The four columns of a word, side by side, each with the bits of the columns above it behind it.
typedef std::uint64_t Columns __attribute__((vector_size(8 * kFieldColumns), may_alias, aligned(8)));

MPC_INLINE void columns_of(std::uint64_t word, Columns& columns) {
    const Columns apart = {0, kFieldRows, 2 * kFieldRows, 3 * kFieldRows};
    columns = (Columns{} + word) >> apart;
}

// Writes the elements of each column at the places of its bits, and zeros elsewhere.
MPC_INLINE void choose(const std::uint64_t* bits, const std::uint64_t* elements, std::size_t count,
                       ChosenElements& chosen) {
    Part places[kRowParts];
    for (std::size_t p = 0; p < kRowParts; ++p) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) places[p][lane] = std::uint64_t{1} << (kLanes * p + lane);
    }
    for (std::size_t column = 0; column < count * kFieldColumns; ++column) {
        const Part here = Part{} + (bits[column / kFieldColumns] >> (column % kFieldColumns * kFieldRows));
        const Part element = Part{} + elements[column];
        Part* const to = reinterpret_cast<Part*>(chosen.words[column]);
        for (std::size_t p = 0; p < kRowParts; ++p)
            to[p] = element & reinterpret_cast<Part>((here & places[p]) == places[p]);
    }
}

void add_chosen(const std::uint64_t* bits, const std::uint64_t* elements, std::size_t n, std::uint64_t* out) {
    ChosenElements chosen;
    for (std::size_t first = 0; first < n; first += kBatch) {
        const std::size_t count = std::min(kBatch, n - first);
        choose(bits + first, elements + first * kFieldColumns, count, chosen);
        for (std::size_t column = 0; column < count * kFieldColumns; ++column) {
            for (std::size_t j = 0; j < kFieldRows; ++j) out[j] ^= chosen.words[column][j];
        }
    }
    wipe(&chosen, sizeof chosen);
}

void add_gram(const std::uint64_t* u, const std::uint64_t* v, const std::uint64_t* elements, std::size_t n,
              std::uint64_t* out) {
    ChosenElements chosen;
    for (std::size_t first = 0; first < n; first += kBatch) {
        const std::size_t count = std::min(kBatch, n - first), columns = count * kFieldColumns;
        choose(v + first, elements + first * kFieldColumns, count, chosen);
        for (std::size_t word = 0; word < count; ++word) {
            Columns here;
            columns_of(u[first + word], here);
            for (std::size_t i = 0; i < kFieldRows; ++i)
                *reinterpret_cast<Columns*>(chosen.masks[i] + word * kFieldColumns) = Columns{} - (here >> i & 1);
        }
        for (std::size_t i = 0; i < kFieldRows; i += 2) {  // two rows at a time, whose sums stay in registers
            Part sums[kRowParts] = {}, next[kRowParts] = {};
            for (std::size_t column = 0; column < columns; ++column) {
                const Part mask = Part{} + chosen.masks[i][column], other = Part{} + chosen.masks[i + 1][column];
                const Part* const from = reinterpret_cast<const Part*>(chosen.words[column]);
                for (std::size_t p = 0; p < kRowParts; ++p) {
                    const Part element = from[p];
                    sums[p] ^= element & mask;
                    next[p] ^= element & other;
                }
            }
            for (std::size_t j = 0; j < kFieldRows; ++j) {
                out[i * kFieldRows + j] ^= sums[j / kLanes][j % kLanes];
                out[(i + 1) * kFieldRows + j] ^= next[j / kLanes][j % kLanes];
            }
        }
    }
    wipe(&chosen, sizeof chosen);
}

void combine(const std::uint64_t* bits, const std::uint64_t* table, std::size_t n, std::uint64_t* out) {
    for (std::size_t word = 0; word < n; ++word) {
        Columns here;
        columns_of(bits[word], here);
        Columns total = {};
        for (std::size_t j = 0; j < kFieldRows; ++j) {
            const Columns mask = Columns{} - (here >> j & 1);
            total ^= mask & table[j];
        }
        *reinterpret_cast<Columns*>(out + word * kFieldColumns) = total;
    }
}

}  // namespace
}  // namespace mpc::tensor
