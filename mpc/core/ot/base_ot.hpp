// Base oblivious transfers: Chou and Orlandi, "The simplest protocol for oblivious transfer" (LATINCRYPT 2015),
// figure 1, over the prime-order subgroup of edwards25519, n instances under one first message.
//
//     sender                                              receiver (choice bits c_i)
//     a <- Z_L, A = a G      ---------- A ------------->  b_i <- Z_L, B_i = b_i G + c_i A
//     P_i0 = 8 a B_i         <--------- B_i ------------  P_i = 8 b_i A
//     P_i1 = P_i0 - 8 a A
//     k_ix = H(i, A, B_i, P_ix)                           k_i,c_i = H(i, A, B_i, P_i)
//
// The sender ends with two keys an instance, the receiver with the one that it chose. Semi-honest security: the
// receiver's bits are hidden perfectly (B_i is uniform either way), the other key is hidden if computational
// Diffie-Hellman is hard, H being a random oracle (SHA-256 over fixed-length input). Known limits: against malicious
// parties the scheme is not universally composable as stated (Genc, Iovino, Rial, "The simplest protocol for oblivious
// transfer revisited", 2017/370); this library claims semi-honest security only. Two cheap checks are made all the
// same: A must lie in the prime-order subgroup (otherwise B_i would show c_i by its small-order component), and the
// factor 8 clears the cofactor of B_i, so that a small-order component teaches its sender nothing about a.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
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

    const std::uint8_t* message() const { return encoded_a_; }  // A, 32 bytes
    // `points`: the receiver's n encodings. Throws MalformedError on an invalid or small-order point.
    std::vector<KeyPair> finish(const std::uint8_t* points, std::size_t n) const;

private:
    Scalar a_;
    Point eight_a_a_;  // 8 a A
    std::uint8_t encoded_a_[kPointBytes];
};

// The receiver's whole part: writes its n encodings to `points` (32 n bytes) and returns its n keys. The lowest bit of
// choices[i] is c_i. Throws MalformedError if `first` (A) is not a point of prime order.
Blocks base_ot_receive(const std::uint8_t first[kPointBytes], const std::uint8_t* choices, std::size_t n,
                                   Prg& randomness, std::uint8_t* points);

}  // namespace mpc
