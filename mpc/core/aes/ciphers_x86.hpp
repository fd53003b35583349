// The x86 kernels of AES over many blocks, written once over a vector type. Only a file that is compiled for one
// instruction set includes this. The rules of rounds_x86.hpp hold here too.
#pragma once

#include "core/aes/rounds_x86.hpp"

namespace mpc {
namespace {

constexpr std::uint32_t kRotateLastWord = 0x0C0F0E0D;  // bytes 13, 14, 15, 12 of a block

void expand_key(const Block& key, RoundKeys* out) {
    const __m128i rotate = V128::words(kRotateLastWord);
    __m128i k = V128::load(&key);
    V128::store(&out->keys[0], k);
    for (std::size_t round = 0; round < 10; ++round) {
        k = V128::next_key(k, rotate, V128::words(kRoundConstants[round]));
        V128::store(&out->keys[round + 1], k);
    }
}

template <class V>
struct Encrypt {
    const RoundKeys& keys;
    const Block* in;
    Block* out;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        typename W::T x[N];
        for (std::size_t i = 0; i < N; ++i) x[i] = W::load(in + offset + i * W::blocks);
        encrypt_vectors<W, N>(x, [this](std::size_t round) { return W::repeat(&keys.keys[round]); });
        for (std::size_t i = 0; i < N; ++i) W::store(out + offset + i * W::blocks, x[i]);
    }
};

template <class V>
void encrypt(const RoundKeys& keys, const Block* in, Block* out, std::size_t count) {
    in_groups<V, 8>(count, Encrypt<V>{keys, in, out});
}

template <class V>
struct CounterMode {
    const RoundKeys& keys;
    std::uint64_t first;
    std::uint64_t high;
    Block* out;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        typename W::T x[N];
        for (std::size_t i = 0; i < N; ++i) x[i] = W::counters(first + offset + i * W::blocks, high);
        encrypt_vectors<W, N>(x, [this](std::size_t round) { return W::repeat(&keys.keys[round]); });
        for (std::size_t i = 0; i < N; ++i) W::store(out + offset + i * W::blocks, x[i]);
    }
};

template <class V>
void counter_mode(const RoundKeys& keys, std::uint64_t first, std::uint64_t high, Block* out, std::size_t count) {
    in_groups<V, 8>(count, CounterMode<V>{keys, first, high, out});
}

// Four vectors a key at a time, which is what OT extension asks for: a function call a key would cost a fifth more. Two
// where there are fewer blocks, as in a small extension.
template <class V>
void streams(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
             std::size_t count) {
    for (std::size_t k = 0; k < key_count; ++k) {
        const CounterMode<V> stream{keys[k], first, 0, out + k * stride};
        if (count >= 4 * V::blocks) {
            in_groups<V, 4>(count, stream);
        } else {
            in_groups<V, 2>(count, stream);
        }
    }
}

}  // namespace
}  // namespace mpc
