// Up to four sponges side by side, and the kernels that permute them. Every level of cpu.hpp gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/prio/keccak.hpp"

namespace mpc::prio {

constexpr std::size_t kLanes = 4;
constexpr std::size_t kRate = 168;  // bytes a permutation absorbs or yields, of TurboSHAKE128
constexpr std::size_t kRateWords = kRate / 8;

// Word i of lane l is words[i][l].
struct alignas(32) LaneState {
    std::uint64_t words[kStateWords][kLanes];
};

// Each takes `lanes` of the lanes, from 1 to kLanes, and may change the others.
struct LaneKernels {
    void (*absorb)(LaneState& state, const std::uint8_t* const* blocks, std::size_t lanes);  // kRate bytes each
    void (*permute)(LaneState& state, std::size_t lanes);
    void (*extract)(const LaneState& state, std::uint8_t* const* blocks, std::size_t lanes);  // kRate bytes each
};

// The table of the level in use (cpu::level()).
const LaneKernels& lane_kernels();

extern const LaneKernels lanes_portable;
#if defined(MPC_X86_KERNELS)
extern const LaneKernels lanes_avx2;
#endif

}  // namespace mpc::prio
