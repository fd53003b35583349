// Walks through a circuit; see tile_walk.hpp.
#include "core/garbling/tile_walk.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace mpc {

namespace {

constexpr std::size_t kRowAlignment = 64;
const Block kZeroRow[kTile] = {};

}  // namespace

void TileWalk::AlignedDelete::operator()(Block* p) const {
    ::operator delete[](static_cast<void*>(p), std::align_val_t{kRowAlignment});
}

TileWalk::TileWalk(Circuit walked, std::size_t instances, const HashKeys& keys, TableFormat tables)
    : circuit(std::move(walked)), n(instances), format(tables), keys_(keys),
      stride_(n >= 4 ? std::min(kTile, (n + 3) / 4 * 4) : std::max<std::size_t>(n, 1)) {
    void* memory = ::operator new[](slot_blocks() * sizeof(Block), std::align_val_t{kRowAlignment});
    slots_.reset(static_cast<Block*>(memory));
    std::uninitialized_fill_n(slots_.get(), slot_blocks(), Block{});
    rows_.resize(circuit.first_slot_row() + circuit.slot_count());
    rows_[0] = kZeroRow;
    for (std::size_t s = 0; s < circuit.slot_count(); ++s) {
        rows_[circuit.first_slot_row() + s] = slots_.get() + s * stride_;
    }
}

TileWalk::~TileWalk() { release(); }

std::size_t TileWalk::slot_blocks() const { return std::max<std::size_t>(circuit.slot_count(), 1) * stride_; }

std::size_t TileWalk::lanes() const { return std::min(kTile, n - first_); }

void TileWalk::set_inputs(const Block* garbler_rows, const Block* evaluator_rows) {
    auto row = rows_.begin() + 1;
    for (std::size_t j = 0; j < circuit.garbler_bits(); ++j) *row++ = garbler_rows + j * lanes();
    for (std::size_t j = 0; j < circuit.evaluator_bits(); ++j) *row++ = evaluator_rows + j * lanes();
}

std::size_t TileWalk::run(std::uint8_t* tables, std::size_t ands, const Block* delta) {
    GateRun run{circuit.gates().data() + next_gate_,
                circuit.gates().size() - next_gate_,
                ands,
                rows_.data(),
                slots_.get(),
                stride_,
                lanes(),
                keys_.salt,
                keys_.first_index,
                tables,
                dice_};
    const GarblingKernels& kernel = garbling_kernels();
    const auto garble = format == TableFormat::half_gates ? kernel.garble : kernel.garble_three_halves;
    const auto evaluate = format == TableFormat::half_gates ? kernel.evaluate : kernel.evaluate_three_halves;
    next_gate_ += delta != nullptr ? garble(run, *delta) : evaluate(run);
    const std::uint64_t done = (run.index - keys_.first_index) / keys_per_and(format);
    keys_.first_index = run.index;
    dice_ = run.dice;
    return static_cast<std::size_t>(done);
}

void TileWalk::next_tile() {
    first_ += lanes();
    next_gate_ = 0;
    if (finished()) release();
}

void TileWalk::release() {
    if (slots_) wipe(slots_.get(), slot_blocks() * sizeof(Block));
    slots_.reset();
    std::vector<const Block*>().swap(rows_);
}

}  // namespace mpc
