// Projection: from a garbled output bit b to additive shares of b over Z_{2^width}, with two ciphertexts a bit and no
// further round. The garbler gets its shares m, uniform and fresh; the evaluator gets b - m mod 2^width and learns
// nothing else.
//
// For every output bit, with zero label L and permute bit p (its lowest bit), the garbler sends at place v ^ p
//     c_{v ^ p} = ((v - m) mod 2^width) ^ H_i(L ^ v delta)          for v = 0, 1
// and the evaluator, whose label has colour b ^ p, opens exactly one. Index i is fresh for every output wire of a tile
// (hash.hpp). Message: n x output_bits pairs (c_0, c_1) of `width` bits each in wire order, packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/garbling.hpp"
#include "core/prg.hpp"

namespace capc::mpc {

struct GarblerProjection {
    Bytes message;
    std::vector<std::uint64_t> shares;  // m, n x output words
};

// Both throw ParameterError for a width outside 1..64 or a circuit with wider output words; the garbler's side may be
// called once a garbling, and throws OrderError after that. The evaluator's throws LengthError and MalformedError.
GarblerProjection project(Garbling& garbling, unsigned width, Prg& randomness);
std::vector<std::uint64_t> open_projection(const Evaluation& evaluation, unsigned width, const std::uint8_t* message,
                                           std::size_t bytes);

}  // namespace capc::mpc
