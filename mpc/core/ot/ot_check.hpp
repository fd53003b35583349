// The consistency check of the OT extension (Roy, CRYPTO 2022, eprint 2022/192, section 4 and figure 8): a universal
// linear hash of rows of bits into GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1).
//
//     R(row) = sum_b chi_b row_b,      row_b its block of 128 bits, chi_b = 1 for the last block, AES_chi(b) otherwise.
//
// For a row other than zero and any value, R takes that value with probability 2^-128 over chi, or the row is zero but
// for its last block. R is linear over GF(2^128) and its value is masked by the last block, which serves nothing else.
//
// The four rows of a tree are hashed as one. Write [alpha] for the sum of alpha_b x^b and [W] for the row that is the sum
// of x^b W_b, block by block. W_b = V_b + u alpha_b for all four b says [W] = [V] + u [alpha], so
//
//     R([W]) = R([V]) + R(u) [alpha].
//
// This costs a quarter of the products, and no soundness. Say that a tree's columns are those of u + e, and that the peer
// names c for R(u) and v for R([V]). The check of the tree passes if (R(u + e) + c) [alpha] = v + R([V]). If R(u + e) = c
// this says nothing of alpha, and for e other than zero that has probability 2^-128. Otherwise at most one alpha solves
// it: this is a field, and no two alphas have the same [alpha], as 1, x, x^2, x^3 are independent. It is the alpha that
// the peer has guessed, and hashes of four rows, one by one, would pass for at most one alpha too.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"

namespace mpc {

// The product with x in the field.
Block times_x(const Block& a);

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
