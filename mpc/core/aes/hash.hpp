// The hash of half-gates. It is a circular correlation-robust hash made of AES as an ideal cipher, with a new key for
// each gate (MITCCRH of Guo, Katz, Wang, Weng, Yu, "Better concrete security for half-gates garbling (in the
// multi-instance setting)", CRYPTO 2020, eprint 2019/1168).
//
//     H_i(x) = AES(salt ^ i, sigma(x)) ^ sigma(x),      sigma(L || R) = (L ^ R) || L,  L the high half.
//
// sigma is the linear orthomorphism that makes the hash circular. The evaluator sees H(x ^ delta) ^ b delta. Without
// sigma it could undo the cipher and find delta where b = 1.
//
// Key i serves one half gate of one tile. So it hashes the labels of at most kTile instances, and for each of them the
// pair x, x ^ delta. In the ideal-cipher model an adversary that makes p cipher calls then finds delta with probability
// of at most about 2 mu p / 2^127. Here mu = kTile = 32 is the number of hashed pairs a key, and 127 the number of
// unknown bits of delta. One key a gate and instance (mu = 1) would give log2(32) = 5 bits more. One fixed key for a
// whole session would lose log2 of the number of all gates, which is 30 bits and more. Collisions among the q pairs of
// a session add about (mu - 1) q / 2^127.
//
// The labels that share a key are those of one wire in different instances, or those of the XOR of a gate's two
// operands (three halves). They must be independent. A label that is zero in all instances would take one hash for all,
// and what that hash masks could be told apart. builder.hpp sees to it.
//
// The garbler draws the salt at random for each session, after which it is public. No index i is used twice under one
// salt. That also separates sessions from each other, which is the multi-instance part.
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
