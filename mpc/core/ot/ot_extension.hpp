// Correlated OT extension of Roy, "SoftSpokenOT: quieter OT extension from small-field silent VOLE in the Minicrypt
// model" (CRYPTO 2022, eprint 2022/192). It holds against a receiver that deviates, with field size 2^4, and takes 31/8
// bytes an OT and 544 bytes an extension.
//
//     receiver (choice bits u)                                   sender (offset delta)
//     32 trees of 16 leaves r_x, from both keys of 4 base OTs    all leaves but r_alpha; alpha = 4 bits of delta
//     sums of the levels, sums and hash of t_x ------------->    checks the hash
//     U_i = sum_x r_x,  V_i = sum_x r_x x   (x in GF(2)^4)       W_i = sum_x r_x (x + alpha)  =  V_i + U_i alpha
//     U_i + U_0, i = 1..31    ----------------------------->     W_i += (U_i + U_0) alpha
//     R(U_0), hash of all R([V_i])  ----------------------->     checks R([W_i]) = R([V_i]) + R(U_0) [alpha]
//     t_j = column j of V,  u_j = bit j of U_0                   q_j = column j of W = t_j + u_j delta
//
// This is the paper's small-field VOLE over F_2 from punctured GGM trees, repeated 128/4 times. The choice bits are
// random. Whoever needs chosen bits c_j sends c_j + u_j and shifts q_j. The receiver's side runs the base OTs as sender.
//
// The check of the trees (figure 9). Each last node gives the leaf r_x and 32 bytes t_x. The receiver sends the sum of
// the t_x of each tree and one hash of all of them. The sender finds the t_alpha that it does not know from the sum. So
// base-OT keys or sums that do not belong to one tree pass only for the alphas that the receiver has guessed.
//
// The check of the extension (figure 8). R is a linear hash of rows for a challenge that follows by Fiat and Shamir from
// salt, position and all U_i + U_0. [V_i] joins the four rows of a tree into one; ot_check.hpp says why that is sound.
// The last 128 columns serve the check alone and mask what it shows. A message with U_i + U_0 that do not belong to one
// U_0 passes, for each hash the receiver computes, with probability 2^-128, or else for those alphas alone that the
// receiver has guessed: c bits of delta are right with probability 2^-c, and if they are not, the sender stops. The
// caller never goes on after a failed check. So a session gives away at most that one guess. SHA-256 is a random oracle
// here.
//
// What each side learns. The sender sees base-OT points and U_i + U_0, which leaf r_alpha hides (it is pseudo-random by
// the GGM tree). The receiver sees nothing of delta after the base OTs. Nodes and leaves are AES-128 in counter mode
// with one key a node or leaf and one counter position a column block, never used twice. Counters are bound to the
// session's salt, tree and level, so that one search for a leaf serves one session, tree and level.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/byte_view.hpp"
#include "core/base/sha256.hpp"
#include "core/ot/base_ot.hpp"

namespace mpc {

constexpr std::size_t kTrees = 32, kTreeDepth = 4, kLeaves = 16;
constexpr std::size_t kBaseOts = kTrees * kTreeDepth;  // 128, one a bit of delta
constexpr std::size_t kTreeSumsBytes = kTrees * (kTreeDepth - 1) * 2 * sizeof(Block);
constexpr std::size_t kTreeMessageBytes = kTreeSumsBytes + kTrees * 2 * sizeof(Block) + Sha256::kDigestBytes;
constexpr std::size_t kColumnBytes = (kTrees - 1) * sizeof(Block);             // of 128 columns
constexpr std::size_t kCheckBytes = sizeof(Block) + Sha256::kDigestBytes;  // behind all columns

// Bytes of the extension message that yields 128 * column_blocks correlated OTs.
constexpr std::size_t extension_bytes(std::size_t column_blocks) {
    return kColumnBytes * (column_blocks + 1) + kCheckBytes;
}
// The inverse. Throws LengthError for a length that no extension has.
std::size_t extension_blocks(std::size_t bytes);

using LeafKeys = std::vector<RoundKeys, LargeAllocator<RoundKeys, true>>;

class CotReceiver {
public:
    // Starts from the 128 base OTs in which this side was the sender, and writes kTreeMessageBytes to `message` for the
    // peer. The salt is the session's.
    CotReceiver(const std::vector<KeyPair>& base_keys, const Block& salt, MutableByteView message);

    // Writes extension_bytes(column_blocks) to `message`, 128 * column_blocks blocks to `t` and as many choice bits
    // (bit c of u[c / 128]) to `u`.
    void extend(std::size_t column_blocks, MutableByteView message, Block* t, Block* u);

private:
    Block salt_;
    LeafKeys leaves_;  // tree-major, leaf x
    std::uint64_t position_ = 0;
};

class CotSender {
public:
    // The choice bits with which this side, as base-OT receiver, takes the off-path sums of the trees.
    static std::array<std::uint8_t, kBaseOts> base_choices(const Block& delta);

    // Starts from its 128 base-OT keys and the receiver's kTreeMessageBytes.
    CotSender(const Block& delta, const Blocks& base_keys, const Block& salt, ByteView message);
    // Whether the trees passed the check. If not, nothing else may be called.
    bool trees_agree() const { return tree_difference_ == 0; }
    // For the test of constant time, which declares it public.
    std::uint64_t& tree_difference() { return tree_difference_; }
    ~CotSender() { wipe(&delta_, sizeof delta_); }
    CotSender(const CotSender&) = delete;
    CotSender& operator=(const CotSender&) = delete;

    // Reads extension_bytes(column_blocks) from `message`, writes 128 * column_blocks blocks to `q`. Returns zero if the
    // check passed. If not, neither `q` nor this object may be used any more.
    std::uint64_t extend(std::size_t column_blocks, ByteView message, Block* q);

private:
    Block delta_, salt_;
    std::uint64_t tree_difference_ = 0;
    LeafKeys leaves_;  // tree-major, by distance y = x + alpha, of which y = 0 is not known (a dummy)
    std::uint64_t position_ = 0;
};

}  // namespace mpc
