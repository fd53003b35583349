// The consistency check of the OT extension (Roy, CRYPTO 2022, eprint 2022/192, section 4 and figure 8): a universal
// linear hash of rows of bits into GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1).
//
//     R(row) = sum_b chi_b row_b,      row_b its block of 128 bits, chi_b = 1 for the last block, AES_chi(b) otherwise.
//
// For a row other than zero and any value, R takes that value with probability 2^-128 over chi, or the row is zero but
// for its last block. R is linear over bits and its value is masked by the last block, which serves nothing else.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"

namespace mpc {

class RowHash {
public:
    // For rows of `blocks` blocks each, of which `rows` many are hashed at once.
    RowHash(const Block& challenge, std::size_t blocks, std::size_t rows);
    ~RowHash() { wipe(sums_.data(), sums_.size() * sizeof(Sum)); }
    RowHash(const RowHash&) = delete;
    RowHash& operator=(const RowHash&) = delete;

    // Adds blocks first .. first + count - 1 of row number `row`.
    void add(std::size_t row, std::size_t first, const Block* blocks, std::size_t count);
    Block value(std::size_t row) const;

    // A product of two polynomials before it is reduced, or the three products that it is made from.
    struct Sum {
        Block low, middle, high;
    };

private:
    Blocks chi_;
    std::vector<Sum> sums_;
};

}  // namespace mpc
