// One gate of a finished circuit, as the kernels of garbling read it. It is plain data only, so that a file compiled
// for one instruction set instantiates nothing that others could be linked to.
#pragma once

#include <cstdint>

namespace mpc {

// One step of a circuit. Operands are row numbers, `out` is a slot (circuit.hpp). XOR and NOT are free, but walking a
// row is not. An AND gate therefore takes the XORs next to it along, and an XOR gate may have three operands.
//   AND:  out = ((a ^ x ^ invert_a) & (b ^ y ^ invert_b)) ^ z      x, y, z only if fused, absent ones are row 0 (zeros)
//   XOR:  out = a ^ b ^ x                                          x only if fused
struct Gate {
    enum Kind : std::uint32_t { is_and = 1, invert_a = 2, invert_b = 4, fused = 8 };
    std::uint32_t a;
    std::uint32_t x;
    std::uint32_t b;
    std::uint32_t y;
    std::uint32_t z;
    std::uint32_t out;
    std::uint32_t kind;
};

}  // namespace mpc
