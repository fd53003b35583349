// Picks the table of garbling kernels for the CPU level in use.
#include "core/garbling/kernels.hpp"

#include "core/base/cpu.hpp"

namespace mpc {

const GarblingKernels& garbling_kernels() {
#if defined(MPC_X86_KERNELS)
    switch (cpu::level()) {
        case cpu::Level::vaes512: return garbling_kernels_vaes512;
        case cpu::Level::vaes256: return garbling_kernels_vaes256;
        case cpu::Level::aesni: return garbling_kernels_aesni;
        case cpu::Level::portable: break;
    }
#endif
    return garbling_kernels_portable;
}

}  // namespace mpc
