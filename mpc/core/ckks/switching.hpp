// Key switching: digits of a polynomial, their products with a key, and the division by P that ends it.
//
// The digits D_d of c, taken around zero, satisfy sum_d D_d g_d = c modulo Q_l (see SwitchingKey). So the sum of D_d
// (b_d, a_d) is, under the key's target, P c s_from + sum_d D_d e_d, modulo Q_l P. Divided by P and rounded it is c
// s_from with noise of about that sum over P.
//
// Sums are taken before the division, whose transforms cost as much as a fifth of a switch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/ckks/ciphertext.hpp"

namespace mpc::ckks {

// Two polynomials' parts at one row of Q_l P, written to `first` and `second`.
using RowProducts = std::function<void(std::size_t row, std::uint64_t* first, std::uint64_t* second)>;
// Two polynomials' parts at one row of Q_l, valid until the next call; null for zero.
using RowTerms = std::function<std::array<const std::uint64_t*, 2>(std::size_t row)>;

// The rows of Q_l P: 0 ... level, then the special ones.
std::vector<std::size_t> extended_rows(const Parameters& parameters, std::size_t level);

// The digits of one polynomial at a level.
class Digits {
public:
    // `c`, transforms at rows 0 ... level, must outlive this. With `keep` all transforms are kept, for several keys.
    Digits(const Parameters& parameters, std::size_t level, const std::uint64_t* c, bool keep);

    std::size_t level() const { return level_; }

    // sum_d D_d (b_d, a_d) modulo one row. Not in several threads at once on one object.
    void multiply(const SwitchingKey& key, std::size_t row, std::uint64_t* first, std::uint64_t* second) const;

private:
    // Fills `pointers` with the transforms of all digits modulo a row, computed into `room` where they are not c's own.
    void transforms(std::size_t row, std::uint64_t* room, const std::uint64_t** pointers) const;

    const Parameters& parameters_;
    std::size_t level_;
    const std::uint64_t* transformed_;
    Rows prepared_;  // coefficients, or with several primes a digit what Conversion::prepare writes, digit by digit
    Rows kept_;      // row by row, digit by digit
    mutable Rows room_;
};

// Gives products / P + terms, rounded, at the rows 0 ... level; or that by q_l, too, at the rows 0 ... level - 1, and then
// no term is null. One row after the other is done from the products, which are asked for once, to the division, so that
// it stays in the second cache. Only what is divided by comes first.
void divide(const Parameters& parameters, std::size_t level, const RowProducts& products, const RowTerms& terms,
            bool rescaled, Rows& first, Rows& second);

// Divides one polynomial at rows 0 ... level by q_l and rounds, to the rows 0 ... level - 1.
void divide_by_last(const Parameters& parameters, std::size_t level, const std::uint64_t* c, std::uint64_t* out);

}  // namespace mpc::ckks
