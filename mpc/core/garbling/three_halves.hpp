// Three-halves garbling with slicing and dicing (Rosulek and Roy, "Three halves make a whole? Beating the half-gates
// lower bound for garbled circuits", CRYPTO 2021, eprint 2021/749). An AND gate takes three half blocks and five bits,
// six hash calls to garble it and three to evaluate it. The matrices are the paper's (figures 3 and 4).
// test_three_halves_gate.cpp holds the kernels to its equation (4) in all cases.
//
// A block X has an upper half X_L and a lower half X_R, whose lowest bit is the permute bit. Let A, B be the labels
// that the evaluator holds, i, j their permute bits, and + XOR. Let
//
//     S_1 = (A_L + A_R + B_L || A_L + B_R),      S_2 = (A_L + B_R || A_R + B_L + B_R).
//
// The evaluator opens two control bits c_1, c_2 and takes C as the label of the output, where h is one more bit of each
// hash.
//
//     c_1 = h(A) + h"(A + B) + z_1 + i z_3 + (i + j) z_5,     c_2 = h'(B) + h"(A + B) + z_2 + j z_4 + (i + j) z_5,
//     C   = (H(A) || H'(B)) + (H"(A + B) || H"(A + B)) + (i G_0 || j G_1) + (i + j) (G_2 || G_2)
//           + ((1 + i) B_L || (1 + j) A_R) + c_1 S_1 + c_2 S_2.
//
// For the garbler let A, B be the labels of permute bit zero, and a, b the permute bits of the labels of value one. So
// the output is one for the permute bits a, b only. It draws two fresh random bits r_1, r_2 a gate and makes the
// control bits of all permute bits
//
//     c_1 = r_1 + b (i + j) + a j,      c_2 = r_2 + b i + a (i + j).
//
// With u = r_1 + b, v = r_2 + a and D X = H(X) + H(X + delta) this is
//
//     G_0 || G_1 = (D A || D'B) + (B_L || A_R) + delta + a S_1 + b S_2 + u (delta_R || delta_L + delta_R)
//                                                                     + v (delta_L + delta_R || delta_L)
//     G_2        = D"(A + B) + (a (S_1 + S_2) + b S_1)_L + u delta_L + v delta_R
//     z_3 = a + d A,  z_4 = b + d'B,  z_5 = a + b + d"(A + B),  z_1 = r_1 + h(A) + h"(A + B),  z_2 likewise.
//
// The zero label of the output is C for i = j = 0, plus (1 + a) (1 + b) delta.
//
// Why it hides a and b. Write what is sent in terms of the labels A, B that the evaluator holds. Only G_0 and z_3
// contain the hash of A + delta, only G_1 and z_4 that of B + delta, only G_2 and z_5 that of A + B + delta. Each
// contains it once, plus a sum of halves of delta and of what the evaluator knows. If such a hash is random even with
// sums of delta's halves added, all six are random and independent of all else. Then z_1, z_2 say no more than c_1,
// c_2, which r_1, r_2 make uniform for each i, j, whatever a and b. So a simulator that draws G and z at random and
// evaluates is as good.
//
// The hash must therefore be circular correlation-robust for all functions delta -> x delta_L + y delta_R with bits x,
// y (the paper's RTCCR is this for the sliced labels). The paper takes pi(x + U(tweak)) + alpha (x + U(tweak)), with pi
// a fixed permutation, U a universal hash, and alpha times either half in GF(2^64), alpha not in GF(4). Here, as in
// hash.hpp, the hash is
//
//     H_k(x) = AES(salt ^ k, x) + alpha x,   alpha = X in GF(2)[X] / (X^64 + X^4 + X^3 + X + 1),
//
// with three new keys a gate and tile (H, H', H"). H(A) and H"(A + B) keep the upper half and, as h, the lowest bit of
// the cipher's lower half. H'(B) keeps the lower half and the lowest bit of the upper one. hash.hpp's sigma would not
// do, as its upper half is itself a sum of halves, which an added delta_L + delta_R cancels.
//
// Bound, in the ideal-cipher model, for an adversary of p cipher calls. It must ask for the cipher of some x + delta,
// or for the inverse of what that is. A call under key k meets one of the mu = kTile labels hashed with k. Forward, it
// has to guess 127 bits of delta. Backward, a guess fixes 65 bits by what was sent, which is a function of delta of
// full entropy (alpha + x is invertible), and 63 of the cipher that nobody has seen. Either way the bound is
// 2 mu p / 2^127 as in hash.hpp. There are half as many hash calls again, which counts in the collisions only. The
// labels under one key must be independent, A + B among them (hash.hpp and builder.hpp).
//
// A row (kernels.hpp) holds `lanes` blocks G_0 || G_1, then `lanes` half blocks G_2, then packed bits. These are (z_2,
// z_1) of each instance, (z_4, z_3) of each, and z_5 of each. Every list is filled to a byte with zeros.
#pragma once

#include "core/garbling/kernels.hpp"

namespace mpc {

// Where the parts of a row are.
template <class Byte>
struct ThreeHalvesRow {
    Byte* halves;  // G_0 || G_1
    Byte* third;   // G_2
    Byte* main;    // z_1, z_2
    Byte* side;    // z_3, z_4
    Byte* last;    // z_5
};

template <class Byte>
MPC_INLINE ThreeHalvesRow<Byte> three_halves_row(Byte* row, std::size_t lanes) {
    const std::size_t pair_bytes = (2 * lanes + 7) / 8;
    Byte* const third = row + sizeof(Block) * lanes;
    Byte* const main = third + sizeof(std::uint64_t) * lanes;
    return {row, third, main, main + pair_bytes, main + 2 * pair_bytes};
}

// Lists of at most 64 bits; whole words and half words at once, as in full tiles.
MPC_INLINE std::uint64_t load_bits(const std::uint8_t* packed, std::size_t count) {
    std::uint64_t bits = 0;
    if (count == 64) {
        std::memcpy(&bits, packed, 8);
    } else if (count == 32) {
        std::memcpy(&bits, packed, 4);
    } else {
        for (std::size_t k = 0; 8 * k < count; ++k) bits |= std::uint64_t{packed[k]} << (8 * k);
    }
    return bits;
}

MPC_INLINE void store_bits(std::uint8_t* packed, std::size_t count, std::uint64_t bits) {
    if (count == 64) {
        std::memcpy(packed, &bits, 8);
    } else if (count == 32) {
        std::memcpy(packed, &bits, 4);
    } else {
        for (std::size_t k = 0; 8 * k < count; ++k) packed[k] = static_cast<std::uint8_t>(bits >> (8 * k));
    }
}

// The kernels without any AES instruction.
namespace three_halves {

std::size_t garble(GateRun& run, const Block& delta);
std::size_t evaluate(GateRun& run);

}  // namespace three_halves

}  // namespace mpc
