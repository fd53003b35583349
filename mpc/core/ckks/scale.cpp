// Computes with exact scales; see scale.hpp.
#include "core/ckks/scale.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/lattice/modulus.hpp"

namespace mpc::ckks {

using lattice::Wide;

namespace {

// mantissa 2^(exponent - 127), the highest bit of the mantissa being set. A product is below the true one by less than
// a relative 2^-126, a reciprocal by less than 2^-126. With exponents below 2^41 a power has an error below 2^-80.
struct Real {
    Wide mantissa;
    std::int64_t exponent;
};

Real normalised(Wide mantissa, std::int64_t exponent) {
    while (mantissa >> 127 == 0) {
        mantissa <<= 1;
        --exponent;
    }
    return {mantissa, exponent};
}

Real product(const Real& x, const Real& y) {
    const auto low = [](Wide v) { return static_cast<std::uint64_t>(v); };
    const auto high = [](Wide v) { return static_cast<std::uint64_t>(v >> 64); };
    const Wide middle = Wide{high(x.mantissa)} * low(y.mantissa), other = Wide{low(x.mantissa)} * high(y.mantissa);
    const Wide carry = (Wide{low(middle)} + low(other) + high(Wide{low(x.mantissa)} * low(y.mantissa))) >> 64;
    const Wide top = Wide{high(x.mantissa)} * high(y.mantissa) + high(middle) + high(other) + carry;
    return normalised(top, x.exponent + y.exponent + 1);
}

Real of_prime(std::uint64_t p) { return normalised(p, 127); }

// 2^207 / p in two steps of division, for p < 2^47.
Real reciprocal(std::uint64_t p) {
    const Wide first = (Wide{1} << 127) / p, rest = (Wide{1} << 127) % p;
    int bits = 0;
    while (first >> (127 - bits) == 0) ++bits;
    const Wide second = (rest << 80) / p;  // below 2^80
    return normalised((first << bits) | (second >> (80 - bits)), -bits);
}

Real power(Real base, std::uint64_t exponent) {
    Real result = normalised(1, 127);
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) result = product(result, base);
        base = product(base, base);
    }
    return result;
}

}  // namespace

Scale::Scale(Primes primes, std::vector<std::int64_t> exponents)
    : primes_(std::move(primes)), exponents_(std::move(exponents)) {
    for (const std::int64_t exponent : exponents_) {
        if (exponent > kLargestExponent || exponent < -kLargestExponent) {
            throw ParameterError("expected exponents of a scale within 2^40, found " + std::to_string(exponent));
        }
    }
}

Scale Scale::power_of_two(Primes primes, std::int64_t bits) {
    std::vector<std::int64_t> exponents(primes->size() + 1, 0);
    exponents[0] = bits;
    return Scale(std::move(primes), std::move(exponents));
}

Scale Scale::prime(Primes primes, std::size_t index) {
    std::vector<std::int64_t> exponents(primes->size() + 1, 0);
    exponents.at(index + 1) = 1;
    return Scale(std::move(primes), std::move(exponents));
}

Scale Scale::of_exponents(Primes primes, std::vector<std::int64_t> exponents) {
    if (exponents.size() != primes->size() + 1) {
        throw ParameterError("expected " + std::to_string(primes->size() + 1) + " exponents of a scale, found " +
                             std::to_string(exponents.size()));
    }
    return Scale(std::move(primes), std::move(exponents));
}

Scale Scale::combined(const Scale& other, std::int64_t sign) const {
    if (primes_ != other.primes_ && *primes_ != *other.primes_) {
        throw ParameterError("expected scales of the same parameters, found others");
    }
    std::vector<std::int64_t> exponents = exponents_;
    for (std::size_t i = 0; i < exponents.size(); ++i) exponents[i] += sign * other.exponents_[i];
    return Scale(primes_, std::move(exponents));
}

bool Scale::operator==(const Scale& other) const {
    return exponents_ == other.exponents_ && (primes_ == other.primes_ || *primes_ == *other.primes_);
}

namespace {

Real value_of(const std::vector<std::uint64_t>& primes, const std::vector<std::int64_t>& exponents) {
    Real value = normalised(1, 127);
    for (std::size_t i = 0; i < primes.size(); ++i) {
        const std::int64_t exponent = exponents[i + 1];
        const Real base = exponent < 0 ? reciprocal(primes[i]) : of_prime(primes[i]);
        value = product(value, power(base, static_cast<std::uint64_t>(exponent < 0 ? -exponent : exponent)));
    }
    value.exponent += exponents[0];
    return value;
}

// In [1, 2).
double fraction_of(const Real& value) {
    return std::ldexp(static_cast<double>(static_cast<std::uint64_t>(value.mantissa >> 64)), -63);
}

}  // namespace

double Scale::value() const {
    const Real found = value_of(*primes_, exponents_);
    if (found.exponent > 1000 || found.exponent < -1000) {
        throw ParameterError("expected a scale of 2^-1000 to 2^1000, found one of about 2^" +
                             std::to_string(found.exponent));
    }
    return std::ldexp(fraction_of(found), static_cast<int>(found.exponent));
}

double Scale::bits() const {
    const Real found = value_of(*primes_, exponents_);
    return static_cast<double>(found.exponent) + std::log2(fraction_of(found));
}

std::string Scale::text() const { return "2^" + std::to_string(bits()); }

void check_scales(const Scale& a, const Scale& b) {
    if (a != b) {
        throw ParameterError("expected equal scales, found " + a.text() + " and " + b.text() +
                             (std::abs(a.bits() - b.bits()) < 1e-6 ? ", which differ by less than their digits" : ""));
    }
}

}  // namespace mpc::ckks
