// The circuits that the protocols evaluate. "Shares" are additive, z = a + b mod 2^bits, with a the garbler's word and
// b the evaluator's. Signed means two's complement. Adding, comparing and selecting cost one AND gate a bit.
#pragma once

#include "core/circuits/circuit.hpp"

namespace mpc::circuits {

// Building blocks: one word of the garbler, one of the evaluator, 1 <= width <= 64.
Circuit add(unsigned width);        // a + b mod 2^width; width - 1 ANDs
Circuit subtract(unsigned width);   // a - b mod 2^width; width - 1 ANDs
Circuit less_than(unsigned width);  // one bit, a < b signed; width ANDs
Circuit select(unsigned width);     // garbler: [a], evaluator: [b, pick (1 bit)]; pick ? a : b; width ANDs

// Garbler: [share]; evaluator: [share]; 0 <= shift < ring_bits. A projection (projection.hpp) turns the outputs into
// shares again, for less than a subtraction in the circuit would cost.
// relu: max(0, z >> shift), of ring_bits - shift - 1 bits (at least one), z >> shift being the exact arithmetic shift
//       (floor); 2 ring_bits - shift - 2 ANDs.
// rescale: z >> shift, signed, of ring_bits - shift bits; ring_bits - 1 ANDs.
// The low `shift` bits are dropped after their carries were computed, which costs no gate.
Circuit relu(unsigned ring_bits, unsigned shift);
Circuit rescale(unsigned ring_bits, unsigned shift);

// Max pooling in the same way, before the shift. Garbler: `window` shares; evaluator: `window` shares; out:
// max_j z_j >> shift as in rescale, or where `rectify` puts max(0, .) around the shifted value as in relu.
// relu or rescale plus (window - 1) (3 ring_bits - 1) - shift ANDs if window > 1.
Circuit max_pool(unsigned window, unsigned ring_bits, unsigned shift, bool rectify);

// Leaky relu. Garbler: [share]; evaluator: [share]; with v = z >> shift, out: v if v >= 0, else
// (v slope) >> slope_bits, signed, of ring_bits - shift bits, all shifts exact (floor); 0 < slope < 2^slope_bits,
// slope_bits <= 32.
// 3 ring_bits - shift - 2 ANDs and, for every one bit of slope but the lowest, slope_bits + ring_bits - shift - 1 less
// its place.
Circuit leaky_relu(unsigned ring_bits, unsigned shift, std::uint64_t slope, unsigned slope_bits);

// Garbler: C shares; evaluator: C shares; out: C one-bit words, the one-hot vector of the signed argmax, ties to the
// lowest index. C (b-1) to add, (C-1) b to compare, (C-2) b to carry the best on, C-2 for the one-hot.
Circuit argmax(unsigned classes, unsigned ring_bits);

// Garbler: shares of z_j - t_j; evaluator: likewise; out: per label one bit, z_j - t_j > 0 signed.
Circuit threshold(unsigned labels, unsigned ring_bits);

// Garbler: C words; evaluator: C words; out: one word of the bits that C - 1 needs (at least one): the index of the
// signed argmax of a_j + b_j mod 2^width, ties to the lowest.
Circuit sum_histogram(unsigned classes, unsigned width);

// Opens noisy numbers that two parties share modulo Q = modulus_low + 2^64 modulus_high, a number of b <= 127 bits.
// Garbler, for each of `count` numbers: [the low 64 bits of a share p < Q, the others if b > 64, noise]; evaluator:
// likewise with its share h. Noise is signed, of noise_bits. With u = p + h mod Q and y = floor(u / 2^shift) the number
// is y - 2^(range_bits - 1). Out: if every y is below 2^range_bits, each number plus both noises, which is signed and
// does not wrap, and a one; otherwise zeros alone. A share that is not below Q is one that is off by a multiple of Q, or
// is out of range.
// 3 (b + 1) - 2 or so ANDs to add, b - shift - range_bits + 1 to check, and 3 of the output's width, for each number.
Circuit noisy_release(unsigned count, std::uint64_t modulus_low, std::uint64_t modulus_high, unsigned shift,
                      unsigned range_bits, unsigned noise_bits);

}  // namespace mpc::circuits
