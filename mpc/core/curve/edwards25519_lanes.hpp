// Eight points of edwards25519 at once, for processors with AVX-512 IFMA. Limbs in and out are those of field25519.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/curve/edwards25519.hpp"

namespace mpc {

constexpr std::size_t kLanes = 8;
constexpr int kWindows = 64;   // of a scalar, four bits each
constexpr int kEntries = 8;    // of a table: digits are -8..8

// Digits of one scalar: sum of digit[i] 16^i, each in [-8, 8].
using Digits = std::int8_t[kWindows];

struct LaneKernels {
    // out[l] = scalar points[l], one scalar for all lanes.
    void (*multiply)(const Digits digits, const Point* points, Point* out);
    // out[l] = scalars[l] P from P's FixedBase table.
    void (*multiply_fixed)(const AffinePoint* table, const Digits* digits, Point* out);
    // out[l] = in[l]^((p - 5) / 8)
    void (*power_p58)(const Field* in, Field* out);
};

// Null where the processor (or the level that cpu.hpp was forced to) cannot run them.
const LaneKernels* lane_kernels();

#if defined(MPC_X86_KERNELS)
extern const LaneKernels lane_kernels_ifma;
#endif

}  // namespace mpc
