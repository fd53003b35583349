// AES-128 without table look-ups, for machines without AES instructions. It is bitsliced over eight blocks in plain
// words, and constant-time on any machine.
//
// The representation is that of Käsper and Schwabe (CHES 2009) in the 64-bit arrangement of BearSSL's aes_ct64, which
// keeps four blocks in eight 64-bit words. Here every word is a vector of two, which any compiler lowers to what the
// machine has. The S-box is the depth-16 circuit of Boyar and Peralta ("A small depth-16 circuit for the AES S-box",
// SEC 2012).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"

namespace mpc::bitsliced {

constexpr std::size_t kBlocks = 8;  // blocks that are encrypted together

using Slice = std::uint64_t __attribute__((vector_size(16)));

// Bit i of every byte of eight blocks, i = 0..7.
struct State {
    Slice q[8];
};

// The eleven round keys, each spread over all eight block positions.
struct Schedule {
    State round[11];
};

// Round keys of `count` keys at once (the S-box serves sixteen keys a pass).
void expand_keys(const Block* keys, std::size_t count, RoundKeys* out);
Schedule spread(const RoundKeys& keys);
// out[i] = AES(in[i]) for exactly kBlocks blocks; `in` may be `out`.
void encrypt(const Schedule& schedule, const Block* in, Block* out);

}  // namespace mpc::bitsliced
