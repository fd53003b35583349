// Scales, exactly. A scale is 2^a q_0^b_0 ... q_L^b_L with integer exponents. Products and quotients of scales only add
// and subtract exponents, and two scales are equal exactly if all exponents are, since the bases are distinct primes.
// No rounding ever decides whether two ciphertexts may be added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mpc::ckks {

// q_0 ... q_L, shared by all scales of a set of parameters.
using Primes = std::shared_ptr<const std::vector<std::uint64_t>>;

class Scale {
public:
    // Exponents beyond this size are refused with ParameterError. No program comes near it.
    static constexpr std::int64_t kLargestExponent = std::int64_t{1} << 40;

    static Scale power_of_two(Primes primes, std::int64_t bits);
    static Scale prime(Primes primes, std::size_t index);
    // Throws ParameterError unless there are as many exponents as primes and one more, the exponent of 2 first.
    static Scale of_exponents(Primes primes, std::vector<std::int64_t> exponents);

    // Throw ParameterError for scales of different primes.
    Scale times(const Scale& other) const { return combined(other, 1); }
    Scale over(const Scale& other) const { return combined(other, -1); }
    bool operator==(const Scale& other) const;
    bool operator!=(const Scale& other) const { return !(*this == other); }

    // The value, correct to a relative 2^-50. Throws ParameterError above 2^1000 or below 2^-1000.
    double value() const;
    double bits() const;       // log2 of it
    std::string text() const;  // for messages
    const std::vector<std::int64_t>& exponents() const { return exponents_; }
    const Primes& primes() const { return primes_; }

private:
    Scale(Primes primes, std::vector<std::int64_t> exponents);
    Scale combined(const Scale& other, std::int64_t sign) const;

    Primes primes_;
    std::vector<std::int64_t> exponents_;  // of 2, q_0, ..., q_L
};

// Throws ParameterError unless they are equal.
void check_scales(const Scale& a, const Scale& b);

}  // namespace mpc::ckks
