// The AES kernels without any AES instruction. AES is bitsliced in plain words, and no branch or address depends on a
// secret.
#include "core/aes/bitsliced_aes.hpp"
#include "core/aes/kernels.hpp"

namespace mpc {

namespace {

constexpr std::size_t kChunk = bitsliced::kBlocks;

void expand_key(const Block& key, RoundKeys* out) { bitsliced::expand_keys(&key, 1, out); }

void encrypt_spread(const bitsliced::Schedule& schedule, const Block* in, Block* out, std::size_t count) {
    std::size_t i = 0;
    for (; i + kChunk <= count; i += kChunk) bitsliced::encrypt(schedule, in + i, out + i);
    if (i < count) {
        Block rest[kChunk] = {};
        std::memcpy(rest, in + i, (count - i) * sizeof(Block));
        bitsliced::encrypt(schedule, rest, rest);
        std::memcpy(out + i, rest, (count - i) * sizeof(Block));
    }
}

void encrypt(const RoundKeys& keys, const Block* in, Block* out, std::size_t count) {
    encrypt_spread(bitsliced::spread(keys), in, out, count);
}

void counter_mode(const RoundKeys& keys, std::uint64_t first, std::uint64_t high, Block* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out[i] = Block{first + i, high};
    encrypt(keys, out, out, count);
}

void streams(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
             std::size_t count) {
    for (std::size_t k = 0; k < key_count; ++k) counter_mode(keys[k], first, 0, out + k * stride, count);
}

}  // namespace

const CipherKernels cipher_kernels_portable = {expand_key, encrypt, counter_mode, streams};

}  // namespace mpc
