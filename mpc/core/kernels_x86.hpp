// The x86 kernels, written once over a vector type and compiled once an instruction set (kernels_aesni.cpp,
// kernels_vaes256.cpp, kernels_vaes512.cpp). Only those files include this one.
//
// Everything here has internal linkage and nothing from the standard library is instantiated, so that no function
// compiled for AVX-512 can be linked into code that runs elsewhere.
//
// Half-gates (Zahur, Rosulek, Evans, EUROCRYPT 2015, figure 2), garbling directly above evaluation. Constant-time:
// colour bits are masks, branches and addresses follow the public circuit only.
#pragma once

#include "core/kernels.hpp"
#include "core/vectors_x86.hpp"

#if defined(__clang__)
#define CAPC_UNROLL_ROUNDS _Pragma("unroll 9")
#else
#define CAPC_UNROLL_ROUNDS _Pragma("GCC unroll 9")
#endif

namespace capc::mpc {
namespace {

constexpr std::uint32_t kRotateLastWord = 0x0C0F0E0D;  // bytes 13, 14, 15, 12 of a block
constexpr std::uint32_t kRoundConstants[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36};

// AES on N vectors at once, one round key for all: `key(round)` gives it.
template <class V, std::size_t N, class Key>
CAPC_INLINE void encrypt_vectors(typename V::T* x, Key key) {
    const typename V::T whitening = key(0);
    for (std::size_t i = 0; i < N; ++i) x[i] = V::exclusive(x[i], whitening);
CAPC_UNROLL_ROUNDS
    for (std::size_t round = 1; round < 10; ++round) {
        const typename V::T k = key(round);
        for (std::size_t i = 0; i < N; ++i) x[i] = V::round(x[i], k);
    }
    const typename V::T last = key(10);
    for (std::size_t i = 0; i < N; ++i) x[i] = V::last_round(x[i], last);
}

// Calls body(V{}, N, offset) over `count` blocks: groups of N vectors, then single vectors, then single blocks.
template <class V, std::size_t N, class Body>
CAPC_INLINE void in_groups(std::size_t count, Body body) {
    std::size_t i = 0;
    for (; i + N * V::blocks <= count; i += N * V::blocks) body.template operator()<V, N>(i);
    for (; i + V::blocks <= count; i += V::blocks) body.template operator()<V, 1>(i);
    if constexpr (V::blocks > 1) {
        for (; i < count; ++i) body.template operator()<V128, 1>(i);
    }
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
    CAPC_INLINE void operator()(std::size_t offset) const {
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
    CAPC_INLINE void operator()(std::size_t offset) const {
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

template <class V>
struct Hash {
    const RoundKeys& keys;
    const Block* in;
    Block* out;

    template <class W, std::size_t N>
    CAPC_INLINE void operator()(std::size_t offset) const {
        typename W::T x[N], s[N];
        for (std::size_t i = 0; i < N; ++i) s[i] = x[i] = W::sigma(W::load(in + offset + i * W::blocks));
        encrypt_vectors<W, N>(x, [this](std::size_t round) { return W::repeat(&keys.keys[round]); });
        for (std::size_t i = 0; i < N; ++i) W::store(out + offset + i * W::blocks, W::exclusive(x[i], s[i]));
    }
};

template <class V>
void hash(const Block& salt, std::uint64_t index, const Block* in, Block* out, std::size_t count) {
    RoundKeys keys;
    expand_key(salt ^ Block{index, 0}, &keys);
    in_groups<V, 4>(count, Hash<V>{keys, in, out});
}

struct Shift {
    Block* blocks;
    const std::uint8_t* bits;
    const Block& delta;

    template <class W, std::size_t N>
    CAPC_INLINE void operator()(std::size_t offset) const {
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
    if constexpr (V::blocks == 4) {
        for (; i + 8 <= lanes; i += 8) bits |= V::eight_colours(row + i) << i;
    }
    for (; i < lanes; ++i) bits |= row[i].colour() << i;
    return bits;
}

// The round keys of kKeyBatch hash keys, round by round: salt ^ i for i from `index` on. They are public.
template <class V>
struct alignas(64) KeyBatch {
    Block round[11][kKeyBatch];

    CAPC_INLINE void expand(const Block& salt, std::uint64_t index, std::size_t count) {
        constexpr std::size_t N = 4;
        const typename V::T rotate = V::words(kRotateLastWord);
        for (std::size_t first = 0; first < count; first += N * V::blocks) {
            typename V::T k[N];
            for (std::size_t i = 0; i < N; ++i) {
                k[i] = V::exclusive(V::counters(index + first + i * V::blocks, 0), V::repeat(&salt));
                V::store(&round[0][first + i * V::blocks], k[i]);
            }
            for (std::size_t r = 0; r < 10; ++r) {
                const typename V::T constant = V::words(kRoundConstants[r]);
                for (std::size_t i = 0; i < N; ++i) {
                    k[i] = V::next_key(k[i], rotate, constant);
                    V::store(&round[r + 1][first + i * V::blocks], k[i]);
                }
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
    CAPC_INLINE void operator()(std::size_t offset) const {
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            typename W::T sum = W::exclusive(W::load(a + at), W::load(b + at));
            if constexpr (three) sum = W::exclusive(sum, W::load(x + at));
            W::store(out + at, sum);
        }
    }
};

// One AND gate: its rows and its two keys' place in the batch.
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
    std::uint8_t* garbler_half;
    std::uint8_t* evaluator_half;

    template <class W>
    CAPC_INLINE typename W::T key_a(std::size_t round) const {
        return W::repeat(&keys.round[round][key]);
    }
    template <class W>
    CAPC_INLINE typename W::T key_b(std::size_t round) const {
        return W::repeat(&keys.round[round][key + 1]);
    }
    template <class W, bool fused>
    CAPC_INLINE typename W::T operand(const Block* first, const Block* second, std::size_t at) const {
        const typename W::T label = W::load(first + at);
        if constexpr (!fused) return label;
        return W::exclusive(label, W::load(second + at));
    }
};

// Walks the gates of a run; `handle_and(gate, rows and keys)` does one AND gate over all lanes.
template <class V, class HandleAnd>
CAPC_INLINE std::size_t walk(GateRun& run, HandleAnd handle_and) {
    KeyBatch<V> keys;
    std::size_t key = 0;
    std::size_t keys_ready = 0;
    std::size_t ands = 0;
    std::size_t done = 0;
    for (; done < run.gate_count; ++done) {
        const Gate& gate = run.gates[done];
        const Block* a = run.rows[gate.a];
        const Block* b = run.rows[gate.b];
        const Block* x = run.rows[gate.x];
        Block* out = run.slots + gate.out * run.stride;
        if ((gate.kind & Gate::is_and) == 0) {
            if ((gate.kind & Gate::fused) != 0) {
                in_groups<V, 4>(run.lanes, ExclusiveOr<true>{a, b, x, out});
            } else {
                in_groups<V, 4>(run.lanes, ExclusiveOr<false>{a, b, x, out});
            }
            continue;
        }
        if (ands == run.and_limit) break;
        if (key == keys_ready) {
            const std::size_t wanted = 2 * (run.and_limit - ands);
            keys_ready = wanted < kKeyBatch ? wanted : kKeyBatch;
            keys.expand(run.salt, run.index, keys_ready);
            key = 0;
        }
        handle_and(gate, AndGate<V>{keys, key, a, x, b, run.rows[gate.y], run.rows[gate.z], out, run.tables,
                                    run.tables + run.lanes * sizeof(Block)});
        key += 2;
        run.tables += 2 * run.lanes * sizeof(Block);
        run.index += 2;
        ++ands;
    }
    return done;
}

// With A, B the zero labels of the operands, p_a, p_b their colours, H and H' the hash under the gate's two keys:
//     garbler's half    T_G = H(A) ^ H(A ^ delta) ^ p_b delta         W_G = H(A) ^ p_a T_G
//     evaluator's half  T_E = H'(B) ^ H'(B ^ delta) ^ A               W_E = H'(B) ^ p_b (T_E ^ A)
// and W_G ^ W_E is the zero label of the output. As H(x) = AES(sigma(x)) ^ sigma(x) and sigma is linear, the two inner
// differences are AES(..) ^ AES(..) ^ sigma(delta).
template <class V, bool fused>
struct GarbleAnd {
    AndGate<V> gate;
    const Block& delta;
    const Block& flip_a;  // delta if the operand is read inverted, else zero
    const Block& flip_b;

    template <class W, std::size_t N>
    CAPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        const T delta_everywhere = W::repeat(&delta);
        const T sigma_delta = W::sigma(delta_everywhere);
        T zero_a[N], feed[N], garbler_end[N], a0[N], a1[N], b0[N], b1[N];
        typename W::Mask colour_a[N], colour_b[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            zero_a[i] = W::exclusive(gate.template operand<W, fused>(gate.a, gate.x, at), W::repeat(&flip_a));
            const T zero_b = W::exclusive(gate.template operand<W, fused>(gate.b, gate.y, at), W::repeat(&flip_b));
            colour_a[i] = W::colour(zero_a[i]);
            colour_b[i] = W::colour(zero_b);
            garbler_end[i] = W::exclusive_where(colour_b[i], sigma_delta, delta_everywhere);
            const T sigma_a = W::sigma(zero_a[i]);
            const T sigma_b = W::sigma(zero_b);
            feed[i] = W::exclusive(sigma_a, sigma_b);
            if constexpr (fused) feed[i] = W::exclusive(feed[i], W::load(gate.z + at));
            a0[i] = W::exclusive(sigma_a, gate.template key_a<W>(0));
            a1[i] = W::exclusive(a0[i], sigma_delta);
            b0[i] = W::exclusive(sigma_b, gate.template key_b<W>(0));
            b1[i] = W::exclusive(b0[i], sigma_delta);
        }
CAPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = gate.template key_a<W>(round);
            const T key_b = gate.template key_b<W>(round);
            for (std::size_t i = 0; i < N; ++i) {
                a0[i] = W::round(a0[i], key_a);
                a1[i] = W::round(a1[i], key_a);
                b0[i] = W::round(b0[i], key_b);
                b1[i] = W::round(b1[i], key_b);
            }
        }
        const T key_a = gate.template key_a<W>(10);
        const T key_b = gate.template key_b<W>(10);
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            a0[i] = W::last_round(a0[i], key_a);
            a1[i] = W::last_round(a1[i], key_a);
            b0[i] = W::last_round(b0[i], key_b);
            b1[i] = W::last_round(b1[i], key_b);
            const T garbler_row = W::exclusive(W::exclusive(a0[i], a1[i]), garbler_end[i]);
            const T differ_b = W::exclusive(W::exclusive(b0[i], b1[i]), sigma_delta);
            W::store(gate.garbler_half + at * sizeof(Block), garbler_row);
            W::store(gate.evaluator_half + at * sizeof(Block), W::exclusive(differ_b, zero_a[i]));
            T zero_out = W::exclusive(W::exclusive(a0[i], b0[i]), feed[i]);
            zero_out = W::exclusive_where(colour_a[i], zero_out, garbler_row);
            W::store(gate.out + at, W::exclusive_where(colour_b[i], zero_out, differ_b));
        }
    }
};

template <class V>
std::size_t garble(GateRun& run, const Block& delta) {
    const Block nothing{};
    return walk<V>(run, [&](const Gate& gate, const AndGate<V>& rows) {
        const Block& flip_a = (gate.kind & Gate::invert_a) != 0 ? delta : nothing;
        const Block& flip_b = (gate.kind & Gate::invert_b) != 0 ? delta : nothing;
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, 2>(run.lanes, GarbleAnd<V, true>{rows, delta, flip_a, flip_b});
        } else {
            in_groups<V, 2>(run.lanes, GarbleAnd<V, false>{rows, delta, flip_a, flip_b});
        }
    });
}

// With A, B the labels that the evaluator holds and s_a, s_b their colours, the label of the output is
//     H(A) ^ s_a T_G ^ H'(B) ^ s_b (T_E ^ A).
// Everything but the two AES calls is summed up before them.
template <class V, bool fused>
struct EvaluateAnd {
    AndGate<V> gate;

    template <class W, std::size_t N>
    CAPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        T sum[N], hash_a[N], hash_b[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            const T label_a = gate.template operand<W, fused>(gate.a, gate.x, at);
            const T label_b = gate.template operand<W, fused>(gate.b, gate.y, at);
            const T garbler_row = W::load(gate.garbler_half + at * sizeof(Block));
            const T evaluator_row = W::load(gate.evaluator_half + at * sizeof(Block));
            const T sigma_a = W::sigma(label_a);
            const T sigma_b = W::sigma(label_b);
            sum[i] = W::exclusive(sigma_a, sigma_b);
            if constexpr (fused) sum[i] = W::exclusive(sum[i], W::load(gate.z + at));
            sum[i] = W::exclusive_where(W::colour(label_a), sum[i], garbler_row);
            sum[i] = W::exclusive_where(W::colour(label_b), sum[i], W::exclusive(evaluator_row, label_a));
            hash_a[i] = W::exclusive(sigma_a, gate.template key_a<W>(0));
            hash_b[i] = W::exclusive(sigma_b, gate.template key_b<W>(0));
        }
CAPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = gate.template key_a<W>(round);
            const T key_b = gate.template key_b<W>(round);
            for (std::size_t i = 0; i < N; ++i) {
                hash_a[i] = W::round(hash_a[i], key_a);
                hash_b[i] = W::round(hash_b[i], key_b);
            }
        }
        const T key_a = gate.template key_a<W>(10);
        const T key_b = gate.template key_b<W>(10);
        for (std::size_t i = 0; i < N; ++i) {
            hash_a[i] = W::last_round(hash_a[i], key_a);
            hash_b[i] = W::last_round(hash_b[i], key_b);
            W::store(gate.out + offset + i * W::blocks, W::exclusive(W::exclusive(hash_a[i], hash_b[i]), sum[i]));
        }
    }
};

template <class V>
std::size_t evaluate(GateRun& run) {
    return walk<V>(run, [&run](const Gate& gate, const AndGate<V>& rows) {
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, 4>(run.lanes, EvaluateAnd<V, true>{rows});
        } else {
            in_groups<V, 4>(run.lanes, EvaluateAnd<V, false>{rows});
        }
    });
}

}  // namespace
}  // namespace capc::mpc
