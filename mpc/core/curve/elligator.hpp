// From uniform bytes to a point of edwards25519's prime-order subgroup whose logarithm nobody knows: the part of RFC
// 9380's suite edwards25519_XMD:SHA-512_ELL2_RO_ that comes after its expansion of the message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/curve/edwards25519.hpp"

namespace mpc {

constexpr std::size_t kFieldSeedBytes = 48;  // L of RFC 9380, section 5.1
constexpr std::size_t kPointSeedBytes = 2 * kFieldSeedBytes;

// hash_to_field's last step (RFC 9380, 5.2): a big-endian integer modulo p.
Field field_from_seed(const std::uint8_t seed[kFieldSeedBytes]);

// map_to_curve_elligator2_edwards25519 (RFC 9380, 6.8.2 and appendix G.2). The point may have a small-order component.
Point map_to_curve(const Field& u);

// Two elements of the field, mapped, added, and freed of the cofactor (RFC 9380, section 3).
Point point_from_seed(const std::uint8_t seed[kPointSeedBytes]);

}  // namespace mpc
