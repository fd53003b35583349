// The inner loops of garbling, one table of functions for each CPU level. They work on one tile at a time.
//
// A tile is up to kTile instances of the same circuit (bit_matrix.hpp). A wire of a tile is a row of blocks, one label
// an instance. The gates are walked once and every row is handled whole, so that the AES units stay full. Only the
// first `lanes` blocks of a row are in use, and no kernel touches others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bit_matrix.hpp"
#include "core/base/block.hpp"
#include "core/circuits/gate.hpp"

namespace mpc {

// How an AND gate is garbled. Either way takes keys by hash.hpp's indices, so many a gate and tile. A row is the tables
// of one gate in one tile.
enum class TableFormat : std::uint8_t {
    half_gates,    // 32 bytes a gate and instance, `lanes` blocks of the garbler's half, then of the evaluator's half
    three_halves,  // 24 5/8 bytes (three_halves.hpp)
};

constexpr MPC_INLINE std::size_t keys_per_and(TableFormat format) {
    return format == TableFormat::half_gates ? 2 : 3;
}

constexpr MPC_INLINE std::size_t row_bytes(TableFormat format, std::size_t lanes) {
    const std::size_t pair_bits = (2 * lanes + 7) / 8, bits = (lanes + 7) / 8;
    return format == TableFormat::half_gates ? 2 * sizeof(Block) * lanes
                                             : 3 * sizeof(std::uint64_t) * lanes + 2 * pair_bits + bits;
}

// What one call of a garbling kernel works on. The kernel advances `index`, `tables` and `dice`.
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

struct GarblingKernels {
    // Adds delta to blocks[i] where bit i of the packed `bits` is one.
    void (*shift)(Block* blocks, const std::uint8_t* bits, std::size_t count, const Block& delta);
    // Collects permute bits. Bit i of the result is that of row[i], i < lanes <= kTile.
    std::uint64_t (*colours)(const Block* row, std::size_t lanes);
    // Walks gates until one of the two limits and returns how many gates it took. The rows hold zero labels.
    std::size_t (*garble)(GateRun& run, const Block& delta);
    // Does the same for the evaluator. It reads `tables`, and the rows hold the labels of the actual values.
    std::size_t (*evaluate)(GateRun& run);
    // The same two with three halves.
    std::size_t (*garble_three_halves)(GateRun& run, const Block& delta);
    std::size_t (*evaluate_three_halves)(GateRun& run);
    // Make the garbler's side of a projection, from zero labels to a message that was zero, and the evaluator's.
    void (*project)(const ProjectionRun& run, const Block& delta, std::uint8_t* message);
    void (*open_projection)(const ProjectionRun& run, const std::uint8_t* message);
};

// The table of the level in use (cpu::level()).
const GarblingKernels& garbling_kernels();

extern const GarblingKernels garbling_kernels_portable;
#if defined(MPC_X86_KERNELS)
extern const GarblingKernels garbling_kernels_aesni;
extern const GarblingKernels garbling_kernels_vaes256;
extern const GarblingKernels garbling_kernels_vaes512;
#endif

}  // namespace mpc
