// The inner loops of AES over many blocks, one table of functions for each CPU level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"

namespace mpc {

// Keys of the fixed-key hash (hash.hpp) that are expanded at once.
constexpr std::size_t kKeyBatch = 32;

struct CipherKernels {
    void (*expand_key)(const Block& key, RoundKeys* out);
    void (*encrypt)(const RoundKeys& keys, const Block* in, Block* out, std::size_t count);
    void (*counter_mode)(const RoundKeys& keys, std::uint64_t first, std::uint64_t high, Block* out,
                         std::size_t count);
    // As counter_mode with `high` zero, under `key_count` keys: `count` blocks each, key k's from out + k * stride on.
    void (*streams)(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
                    std::size_t count);
};

// The table of the level in use (cpu::level()).
const CipherKernels& cipher_kernels();

extern const CipherKernels cipher_kernels_portable;
#if defined(MPC_X86_KERNELS)
extern const CipherKernels cipher_kernels_aesni;
extern const CipherKernels cipher_kernels_vaes256;
extern const CipherKernels cipher_kernels_vaes512;
#endif

}  // namespace mpc
