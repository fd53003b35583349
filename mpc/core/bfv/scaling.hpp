// Scales coefficients between the plaintext ring Z_t, the ciphertext ring Z_q and replies modulo 2^k.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/bfv/parameters.hpp"

namespace mpc::bfv {

class Scaling {
public:
    explicit Scaling(const Parameters& parameters);

    // Returns the residue modulo prime `index` of floor((q m + dither) / t), for m and dither in [0, t). A dither of t / 2
    // rounds q m / t to the nearest integer. A uniform dither rounds it stochastically, with exact mean and variance at
    // most 1/4, whatever m is.
    //     With y = (q m + dither) mod t the quotient is (q m + dither - y) / t, which is (dither - y) / t modulo every
    // prime of q. So no wide number is ever formed.
    MPC_INLINE std::uint64_t up(std::uint64_t m, std::uint64_t dither, std::size_t index) const {
        const Row& row = rows_[index];
        if (plain_prime_ != 0) {
            const std::uint64_t y =
                lattice::reduce_once(lattice::multiply(m, modulus_factor_, plain_prime_) + dither, plain_prime_);
            return lattice::multiply(dither + row.multiple - y, row.inverse_plain, row.p);
        }
        const std::uint64_t y = (modulus_word_ * m + dither) & plain_mask_;
        if (whole_words_) {  // the sum below has more than 64 bits
            const std::uint64_t difference = lattice::multiply_lazy(dither, row.one, row.p) + 2 * row.p -
                                             lattice::multiply_lazy(y, row.one, row.p);
            return lattice::multiply(difference, row.inverse_plain, row.p);
        }
        return lattice::multiply(dither + row.multiple - y, row.inverse_plain, row.p);
    }
    std::uint64_t half() const { return half_; }

    // Returns round(2^k c / q) mod 2^k, c given by residues c[0], c[stride], ... (each below 2^49, up to multiples of
    // its prime).
    //     c / q = sum_i c_i h_i / p_i modulo 1, h_i the inverse of q / p_i modulo p_i; with h_i / p_i in 128 bits of
    // fraction the sum of three is below the true value by less than 3 * 2^-79. For k up to 64 the result is off by less
    // than 2^-13 before rounding. parameters.hpp has the case of wider words.
    MPC_INLINE lattice::Wide down(const std::uint64_t* c, std::size_t stride) const {
        lattice::Wide sum = rounding_;
        for (std::size_t i = 0; i < primes_; ++i) {
            const std::uint64_t residue = c[i * stride];
            const Row& row = rows_[i];
            sum += lattice::Wide{residue} * row.fraction_low + (lattice::Wide{residue * row.fraction_high} << 64);
        }
        return sum >> shift_;
    }

private:
    struct Row {
        std::uint64_t p;
        std::uint64_t multiple;  // the smallest multiple of p that is at least t
        lattice::Factor inverse_plain;  // 1 / t
        lattice::Factor one;
        std::uint64_t fraction_high, fraction_low;  // floor(2^128 h_i / p_i)
    };
    static constexpr std::size_t kMaxPrimes = 5;
    Row rows_[kMaxPrimes] = {};
    std::size_t primes_;
    std::uint64_t modulus_word_ = 1;  // q mod 2^64
    std::uint64_t plain_prime_;
    lattice::Factor modulus_factor_{};  // q modulo a prime t
    bool whole_words_;                  // t = 2^64
    std::uint64_t plain_mask_, half_;
    lattice::Wide rounding_;  // 2^127 / 2^k
    int shift_;      // 128 - k
};

}  // namespace mpc::bfv
