// Three-halves garbling in plain words, the garbler above the evaluator; see three_halves.hpp.
#include "core/garbling/three_halves.hpp"

#include "core/garbling/portable_walk.hpp"

namespace mpc::three_halves {

namespace {

constexpr TableFormat kFormat = TableFormat::three_halves;
constexpr std::size_t kChunk = bitsliced::kBlocks;

// alpha x in either half.
std::uint64_t doubled(std::uint64_t x) { return (x << 1) ^ ((std::uint64_t{0} - (x >> 63)) & 0x1B); }
Block doubled(const Block& x) { return Block{doubled(x.lo), doubled(x.hi)}; }

Block upper_twice(const Block& x) { return Block{x.hi, x.hi}; }
Block mixed(const Block& upper, const Block& lower) { return Block{lower.lo, upper.hi}; }

void encrypt(const bitsliced::Schedule& key, const Block* in, Block* out, std::size_t count) {
    Block chunk[kChunk] = {};
    for (std::size_t i = 0; i < count; i += kChunk) {
        const std::size_t now = count - i < kChunk ? count - i : kChunk;
        for (std::size_t k = 0; k < now; ++k) chunk[k] = in[i + k];
        Block cipher[kChunk];
        bitsliced::encrypt(key, chunk, cipher);
        for (std::size_t k = 0; k < now; ++k) out[i + k] = cipher[k];
    }
}

struct Sums {
    Block s1;
    Block s2;
    Block feed;  // alpha times the inputs of the three hashes, as the output's label takes them

    Sums(const Block& a, const Block& b)
        : s1{a.hi ^ b.lo, a.hi ^ a.lo ^ b.hi}, s2{a.lo ^ b.hi ^ b.lo, a.hi ^ b.lo},
          feed(doubled(mixed(a, b) ^ upper_twice(a ^ b))) {}
};

// (z_1 || z_2) in the lowest bits, without the r or c that goes with them: h(A) + h"(A + B) || h'(B) + h"(A + B).
Block control(const Block& cipher_a, const Block& cipher_b, const Block& cipher_ab) {
    return Block{(cipher_b.hi ^ cipher_ab.lo) & 1, (cipher_a.lo ^ cipher_ab.lo) & 1};
}

std::uint64_t pair_bit(const Block& bits) { return ((bits.hi & 1) << 1) | (bits.lo & 1); }

}  // namespace

std::size_t garble(GateRun& run, const Block& delta) {
    const Block for_u{delta.hi ^ delta.lo, delta.lo};
    const Block for_v{delta.hi, delta.hi ^ delta.lo};
    const Block swapped{delta.hi, delta.lo};
    return portable::walk<kFormat>(run, [&](const Gate& gate, Block* a, Block* b, const bitsliced::Schedule* keys) {
        portable::apply_inversions(gate, delta, run.lanes, a, b);
        Block inputs[3][2 * kTile], ciphers[3][2 * kTile], at_a[kTile], at_b[kTile];
        for (std::size_t i = 0; i < run.lanes; ++i) {
            at_a[i] = mask_of(~a[i].colour());
            at_b[i] = mask_of(~b[i].colour());
            a[i] ^= delta ^ (at_a[i] & delta);  // the labels of colour zero
            b[i] ^= delta ^ (at_b[i] & delta);
            const Block in[3] = {a[i], b[i], a[i] ^ b[i]};
            for (std::size_t k = 0; k < 3; ++k) {
                inputs[k][2 * i] = in[k];
                inputs[k][2 * i + 1] = in[k] ^ delta;
            }
        }
        for (std::size_t k = 0; k < 3; ++k) encrypt(keys[k], inputs[k], ciphers[k], 2 * run.lanes);
        const auto row = three_halves_row(run.tables, run.lanes);
        const std::uint64_t dice = *run.dice++;
        std::uint64_t main = 0, side = 0, last = 0;
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block *ca = &ciphers[0][2 * i], *cb = &ciphers[1][2 * i], *cab = &ciphers[2][2 * i];
            const Sums sums(a[i], b[i]);
            const std::uint64_t bits = dice >> (2 * i);
            const Block r1 = mask_of(bits >> 1), r2 = mask_of(bits);
            const Block u = r1 ^ at_b[i], v = r2 ^ at_a[i];
            const Block alpha_delta = doubled(delta), cross = mixed(b[i], a[i]);
            const Block halves = mixed(ca[0] ^ ca[1] ^ alpha_delta, cb[0] ^ cb[1] ^ alpha_delta) ^ cross ^ delta ^
                                 (at_a[i] & sums.s1) ^ (at_b[i] & sums.s2) ^ (u & for_u) ^ (v & for_v);
            const Block third = cab[0] ^ cab[1] ^ alpha_delta ^ (at_a[i] & (sums.s1 ^ sums.s2)) ^
                                (at_b[i] & sums.s1) ^ (u & delta) ^ (v & swapped);
            store_block(row.halves + i * sizeof(Block), halves);
            std::memcpy(row.third + i * sizeof third.hi, &third.hi, sizeof third.hi);
            const Block fresh{r2.lo & 1, r1.lo & 1};
            main |= pair_bit(control(ca[0], cb[0], cab[0]) ^ fresh) << (2 * i);
            side |= pair_bit(Block{at_b[i].lo ^ cb[0].hi ^ cb[1].hi, at_a[i].lo ^ ca[0].lo ^ ca[1].lo}) << (2 * i);
            last |= ((at_a[i].lo ^ at_b[i].lo ^ cab[0].lo ^ cab[1].lo) & 1) << i;
            a[i] = mixed(ca[0], cb[0]) ^ upper_twice(cab[0]) ^ sums.feed ^ cross ^ (r1 & sums.s1) ^ (r2 & sums.s2) ^
                   (mask_of(~(at_a[i].lo | at_b[i].lo)) & delta);
        }
        store_bits(row.main, 2 * run.lanes, main);
        store_bits(row.side, 2 * run.lanes, side);
        store_bits(row.last, run.lanes, last);
    });
}

std::size_t evaluate(GateRun& run) {
    return portable::walk<kFormat>(run, [&](const Gate&, Block* a, const Block* b, const bitsliced::Schedule* keys) {
        Block ab[kTile], ciphers[3][kTile];
        for (std::size_t i = 0; i < run.lanes; ++i) ab[i] = a[i] ^ b[i];
        encrypt(keys[0], a, ciphers[0], run.lanes);
        encrypt(keys[1], b, ciphers[1], run.lanes);
        encrypt(keys[2], ab, ciphers[2], run.lanes);
        const auto row = three_halves_row(run.tables, run.lanes);
        const std::uint64_t main = load_bits(row.main, 2 * run.lanes), side = load_bits(row.side, 2 * run.lanes);
        const std::uint64_t last = load_bits(row.last, run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block ci = mask_of(a[i].colour()), cj = mask_of(b[i].colour());
            const Block own = mixed(ci, cj), both = ci ^ cj;
            const Block halves = load_block(row.halves + i * sizeof(Block));
            std::uint64_t third = 0;
            std::memcpy(&third, row.third + i * sizeof third, sizeof third);
            Block c = control(ciphers[0][i], ciphers[1][i], ciphers[2][i]);
            c ^= Block{main >> (2 * i), main >> (2 * i + 1)} ^ (own & Block{side >> (2 * i), side >> (2 * i + 1)});
            c ^= both & Block{last >> i, last >> i};
            const Sums sums(a[i], b[i]);
            const Block cross = mixed(b[i], a[i]);
            a[i] = mixed(ciphers[0][i], ciphers[1][i]) ^ upper_twice(ciphers[2][i]) ^ sums.feed ^ cross ^
                   (own & (halves ^ cross)) ^ (both & Block{third, third}) ^ (mask_of(c.hi) & sums.s1) ^
                   (mask_of(c.lo) & sums.s2);
        }
    });
}

}  // namespace mpc::three_halves
