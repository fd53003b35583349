// The x86 kernels of half-gates (Zahur, Rosulek, Evans, EUROCRYPT 2015, figure 2), garbling directly above evaluation.
// Only the files that are compiled for one instruction set include this, as with gates_x86.hpp, whose rules hold here
// too.
#pragma once

#include "core/garbling/gates_x86.hpp"

namespace mpc {
namespace {

// Vectors of instances at a time: as many ciphers as hide their latency, and no more than the registers hold.
template <class V>
constexpr std::size_t kGarbledAtOnce = V::blocks == 4 ? 1 : 2;
template <class V>
constexpr std::size_t kEvaluatedAtOnce = V::blocks == 4 ? 2 : 4;

// With A, B the zero labels of the operands, p_a, p_b their colours, H and H' the hash under the gate's two keys:
//     garbler's half    T_G = H(A) ^ H(A ^ delta) ^ p_b delta         W_G = H(A) ^ p_a T_G
//     evaluator's half  T_E = H'(B) ^ H'(B ^ delta) ^ A               W_E = H'(B) ^ p_b (T_E ^ A)
// and W_G ^ W_E is the zero label of the output. As H(x) = AES(sigma(x)) ^ sigma(x) and sigma is linear, the two inner
// differences are AES(..) ^ AES(..) ^ sigma(delta). The last round keys bring sigma(delta) and p_b delta into the
// second of these ciphers: T_G and T_E ^ A become mere differences, and W_G and W_E choices between two ciphers.
template <class V, bool fused>
struct GarbleAnd {
    AndGate<V> gate;
    const Block& delta;
    const Block& flip_a;  // delta if the operand is read inverted, else zero
    const Block& flip_b;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        const auto keys = gate.template round_keys<W>();
        const T delta_everywhere = W::repeat(&delta);
        const T sigma_delta = W::sigma(delta_everywhere);
        const T last_a = keys.a(10);
        const T last_b = keys.b(10);
        const T last_b1 = W::exclusive(last_b, sigma_delta);
        const T last_a1 = W::exclusive(W::exclusive(last_a, sigma_delta), W::repeat(&flip_b));
        T zero_a[N], feed[N], a0[N], a1[N], b0[N], b1[N], own_last_a1[N];
        typename W::Colour colour_a[N], colour_b[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            zero_a[i] = W::exclusive(gate.template operand<W, fused>(gate.a, gate.x, at), W::repeat(&flip_a));
            const T some_b = gate.template operand<W, fused>(gate.b, gate.y, at);
            colour_a[i] = W::colour(zero_a[i]);
            colour_b[i] = W::colour(some_b);
            own_last_a1[i] = W::exclusive_where(colour_b[i], last_a1, delta_everywhere);
            const T sigma_a = W::sigma(zero_a[i]);
            const T sigma_b = W::sigma(some_b);
            feed[i] = W::exclusive(sigma_a, sigma_b);
            if constexpr (fused) feed[i] = W::exclusive(feed[i], W::load(gate.z + at));
            a0[i] = W::exclusive(sigma_a, keys.a(0));
            a1[i] = W::exclusive(a0[i], sigma_delta);
            b0[i] = W::exclusive(sigma_b, keys.b(0));
            b1[i] = W::exclusive(b0[i], sigma_delta);
        }
MPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = keys.a(round);
            const T key_b = keys.b(round);
            for (std::size_t i = 0; i < N; ++i) {
                a0[i] = W::round(a0[i], key_a);
                a1[i] = W::round(a1[i], key_a);
                b0[i] = W::round(b0[i], key_b);
                b1[i] = W::round(b1[i], key_b);
            }
        }
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            a0[i] = W::last_round(a0[i], last_a);
            a1[i] = W::last_round(a1[i], own_last_a1[i]);
            b0[i] = W::last_round(b0[i], last_b);
            b1[i] = W::last_round(b1[i], last_b1);
            const T garbler_row = W::exclusive(a0[i], a1[i]);
            const T differ_b = W::exclusive(b0[i], b1[i]);
            W::store(gate.tables + at * sizeof(Block), garbler_row);
            W::store(gate.evaluator_half + at * sizeof(Block), W::exclusive(differ_b, zero_a[i]));
            const T half_a = W::choice(colour_a[i], a0[i], a1[i], garbler_row);
            const T half_b = W::choice(colour_b[i], b0[i], b1[i], differ_b);
            W::store(gate.out + at, W::exclusive(W::exclusive(half_a, half_b), feed[i]));
        }
    }
};

template <class V>
std::size_t garble(GateRun& run, const Block& delta) {
    const Block nothing{};
    return walk<V, TableFormat::half_gates>(run, [&](const Gate& gate, const AndGate<V>& rows, auto lanes) {
        const Block& flip_a = (gate.kind & Gate::invert_a) != 0 ? delta : nothing;
        const Block& flip_b = (gate.kind & Gate::invert_b) != 0 ? delta : nothing;
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, kGarbledAtOnce<V>>(lanes, GarbleAnd<V, true>{rows, delta, flip_a, flip_b});
        } else {
            in_groups<V, kGarbledAtOnce<V>>(lanes, GarbleAnd<V, false>{rows, delta, flip_a, flip_b});
        }
    });
}

// With A, B the labels that the evaluator holds and s_a, s_b their colours, the label of the output is
//     H(A) ^ s_a T_G ^ H'(B) ^ s_b (T_E ^ A).
// Everything but the two AES calls is summed up before them. The last round of H' takes the sum for its key, together
// with both round keys that belong there, and what comes out is the key of H's last round.
template <class V, bool fused>
struct EvaluateAnd {
    AndGate<V> gate;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        const auto keys = gate.template round_keys<W>();
        const T last_keys = W::exclusive(keys.a(10), keys.b(10));
        T sum[N], hash_a[N], hash_b[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            const T label_a = gate.template operand<W, fused>(gate.a, gate.x, at);
            const T label_b = gate.template operand<W, fused>(gate.b, gate.y, at);
            const T garbler_row = W::load(gate.tables + at * sizeof(Block));
            const T evaluator_row = W::load(gate.evaluator_half + at * sizeof(Block));
            const T sigma_a = W::sigma(label_a);
            const T sigma_b = W::sigma(label_b);
            sum[i] = W::exclusive(W::exclusive(sigma_a, sigma_b), last_keys);
            if constexpr (fused) sum[i] = W::exclusive(sum[i], W::load(gate.z + at));
            sum[i] = W::exclusive_where(W::colour(label_a), sum[i], garbler_row);
            sum[i] = W::exclusive_where(W::colour(label_b), sum[i], W::exclusive(evaluator_row, label_a));
            hash_a[i] = W::exclusive(sigma_a, keys.a(0));
            hash_b[i] = W::exclusive(sigma_b, keys.b(0));
        }
MPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = keys.a(round);
            const T key_b = keys.b(round);
            for (std::size_t i = 0; i < N; ++i) {
                hash_a[i] = W::round(hash_a[i], key_a);
                hash_b[i] = W::round(hash_b[i], key_b);
            }
        }
        for (std::size_t i = 0; i < N; ++i) {
            hash_b[i] = W::last_round(hash_b[i], sum[i]);
            W::store(gate.out + offset + i * W::blocks, W::last_round(hash_a[i], hash_b[i]));
        }
    }
};

template <class V>
std::size_t evaluate(GateRun& run) {
    return walk<V, TableFormat::half_gates>(run, [](const Gate& gate, const AndGate<V>& rows, auto lanes) {
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, kEvaluatedAtOnce<V>>(lanes, EvaluateAnd<V, true>{rows});
        } else {
            in_groups<V, kEvaluatedAtOnce<V>>(lanes, EvaluateAnd<V, false>{rows});
        }
    });
}

}  // namespace
}  // namespace mpc
