// A key holder and an evaluator of CKKS with known seeds, and random values, for the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/ckks/evaluate.hpp"
#include "core/ckks/keys.hpp"
#include "core/ckks/wire.hpp"

namespace mpc::ckks {

inline SharedParameters insecure(std::size_t degree, std::vector<int> prime_bits, std::vector<int> special_bits,
                                 int scale_bits) {
    return std::make_shared<const Parameters>(degree, prime_bits, special_bits, scale_bits, true);
}

// Primes for a depth: 47 bits, then as many of 40; with special primes of 47 bits.
inline SharedParameters of_depth(std::size_t degree, std::size_t depth, std::size_t specials) {
    std::vector<int> bits(depth + 1, 40);
    bits[0] = 47;
    return insecure(degree, bits, std::vector<int>(specials, 47), 40);
}

inline std::vector<double> random_values(std::uint64_t number, std::size_t count, double bound = 1) {
    Prg prg(Block{number, 0x636b6b73});
    std::vector<double> values(count);
    for (double& value : values) value = bound * (std::ldexp(static_cast<double>(prg.word() >> 11), -52) - 1);
    return values;
}

struct Setting {
    SharedParameters parameters;
    SecretKey key;

    explicit Setting(SharedParameters wanted)
        : parameters(std::move(wanted)), key(parameters, Bytes(kSeedBytes, 7), Block{1, 2}) {}

    Ciphertext encrypted(const std::vector<double>& values, std::size_t level) const {
        return read_ciphertext(parameters, key.encrypt(values, level, parameters->scale()));
    }
    Evaluator evaluator(const std::vector<std::int64_t>& rotations = {}) const {
        std::vector<Bytes> messages;
        for (const std::int64_t steps : rotations) messages.push_back(key.rotation_key(steps, parameters->depth()));
        return Evaluator(parameters, key.relinearisation_key(parameters->depth()),
                         std::vector<ByteView>(messages.begin(), messages.end()));
    }
};

inline double largest_difference(const std::vector<double>& x, const std::vector<double>& y) {
    double largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::fabs(x[i] - y[i]));
    return largest;
}

}  // namespace mpc::ckks
