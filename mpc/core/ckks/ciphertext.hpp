// What the key holder and the evaluator share: ciphertexts, and keys for switching.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/ckks/parameters.hpp"

namespace mpc::ckks {

// Names a secret key, and gives no other secret key's name away. Every key and ciphertext carries it.
using KeyId = std::array<std::uint8_t, 16>;

// c_0 + c_1 s is the message times the scale plus noise. Both are transforms at the rows 0 ... level.
struct Ciphertext {
    SharedParameters parameters;
    KeyId key_id;
    std::size_t level;
    Scale scale;
    Rows first, second;
};

// Turns products with one secret into such with another. Digit d has b_d = -a_d s_to + e_d + P g_d s_from at the rows
// 0 ... level and the special ones, in this order, where g_d is 1 modulo the rows of the digit and 0 modulo the others.
struct SwitchingKey {
    SharedParameters parameters;
    KeyId key_id;
    std::size_t level;
    std::int64_t steps;  // in [0, N/2): of a rotation; 0 for products
    StoredBytes pairs;   // row by row, (b_d, a_d) of all digits as Ntt::inner_product_pairs reads them
    std::vector<std::size_t> begins;  // of each row in `pairs`

    std::size_t digits() const { return parameters->digits(level); }
    // The pairs at a row of the parameters.
    const std::uint8_t* at(std::size_t row) const {
        return &pairs[begins[row <= parameters->depth() ? row : row - parameters->depth() + level]];
    }
};

// Throws ParameterError for steps outside of (-N/2, N/2); otherwise the steps to the left, in [0, N/2).
std::size_t steps_to_left(const Parameters& parameters, std::int64_t steps);

// X -> X^g with g = 5^steps, which moves slot i + steps to slot i. Entry j of the transform of the image is entry
// map[j] of the transform.
std::vector<std::uint32_t> rotation_map(std::size_t degree, std::size_t steps);

}  // namespace mpc::ckks
