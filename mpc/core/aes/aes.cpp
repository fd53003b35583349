// AES-128 through the kernels of the chosen level; see aes.hpp.
#include "core/aes/aes.hpp"

#include "core/aes/kernels.hpp"

namespace mpc {

Aes128::Aes128(const Block& key, const Block& tweak) {
    cipher_kernels().expand_key(key, &round_keys_);
    round_keys_.keys[0] ^= tweak;  // the first thing that is added to a block
}

void Aes128::encrypt(const Block* in, Block* out, std::size_t count) const {
    cipher_kernels().encrypt(round_keys_, in, out, count);
}

void Aes128::counter_mode(std::uint64_t first, std::uint64_t high, Block* out, std::size_t count) const {
    cipher_kernels().counter_mode(round_keys_, first, high, out, count);
}

}  // namespace mpc
