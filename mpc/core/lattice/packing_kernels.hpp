// The kernels behind packing.hpp and sampling.hpp on AVX-512 with VBMI; only in x86-64 builds, and only where uses_ifma().
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::lattice {

constexpr int kLeastVectorBits = 8, kMostVectorBits = 57;

// Both do as many whole eights of words as they can, and return how many words that are. `bytes` may all be read.
std::size_t pack_ifma(const std::uint64_t* words, std::size_t count, int bits, std::uint8_t* out);
std::size_t unpack_ifma(const std::uint8_t* in, std::size_t bytes, int bits, std::uint64_t* words, std::size_t count);

// Moves the words that are below the bound under the mask to the front, in order, and returns how many they are.
std::size_t keep_below_ifma(std::uint64_t mask, std::uint64_t bound, std::uint64_t* words, std::size_t count);

}  // namespace mpc::lattice
