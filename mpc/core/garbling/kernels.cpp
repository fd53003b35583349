// Picks the kernel table of the CPU level in use.
#include "core/garbling/kernels.hpp"

#include "core/base/cpu.hpp"

namespace mpc {

const Kernels& kernels() {
#if defined(MPC_X86_KERNELS)
    switch (cpu::level()) {
        case cpu::Level::vaes512: return kernels_vaes512;
        case cpu::Level::vaes256: return kernels_vaes256;
        case cpu::Level::aesni: return kernels_aesni;
        case cpu::Level::portable: break;
    }
#endif
    return kernels_portable;
}

}  // namespace mpc
