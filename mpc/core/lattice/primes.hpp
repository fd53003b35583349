// Primes p = 1 mod 2N, over which X^N + 1 splits into linear factors, and the roots of unity that go with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpc::lattice {

// Deterministic for every 64-bit integer.
bool is_prime(std::uint64_t n);

// The largest prime = 1 mod 2 degree of so many bits that is not among those taken. Throws ParameterError if none is
// left.
std::uint64_t largest_ntt_prime(std::size_t degree, int bits, const std::vector<std::uint64_t>& taken);

// `count` distinct primes = 1 mod 2 degree, each the largest left below 2^b, b being the share of one prime in
// total_bits: shares differ by one bit at most, the larger ones last. Their product is below 2^total_bits.
std::vector<std::uint64_t> ntt_primes(std::size_t degree, int total_bits, std::size_t count);

// The smallest primitive 2N-th root of unity modulo p (the choice of Microsoft SEAL, so that transforms agree).
std::uint64_t smallest_primitive_root(std::uint64_t p, std::size_t degree);

}  // namespace mpc::lattice
