// The AES kernels compiled for VAES on 512-bit vectors; see ciphers_x86.hpp, and CMakeLists.txt for the options.
#include "core/aes/ciphers_x86.hpp"

namespace mpc {

const CipherKernels cipher_kernels_vaes512 = {expand_key, encrypt<V512>, counter_mode<V512>, streams<V512>};

}  // namespace mpc
