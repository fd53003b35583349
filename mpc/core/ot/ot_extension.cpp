// SoftSpoken correlated OT extension with 16-leaf trees; see ot_extension.hpp.
#include "core/ot/ot_extension.hpp"

#include <algorithm>

#include "core/aes/kernels.hpp"
#include "core/aes/prg.hpp"
#include "core/base/cpu.hpp"
#include "core/base/transpose.hpp"

namespace mpc {
namespace {

constexpr std::size_t kTileBlocks = kRowBlocks;  // columns go 2048 at a time: 32 KiB of rows, inside the first cache
constexpr std::size_t kTileBytes = kTileBlocks * sizeof(Block);  // of one column, in whole vectors

struct Tile {
    alignas(64) Block rows[kBaseOts][kTileBlocks];
    alignas(64) Block leaf[kLeaves][kTileBlocks];
    alignas(64) std::uint8_t first[kTileBytes];  // U_0
    alignas(64) std::uint8_t sum[kTileBytes];    // U_i + U_0 of a tree, where the message has no room for whole vectors

    Tile() { std::memset(static_cast<void*>(this), 0, sizeof *this); }
    ~Tile() { wipe(this, sizeof *this); }
};

template <std::size_t bytes>
struct VectorOf {
    typedef std::uint64_t T __attribute__((vector_size(bytes)));

    static MPC_INLINE void load(T& x, const void* from) {
        T loaded;  // of its own, so that x may stay in a register
        std::memcpy(&loaded, from, sizeof loaded);
        x = loaded;
    }
    static MPC_INLINE void store(void* to, const T& x) { std::memcpy(to, &x, sizeof x); }
};

// Of one tree: row b = XOR of the leaves x whose bit b is set, and of `in` where bit b of alpha is; out = `in` XOR all
// leaves. Halving the list once a bit costs 26 XORs of rows instead of 43.
template <std::size_t bytes>
MPC_INLINE void fold_body(const Block (*leaf)[kTileBlocks], std::uint64_t alpha, const std::uint8_t* in,
                          std::uint8_t* out, Block (*rows)[kTileBlocks]) {
    using Vector = VectorOf<bytes>;
    for (std::size_t c = 0; c < kTileBlocks; c += bytes / sizeof(Block)) {
        typename Vector::T l[kLeaves], more;
        for (std::size_t x = 0; x < kLeaves; ++x) Vector::load(l[x], &leaf[x][c]);
        Vector::load(more, in + c * sizeof(Block));
        for (std::size_t b = 0; b < kTreeDepth; ++b) {
            const std::size_t pairs = kLeaves >> (b + 1);
            typename Vector::T odd = l[1] ^ (more & mask_of(alpha >> b).lo);
            l[0] ^= l[1];
            for (std::size_t k = 1; k < pairs; ++k) {
                odd ^= l[2 * k + 1];
                l[k] = l[2 * k] ^ l[2 * k + 1];
            }
            Vector::store(&rows[b][c], odd);
        }
        Vector::store(out + c * sizeof(Block), l[0] ^ more);
    }
}

using Fold = void (*)(const Block (*)[kTileBlocks], std::uint64_t, const std::uint8_t*, std::uint8_t*,
                      Block (*)[kTileBlocks]);

void fold_generic(const Block (*leaf)[kTileBlocks], std::uint64_t alpha, const std::uint8_t* in, std::uint8_t* out,
                  Block (*rows)[kTileBlocks]) {
    fold_body<16>(leaf, alpha, in, out, rows);
}

#if defined(MPC_X86_KERNELS)
__attribute__((target("avx2"))) void fold_avx2(const Block (*leaf)[kTileBlocks], std::uint64_t alpha,
                                               const std::uint8_t* in, std::uint8_t* out, Block (*rows)[kTileBlocks]) {
    fold_body<32>(leaf, alpha, in, out, rows);
}
__attribute__((target("avx512f"))) void fold_avx512(const Block (*leaf)[kTileBlocks], std::uint64_t alpha,
                                                    const std::uint8_t* in, std::uint8_t* out,
                                                    Block (*rows)[kTileBlocks]) {
    fold_body<64>(leaf, alpha, in, out, rows);
}
#endif

Fold fold_kernel() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() == cpu::Level::vaes512) return fold_avx512;
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("avx2")) return fold_avx2;
#endif
    return fold_generic;
}

// Children of a tree node: the first two blocks of AES-128 in counter mode under the node.
void children(const Block& node, Block out[2]) { Prg(node).fill_blocks(out, 2); }

void expand_leaves(const Block (&nodes)[kLeaves], RoundKeys* out) {
    for (std::size_t x = 0; x < kLeaves; ++x) cipher_kernels().expand_key(nodes[x], &out[x]);
}

// The two sums of one level of a tree in the message of all trees.
template <typename Byte>
Byte* tree_message(View<Byte> message, std::size_t tree, std::size_t level) {
    return message.slice((tree * (kTreeDepth - 1) + level - 1) * 2 * sizeof(Block), 2 * sizeof(Block)).data();
}

// Bit of alpha that level `level` (0 at the root) decides: the leaf number's highest bit first.
std::uint64_t path_bit(const Block& delta, std::size_t tree, std::size_t level) {
    const std::size_t bit = kTreeDepth * tree + (kTreeDepth - 1 - level);
    return ((bit < 64 ? delta.lo : delta.hi) >> (bit % 64)) & 1;
}

}  // namespace

CotReceiver::CotReceiver(const std::vector<KeyPair>& base_keys, MutableByteView message)
    : leaves_(kTrees * kLeaves) {
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
        const KeyPair* keys = &base_keys[kTreeDepth * tree];
        Block nodes[kLeaves] = {keys[0].key[0], keys[0].key[1]};
        for (std::size_t level = 1; level < kTreeDepth; ++level) {
            Block next[kLeaves];
            Block sums[2] = {keys[level].key[0], keys[level].key[1]};
            for (std::size_t k = 0; k < (std::size_t{1} << level); ++k) {
                children(nodes[k], &next[2 * k]);
                sums[0] ^= next[2 * k];
                sums[1] ^= next[2 * k + 1];
            }
            std::copy(next, next + kLeaves, nodes);
            wipe(next, sizeof next);
            std::memcpy(tree_message(message, tree, level), sums, sizeof sums);
        }
        expand_leaves(nodes, &leaves_[tree * kLeaves]);
        wipe(nodes, sizeof nodes);
    }
}

void CotReceiver::extend(std::size_t column_blocks, MutableByteView message, Block* t, Block* u) {
    const Fold fold = fold_kernel();
    const auto streams = cipher_kernels().streams;
    Tile tile;
    for (std::size_t done = 0; done < column_blocks; done += kTileBlocks) {
        const std::size_t blocks = std::min(kTileBlocks, column_blocks - done);
        const bool whole = blocks == kTileBlocks;
        const auto tree = [&](std::size_t i, const std::uint8_t* in, std::uint8_t* out) {
            streams(&leaves_[i * kLeaves], kLeaves, position_, tile.leaf[0], kTileBlocks, blocks);
            fold(tile.leaf, 0, in, out, &tile.rows[kTreeDepth * i]);
        };
        std::memset(tile.sum, 0, sizeof tile.sum);
        tree(0, tile.sum, tile.first);
        for (std::size_t i = 1; i < kTrees; ++i, message = message.from(blocks * sizeof(Block))) {
            const MutableByteView row = message.slice(0, blocks * sizeof(Block));
            tree(i, tile.first, whole ? row.data() : tile.sum);
            if (!whole) std::memcpy(row.data(), tile.sum, row.size());
        }
        transpose_rows(tile.rows, blocks, t + 128 * done);
        std::memcpy(u + done, tile.first, blocks * sizeof(Block));
        position_ += blocks;
    }
}

std::array<std::uint8_t, kBaseOts> CotSender::base_choices(const Block& delta) {
    std::array<std::uint8_t, kBaseOts> choices{};
    for (std::size_t tree = 0; tree < kTrees; ++tree)
        for (std::size_t level = 0; level < kTreeDepth; ++level)
            choices[kTreeDepth * tree + level] = static_cast<std::uint8_t>(1 ^ path_bit(delta, tree, level));
    return choices;
}

// Nodes are held by their distance from the path, so no address depends on delta: node y at a level is the one whose
// number differs from alpha's prefix by y, and node 0 (the path) stays a dummy of zeros.
CotSender::CotSender(const Block& delta, const Blocks& base_keys, ByteView message)
    : delta_(delta), leaves_(kTrees * kLeaves) {
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
        const Block* keys = &base_keys[kTreeDepth * tree];
        Block nodes[kLeaves] = {Block{}, keys[0]};
        for (std::size_t level = 1; level < kTreeDepth; ++level) {
            const Block path = mask_of(path_bit(delta, tree, level));
            Block next[kLeaves];
            Block sums[2];
            std::memcpy(sums, tree_message(message, tree, level), sizeof sums);
            // The side that the path does not take: sums[1 - path bit], opened by the base-OT key.
            Block sibling = keys[level] ^ sums[1] ^ (path & (sums[0] ^ sums[1]));
            for (std::size_t y = 1; y < (std::size_t{1} << level); ++y) {
                Block pair[2];
                children(nodes[y], pair);
                const Block swap = path & (pair[0] ^ pair[1]);
                next[2 * y] = pair[0] ^ swap;
                next[2 * y + 1] = pair[1] ^ swap;
                sibling ^= next[2 * y + 1];
            }
            next[1] = sibling;
            std::copy(next, next + kLeaves, nodes);
            wipe(next, sizeof next);
        }
        expand_leaves(nodes, &leaves_[tree * kLeaves]);
        wipe(nodes, sizeof nodes);
    }
}

void CotSender::extend(std::size_t column_blocks, ByteView message, Block* q) {
    const Fold fold = fold_kernel();
    const auto streams = cipher_kernels().streams;
    Tile tile;
    for (std::size_t done = 0; done < column_blocks; done += kTileBlocks) {
        const std::size_t blocks = std::min(kTileBlocks, column_blocks - done);
        const bool whole = blocks == kTileBlocks;
        const auto tree = [&](std::size_t i, std::uint64_t alpha, const std::uint8_t* in) {
            // tile.leaf[0] stays zero: the leaf at distance 0 has coefficient 0 in W.
            streams(&leaves_[i * kLeaves + 1], kLeaves - 1, position_, tile.leaf[1], kTileBlocks, blocks);
            fold(tile.leaf, alpha, in, tile.first, &tile.rows[kTreeDepth * i]);  // what it leaves there means nothing
        };
        tree(0, 0, tile.sum);
        for (std::size_t i = 1; i < kTrees; ++i, message = message.from(blocks * sizeof(Block))) {
            const ByteView row = message.slice(0, blocks * sizeof(Block));
            const std::size_t bit = kTreeDepth * i;
            const std::uint64_t alpha = (bit < 64 ? delta_.lo : delta_.hi) >> (bit % 64);
            if (!whole) std::memcpy(tile.sum, row.data(), row.size());
            tree(i, alpha, whole ? row.data() : tile.sum);
        }
        transpose_rows(tile.rows, blocks, q + 128 * done);
        position_ += blocks;
    }
}

}  // namespace mpc
