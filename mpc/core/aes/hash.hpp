// The hash of half-gates: a circular correlation-robust hash from AES as an ideal cipher, re-keyed per gate
// (Guo, Katz, Wang, Weng, Yu, "Better concrete security for half-gates garbling (in the multi-instance setting)",
// CRYPTO 2020, eprint 2019/1168, MITCCRH):
//
//     H_i(x) = AES(salt ^ i, sigma(x)) ^ sigma(x),      sigma(L || R) = (L ^ R) || L,  L the high half.
//
// sigma is the linear orthomorphism that makes the hash *circular*: without it the evaluator, who sees
// H(x ^ delta) ^ b delta, could undo the cipher and find delta where b = 1.
//
// Key i serves one half gate of one tile, so it hashes the labels of at most kTile instances (for each of them the pair
// x, x ^ delta). In the ideal-cipher model an adversary that makes p cipher calls then finds delta with probability of
// at most about 2 mu p / 2^127, mu = kTile = 32 hashed pairs a key and 127 the unknown bits of delta: one key a gate
// and instance (mu = 1) would give log2(32) = 5 bits more. One fixed key for a whole session would lose log2 of the
// number of all gates, 30 bits and more. Collisions among the q pairs of a session add about (mu - 1) q / 2^127.
//
// The labels that share a key are those of one wire in different instances, or of the XOR of a gate's two operands
// (three halves). They must be independent: a label that is zero in all instances would take one hash for all, and
// what that masks could be told apart. builder.hpp sees to it.
//
// The salt is chosen at random by the garbler for each session, after which it is public; the index i is never used
// twice under one salt. That also separates sessions from each other, which is the multi-instance part.
#pragma once

#include <cstdint>

#include "core/aes/aes.hpp"

namespace mpc {

// The keys of one garbling: salt ^ i for i from `first_index` on. They are public.
struct HashKeys {
    Block salt;
    std::uint64_t first_index = 0;
};

// H_index(x) written out. The kernels hash in their own loops, by the row; they are tested against this.
inline Block hash(const Block& salt, std::uint64_t index, const Block& x) {
    const Block sigma{x.hi, x.hi ^ x.lo};
    Block cipher;
    Aes128(salt ^ Block{index, 0}).encrypt(&sigma, &cipher, 1);
    return cipher ^ sigma;
}

}  // namespace mpc
