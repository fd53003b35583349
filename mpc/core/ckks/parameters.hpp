// The public parameters of CKKS: the ring, the primes, and what follows from them alone.
//
// The scheme is RNS-CKKS (Cheon, Han, Kim, Kim, Song, "A full RNS variant of approximate homomorphic encryption", SAC
// 2018) over R = Z[X]/(X^N + 1). A ciphertext at level l is modulo Q_l = q_0 ... q_l. Keys are switched in the hybrid
// way (Han and Ki, "Better bootstrapping for approximate homomorphic encryption", CT-RSA 2020, section 3): modulo Q_l P
// with P the product of k special primes, by digits of k primes q_i each, of which the last may have fewer. The secret
// is ternary, and noise is centred binomial of standard deviation 3.24.
//
// Security. log2 of Q_L P is at most 106, 214, 430 and 866 bits for N = 2^12, 2^13, 2^14 and 2^15. The standard
// (Albrecht et al., HomomorphicEncryption.org 2018, Table 1, uniform ternary secret, classical, 128 bits) allows 109,
// 218, 438 and 881. For the first two caps see bfv/parameters.hpp. For the others the lattice-estimator (commit
// 27a581b, the model and attacks of bfv/parameters.hpp) gives these bits of security, for log2 of Q_L P:
//
//     N = 2^14        418     430     438        N = 2^15        865     866     868     881
//     primal_usvp     132.3   128.4   125.9      primal_usvp     128.6   128.3   128.0   126.1
//     dual_hybrid     133.1   129.2   126.6      dual_hybrid     129.5   129.5   129.2   126.9
//
// primal_bdd gives 132.3 for 418 bits and 128.0 for 868. At the caps for N = 2^12 and 2^13 it gives 128.9 and 128.2.
// The cap for 2^15 is 866, a little below what these figures allow, as a margin for what the estimate leaves out. The
// estimator ran with a numerical stand-in for the few functions of Sage that it needs.
//
// "Rows" are the primes in the order q_0 ... q_L, then the special ones. A polynomial is kept as its transforms modulo
// the rows that it has, row by row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/blocks.hpp"
#include "core/base/sha256.hpp"
#include "core/ckks/scale.hpp"
#include "core/lattice/ntt.hpp"

namespace mpc::ckks {

using Rows = std::vector<std::uint64_t, LargeAllocator<std::uint64_t, false>>;        // not zeroed when made
using SecretRows = std::vector<std::uint64_t, LargeAllocator<std::uint64_t, true>>;  // wiped, too

constexpr std::size_t kMostSpecialPrimes = 4;
constexpr std::size_t kMostPrimes = 40;  // q_0 ... q_L
constexpr int kSmallestPrimeBits = 20;

// The largest log2 of the modulus at 128 bits of security, or zero for degrees that have none here.
int largest_modulus_bits(std::size_t degree);

// How the integer below a product S of up to five primes, taken around zero, turns into residues modulo others. With
// y_i = x_i (S / s_i)^-1 mod s_i, it is sum_i y_i S / s_i - v S, where v is sum_i y_i / s_i rounded. Rounding is exact
// unless the integer is within 2^-57 S of S / 2, where it may be that much beyond.
struct Conversion {
    std::vector<std::size_t> from;          // rows
    std::vector<std::uint64_t> inverse;     // of S / s_i modulo s_i
    std::vector<std::uint64_t> fraction;    // floor(2^(61 + b) / s_i), b the bits of s_i
    std::vector<std::vector<std::uint64_t>> factors;  // by row: S / s_i for each i, then -S
    std::vector<std::uint64_t> inverse_product;       // by row: 1 / S, or zero for the rows of S

    // Writes y_i and then v, as rows that lie together (Ntt::forward_combined), from coefficients x[i] modulo s_i.
    void prepare(const std::vector<lattice::Ntt>& rows, const std::uint64_t* const* x, std::uint64_t* y) const;
    // Writes the transform modulo one row. y is that of `prepare`.
    void transform(const lattice::Ntt& target, const std::uint64_t* y, std::size_t row, std::uint64_t* out) const {
        target.forward_combined(y, factors[row].data(), from.size() + 1, out);
    }
};

class Parameters {
public:
    // Throws ParameterError for what is out of range, and for a modulus above the cap unless it is `insecure`.
    Parameters(std::size_t degree, const std::vector<int>& prime_bits, const std::vector<int>& special_bits,
               int scale_bits, bool insecure);
    static std::shared_ptr<const Parameters> small();
    static std::shared_ptr<const Parameters> large();
    // One level less than `small` and `large`, whose bits go into special primes. So keys have fewer digits.
    static std::shared_ptr<const Parameters> small_shallow();
    static std::shared_ptr<const Parameters> large_shallow();

    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;

    std::size_t degree() const { return degree_; }
    std::size_t slots() const { return degree_ / 2; }
    std::size_t depth() const { return primes_->size() - 1; }
    std::size_t specials() const { return rows_.size() - primes_->size(); }
    const std::vector<lattice::Ntt>& rows() const { return rows_; }
    const lattice::Ntt& row(std::size_t index) const { return rows_[index]; }
    const Primes& primes() const { return primes_; }
    double modulus_bits() const { return modulus_bits_; }
    double level_bits(std::size_t level) const { return level_bits_[level]; }  // log2 Q_l
    const Sha256::Digest& digest() const { return digest_; }
    Scale scale() const { return Scale::power_of_two(primes_, scale_bits_); }
    int scale_bits() const { return scale_bits_; }

    std::size_t digits(std::size_t level) const { return level / specials() + 1; }
    // Of digit d of a polynomial at a level, which has the rows d k ... min(d k + k - 1, level).
    const Conversion& digit(std::size_t number, std::size_t level) const;
    // Of P, and of P q_l.
    const Conversion& special() const { return special_; }
    const Conversion& special_with(std::size_t level) const { return special_with_[level]; }
    std::uint64_t special_product(std::size_t row) const { return special_product_[row]; }  // P modulo q_row
    std::uint64_t inverse(std::size_t of, std::size_t row) const { return inverses_[of][row]; }  // 1 / q_of

    // Throws ParameterError for a level above the depth.
    void check_level(std::size_t level) const;
    // Bounds of noise in a slot; see noise.cpp.
    double largest_value(std::size_t level, const Scale& scale) const;
    double fresh_noise(bool symmetric) const;
    double encoding_noise() const;
    double rescale_noise() const;
    double switch_noise(std::size_t level) const;

private:
    Conversion conversion(const std::vector<std::size_t>& from) const;

    std::size_t degree_;
    int scale_bits_;
    std::vector<lattice::Ntt> rows_;
    Primes primes_;
    double modulus_bits_ = 0;
    std::vector<double> level_bits_;
    Sha256::Digest digest_{};
    std::vector<Conversion> digits_;  // by level: the digit that ends there
    std::vector<Conversion> whole_;   // by number: the digit with all its rows
    Conversion special_;
    std::vector<Conversion> special_with_;
    std::vector<std::uint64_t> special_product_;
    std::vector<std::vector<std::uint64_t>> inverses_;
};

using SharedParameters = std::shared_ptr<const Parameters>;

}  // namespace mpc::ckks
