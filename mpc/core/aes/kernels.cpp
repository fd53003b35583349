// Picks the table of AES kernels for the CPU level in use.
#include "core/aes/kernels.hpp"

#include "core/base/cpu.hpp"

namespace mpc {

const CipherKernels& cipher_kernels() {
#if defined(MPC_X86_KERNELS)
    switch (cpu::level()) {
        case cpu::Level::vaes512: return cipher_kernels_vaes512;
        case cpu::Level::vaes256: return cipher_kernels_vaes256;
        case cpu::Level::aesni: return cipher_kernels_aesni;
        case cpu::Level::portable: break;
    }
#endif
    return cipher_kernels_portable;
}

}  // namespace mpc
