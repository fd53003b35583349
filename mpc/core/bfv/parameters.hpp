// The public parameters of the encrypted linear layers, derived from what is public about a network.
//
// The scheme is BFV (Brakerski, CRYPTO 2012; Fan and Vercauteren, eprint 2012/144) over R = Z[X]/(X^N + 1). Plaintexts
// are taken modulo t = 2^l, ciphertexts modulo q, a product of two or three NTT primes. The secret is ternary, and
// noise is centred binomial of standard deviation 3.24.
//
// Security. log2 q is at most 106 bits for N = 4096 and 214 for N = 8192. The table of the HomomorphicEncryption.org
// standard (Albrecht et al., 2018, Table 1, uniform ternary secret, classical, 128 bits) allows 109 and 218. The
// lattice-estimator (Albrecht, Player, Scott, "On the concrete hardness of learning with errors", J. Math. Cryptol.
// 2015, and its code since) (commit 27a581b) gives 125.1 and 125.8 bits for these, 128.9 for 106 and 128.2 for 214. That is the smallest over
// primal_usvp, primal_bdd and dual_hybrid in its default model of reduction cost (MATZOV), with N the dimension,
// Xs uniform ternary, Xe of standard deviation 3.24 and m = 2N samples.
//
// For secret weights w_1..w_m (polynomials that one reply sums over) the answering party computes
//
//     (c_0, c_1) = sum_j w_j ct_j  +  u p + (0, e_1)  +  (round(q mask / t) + flood, 0)           over q.
//
// Here p is the receiver's public key (an encryption of zero), u is fresh ternary, e_1 is fresh noise, and flood is
// fresh and uniform in [-W, W). The answering party sends round(2^k / q * .) with k = l + 10, of c_1 all coefficients
// and of c_0 those that carry results.
//
// What the receiver sees. c_1 contains u p_1 + e_1, an RLWE sample under u. With y the result that the receiver is
// entitled to, c_0 + c_1 s = round(q y / t) + n + flood, where
//
//     n = sum_j (e_j + f_j) w_j  +  e_p u  +  e_1 s  +  (rounding of the mask, at most 1/2).
//
// Here e_j is the noise and f_j the rounding of the receiver's own uploads. Rounding is stochastic (scaling.hpp), so
// e_j + f_j has mean zero and variance at most 10.5 + 1/4 whatever the message. Hence, over a semi-honest receiver's
// coins,
//
//     E|n| <= sqrt(E n^2) <= D := sqrt(10.75 |w|^2 + 2 * 10.5 N) + 1/2,      |w|^2 = sum_j ||w_j||_2^2,
//
// since |u|^2, |s|^2 <= N. A uniform flood of width 2W shifted by n is at statistical distance |n| / 2W from the
// unshifted one. Over all results that an evaluator gives, the distance is the sum of D / 2W. W is the smallest (up to
// an eighth) that makes this at most 2^-statistical_bits. |w|^2 and the count of results enter as bounds known from the
// architecture, never as the weights' own. Larger weights and further results are refused. Switching and cutting are
// post-processing.
//
// Exactness. Every term of n is sub-Gaussian with its variance bound as proxy, so |n| <= 9 D except with probability
// 2 exp(-81/2) < 2^-57. The switch adds at most 1 for c_0. For c_1, which is indistinguishable from uniform and
// independent of s, it adds a sum of at most N roundings of variance 1/12, which is below 9 sqrt(N / 12) but for
// another 2^-57. A result is exact if
//
//     (W + 9 D + 1) 2^k / q  +  9 sqrt(N / 12)  +  2   <=   2^(k - l - 1) = 512.
//
// log2 q is the smallest number of bits for which this holds. Each result then fails with probability below 2^-56.
//
// Products of two parties' secret words (`for_products`) take the same scheme with other plaintexts. There t is 2^64 for
// products of matrices, or a prime for element-wise ones, for which X^N + 1 splits modulo t and coefficients turn into N
// independent values. The weights are a party's own words, anywhere in (-t/2, t/2], so that |w|^2 <= terms (t/2)^2 for
// so many weights behind a polynomial of a reply. q has up to five primes and 214 bits. For t = 2^64 a reply has words
// of 74 bits. The switch then leaves out less than 2^-128 p_i 2^2 of each of at most five fractions (scaling.hpp), which
// times 2^k is at most `skew`, and adds 9 skew sqrt(2 N / 3) to the noise of c_1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/lattice/ntt.hpp"

namespace mpc::bfv {

constexpr int kSmallestPlainBits = 2;
constexpr int kLargestPlainBits = 54;  // k = l + 10 fits a word
constexpr int kReplyGuardBits = 10;    // k - l
constexpr int kLargestPlainPrimeBits = 47;  // of a prime t, for transforms modulo t

// What is public about one linear layer: a bound on the |w|^2 behind any one polynomial of its replies, and how many
// results of it one evaluator gives in all, over as many queries as it answers.
struct LayerBound {
    std::uint64_t norm_squared;
    std::uint64_t results;
};

// What is public about products of secret words: how many words are weights behind any one polynomial of a reply, and
// how many results one evaluator gives in all.
struct ProductBound {
    std::uint64_t terms;
    std::uint64_t results;
};

// The flood's width 2W = multiplier * 2^shift, multiplier in 8..16.
struct FloodWidth {
    unsigned multiplier = 8;
    int shift = 1;
};

// The largest log2 q at 128-bit security for this degree. Throws ParameterError for other degrees than 4096 and 8192.
int largest_modulus_bits(std::size_t degree);

class Parameters {
public:
    // Throws ParameterError if no modulus within the security bound is wide enough, naming the bits that are missing.
    Parameters(std::size_t degree, int plain_bits, std::vector<LayerBound> layers, int statistical_bits);

    // For products modulo 2^64 with `plain_prime` zero, or modulo that prime, of 20 to 47 bits. Degree is 8192.
    static std::shared_ptr<const Parameters> for_products(std::uint64_t plain_prime, ProductBound bound,
                                                          int statistical_bits);

    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;

    std::size_t degree() const { return degree_; }
    int plain_bits() const { return plain_bits_; }
    std::uint64_t plain_prime() const { return plain_prime_; }  // zero where t is 2^plain_bits
    bool for_words() const { return products_.terms != 0; }  // whether weights may be any words modulo t
    const ProductBound& products() const { return products_; }
    int reply_bits() const { return plain_bits_ + kReplyGuardBits; }
    // Of what a reply's words are opened by: k, or half of it where words are wider than 64 bits.
    int opening_bits() const { return reply_bits() <= 64 ? reply_bits() : (reply_bits() + 1) / 2; }
    int modulus_bits() const { return modulus_bits_; }
    const FloodWidth& flood() const { return flood_; }
    double flood_bits() const;  // log2 W, for people
    const std::vector<LayerBound>& layers() const { return layers_; }
    const std::vector<lattice::Ntt>& primes() const { return primes_; }
    std::size_t words() const { return primes_.size() * degree_; }  // of a polynomial modulo q, prime-major

    // D of the text above, before its last 1/2.
    double noise_deviation(std::uint64_t norm_squared) const;

private:
    Parameters(std::uint64_t plain_prime, ProductBound bound, int statistical_bits);

    double word_deviation() const;  // D for products, before its last 1/2
    void flood_for(double leak, int statistical_bits);
    void choose_primes(double deviation, int largest);
    bool exact_with(const std::vector<std::uint64_t>& primes, double deviation) const;

    std::size_t degree_;
    int plain_bits_;
    std::uint64_t plain_prime_ = 0;
    ProductBound products_{0, 0};
    std::vector<LayerBound> layers_;
    FloodWidth flood_;
    int modulus_bits_ = 0;
    std::vector<lattice::Ntt> primes_;
};

using SharedParameters = std::shared_ptr<const Parameters>;

}  // namespace mpc::bfv
