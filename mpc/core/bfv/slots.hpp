// Vectors of 64-bit words as polynomials, whose products are the products of the words, element by element.
//
// X^N + 1 splits modulo a prime t = 1 mod 2N. So a polynomial modulo t stands for its N values, and a product of
// polynomials for the products of values (Smart and Vercauteren, Des. Codes Cryptogr. 71, 2014). Words are taken modulo
// several such primes, whose product T is much larger than any product of two words. By the Chinese remainder theorem the
// residues of a sum S + r of products and a mask give S + r as an integer in [0, T), and so modulo 2^64.
//
// With r uniform modulo T the result hides S perfectly. It is wrong where S + r leaves [0, T), which has a probability of
// at most |S| / T. Words count as signed, so |x y + z w| <= 2^127. With four primes of 47 bits T is above 2^187.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/byte_view.hpp"
#include "core/lattice/ntt.hpp"

namespace mpc::bfv {

class Slots {
public:
    // The largest primes = 1 mod 2N of so many bits, 40 to 47.
    Slots(std::size_t degree, std::size_t primes, int bits);
    Slots(const Slots&) = delete;
    Slots& operator=(const Slots&) = delete;

    std::size_t degree() const { return degree_; }
    std::vector<std::uint64_t> primes() const;

    // Writes for each prime the N coefficients of up to N words, and of zeros behind them.
    void encode(WordView words, std::uint64_t* coefficients) const;
    // The inverse of the sum of encodings: `count` words modulo 2^64, each of the integer in [0, T) of its residues.
    std::vector<std::uint64_t> decode(const std::uint64_t* coefficients, std::size_t count) const;
    // Coefficients [0, t) in (-t/2, t/2).
    void centre(std::uint64_t* coefficients) const;
    // Turns two uniform words a coefficient into one that is uniform in [0, t), up to 2^-81.
    void below_primes(const std::uint64_t* uniform, std::uint64_t* coefficients) const;

private:
    std::size_t degree_;
    std::vector<lattice::Ntt> transforms_;
    std::vector<std::vector<lattice::Factor>> inverses_;  // [i][j]: of prime j modulo prime i, j < i
};

}  // namespace mpc::bfv
