// Arithmetic modulo the order L of edwards25519's prime-order subgroup, in constant time.
//
// Products are those of Montgomery, "Modular multiplication without trial division" (Math. Comp. 44, 1985), with four
// 64-bit words. Shares, coefficients and the exponents of proofs are secret, so no branch and no address depends on one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/curve/edwards25519.hpp"

namespace mpc {

constexpr std::size_t kWideScalarBytes = 64;

// The residue of a little-endian integer below 2^512. A uniform one gives a scalar that is uniform up to 2^-259.
Scalar reduce_scalar(const std::uint8_t wide[kWideScalarBytes]);

// a b + c modulo L, for a, b and c below L.
Scalar multiply_add(const Scalar& a, const Scalar& b, const Scalar& c);

}  // namespace mpc
