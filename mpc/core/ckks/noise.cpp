// Bounds on noise in a slot. Each holds for all N/2 slots of one ciphertext except with probability 2^-40, under one
// owner's ternary secret. mpc/encrypted/noise.py has deviations for the joint secret of several.
//
// Slot i of a polynomial e is the real part of e(zeta), zeta = exp(i pi 5^i / N). It is a sum of N coefficients with
// factors cos(theta_k), whose squares add up to N/2. So for independent sub-Gaussian coefficients of proxy v it is
// sub-Gaussian of proxy v N/2, and |e(zeta)| is at most the root of the sum of two such squares. 9 standard deviations
// are exceeded with probability 2 exp(-81/2) < 2^-57, hence in any of at most 2^14 slots with less than 2^-43.
//
// Proxies: 10.5 for noise, 2/3 for ternary coefficients ((1 + 2 cosh x) / 3 <= exp(x^2 / 3) term by term), and s^2 / 12
// for what is uniform in an interval of length s, as roundings and digits of an RLWE sample are up to its being
// indistinguishable from uniform. In a product of two polynomials, one is bounded in modulus and the other then counts
// linearly with that factor.
#include <cmath>

#include "core/ckks/parameters.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::ckks {

namespace {

constexpr double kTail = 9;  // standard deviations
constexpr double kTernaryVariance = 2.0 / 3;

// Bounds |u(zeta)| for coefficients of this variance.
double modulus_bound(double variance, double degree) { return kTail * std::sqrt(variance * degree); }

// Bounds the real part of the sum of e_j(zeta) u_j(zeta) with e_j of a variance, given the sum of |u_j(zeta)|^2.
double real_bound(double variance, double squares, double degree) {
    return kTail * std::sqrt(variance * degree / 2 * squares);
}

double secret_square(double degree) { return std::pow(modulus_bound(kTernaryVariance, degree), 2); }

}  // namespace

double Parameters::largest_value(std::size_t level, const Scale& scale) const {
    check_level(level);
    return std::exp2(level_bits_[level] - 2 - scale.bits());
}

// e, or e_pk v + e_0 + e_1 s.
double Parameters::fresh_noise(bool symmetric) const {
    const auto degree = static_cast<double>(degree_);
    return real_bound(lattice::kNoiseVariance, symmetric ? 1 : 1 + 2 * secret_square(degree), degree);
}

double Parameters::encoding_noise() const { return real_bound(1.0 / 12, 1, static_cast<double>(degree_)); }

// r_0 + r_1 s with rounding errors r_0 and r_1.
double Parameters::rescale_noise() const {
    const auto degree = static_cast<double>(degree_);
    return real_bound(1.0 / 12, 1 + secret_square(degree), degree);
}

// sum_d D_d e_d / P, with D_d a digit, and a rounding.
double Parameters::switch_noise(std::size_t level) const {
    check_level(level);
    const auto degree = static_cast<double>(degree_);
    double special = 1, squares = 0;
    for (const std::size_t row : special_.from) special *= static_cast<double>(rows_[row].p());
    for (std::size_t d = 0; d < digits(level); ++d) {
        double product = 1;
        for (const std::size_t row : digit(d, level).from) product *= static_cast<double>(rows_[row].p());
        squares += std::pow(modulus_bound(product * product / 12, degree) / special, 2);
    }
    return real_bound(lattice::kNoiseVariance, squares, degree) + rescale_noise();
}

}  // namespace mpc::ckks
