// Randomness. It comes from the operating system, or from AES-128 in counter mode under a 16-byte seed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"

namespace mpc {

// Fills `out` from getrandom(2). Throws RandomnessError if the operating system refuses.
void system_random(void* out, std::size_t bytes);
Block system_random_block();

// A deterministic stream of AES_seed(place ^ 0), AES_seed(place ^ 1), ... The place keeps streams under many seeds from
// encrypting the same blocks, which one search could be for all of. Each request starts at a fresh block, so a request of
// k bytes consumes ceil(k / 16) blocks: the same sequence of requests gives the same bytes. One seed, one purpose.
class Prg {
public:
    explicit Prg(const Block& seed, const Block& place = Block{}) : aes_(seed, place) {}

    void fill(void* out, std::size_t bytes);
    void fill_blocks(Block* out, std::size_t count);
    Block block();
    std::uint64_t word() { return block().lo; }

private:
    Aes128 aes_;
    std::uint64_t next_ = 0;
};

}  // namespace mpc
