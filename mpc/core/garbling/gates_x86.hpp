// The x86 walk through the gates of a tile, written once over a vector type and compiled once for each instruction set
// (kernels_aesni.cpp, kernels_vaes256.cpp, kernels_vaes512.cpp). What is done at an AND gate is in half_gates_x86.hpp
// and three_halves_x86.hpp.
//
// Only the files of an instruction set include these. The rules of core/aes/rounds_x86.hpp hold here too. All is
// constant-time, as permute bits are masks, and branches and addresses follow the public circuit only.
#pragma once

#include "core/aes/rounds_x86.hpp"
#include "core/garbling/kernels.hpp"

namespace mpc {
namespace {

// The lanes of most tiles: known to the compiler, and no vector is left over.
struct WholeTile {
    constexpr operator std::size_t() const { return kTile; }
};

template <class V, std::size_t N, class Body>
MPC_INLINE void in_groups(WholeTile, Body body) {
    static_assert(kTile % (N * V::blocks) == 0, "the last group of lanes is a whole one");
    for (std::size_t i = 0; i < kTile; i += N * V::blocks) body.template operator()<V, N>(i);
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
