// The x86 kernels, written once over a vector type and compiled once an instruction set (kernels_aesni.cpp,
// kernels_vaes256.cpp, kernels_vaes512.cpp): AES, hashing and the walk through a tile's gates. What is done at an AND
// gate is in half_gates_x86.hpp and three_halves_x86.hpp. Only the files of an instruction set include these.
//
// Everything here has internal linkage and nothing from the standard library is instantiated, so that no function
// compiled for AVX-512 can be linked into code that runs elsewhere.
//
// Constant-time: colour bits are masks, branches and addresses follow the public circuit only.
#pragma once

#include "core/aes/vectors_x86.hpp"
#include "core/garbling/kernels.hpp"

#if defined(__clang__)
#define MPC_UNROLL_ROUNDS _Pragma("unroll 9")
#else
#define MPC_UNROLL_ROUNDS _Pragma("GCC unroll 9")
#endif

namespace mpc {
namespace {

constexpr std::uint32_t kRotateLastWord = 0x0C0F0E0D;  // bytes 13, 14, 15, 12 of a block
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

// The lanes of most tiles: known to the compiler, and no vector is left over.
struct WholeTile {
    constexpr operator std::size_t() const { return kTile; }
};

template <class V, std::size_t N, class Body>
MPC_INLINE void in_groups(WholeTile, Body body) {
    static_assert(kTile % (N * V::blocks) == 0, "the last group of lanes is a whole one");
    for (std::size_t i = 0; i < kTile; i += N * V::blocks) body.template operator()<V, N>(i);
}

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

// Four vectors a key at a time, which is what OT extension asks for: a function call a key would cost a fifth more.
template <class V>
void streams(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
             std::size_t count) {
    for (std::size_t k = 0; k < key_count; ++k) {
        in_groups<V, 4>(count, CounterMode<V>{keys[k], first, 0, out + k * stride});
    }
}

struct Shift {
    Block* blocks;
    const std::uint8_t* bits;
    const Block& delta;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        const typename W::T everywhere = W::repeat(&delta);
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;  // a multiple of the vector's blocks: within one byte
            const std::uint64_t some = std::uint64_t{bits[at / 8]} >> (at % 8);
            W::store(blocks + at, W::exclusive_where(W::where(some), W::load(blocks + at), everywhere));
        }
    }
};

template <class V>
void shift(Block* blocks, const std::uint8_t* bits, std::size_t count, const Block& delta) {
    in_groups<V, 4>(count, Shift{blocks, bits, delta});
}

template <class V>
std::uint64_t colours(const Block* row, std::size_t lanes) {
    std::uint64_t bits = 0;
    std::size_t i = 0;
    for (; i + 8 <= lanes; i += 8) bits |= V::eight_colours(row + i) << i;
    for (; i < lanes; ++i) bits |= row[i].colour() << i;
    return bits;
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

template <bool three>
struct ExclusiveOr {
    const Block* a;
    const Block* b;
    const Block* x;
    Block* out;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            typename W::T sum = W::exclusive(W::load(a + at), W::load(b + at));
            if constexpr (three) sum = W::exclusive(sum, W::load(x + at));
            W::store(out + at, sum);
        }
    }
};

// The round keys of one gate, in vectors W.
template <class W>
struct GateKeys {
    const Block* first;  // the others follow a row of the batch apart

    MPC_INLINE typename W::T a(std::size_t round) const { return W::repeat(first + round * kKeyBatch); }
    MPC_INLINE typename W::T b(std::size_t round) const { return W::repeat(first + round * kKeyBatch + 1); }
    MPC_INLINE typename W::T ab(std::size_t round) const {  // three halves
        return W::repeat(first + round * kKeyBatch + 2);
    }
};

// One AND gate: its rows and the place of its two or three keys in the batch.
template <class V>
struct AndGate {
    const KeyBatch<V>& keys;
    std::size_t key;
    const Block* a;
    const Block* x;
    const Block* b;
    const Block* y;
    const Block* z;
    Block* out;
    std::uint8_t* tables;          // the gate's row
    std::uint8_t* evaluator_half;  // half-gates: the second part of the row, behind the garbler's half
    std::size_t lanes;

    template <class W>
    MPC_INLINE GateKeys<W> round_keys() const {
        const Block* first = &keys.round[0][key];
        // Sixteen registers cannot keep the keys from one group of lanes to the next. A compiler that sees that they
        // stay the same copies them all to the stack, for each gate.
        if constexpr (V::blocks < 4) __asm__ __volatile__("" : "+r"(first));
        return {first};
    }
    template <class W, bool fused>
    MPC_INLINE typename W::T operand(const Block* first, const Block* second, std::size_t at) const {
        const typename W::T label = W::load(first + at);
        if constexpr (!fused) return label;
        return W::exclusive(label, W::load(second + at));
    }
};

// Walks the gates of a run; `handle_and(gate, rows and keys, lanes)` does one AND gate over all lanes.
template <class V, TableFormat format, class Lanes, class HandleAnd>
MPC_INLINE std::size_t walk_gates(GateRun& run, Lanes lanes, HandleAnd handle_and) {
    constexpr std::size_t per_and = keys_per_and(format);
    constexpr std::size_t batch = kKeyBatch / per_and * per_and;
    const std::size_t row = row_bytes(format, lanes);
    const std::size_t count = run.gate_count, and_limit = run.and_limit, stride = run.stride;
    const Block* const* rows = run.rows;
    Block* const slots = run.slots;
    std::uint8_t* tables = run.tables;
    KeyBatch<V> keys;
    std::size_t key = 0;
    std::size_t keys_ready = 0;
    std::size_t ands = 0;
    const Gate* gate = run.gates;
    const Gate* const end = gate + count;
    for (; gate != end; ++gate) {
        const Block* a = rows[gate->a];
        const Block* b = rows[gate->b];
        const Block* x = rows[gate->x];
        Block* out = slots + gate->out * stride;
        if ((gate->kind & Gate::is_and) == 0) {
            if ((gate->kind & Gate::fused) != 0) {
                in_groups<V, 4>(lanes, ExclusiveOr<true>{a, b, x, out});
            } else {
                in_groups<V, 4>(lanes, ExclusiveOr<false>{a, b, x, out});
            }
            continue;
        }
        if (ands == and_limit) break;
        if (key == keys_ready) {
            const std::size_t wanted = per_and * (and_limit - ands);
            keys_ready = wanted < batch ? wanted : batch;
            keys.expand(run.salt, run.index + per_and * ands, keys_ready);
            key = 0;
        }
        handle_and(*gate, AndGate<V>{keys, key, a, x, b, rows[gate->y], rows[gate->z], out, tables,
                                     tables + lanes * sizeof(Block), lanes},
                   lanes);
        key += per_and;
        tables += row;
        ++ands;
    }
    run.index += per_and * ands;
    run.tables = tables;
    return static_cast<std::size_t>(gate - run.gates);
}

template <class V, TableFormat format, class HandleAnd>
MPC_INLINE std::size_t walk(GateRun& run, HandleAnd handle_and) {
    if (run.lanes == kTile) return walk_gates<V, format>(run, WholeTile{}, handle_and);
    return walk_gates<V, format>(run, run.lanes, handle_and);
}

}  // namespace
}  // namespace mpc
