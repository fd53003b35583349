// Transposition of a 128 x n bit matrix: the rows of an OT extension become its n correlated blocks.
#pragma once

#include <cstddef>

#include "core/block.hpp"

namespace capc::mpc {

// Row r (of 128) is rows[r * stride .. r * stride + column_blocks); bit c of a row is bit c % 128 of its block c / 128.
// Writes out[c], c < 128 * column_blocks, whose bit r is bit c of row r. Every level of cpu.hpp gives the same blocks.
void transpose_rows(const Block* rows, std::size_t stride, std::size_t column_blocks, Block* out);

}  // namespace capc::mpc
