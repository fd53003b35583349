// Base OTs of Chou and Orlandi, "The simplest protocol for oblivious transfer" (LATINCRYPT 2015), figure 1. They run
// over the prime-order subgroup of edwards25519, n instances under one first message.
//
//     sender                                              receiver (choice bits c_i)
//     a <- Z_L, A = a G      ---------- A ------------->  b_i <- Z_L, B_i = b_i G + c_i A
//     P_i0 = 8 a B_i         <--------- B_i ------------  P_i = 8 b_i A
//     P_i1 = P_i0 - 8 a A
//     k_ix = H(i, A, B_i, P_ix)                           k_i,c_i = H(i, A, B_i, P_i)
//
// The sender ends with two keys an instance, the receiver with the one that it chose. The receiver's bits are hidden
// perfectly, as B_i is uniform either way. The other key is hidden if computational Diffie-Hellman is hard, with H a random oracle (SHA-256 over fixed-length input). There is a known limit against
// malicious parties, where the scheme is not universally composable as stated (Genc, Iovino, Rial, "The simplest
// protocol for oblivious transfer revisited", 2017/370).
//
// What is claimed. Against a receiver that deviates nothing: the project's garbler is honest. A sender that deviates
// learns no choice bit from B_i. It can send keys or sums that do not fit each other, which the check of the trees
// (ot_extension.hpp) turns into a refusal or a guess at choice bits. What keys it knows can be read off its queries to H
// under gap Diffie-Hellman, in the random oracle model.
//
// Two checks are made here. A must lie in the prime-order subgroup, as otherwise B_i would show c_i by its small-order
// component. The factor 8 clears the cofactor of B_i, so that a small-order component teaches its sender nothing about
// a.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/byte_view.hpp"
#include "core/curve/edwards25519.hpp"

namespace mpc {

struct KeyPair {
    Block key[2];
};

class BaseOtSender {
public:
    explicit BaseOtSender(Prg& randomness);
    ~BaseOtSender();
    BaseOtSender(const BaseOtSender&) = delete;
    BaseOtSender& operator=(const BaseOtSender&) = delete;

    ByteView message() const { return ByteView(encoded_a_, kPointBytes); }  // A
    // Takes the receiver's encodings, one a base OT. Throws MalformedError on an invalid or small-order point.
    std::vector<KeyPair> finish(ByteView points) const;

private:
    Scalar a_;
    Point eight_a_a_;  // 8 a A
    std::uint8_t encoded_a_[kPointBytes];
};

// Does the receiver's whole part: writes one encoding a choice to `points` and returns as many keys. The lowest bit of
// choices[i] is c_i. Throws MalformedError if `first` (A) is not a point of prime order, LengthError for a wrong
// length.
Blocks base_ot_receive(ByteView first, ByteView choices, Prg& randomness, MutableByteView points);

}  // namespace mpc
