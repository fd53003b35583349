// AES-128 encryption (FIPS 197) over many blocks, on the level that cpu.hpp chose. Constant-time on every level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"

namespace mpc {

struct RoundKeys {
    Block keys[11];
};

class Aes128 {
public:
    // Encrypts x as AES_key(x ^ tweak).
    explicit Aes128(const Block& key, const Block& tweak = Block{});
    ~Aes128() { wipe(&round_keys_, sizeof round_keys_); }
    Aes128(const Aes128&) = default;
    Aes128& operator=(const Aes128&) = default;

    // out[i] = AES(in[i]); `in` and `out` may be the same array.
    void encrypt(const Block* in, Block* out, std::size_t count) const;
    // out[i] = AES(first + i), the counter being the 64-bit little-endian low half with `high` above it.
    void counter_mode(std::uint64_t first, std::uint64_t high, Block* out, std::size_t count) const;

private:
    RoundKeys round_keys_;
};

}  // namespace mpc
