// Sponges one after the other, in plain 64-bit words, and the choice of the kernels.
#include <cstring>

#include "core/base/cpu.hpp"
#include "core/prio/lanes.hpp"

namespace mpc::prio {
namespace {

struct OneLane {
    using Word = std::uint64_t;
    static MPC_INLINE Word exclusive(Word a, Word b) { return a ^ b; }
    static MPC_INLINE Word and_not(Word a, Word b) { return ~a & b; }
    static MPC_INLINE Word constant(std::uint64_t value) { return value; }
    template <unsigned r>
    static MPC_INLINE Word rotate(Word a) {
        return a << r | a >> (64 - r) % 64;
    }
};

void permute_lanes(LaneState& state, std::size_t lanes) {
    std::uint64_t words[kStateWords];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        for (std::size_t i = 0; i < kStateWords; ++i) words[i] = state.words[i][lane];
        permute<OneLane>(words);
        for (std::size_t i = 0; i < kStateWords; ++i) state.words[i][lane] = words[i];
    }
    wipe(words, sizeof words);
}

void absorb_blocks(LaneState& state, const std::uint8_t* const* blocks, std::size_t lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        for (std::size_t i = 0; i < kRateWords; ++i) {
            std::uint64_t word;
            std::memcpy(&word, blocks[lane] + 8 * i, 8);
            state.words[i][lane] ^= word;
        }
    }
    permute_lanes(state, lanes);
}

void extract_blocks(const LaneState& state, std::uint8_t* const* blocks, std::size_t lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane)
        for (std::size_t i = 0; i < kRateWords; ++i) std::memcpy(blocks[lane] + 8 * i, &state.words[i][lane], 8);
}

}  // namespace

const LaneKernels lanes_portable = {absorb_blocks, permute_lanes, extract_blocks};

const LaneKernels& lane_kernels() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("avx2")) return lanes_avx2;
#endif
    return lanes_portable;
}

}  // namespace mpc::prio
