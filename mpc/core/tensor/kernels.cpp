// Picks the table of kernels for the CPU level in use.
#include "core/tensor/kernels.hpp"

#include "core/base/cpu.hpp"

namespace mpc::tensor {

const Kernels& kernels() {
#if defined(MPC_X86_KERNELS)
    const cpu::Level level = cpu::level();
    if (level == cpu::Level::vaes512) return kernels_avx512;
    if (level != cpu::Level::portable && __builtin_cpu_supports("avx2")) return kernels_avx2;
#endif
    return kernels_portable;
}

}  // namespace mpc::tensor
