// What is done to public points of edwards25519 alone: sums of many multiples, and points from hashes.
//
// Timing: both depend on their arguments. No secret may enter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/curve/edwards25519.hpp"

namespace mpc {

// The sum of scalars[i] points[i], by Pippenger's buckets (Bernstein, Doumen, Lange, Oosterwijk, "Faster batch forgery
// identification", INDOCRYPT 2012, section 4). Scalars are below 2^253.
Point combine_public(const Scalar* scalars, const Point* points, std::size_t n);

// The point of the large subgroup for two field elements that were hashed from a message: clear_cofactor(map(u0) +
// map(u1)) of RFC 9380, sections 3 and 6.8.2, for the suite edwards25519_XMD:SHA-512_ELL2_RO_. Each element is 32 bytes,
// lowest first.
Point point_of_hash(const std::uint8_t u0[32], const std::uint8_t u1[32]);

}  // namespace mpc
