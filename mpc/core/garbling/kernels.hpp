// The inner loops, one table of functions a CPU level: AES over many blocks, and garbling over one tile of instances.
//
// A tile is up to kTile instances of the same circuit. A wire of a tile is a row of blocks, one label an instance; the
// gates are walked once and every row is handled whole, so that the AES units stay full. Only the `lanes` first blocks
// of a row are in use; no kernel touches others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"

namespace mpc {

// Instances a tile, part of the wire format: it fixes which labels share a hash key (see hash.hpp) and the order of
// labels and tables (see wire_order.hpp).
constexpr std::size_t kTile = 32;

// Gate keys that are expanded at once; two or three keys an AND gate.
constexpr std::size_t kKeyBatch = 32;

// How an AND gate is garbled. Both are keyed by hash.hpp's indices, so many a gate and tile; a row is the tables of one
// gate in one tile.
enum class TableFormat : std::uint8_t {
    half_gates,    // 32 bytes a gate and instance: `lanes` blocks of the garbler's half, then of the evaluator's half
    three_halves,  // 24 5/8 bytes: see three_halves.hpp
};

constexpr MPC_INLINE std::size_t keys_per_and(TableFormat format) {
    return format == TableFormat::half_gates ? 2 : 3;
}

constexpr MPC_INLINE std::size_t row_bytes(TableFormat format, std::size_t lanes) {
    const std::size_t pair_bits = (2 * lanes + 7) / 8, bits = (lanes + 7) / 8;
    return format == TableFormat::half_gates ? 2 * sizeof(Block) * lanes
                                             : 3 * sizeof(std::uint64_t) * lanes + 2 * pair_bits + bits;
}

// One step of a circuit. Operands are row numbers, `out` is a slot (circuit.hpp). XOR and NOT are free, but walking a
// row is not: an AND gate therefore takes the XORs next to it along, and an XOR gate may have three operands.
//   AND:  out = ((a ^ x ^ invert_a) & (b ^ y ^ invert_b)) ^ z      x, y, z only if fused, absent ones are row 0 (zeros)
//   XOR:  out = a ^ b ^ x                                          x only if fused
struct Gate {
    enum Kind : std::uint32_t { is_and = 1, invert_a = 2, invert_b = 4, fused = 8 };
    std::uint32_t a;
    std::uint32_t x;
    std::uint32_t b;
    std::uint32_t y;
    std::uint32_t z;
    std::uint32_t out;
    std::uint32_t kind;
};

// What one call of a garbling kernel works on; the kernel advances `index`, `tables` and `dice`.
struct GateRun {
    const Gate* gates;         // the next gate
    std::size_t gate_count;    // how many gates are left
    std::size_t and_limit;     // stop before the AND gate that would exceed this many
    const Block* const* rows;  // operand row r starts at rows[r]
    Block* slots;              // slot s starts at slots + s * stride
    std::size_t stride;        // blocks, at least `lanes`
    std::size_t lanes;         // instances in this tile, 1..kTile
    Block salt;                // session salt: the key of hash i is salt ^ i
    std::uint64_t index;       // of the next hash key
    std::uint8_t* tables;      // one row an AND
    const std::uint64_t* dice;  // three halves, garbler: two random bits an instance, one word an AND
};

// What a projection (projection.hpp) is made from or opened with.
struct ProjectionRun {
    const Block* labels;  // of the outputs, in wire order
    std::size_t n;
    const unsigned* word_widths;  // of the outputs
    std::size_t words;
    std::size_t rows;     // output bits of all tiles
    unsigned width;       // of the ring
    bool signed_words;
    Block salt;
    std::uint64_t index;  // of the first hash key
    std::size_t message_bytes;
    std::uint64_t* shares;  // n x words, to be written
};

struct Kernels {
    void (*expand_key)(const Block& key, RoundKeys* out);
    void (*encrypt)(const RoundKeys& keys, const Block* in, Block* out, std::size_t count);
    void (*counter_mode)(const RoundKeys& keys, std::uint64_t first, std::uint64_t high, Block* out,
                         std::size_t count);
    // As counter_mode with `high` zero, under `key_count` keys: `count` blocks each, key k's from out + k * stride on.
    void (*streams)(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
                    std::size_t count);
    // blocks[i] ^= delta where bit i of the packed `bits` is one.
    void (*shift)(Block* blocks, const std::uint8_t* bits, std::size_t count, const Block& delta);
    // Bit i of the result is the colour of row[i], i < lanes <= kTile.
    std::uint64_t (*colours)(const Block* row, std::size_t lanes);
    // Walks gates until one of the two limits; returns how many gates it took. The rows hold zero labels.
    std::size_t (*garble)(GateRun& run, const Block& delta);
    // The same for the evaluator; reads `tables`, and the rows hold the labels of the actual values.
    std::size_t (*evaluate)(GateRun& run);
    // The same two with three halves.
    std::size_t (*garble_three_halves)(GateRun& run, const Block& delta);
    std::size_t (*evaluate_three_halves)(GateRun& run);
    // The garbler's side of a projection, from zero labels to a message that was zero; and the evaluator's.
    void (*project)(const ProjectionRun& run, const Block& delta, std::uint8_t* message);
    void (*open_projection)(const ProjectionRun& run, const std::uint8_t* message);
};

// The table of the level in use (cpu::level()).
const Kernels& kernels();

extern const Kernels kernels_portable;
#if defined(MPC_X86_KERNELS)
extern const Kernels kernels_aesni;
extern const Kernels kernels_vaes256;
extern const Kernels kernels_vaes512;
#endif

}  // namespace mpc
