// Walks through a circuit over n instances, for either role. It goes tile after tile and gate range after gate range,
// so that tables can be made or used in pieces of any size and memory stays bounded by a tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/aes/hash.hpp"
#include "core/base/block.hpp"
#include "core/circuits/circuit.hpp"
#include "core/garbling/kernels.hpp"

namespace mpc {

class TileWalk {
public:
    TileWalk(Circuit walked, std::size_t instances, const HashKeys& keys, TableFormat tables);
    ~TileWalk();
    TileWalk(TileWalk&&) noexcept = default;
    TileWalk& operator=(TileWalk&&) noexcept = default;
    TileWalk(const TileWalk&) = delete;
    TileWalk& operator=(const TileWalk&) = delete;

    bool finished() const { return first_ >= n; }
    bool at_tile_start() const { return next_gate_ == 0; }
    bool tile_done() const { return next_gate_ == circuit.gates().size(); }
    std::size_t lanes() const;
    std::size_t row_bytes() const { return mpc::row_bytes(format, lanes()); }  // tables of one AND gate
    // First place of this tile in a list in wire order, `bits` an instance.
    std::size_t place(std::size_t bits) const { return first_ * bits; }
    // Where the tile's input labels are, rows of `lanes` blocks; they must stay there until the tile is done.
    void set_inputs(const Block* garbler_rows, const Block* evaluator_rows);
    const Block* row(std::size_t number) const { return rows_[number]; }
    // Garbler, three halves only: the tile's random bits, one word an AND gate; they must stay there likewise.
    void set_dice(const std::uint64_t* words) { dice_ = words; }
    // Runs gates of this tile; `tables` has room for (or holds) the tables of `ands` AND gates. Garbles if `delta` is
    // given, otherwise evaluates. Returns how many AND gates were done; then see tile_done().
    std::size_t run(std::uint8_t* tables, std::size_t ands, const Block* delta);
    // After the last one the walk keeps no labels.
    void next_tile();

    Circuit circuit;
    std::size_t n;
    TableFormat format;

private:
    struct AlignedDelete {
        void operator()(Block* p) const;
    };
    std::size_t slot_blocks() const;
    void release();

    HashKeys keys_;  // from the next gate's on
    std::size_t stride_;  // short rows for few instances, so that small jobs stay in cache
    std::size_t first_ = 0;
    std::size_t next_gate_ = 0;
    std::unique_ptr<Block[], AlignedDelete> slots_;
    std::vector<const Block*> rows_;
    const std::uint64_t* dice_ = nullptr;  // of the next AND gate
};

}  // namespace mpc
