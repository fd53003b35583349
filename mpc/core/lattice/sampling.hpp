// Draws random polynomials. Every function draws whole words from a Prg, a fixed number of them unless the output is
// public.
//
// Secret draws are constant-time, with no table and no rejection. `uniform_residues` rejects, and its output is always
// public.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/prg.hpp"
#include "core/lattice/memory.hpp"
#include "core/lattice/modulus.hpp"

namespace mpc::lattice {

constexpr int kNoiseBound = 21;
constexpr double kNoiseVariance = kNoiseBound / 2.0;

// Uniform in {-1, 0, 1} up to a statistical distance of 2^-62 each: floor(3 u / 2^64) - 1 for a 64-bit u.
void ternary(Prg& prg, SignedWords& out);

// Centred binomial with parameter 21: the weight of 42 bits, less 21. In [-21, 21]; variance 10.5, standard deviation
// 3.24, the stand-in for a rounded Gaussian of 3.2 that SEAL uses. Sub-Gaussian with variance proxy 10.5.
void centred_binomial(Prg& prg, SignedWords& out);

// Uniform in [0, 2^bits), bits at most 64.
void uniform_words(Prg& prg, int bits, std::uint64_t* out, std::size_t count);

// Uniform in [0, bound), bound at most 16, up to a statistical distance of 2^-124 each: floor(bound u / 2^128).
void uniform_below(Prg& prg, unsigned bound, std::uint64_t* out, std::size_t count);

// Uniform in [0, p): words cut to the bits of p, those not below p left out. Both ends of a public seed call this.
void uniform_residues(Prg& prg, const Modulus& modulus, std::uint64_t* out, std::size_t count);

}  // namespace mpc::lattice
