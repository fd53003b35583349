// The x86 kernels of three-halves garbling, garbling directly above evaluation. Formulas and names are in
// three_halves.hpp. Only the files that are compiled for one instruction set include this, as with gates_x86.hpp, whose
// rules hold here too.
#pragma once

#include "core/garbling/gates_x86.hpp"
#include "core/garbling/three_halves.hpp"

namespace mpc {
namespace {
namespace three_halves_x86 {

template <class W>
MPC_INLINE typename W::T doubled(typename W::T x) {  // alpha x in either half
    const typename W::T reduced = W::and_halves(W::spread(W::top_bit(x)), W::pair_constant(0x1B));
    return W::exclusive(W::add_halves(x, x), reduced);
}

// S_1, S_2 and what the hashes add to the output's label besides their ciphers.
template <class W>
struct Sums {
    typename W::T s1, s2, feed;

    MPC_INLINE Sums(typename W::T a, typename W::T b) {
        const typename W::T zero = W::exclusive(a, a);
        const typename W::T q = W::exclusive(a, W::swapped(b));  // (A_L + B_R || A_R + B_L)
        s1 = W::exclusive(W::swapped(q), W::mixed(a, zero));
        s2 = W::exclusive(q, W::mixed(zero, b));
        feed = doubled<W>(W::exclusive(W::mixed(a, b), W::upper_twice(W::exclusive(a, b))));
    }
};

// The lowest bits of the halves that no label takes: (of A's cipher || of B's) + (of (A + B)'s, twice).
template <class W>
MPC_INLINE typename W::T control(typename W::T a, typename W::T b, typename W::T ab) {
    return W::exclusive(W::swapped(W::mixed(b, a)), W::lower_twice(ab));
}

// One bit of each pair of equal ones.
MPC_INLINE std::uint64_t halved(std::uint64_t pairs) {
    pairs &= 0x55;
    pairs = (pairs | (pairs >> 1)) & 0x33;
    return (pairs | (pairs >> 2)) & 0x0F;
}

template <class V>
struct Constants {
    Block for_u, for_v, third_u, third_v;

    explicit MPC_INLINE Constants(const Block& delta)
        : for_u{delta.hi ^ delta.lo, delta.lo}, for_v{delta.hi, delta.hi ^ delta.lo}, third_u(delta),
          third_v{delta.hi, delta.lo} {}
};

struct PackedBits {
    std::uint64_t main, side, last;
};

template <class V, bool fused>
struct GarbleAnd {
    AndGate<V> gate;
    const Block& delta;
    const Constants<V>& constants;
    const Block& one_a;  // what makes an operand's zero label its label of value one: delta, or zero if it is inverted
    const Block& one_b;
    std::uint64_t dice;
    PackedBits* packed;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        const auto keys = gate.template round_keys<W>();
        const T delta_everywhere = W::repeat(&delta);
        T a[N], b[N], at_a[N], at_b[N], a0[N], a1[N], b0[N], b1[N], ab0[N], ab1[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            a[i] = W::exclusive(gate.template operand<W, fused>(gate.a, gate.x, at), W::repeat(&one_a));
            b[i] = W::exclusive(gate.template operand<W, fused>(gate.b, gate.y, at), W::repeat(&one_b));
            at_a[i] = W::spread(W::lower_twice(a[i]));
            at_b[i] = W::spread(W::lower_twice(b[i]));
            a[i] = W::exclusive_where(at_a[i], a[i], delta_everywhere);  // the labels of colour zero
            b[i] = W::exclusive_where(at_b[i], b[i], delta_everywhere);
            a0[i] = W::exclusive(a[i], keys.a(0));
            a1[i] = W::exclusive(a0[i], delta_everywhere);
            b0[i] = W::exclusive(b[i], keys.b(0));
            b1[i] = W::exclusive(b0[i], delta_everywhere);
            ab0[i] = W::exclusive(W::exclusive(a[i], b[i]), keys.ab(0));
            ab1[i] = W::exclusive(ab0[i], delta_everywhere);
        }
MPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = keys.a(round);
            const T key_b = keys.b(round);
            const T key_ab = keys.ab(round);
            for (std::size_t i = 0; i < N; ++i) {
                a0[i] = W::round(a0[i], key_a);
                a1[i] = W::round(a1[i], key_a);
                b0[i] = W::round(b0[i], key_b);
                b1[i] = W::round(b1[i], key_b);
                ab0[i] = W::round(ab0[i], key_ab);
                ab1[i] = W::round(ab1[i], key_ab);
            }
        }
        const T key_a = keys.a(10);
        const T key_b = keys.b(10);
        const T key_ab = keys.ab(10);
        const T alpha_delta = doubled<W>(delta_everywhere);
        const auto row = three_halves_row(gate.tables, gate.lanes);
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            a0[i] = W::last_round(a0[i], key_a);
            b0[i] = W::last_round(b0[i], key_b);
            ab0[i] = W::last_round(ab0[i], key_ab);
            const T differ_a = W::exclusive(a0[i], W::last_round(a1[i], key_a));
            const T differ_b = W::exclusive(b0[i], W::last_round(b1[i], key_b));
            const T differ_ab = W::exclusive(ab0[i], W::last_round(ab1[i], key_ab));
            const Sums<W> sums(a[i], b[i]);
            const T fresh = W::pair_masks(dice >> (2 * at));
            const T r1 = W::upper_twice(fresh);
            const T r2 = W::lower_twice(fresh);
            const T u = W::exclusive(r1, at_b[i]);
            const T v = W::exclusive(r2, at_a[i]);
            const T cross = W::exclusive(W::mixed(b[i], a[i]), delta_everywhere);

            T halves = W::exclusive(W::mixed(differ_a, differ_b), W::exclusive(alpha_delta, cross));
            halves = W::exclusive_where(at_b[i], W::exclusive_where(at_a[i], halves, sums.s1), sums.s2);
            halves = W::exclusive_where(u, halves, W::repeat(&constants.for_u));
            halves = W::exclusive_where(v, halves, W::repeat(&constants.for_v));
            W::store(row.halves + at * sizeof(Block), halves);

            T third = W::exclusive(differ_ab, alpha_delta);
            third = W::exclusive_where(W::exclusive(at_a[i], at_b[i]), third, sums.s1);
            third = W::exclusive_where(at_a[i], third, sums.s2);
            third = W::exclusive_where(u, third, W::repeat(&constants.third_u));
            third = W::exclusive_where(v, third, W::repeat(&constants.third_v));
            W::store_upper(row.third + at * sizeof(std::uint64_t), third);

            const T main = W::exclusive(fresh, control<W>(a0[i], b0[i], ab0[i]));
            const T side = W::exclusive(W::mixed(at_a[i], at_b[i]), W::swapped(W::mixed(differ_b, differ_a)));
            const T last = W::exclusive(W::exclusive(at_a[i], at_b[i]), W::lower_twice(differ_ab));
            packed->main |= W::pair_bits(main) << (2 * at);
            packed->side |= W::pair_bits(side) << (2 * at);
            packed->last |= halved(W::pair_bits(last)) << at;

            T zero_out = W::exclusive(W::exclusive(W::mixed(a0[i], b0[i]), W::upper_twice(ab0[i])), sums.feed);
            if constexpr (fused) zero_out = W::exclusive(zero_out, W::load(gate.z + at));
            zero_out = W::exclusive_where(r2, W::exclusive_where(r1, W::exclusive(zero_out, cross), sums.s1), sums.s2);
            // `cross` brought delta, which stays where the output is one for colours 0, 0.
            zero_out = W::exclusive_where(W::or_halves(at_a[i], at_b[i]), zero_out, delta_everywhere);
            W::store(gate.out + at, zero_out);
        }
    }
};

template <class V>
std::size_t garble(GateRun& run, const Block& delta) {
    const Block nothing{};
    const Constants<V> constants(delta);
    return walk<V, TableFormat::three_halves>(run, [&](const Gate& gate, const AndGate<V>& rows, auto lanes) {
        const Block& one_a = (gate.kind & Gate::invert_a) != 0 ? nothing : delta;
        const Block& one_b = (gate.kind & Gate::invert_b) != 0 ? nothing : delta;
        PackedBits packed{0, 0, 0};
        const std::uint64_t dice = *run.dice++;
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, 1>(lanes, GarbleAnd<V, true>{rows, delta, constants, one_a, one_b, dice, &packed});
        } else {
            in_groups<V, 1>(lanes, GarbleAnd<V, false>{rows, delta, constants, one_a, one_b, dice, &packed});
        }
        const auto row = three_halves_row(rows.tables, lanes);
        store_bits(row.main, 2 * lanes, packed.main);
        store_bits(row.side, 2 * lanes, packed.side);
        store_bits(row.last, lanes, packed.last);
    });
}

template <class V, bool fused>
struct EvaluateAnd {
    AndGate<V> gate;
    PackedBits packed;

    template <class W, std::size_t N>
    MPC_INLINE void operator()(std::size_t offset) const {
        using T = typename W::T;
        const auto keys = gate.template round_keys<W>();
        T a[N], b[N], x[N], y[N], xy[N];
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            a[i] = gate.template operand<W, fused>(gate.a, gate.x, at);
            b[i] = gate.template operand<W, fused>(gate.b, gate.y, at);
            x[i] = W::exclusive(a[i], keys.a(0));
            y[i] = W::exclusive(b[i], keys.b(0));
            xy[i] = W::exclusive(W::exclusive(a[i], b[i]), keys.ab(0));
        }
MPC_UNROLL_ROUNDS
        for (std::size_t round = 1; round < 10; ++round) {
            const T key_a = keys.a(round);
            const T key_b = keys.b(round);
            const T key_ab = keys.ab(round);
            for (std::size_t i = 0; i < N; ++i) {
                x[i] = W::round(x[i], key_a);
                y[i] = W::round(y[i], key_b);
                xy[i] = W::round(xy[i], key_ab);
            }
        }
        const T key_a = keys.a(10);
        const T key_b = keys.b(10);
        const T key_ab = keys.ab(10);
        const auto row = three_halves_row(gate.tables, gate.lanes);
        for (std::size_t i = 0; i < N; ++i) {
            const std::size_t at = offset + i * W::blocks;
            x[i] = W::last_round(x[i], key_a);
            y[i] = W::last_round(y[i], key_b);
            xy[i] = W::last_round(xy[i], key_ab);
            const T colour_a = W::spread(W::lower_twice(a[i]));
            const T colour_b = W::spread(W::lower_twice(b[i]));
            const T own = W::mixed(colour_a, colour_b);
            const T both = W::exclusive(colour_a, colour_b);
            T c = W::exclusive(control<W>(x[i], y[i], xy[i]), W::pair_masks(packed.main >> (2 * at)));
            c = W::exclusive_where(own, c, W::pair_masks(packed.side >> (2 * at)));
            c = W::spread(W::exclusive_where(both, c, W::masks(packed.last >> at)));
            const Sums<W> sums(a[i], b[i]);
            const T cross = W::mixed(b[i], a[i]);
            T out = W::exclusive(W::exclusive(W::mixed(x[i], y[i]), W::upper_twice(xy[i])),
                                 W::exclusive(sums.feed, cross));
            if constexpr (fused) out = W::exclusive(out, W::load(gate.z + at));
            const T halves = W::exclusive(W::load(row.halves + at * sizeof(Block)), cross);
            out = W::exclusive_where(own, out, halves);
            out = W::exclusive_where(both, out, W::load_twice(row.third + at * sizeof(std::uint64_t)));
            out = W::exclusive_where(W::upper_twice(c), out, sums.s1);
            W::store(gate.out + at, W::exclusive_where(W::lower_twice(c), out, sums.s2));
        }
    }
};

template <class V>
std::size_t evaluate(GateRun& run) {
    return walk<V, TableFormat::three_halves>(run, [](const Gate& gate, const AndGate<V>& rows, auto lanes) {
        const auto row = three_halves_row(rows.tables, lanes);
        const PackedBits packed{load_bits(row.main, 2 * lanes), load_bits(row.side, 2 * lanes),
                                load_bits(row.last, lanes)};
        if ((gate.kind & Gate::fused) != 0) {
            in_groups<V, 2>(lanes, EvaluateAnd<V, true>{rows, packed});
        } else {
            in_groups<V, 2>(lanes, EvaluateAnd<V, false>{rows, packed});
        }
    });
}

}  // namespace three_halves_x86
}  // namespace
}  // namespace mpc
