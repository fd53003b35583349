// SoftSpoken correlated OT extension with 16-leaf trees; see ot_extension.hpp.
#include "core/ot/ot_extension.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "core/aes/kernels.hpp"
#include "core/aes/prg.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/transpose.hpp"
#include "core/ot/ot_check.hpp"

namespace mpc {
namespace {

constexpr std::size_t kTileBlocks = kRowBlocks;  // columns go 2048 at a time: 32 KiB of rows, inside the first cache
constexpr std::size_t kTileBytes = kTileBlocks * sizeof(Block);  // of one column, in whole vectors

struct Tile {
    union {  // which keeps them from being zeroed
        alignas(64) Block rows[kBaseOts][kTileBlocks];
    };
    alignas(64) Block leaf[kLeaves][kTileBlocks];
    alignas(64) std::uint8_t first[kTileBytes];  // U_0
    alignas(64) std::uint8_t sum[kTileBytes];    // U_i + U_0 of a tree, where the message has no room for whole vectors

    // Only what is read before it is written.
    Tile() {
        std::memset(static_cast<void*>(leaf), 0, sizeof leaf);
        std::memset(first, 0, sizeof first);
        std::memset(sum, 0, sizeof sum);
    }
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

// The words of each block in the other order.
MPC_INLINE void swap_words(VectorOf<16>::T& x) { x = VectorOf<16>::T{x[1], x[0]}; }
MPC_INLINE void swap_words(VectorOf<32>::T& x) { x = VectorOf<32>::T{x[1], x[0], x[3], x[2]}; }
MPC_INLINE void swap_words(VectorOf<64>::T& x) {
    x = VectorOf<64>::T{x[1], x[0], x[3], x[2], x[5], x[4], x[7], x[6]};
}

// Of one tree: row b = XOR of the leaves x whose bit b is set, and of `in` where bit b of alpha is; out = `in` XOR all
// leaves. Halving the list once a bit costs 26 XORs of rows instead of 43. `joined` = the sum of x^b row b for the check
// (ot_check.hpp). The first `blocks` blocks of each, and what fills the last vector.
template <std::size_t bytes>
MPC_INLINE void fold_body(const Block (*leaf)[kTileBlocks], std::uint64_t alpha, std::size_t blocks,
                          const std::uint8_t* in, std::uint8_t* out, Block (*rows)[kTileBlocks], Block* joined) {
    using Vector = VectorOf<bytes>;
    typename Vector::T low_words;
    for (std::size_t w = 0; w < bytes / sizeof(std::uint64_t); ++w) low_words[w] = std::uint64_t{0} - (w % 2 == 0);
    for (std::size_t c = 0; c < blocks; c += bytes / sizeof(Block)) {
        typename Vector::T l[kLeaves], more, sum, carry;
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
            if (b == 0) {
                sum = odd;
                carry = odd ^ odd;
            } else {
                sum ^= odd << b;
                carry ^= odd >> (64 - b);  // out of each word
            }
        }
        Vector::store(out + c * sizeof(Block), l[0] ^ more);
        // The low word's carry goes to the high word, the high word's to x^128 = x^7 + x^2 + x + 1.
        swap_words(carry);
        const typename Vector::T over = carry & low_words;
        Vector::store(&joined[c], sum ^ carry ^ (over << 1) ^ (over << 2) ^ (over << 7));
    }
}

using Fold = void (*)(const Block (*)[kTileBlocks], std::uint64_t, std::size_t, const std::uint8_t*, std::uint8_t*,
                      Block (*)[kTileBlocks], Block*);

void fold_generic(const Block (*leaf)[kTileBlocks], std::uint64_t alpha, std::size_t blocks, const std::uint8_t* in,
                  std::uint8_t* out, Block (*rows)[kTileBlocks], Block* joined) {
    fold_body<16>(leaf, alpha, blocks, in, out, rows, joined);
}

#if defined(MPC_X86_KERNELS)
__attribute__((target("avx2"))) void fold_avx2(const Block (*leaf)[kTileBlocks], std::uint64_t alpha,
                                               std::size_t blocks, const std::uint8_t* in, std::uint8_t* out,
                                               Block (*rows)[kTileBlocks], Block* joined) {
    fold_body<32>(leaf, alpha, blocks, in, out, rows, joined);
}
__attribute__((target("avx512f"))) void fold_avx512(const Block (*leaf)[kTileBlocks], std::uint64_t alpha,
                                                    std::size_t blocks, const std::uint8_t* in, std::uint8_t* out,
                                                    Block (*rows)[kTileBlocks], Block* joined) {
    fold_body<64>(leaf, alpha, blocks, in, out, rows, joined);
}
#endif

Fold fold_kernel() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() == cpu::Level::vaes512) return fold_avx512;
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("avx2")) return fold_avx2;
#endif
    return fold_generic;
}

// Where the counters of a tree's nodes at one level begin; those of its leaves are at level kTreeDepth.
Block node_place(const Block& salt, std::size_t tree, std::size_t level) {
    return salt ^ Block{0, (std::uint64_t{tree} << 8) | level};
}

// Children of a tree node: the first two blocks of AES-128 in counter mode under the node.
void children(const Block& node, const Block& place, Block out[2]) { Prg(node, place).fill_blocks(out, 2); }

// What a last node becomes: the key of its leaf, and t_x for the check.
struct Leaf {
    Block key;
    Block check[2];
};

Leaf leaf_of(const Block& node, const Block& salt, std::size_t tree) {
    Leaf leaf;
    Prg(node, node_place(salt, tree, kTreeDepth - 1)).fill_blocks(&leaf.key, 3);
    return leaf;
}
static_assert(sizeof(Leaf) == 3 * sizeof(Block), "a leaf is filled at once");

void expand_leaf(const Leaf& leaf, const Block& salt, std::size_t tree, RoundKeys* out) {
    cipher_kernels().expand_key(leaf.key, out);
    out->keys[0] ^= node_place(salt, tree, kTreeDepth);
}

Sha256 tree_hash(const Block& salt) {
    static constexpr char kDomain[] = "capc OT trees 1";
    return Sha256().update(kDomain, sizeof kDomain - 1).update(&salt, sizeof salt);
}

// The challenge of an extension: what R is drawn from once all columns are fixed. A hash of the hashes of both halves
// (their number of bytes is even).
Block challenge_of(const Block& salt, std::uint64_t position, ByteView columns) {
    static constexpr char kDomain[] = "capc OT extension 1";
    std::uint8_t numbers[16];
    for (std::size_t i = 0; i < 8; ++i) {
        numbers[i] = static_cast<std::uint8_t>(position >> (8 * i));
        numbers[8 + i] = static_cast<std::uint8_t>(std::uint64_t{columns.size()} >> (8 * i));
    }
    Sha256 hash;
    hash.update(kDomain, sizeof kDomain - 1).update(&salt, sizeof salt).update(numbers, sizeof numbers);
    const std::size_t half = columns.size() / 2;
    Sha256 one, two;
    Sha256::update_both(one, columns.data(), two, columns.from(half).data(), half);
    const Sha256::Digest first = one.digest(), second = two.digest();
    hash.update(first.data(), first.size()).update(second.data(), second.size());
    return load_block(hash.digest().data());
}

Sha256::Digest row_digest(const Block& challenge, const Block (&values)[kTrees]) {
    static constexpr char kDomain[] = "capc OT rows 2";
    Sha256 hash;
    hash.update(kDomain, sizeof kDomain - 1).update(&challenge, sizeof challenge);
    return hash.update(values, sizeof values).digest();
}

// Not zero if they differ; no branch.
std::uint64_t difference(const Sha256::Digest& found, const std::uint8_t* expected) {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < found.size(); ++i) all |= static_cast<std::uint64_t>(found[i] ^ expected[i]);
    return all;
}

// The joined rows of all trees, tile by tile: what the check needs once the challenge is known.
class JoinedRows {
public:
    explicit JoinedRows(std::size_t column_blocks)
        : column_blocks_(column_blocks),
          blocks_((column_blocks + kTileBlocks - 1) / kTileBlocks * kTrees * kTileBlocks) {}

    Block* tree(std::size_t first, std::size_t tree) {
        return blocks_.data() + (first / kTileBlocks * kTrees + tree) * kTileBlocks;
    }
    // Row i of the hash is that of tree i.
    void add_to(RowHash& hash) {
        for (std::size_t first = 0; first < column_blocks_; first += kTileBlocks) {
            const std::size_t blocks = std::min(kTileBlocks, column_blocks_ - first);
            for (std::size_t i = 0; i < kTrees; ++i) hash.add(i, first, tree(first, i), blocks);
        }
    }

private:
    std::size_t column_blocks_;
    Blocks blocks_;
};

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

std::size_t extension_blocks(std::size_t bytes) {
    const std::size_t columns = bytes < kCheckBytes ? 0 : (bytes - kCheckBytes) / kColumnBytes;
    if (columns < 2 || bytes != kColumnBytes * columns + kCheckBytes) {
        throw LengthError("OT extension, bytes in multiples of " + std::to_string(kColumnBytes) + " behind " +
                              std::to_string(kColumnBytes + kCheckBytes),
                          extension_bytes(std::max<std::size_t>(columns, 2) - 1), bytes);
    }
    return columns - 1;
}

CotReceiver::CotReceiver(const std::vector<KeyPair>& base_keys, const Block& salt, MutableByteView message)
    : salt_(salt), leaves_(kTrees * kLeaves) {
    Sha256 hash = tree_hash(salt);
    MutableByteView checks = message.from(kTreeSumsBytes);
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
        const KeyPair* keys = &base_keys[kTreeDepth * tree];
        Block nodes[kLeaves] = {keys[0].key[0], keys[0].key[1]};
        for (std::size_t level = 1; level < kTreeDepth; ++level) {
            Block next[kLeaves];
            Block sums[2] = {keys[level].key[0], keys[level].key[1]};
            for (std::size_t k = 0; k < (std::size_t{1} << level); ++k) {
                children(nodes[k], node_place(salt, tree, level - 1), &next[2 * k]);
                sums[0] ^= next[2 * k];
                sums[1] ^= next[2 * k + 1];
            }
            std::copy(next, next + kLeaves, nodes);
            wipe(next, sizeof next);
            std::memcpy(tree_message(message, tree, level), sums, sizeof sums);
        }
        Block sum[2] = {};
        for (std::size_t x = 0; x < kLeaves; ++x) {
            Leaf leaf = leaf_of(nodes[x], salt, tree);
            expand_leaf(leaf, salt, tree, &leaves_[tree * kLeaves + x]);
            hash.update(leaf.check, sizeof leaf.check);
            for (std::size_t i = 0; i < 2; ++i) sum[i] ^= leaf.check[i];
            wipe(&leaf, sizeof leaf);
        }
        std::memcpy(checks.slice(0, sizeof sum).data(), sum, sizeof sum);
        checks = checks.from(sizeof sum);
        wipe(nodes, sizeof nodes);
    }
    const Sha256::Digest digest = hash.digest();
    std::memcpy(checks.slice(0, digest.size()).data(), digest.data(), digest.size());
}

void CotReceiver::extend(std::size_t column_blocks, MutableByteView message, Block* t, Block* u) {
    const Fold fold = fold_kernel();
    const auto streams = cipher_kernels().streams;
    const std::size_t total = column_blocks + 1;  // the last one for the check alone
    const MutableByteView columns = message.slice(0, kColumnBytes * total);
    MutableByteView rest = columns;
    JoinedRows joined(total);
    Blocks choices(total);
    const auto held = std::make_unique<Tile>();  // not on the stack, which is overwritten only so far
    Tile& tile = *held;
    for (std::size_t done = 0; done < total; done += kTileBlocks) {
        const std::size_t blocks = std::min(kTileBlocks, total - done);
        const bool whole = blocks == kTileBlocks;
        const auto tree = [&](std::size_t i, const std::uint8_t* in, std::uint8_t* out) {
            streams(&leaves_[i * kLeaves], kLeaves, position_ + done, tile.leaf[0], kTileBlocks, blocks);
            fold(tile.leaf, 0, blocks, in, out, tile.rows + kTreeDepth * i, joined.tree(done, i));
        };
        std::memset(tile.sum, 0, sizeof tile.sum);
        tree(0, tile.sum, tile.first);
        for (std::size_t i = 1; i < kTrees; ++i, rest = rest.from(blocks * sizeof(Block))) {
            const MutableByteView row = rest.slice(0, blocks * sizeof(Block));
            tree(i, tile.first, whole ? row.data() : tile.sum);
            if (!whole) std::memcpy(row.data(), tile.sum, row.size());
        }
        std::memcpy(choices.data() + done, tile.first, blocks * sizeof(Block));
        transpose_rows(tile.rows, std::min(blocks, column_blocks - done), t + 128 * done);
    }
    std::copy(choices.begin(), choices.end() - 1, u);
    const Block challenge = challenge_of(salt_, position_, columns);
    position_ += total;
    RowHash hash(challenge, total, kTrees + 1);
    joined.add_to(hash);
    hash.add(kTrees, 0, choices.data(), total);
    Block values[kTrees];
    for (std::size_t i = 0; i < kTrees; ++i) values[i] = hash.value(i);
    const MutableByteView check = message.from(columns.size());
    store_block(check.slice(0, sizeof(Block)).data(), hash.value(kTrees));
    const Sha256::Digest digest = row_digest(challenge, values);
    std::memcpy(check.slice(sizeof(Block), digest.size()).data(), digest.data(), digest.size());
    wipe(values, sizeof values);
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
CotSender::CotSender(const Block& delta, const Blocks& base_keys, const Block& salt, ByteView message)
    : delta_(delta), salt_(salt), leaves_(kTrees * kLeaves) {
    Sha256 hash = tree_hash(salt);
    ByteView checks = message.from(kTreeSumsBytes);
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
                children(nodes[y], node_place(salt, tree, level - 1), pair);
                const Block swap = path & (pair[0] ^ pair[1]);
                next[2 * y] = pair[0] ^ swap;
                next[2 * y + 1] = pair[1] ^ swap;
                sibling ^= next[2 * y + 1];
            }
            next[1] = sibling;
            std::copy(next, next + kLeaves, nodes);
            wipe(next, sizeof next);
        }
        Block check[kLeaves][2] = {};  // by distance from alpha
        std::memcpy(check[0], checks.slice(0, sizeof check[0]).data(), sizeof check[0]);
        checks = checks.from(sizeof check[0]);
        for (std::size_t y = 0; y < kLeaves; ++y) {
            Leaf leaf = leaf_of(nodes[y], salt, tree);
            expand_leaf(leaf, salt, tree, &leaves_[tree * kLeaves + y]);
            for (std::size_t i = 0; i < 2 && y > 0; ++i) {
                check[y][i] = leaf.check[i];
                check[0][i] ^= leaf.check[i];  // all but t_alpha taken from the sum
            }
            wipe(&leaf, sizeof leaf);
        }
        for (std::size_t level = 0; level < kTreeDepth; ++level) {  // leaf x = y + alpha to its own place
            const Block swap = mask_of(path_bit(delta, tree, level));
            const std::size_t bit = kLeaves >> (level + 1);
            for (std::size_t y = 0; y < kLeaves; ++y) {
                for (std::size_t i = 0; i < 2 && (y & bit) == 0; ++i) {
                    const Block change = swap & (check[y][i] ^ check[y | bit][i]);
                    check[y][i] ^= change;
                    check[y | bit][i] ^= change;
                }
            }
        }
        hash.update(check, sizeof check);
        wipe(check, sizeof check);
        wipe(nodes, sizeof nodes);
    }
    tree_difference_ = difference(hash.digest(), checks.slice(0, Sha256::kDigestBytes).data());
}

std::uint64_t CotSender::extend(std::size_t column_blocks, ByteView message, Block* q) {
    const Fold fold = fold_kernel();
    const auto streams = cipher_kernels().streams;
    const std::size_t total = column_blocks + 1;
    const ByteView columns = message.slice(0, kColumnBytes * total);
    ByteView rest = columns;
    JoinedRows joined(total);
    const auto held = std::make_unique<Tile>();  // not on the stack, which is overwritten only so far
    Tile& tile = *held;
    for (std::size_t done = 0; done < total; done += kTileBlocks) {
        const std::size_t blocks = std::min(kTileBlocks, total - done);
        const bool whole = blocks == kTileBlocks;
        const auto tree = [&](std::size_t i, std::uint64_t alpha, const std::uint8_t* in) {
            // tile.leaf[0] stays zero: the leaf at distance 0 has coefficient 0 in W.
            streams(&leaves_[i * kLeaves + 1], kLeaves - 1, position_ + done, tile.leaf[1], kTileBlocks, blocks);
            // `first` means nothing here.
            fold(tile.leaf, alpha, blocks, in, tile.first, tile.rows + kTreeDepth * i, joined.tree(done, i));
        };
        tree(0, 0, tile.sum);
        for (std::size_t i = 1; i < kTrees; ++i, rest = rest.from(blocks * sizeof(Block))) {
            const ByteView row = rest.slice(0, blocks * sizeof(Block));
            const std::size_t bit = kTreeDepth * i;
            const std::uint64_t alpha = (bit < 64 ? delta_.lo : delta_.hi) >> (bit % 64);
            if (!whole) std::memcpy(tile.sum, row.data(), row.size());
            tree(i, alpha, whole ? row.data() : tile.sum);
        }
        transpose_rows(tile.rows, std::min(blocks, column_blocks - done), q + 128 * done);
    }
    const Block challenge = challenge_of(salt_, position_, columns);
    position_ += total;
    RowHash hash(challenge, total, kTrees);
    joined.add_to(hash);
    const ByteView check = message.from(columns.size());
    Block values[kTrees];
    for (std::size_t i = 0; i < kTrees; ++i) values[i] = hash.value(i);
    Block choices = load_block(check.slice(0, sizeof(Block)).data());  // R(U_0) x^b, as the peer says
    for (std::size_t b = 0; b < kTreeDepth; ++b, choices = times_x(choices)) {
        for (std::size_t i = 0; i < kTrees; ++i) {
            const std::size_t bit = kTreeDepth * i + b;
            values[i] ^= mask_of((bit < 64 ? delta_.lo : delta_.hi) >> (bit % 64)) & choices;
        }
    }
    const Sha256::Digest digest = row_digest(challenge, values);
    wipe(values, sizeof values);
    return difference(digest, check.slice(sizeof(Block), digest.size()).data());
}

}  // namespace mpc
