// Bitsliced AES-128; see bitsliced_aes.hpp.
#include "core/aes/bitsliced_aes.hpp"

namespace mpc::bitsliced {

namespace {

using Word = std::uint64_t;

template <class T>
MPC_INLINE void swap_bits(T& x, T& y, Word low, unsigned shift) {
    const T a = x;
    const T b = y;
    x = (a & low) | ((b & low) << shift);
    y = ((a & ~low) >> shift) | (b & ~low);
}

// Transposes the 8x8 bit matrices formed by the bytes at one position of the eight words; its own inverse.
template <class T>
MPC_INLINE void orthogonalise(T* q) {
    for (int i = 0; i < 8; i += 2) swap_bits(q[i], q[i + 1], 0x5555555555555555, 1);
    for (int i = 0; i < 8; i += 4) {
        swap_bits(q[i], q[i + 2], 0x3333333333333333, 2);
        swap_bits(q[i + 1], q[i + 3], 0x3333333333333333, 2);
    }
    for (int i = 0; i < 4; ++i) swap_bits(q[i], q[i + 4], 0x0F0F0F0F0F0F0F0F, 4);
}

MPC_INLINE Word spread_bytes(Word x) {
    x = (x | (x << 16)) & 0x0000FFFF0000FFFF;
    return (x | (x << 8)) & 0x00FF00FF00FF00FF;
}

MPC_INLINE Word gather_bytes(Word x) {
    x = (x | (x >> 8)) & 0x0000FFFF0000FFFF;
    return (x | (x >> 16)) & 0x00000000FFFFFFFF;
}

// Puts block `position` (0..7) into the words, before orthogonalise.
MPC_INLINE void insert(State& s, std::size_t position, const Block& b) {
    const std::size_t lane = position / 4;
    const std::size_t i = position % 4;
    s.q[i][lane] = spread_bytes(b.lo & 0xFFFFFFFF) | (spread_bytes(b.hi & 0xFFFFFFFF) << 8);
    s.q[i + 4][lane] = spread_bytes(b.lo >> 32) | (spread_bytes(b.hi >> 32) << 8);
}

MPC_INLINE Block extract(const State& s, std::size_t position) {
    const std::size_t lane = position / 4;
    const std::size_t i = position % 4;
    const Word even = s.q[i][lane];
    const Word odd = s.q[i + 4][lane];
    constexpr Word bytes = 0x00FF00FF00FF00FF;
    return Block{gather_bytes(even & bytes) | (gather_bytes(odd & bytes) << 32),
                 gather_bytes((even >> 8) & bytes) | (gather_bytes((odd >> 8) & bytes) << 32)};
}

template <class T>
MPC_INLINE void substitute_bytes(T* q) {
    const T x0 = q[7], x1 = q[6], x2 = q[5], x3 = q[4], x4 = q[3], x5 = q[2], x6 = q[1], x7 = q[0];
    // Top linear layer.
    const T y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, t0 = x1 ^ x2, y1 = t0 ^ x7, y4 = y1 ^ x3;
    const T y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6, y3 = y5 ^ y8, t1 = x4 ^ y12, y15 = t1 ^ x5;
    const T y20 = t1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ t0, y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11;
    const T y19 = y10 ^ y8, y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;
    // Inversion in GF(2^8) through GF(2^4).
    const T t2 = y12 & y15, t3 = y3 & y6, t4 = t3 ^ t2, t5 = y4 & x7, t6 = t5 ^ t2, t7 = y13 & y16;
    const T t8 = y5 & y1, t9 = t8 ^ t7, t10 = y2 & y7, t11 = t10 ^ t7, t12 = y9 & y11, t13 = y14 & y17;
    const T t14 = t13 ^ t12, t15 = y8 & y10, t16 = t15 ^ t12, t17 = t4 ^ t14, t18 = t6 ^ t16, t19 = t9 ^ t14;
    const T t20 = t11 ^ t16, t21 = t17 ^ y20, t22 = t18 ^ y19, t23 = t19 ^ y21, t24 = t20 ^ y18;
    const T t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t28 = t25 & t27, t29 = t28 ^ t22;
    const T t30 = t23 ^ t24, t31 = t22 ^ t26, t32 = t31 & t30, t33 = t32 ^ t24, t34 = t23 ^ t33;
    const T t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36, t39 = t29 & t38;
    const T t40 = t25 ^ t39, t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;
    const T z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1, z5 = t29 & y7;
    const T z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3, z11 = t33 & y4;
    const T z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2, z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;
    // Bottom linear layer.
    const T t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12, t51 = z2 ^ z5;
    const T t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17, t56 = z12 ^ t48, t57 = t50 ^ t53;
    const T t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57, t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58;
    const T t64 = z4 ^ t59, t65 = t61 ^ t62, t66 = z1 ^ t63, s0 = t59 ^ t63, s6 = t56 ^ ~t62, s7 = t48 ^ ~t60;
    const T t67 = t64 ^ t65, s3 = t53 ^ t66, s4 = t51 ^ t66, s5 = t47 ^ t65, s1 = t64 ^ ~s3, s2 = t55 ^ ~t67;
    q[7] = s0, q[6] = s1, q[5] = s2, q[4] = s3, q[3] = s4, q[2] = s5, q[1] = s6, q[0] = s7;
}

MPC_INLINE void shift_rows(State& s) {
    for (Slice& x : s.q) {
        x = (x & 0x000000000000FFFF) | ((x & 0x00000000FFF00000) >> 4) | ((x & 0x00000000000F0000) << 12) |
            ((x & 0x0000FF0000000000) >> 8) | ((x & 0x000000FF00000000) << 8) | ((x & 0xF000000000000000) >> 12) |
            ((x & 0x0FFF000000000000) << 4);
    }
}

MPC_INLINE void mix_columns(State& s) {
    State r;
    State d;  // d[i] = column byte plus the next one, r the next one alone
    for (int i = 0; i < 8; ++i) {
        r.q[i] = (s.q[i] >> 16) | (s.q[i] << 48);
        d.q[i] = s.q[i] ^ r.q[i];
    }
    for (int i = 0; i < 8; ++i) {
        const Slice opposite = (d.q[i] >> 32) | (d.q[i] << 32);
        Slice doubled = d.q[(i + 7) % 8];
        if (i == 1 || i == 3 || i == 4) doubled ^= d.q[7];
        s.q[i] = doubled ^ r.q[i] ^ opposite;
    }
}

MPC_INLINE void add(State& s, const State& key) {
    for (int i = 0; i < 8; ++i) s.q[i] ^= key.q[i];
}

constexpr std::uint8_t kRoundConstants[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36};

}  // namespace

void expand_keys(const Block* keys, std::size_t count, RoundKeys* out) {
    constexpr std::size_t pass = 16;  // 32-bit words that fit eight 64-bit words
    for (std::size_t k = 0; k < count; ++k) out[k].keys[0] = keys[k];
    for (std::size_t first = 0; first < count; first += pass) {
        const std::size_t now = count - first < pass ? count - first : pass;
        for (std::size_t round = 0; round < 10; ++round) {
            Word q[8] = {};
            for (std::size_t k = 0; k < now; ++k) {
                const Word last = out[first + k].keys[round].hi >> 32;
                q[k / 2] |= last << (32 * (k % 2));
            }
            orthogonalise(q);
            substitute_bytes(q);
            orthogonalise(q);
            for (std::size_t k = 0; k < now; ++k) {
                const Block previous = out[first + k].keys[round];
                const auto substituted = static_cast<std::uint32_t>(q[k / 2] >> (32 * (k % 2)));
                const std::uint32_t g = ((substituted >> 8) | (substituted << 24)) ^ kRoundConstants[round];
                const std::uint32_t w0 = static_cast<std::uint32_t>(previous.lo) ^ g;
                const std::uint32_t w1 = static_cast<std::uint32_t>(previous.lo >> 32) ^ w0;
                const std::uint32_t w2 = static_cast<std::uint32_t>(previous.hi) ^ w1;
                const std::uint32_t w3 = static_cast<std::uint32_t>(previous.hi >> 32) ^ w2;
                out[first + k].keys[round + 1] = Block{w0 | (Word{w1} << 32), w2 | (Word{w3} << 32)};
            }
        }
    }
}

Schedule spread(const RoundKeys& keys) {
    Schedule schedule;
    for (std::size_t round = 0; round < 11; ++round) {
        for (std::size_t i = 0; i < kBlocks; ++i) insert(schedule.round[round], i, keys.keys[round]);
        orthogonalise(schedule.round[round].q);
    }
    return schedule;
}

void encrypt(const Schedule& schedule, const Block* in, Block* out) {
    State s;
    for (std::size_t i = 0; i < kBlocks; ++i) insert(s, i, in[i]);
    orthogonalise(s.q);
    add(s, schedule.round[0]);
    for (std::size_t round = 1; round < 10; ++round) {
        substitute_bytes(s.q);
        shift_rows(s);
        mix_columns(s);
        add(s, schedule.round[round]);
    }
    substitute_bytes(s.q);
    shift_rows(s);
    add(s, schedule.round[10]);
    orthogonalise(s.q);
    for (std::size_t i = 0; i < kBlocks; ++i) out[i] = extract(s, i);
}

}  // namespace mpc::bitsliced
