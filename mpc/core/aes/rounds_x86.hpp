// What every x86 kernel does with AES, written once over a vector type (vectors_x86.hpp). Here are the rounds, the loop
// over blocks and the keys of the fixed-key hash.
//
// Only a file that is compiled for one instruction set includes this. Everything here has internal linkage, and nothing
// from the standard library is instantiated. So no function compiled for AVX-512 can be linked into code that runs
// elsewhere. All is constant-time, as branches and addresses follow public counts only.
#pragma once

#include "core/aes/kernels.hpp"
#include "core/aes/vectors_x86.hpp"

#if defined(__clang__)
#define MPC_UNROLL_ROUNDS _Pragma("unroll 9")
#else
#define MPC_UNROLL_ROUNDS _Pragma("GCC unroll 9")
#endif

namespace mpc {
namespace {

// RotWord of each word of a block, and what the row shift of the last AES round takes back.
constexpr Block kRotateWords{0x080F'0205'040B'0E01, 0x0007'0A0D'0C03'0609};
constexpr std::uint32_t kRoundConstants[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36};

// AES on N vectors at once, one round key for all: `key(round)` gives it.
template <class V, std::size_t N, class Key>
MPC_INLINE void encrypt_vectors(typename V::T* x, Key key) {
    const typename V::T whitening = key(0);
    for (std::size_t i = 0; i < N; ++i) x[i] = V::exclusive(x[i], whitening);
MPC_UNROLL_ROUNDS
    for (std::size_t round = 1; round < 10; ++round) {
        const typename V::T k = key(round);
        for (std::size_t i = 0; i < N; ++i) x[i] = V::round(x[i], k);
    }
    const typename V::T last = key(10);
    for (std::size_t i = 0; i < N; ++i) x[i] = V::last_round(x[i], last);
}

// Calls body(V{}, N, offset) over `count` blocks: groups of N vectors, then single vectors, then single blocks.
template <class V, std::size_t N, class Body>
MPC_INLINE void in_groups(std::size_t count, Body body) {
    std::size_t i = 0;
    for (; i + N * V::blocks <= count; i += N * V::blocks) body.template operator()<V, N>(i);
    for (; i + V::blocks <= count; i += V::blocks) body.template operator()<V, 1>(i);
    if constexpr (V::blocks > 1) {
        for (; i < count; ++i) body.template operator()<V128, 1>(i);
    }
}

// Word i of vector j to word j of vector i, in each block by itself.
template <class V>
MPC_INLINE void transpose_words(typename V::T* w) {
    const typename V::T a = V::lower_words(w[0], w[1]), b = V::lower_words(w[2], w[3]);
    const typename V::T c = V::upper_words(w[0], w[1]), d = V::upper_words(w[2], w[3]);
    w[0] = V::lower_halves(a, b);
    w[1] = V::upper_halves(a, b);
    w[2] = V::lower_halves(c, d);
    w[3] = V::upper_halves(c, d);
}

// The round keys of kKeyBatch hash keys, round by round: salt ^ i for i from `index` on. They are public.
//
// Of four vectors of keys, word by word, the key schedule (FIPS 197, section 5.2) is w_0 ^= s, w_1 ^= w_0, w_2 ^= w_1,
// w_3 ^= w_2 with s = SubWord(RotWord(w_3)) ^ constant: a last AES round, whose row shift the byte shuffle before it
// undoes. Transposing what comes out costs less than a schedule of each key by itself.
template <class V>
struct alignas(64) KeyBatch {
    union {  // which keeps it from being zeroed at each call
        Block round[11][kKeyBatch];
    };
    MPC_INLINE KeyBatch() {}

    MPC_INLINE void expand(const Block& salt, std::uint64_t index, std::size_t count) {
        using T = typename V::T;
        const T rotate = V::repeat(&kRotateWords);
        for (std::size_t first = 0; first < count; first += 4 * V::blocks) {
            T w[4];
            for (std::size_t i = 0; i < 4; ++i) {
                w[i] = V::exclusive(V::counters(index + first + i * V::blocks, 0), V::repeat(&salt));
                V::store(&round[0][first + i * V::blocks], w[i]);
            }
            transpose_words<V>(w);
            for (std::size_t r = 0; r < 10; ++r) {
                w[0] = V::exclusive(w[0], V::last_round(V::bytes(w[3], rotate), V::words(kRoundConstants[r])));
                for (std::size_t i = 1; i < 4; ++i) w[i] = V::exclusive(w[i], w[i - 1]);
                T k[4] = {w[0], w[1], w[2], w[3]};
                transpose_words<V>(k);
                for (std::size_t i = 0; i < 4; ++i) V::store(&round[r + 1][first + i * V::blocks], k[i]);
            }
        }
    }
};
static_assert(kKeyBatch % 16 == 0, "KeyBatch::expand writes four vectors of up to four keys at a time");

}  // namespace
}  // namespace mpc
