// The AES kernels compiled for AES-NI, one block an instruction; see ciphers_x86.hpp, and CMakeLists.txt for the
// options.
#include "core/aes/ciphers_x86.hpp"

namespace mpc {

const CipherKernels cipher_kernels_aesni = {expand_key, encrypt<V128>, counter_mode<V128>, streams<V128>};

}  // namespace mpc
