// Integers modulo L = 2^252 + 27742317777372353535851937790883648493, the order of edwards25519's large subgroup, in
// constant time.
//
// Products are Montgomery's ("Modular multiplication without trial division", Math. Comp. 44, 1985) on four 64-bit
// limbs. No branch and no address depends on a value. Scalars are 32 bytes, lowest first, below L.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/curve/edwards25519.hpp"

namespace mpc {

// (a b + c) mod L, for any a and c below 2^256 and b below L. The result is below L.
Scalar multiply_add(const Scalar& a, const Scalar& b, const Scalar& c);

// A 512-bit integer, lowest byte first, modulo L.
Scalar reduce_wide(const std::uint8_t in[64]);

}  // namespace mpc
