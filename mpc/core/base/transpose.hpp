// Transposes a 128 x n bit matrix, which turns the rows of an OT extension into its n correlated blocks.
#pragma once

#include <cstddef>

#include "core/base/block.hpp"

namespace mpc {

constexpr std::size_t kRowBlocks = 16;  // from one row to the next

// Of each of the 128 rows the first column_blocks; bit c of a row is bit c % 128 of its block c / 128. Writes out[c],
// c < 128 * column_blocks, whose bit r is bit c of row r. Every level of cpu.hpp gives the same blocks.
void transpose_rows(const Block (*rows)[kRowBlocks], std::size_t column_blocks, Block* out);

}  // namespace mpc
