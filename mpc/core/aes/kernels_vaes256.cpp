// The AES kernels compiled for VAES on 256-bit vectors; see ciphers_x86.hpp, and CMakeLists.txt for the options.
#include "core/aes/ciphers_x86.hpp"

namespace mpc {

const CipherKernels cipher_kernels_vaes256 = {expand_key, encrypt<V256>, counter_mode<V256>, streams<V256>};

}  // namespace mpc
