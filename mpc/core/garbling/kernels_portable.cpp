// The garbling kernels without any AES instruction. AES is bitsliced in plain words, and no branch or address depends
// on a secret.
#include "core/garbling/portable_walk.hpp"
#include "core/garbling/projection_rows.hpp"
#include "core/garbling/three_halves.hpp"

namespace mpc {

namespace {

constexpr std::size_t kChunk = bitsliced::kBlocks;

// sigma of hash.hpp: (L || R) -> (L ^ R) || L, the high half being L.
MPC_INLINE Block sigma(const Block& x) { return Block{x.hi, x.hi ^ x.lo}; }

void hash_spread(const bitsliced::Schedule& schedule, const Block* in, Block* out, std::size_t count) {
    Block chunk[kChunk] = {};
    Block cipher[kChunk];
    for (std::size_t i = 0; i < count; i += kChunk) {
        const std::size_t now = count - i < kChunk ? count - i : kChunk;
        for (std::size_t j = 0; j < now; ++j) chunk[j] = sigma(in[i + j]);
        bitsliced::encrypt(schedule, chunk, cipher);
        for (std::size_t j = 0; j < now; ++j) out[i + j] = cipher[j] ^ chunk[j];
    }
}

std::uint64_t colours(const Block* row, std::size_t lanes) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < lanes; ++i) bits |= row[i].colour() << i;
    return bits;
}

// H(x) and H(x ^ delta) of every label, in pairs.
void hash_both(const bitsliced::Schedule& schedule, const Block* zero, const Block& delta, std::size_t lanes,
               Block* out) {
    Block pairs[2 * kTile];
    for (std::size_t i = 0; i < lanes; ++i) {
        pairs[2 * i] = zero[i];
        pairs[2 * i + 1] = zero[i] ^ delta;
    }
    hash_spread(schedule, pairs, out, 2 * lanes);
}

std::size_t garble(GateRun& run, const Block& delta) {
    return portable::walk<TableFormat::half_gates>(run, [&](const Gate& gate, Block* a, Block* b,
                                                            const bitsliced::Schedule* keys) {
        const bitsliced::Schedule& garbler_half = keys[0];
        const bitsliced::Schedule& evaluator_half = keys[1];
        portable::apply_inversions(gate, delta, run.lanes, a, b);
        Block hash_a[2 * kTile], hash_b[2 * kTile];
        hash_both(garbler_half, a, delta, run.lanes, hash_a);
        hash_both(evaluator_half, b, delta, run.lanes, hash_b);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block colour_a = mask_of(a[i].colour());
            const Block colour_b = mask_of(b[i].colour());
            const Block garbler_row = hash_a[2 * i] ^ hash_a[2 * i + 1] ^ (colour_b & delta);
            const Block differ_b = hash_b[2 * i] ^ hash_b[2 * i + 1];
            store_block(run.tables + i * sizeof(Block), garbler_row);
            store_block(run.tables + (run.lanes + i) * sizeof(Block), differ_b ^ a[i]);
            a[i] = hash_a[2 * i] ^ (colour_a & garbler_row) ^ hash_b[2 * i] ^ (colour_b & differ_b);
        }
    });
}

std::size_t evaluate(GateRun& run) {
    return portable::walk<TableFormat::half_gates>(run, [&](const Gate&, Block* a, const Block* b,
                                                            const bitsliced::Schedule* keys) {
        const bitsliced::Schedule& garbler_half = keys[0];
        const bitsliced::Schedule& evaluator_half = keys[1];
        Block hash_a[kTile], hash_b[kTile];
        hash_spread(garbler_half, a, hash_a, run.lanes);
        hash_spread(evaluator_half, b, hash_b, run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block garbler_row = load_block(run.tables + i * sizeof(Block));
            const Block evaluator_row = load_block(run.tables + (run.lanes + i) * sizeof(Block));
            a[i] = hash_a[i] ^ (mask_of(a[i].colour()) & garbler_row) ^ hash_b[i] ^
                   (mask_of(b[i].colour()) & (evaluator_row ^ a[i]));
        }
    });
}

void shift(Block* blocks, const std::uint8_t* bits, std::size_t count, const Block& delta) {
    for (std::size_t i = 0; i < count; ++i) blocks[i] ^= mask_of(std::uint64_t{bits[i / 8]} >> (i % 8)) & delta;
}

void project(const ProjectionRun& run, const Block& delta, std::uint8_t* message) {
    portable::KeySource<1> keys(run.salt, run.index);
    Block pads[2 * kTile];  // of the labels of colour 0, then of colour 1
    std::uint64_t sent[kTile];
    for_each_projected_row(run, [&](const ProjectedRow& row, std::uint64_t* sums) {
        for (std::size_t i = 0; i < row.lanes; ++i) {
            pads[i] = row.labels[i] ^ (mask_of(row.labels[i].colour()) & delta);
            pads[row.lanes + i] = pads[i] ^ delta;
        }
        bitsliced::Schedule schedule;
        keys.next_gate(row.left, &schedule);
        hash_spread(schedule, pads, pads, 2 * row.lanes);
        for (std::size_t i = 0; i < row.lanes; ++i) {
            const std::uint64_t own = mask_of(row.labels[i].colour()).lo & row.weight;  // of the label of colour 0
            const std::uint64_t share = own - pads[i].lo;
            sent[i] = (row.weight - own - share - pads[row.lanes + i].lo) & row.mask;
            sums[i] += share << row.shift;
        }
        pack_row(sent, row, message, run.message_bytes);
    });
    wipe(pads, sizeof pads);
}

void open_projection(const ProjectionRun& run, const std::uint8_t* message) {
    portable::KeySource<1> keys(run.salt, run.index);
    Block pads[kTile];
    std::uint64_t sent[kTile];
    for_each_projected_row(run, [&](const ProjectedRow& row, std::uint64_t* sums) {
        bitsliced::Schedule schedule;
        keys.next_gate(row.left, &schedule);
        hash_spread(schedule, row.labels, pads, row.lanes);
        unpack_row(message, run.message_bytes, row, sent);
        for (std::size_t i = 0; i < row.lanes; ++i) {
            sums[i] += (pads[i].lo + (mask_of(row.labels[i].colour()).lo & sent[i])) << row.shift;
        }
    });
    wipe(pads, sizeof pads);
}

}  // namespace

const GarblingKernels garbling_kernels_portable = {
    shift, colours, garble, evaluate, three_halves::garble, three_halves::evaluate, project, open_projection,
};

}  // namespace mpc
