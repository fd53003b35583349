// Correlated OT extension of Roy, "SoftSpokenOT: quieter OT extension from small-field silent VOLE in the Minicrypt
// model" (CRYPTO 2022, eprint 2022/192). It is semi-honest with field size 2^4 and takes 31/8 bytes an OT.
//
//     receiver (choice bits u)                                   sender (offset delta)
//     32 trees of 16 leaves r_x, from both keys of 4 base OTs    all leaves but r_alpha; alpha = 4 bits of delta
//     U_i = sum_x r_x,  V_i = sum_x r_x x   (x in GF(2)^4)       W_i = sum_x r_x (x + alpha)  =  V_i + U_i alpha
//     U_i + U_0, i = 1..31    ----------------------------->     W_i += (U_i + U_0) alpha
//     t_j = column j of V,  u_j = bit j of U_0                   q_j = column j of W = t_j + u_j delta
//
// This is the paper's small-field VOLE over F_2 from punctured GGM trees, repeated 128/4 times, without the consistency
// check that only malicious security needs. The choice bits are random. Whoever needs chosen bits c_j sends c_j + u_j
// and shifts q_j. The receiver's side runs the base OTs as sender.
//
// What each side learns. The sender sees base-OT points and U_i + U_0, which leaf r_alpha hides (it is pseudo-random by
// the GGM tree). The receiver sees nothing of delta after the base OTs. Leaves are AES-128 in counter mode with one key
// a leaf and one counter position a column block, never used twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/byte_view.hpp"
#include "core/ot/base_ot.hpp"

namespace mpc {

constexpr std::size_t kTrees = 32, kTreeDepth = 4, kLeaves = 16;
constexpr std::size_t kBaseOts = kTrees * kTreeDepth;  // 128, one a bit of delta
constexpr std::size_t kTreeMessageBytes = kTrees * (kTreeDepth - 1) * 2 * sizeof(Block);

// Bytes of the extension message that yields 128 * column_blocks correlated OTs.
constexpr std::size_t extension_bytes(std::size_t column_blocks) {
    return (kTrees - 1) * sizeof(Block) * column_blocks;
}

using LeafKeys = std::vector<RoundKeys, LargeAllocator<RoundKeys, true>>;

class CotReceiver {
public:
    // Starts from the 128 base OTs in which this side was the sender, and writes kTreeMessageBytes to `message` for the
    // peer.
    CotReceiver(const std::vector<KeyPair>& base_keys, MutableByteView message);

    // Writes extension_bytes(column_blocks) to `message`, 128 * column_blocks blocks to `t` and as many choice bits
    // (bit c of u[c / 128]) to `u`.
    void extend(std::size_t column_blocks, MutableByteView message, Block* t, Block* u);

private:
    LeafKeys leaves_;  // tree-major, leaf x
    std::uint64_t position_ = 0;
};

class CotSender {
public:
    // The choice bits with which this side, as base-OT receiver, takes the off-path sums of the trees.
    static std::array<std::uint8_t, kBaseOts> base_choices(const Block& delta);

    // Starts from its 128 base-OT keys and the receiver's kTreeMessageBytes.
    CotSender(const Block& delta, const Blocks& base_keys, ByteView message);
    ~CotSender() { wipe(&delta_, sizeof delta_); }
    CotSender(const CotSender&) = delete;
    CotSender& operator=(const CotSender&) = delete;

    // Reads extension_bytes(column_blocks) from `message`, writes 128 * column_blocks blocks to `q`.
    void extend(std::size_t column_blocks, ByteView message, Block* q);

private:
    Block delta_;
    LeafKeys leaves_;  // tree-major, by distance y = x + alpha, of which y = 0 is not known (a dummy)
    std::uint64_t position_ = 0;
};

}  // namespace mpc
