// Garbles and evaluates; see garbling.hpp.
#include "core/garbling/garbling.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"

namespace mpc {

namespace {

constexpr std::uint64_t kGarblerStream = 0;
constexpr std::uint64_t kDiceStream = 2;

std::uint64_t gate_indices(const Circuit& circuit, std::size_t n, TableFormat format) {
    const std::uint64_t tiles = (n + kTile - 1) / kTile;
    return keys_per_and(format) * tiles * circuit.and_gates();
}

void copy_bytes(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
}

// Labels that are not needed any more: wiped and freed.
void release(Blocks* labels) { Blocks().swap(*labels); }

// The outputs from both sides' permute bits; `step` names those that came from the peer.
std::vector<std::uint64_t> opened(const Circuit& circuit, std::size_t n, Bytes own, ByteView other, const char* step) {
    check_packed(step, other, n * circuit.output_bits());
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = static_cast<std::uint8_t>(own[i] ^ other[i]);
    return unpack_values(circuit.output_widths(), own, n);
}

// Those of a batch that begin after the keys of its gates.
HashKeys projection_keys(const Circuit& circuit, std::size_t n, const HashKeys& keys, TableFormat format) {
    return HashKeys{keys.salt, keys.first_index + gate_indices(circuit, n, format)};
}

// Where the secret label streams of a garbling begin. Streams are told apart by the lowest byte of the high half.
Block label_place(const HashKeys& keys) { return keys.salt ^ Block{0, keys.first_index << 8}; }

bool keeps_labels(const Circuit& circuit, const BatchOptions& options) {
    return options.outputs == Outputs::projected || circuit.has_bit_outputs();
}

}  // namespace

std::uint64_t hash_indices(const Circuit& circuit, std::size_t n, TableFormat format) {
    const std::uint64_t tiles = (n + kTile - 1) / kTile;
    return gate_indices(circuit, n, format) + tiles * circuit.output_bits();
}

void check_instances(const Circuit& circuit, std::size_t n) {
    constexpr std::size_t most = std::size_t{1} << 45;  // gates and bits, of at most 32 bytes each
    const std::size_t each = std::max({circuit.and_gates(), circuit.garbler_bits(), circuit.evaluator_bits(),
                                       64 * circuit.output_bits(), std::size_t{1}});
    if (n > most / each)
        throw ParameterError(circuit.name() + ": expected at most " + std::to_string(most / each) +
                             " instances, found " + std::to_string(n));
}

std::uint64_t table_bytes(const Circuit& circuit, std::size_t n, TableFormat format) {
    check_instances(circuit, n);
    const std::size_t whole_tiles = n / kTile, rest = n % kTile;
    return std::uint64_t{whole_tiles * row_bytes(format, kTile) + row_bytes(format, rest)} * circuit.and_gates();
}

Blocks corrected_labels(Blocks q, ByteView corrections, const Block& delta) {
    check_packed("corrections of the evaluator's choices", corrections, q.size());
    garbling_kernels().shift(q.data(), corrections.data(), q.size(), delta);
    return q;
}

// ---- garbler -----------------------------------------------------------------------------------------------------

Garbling::Garbling(const Circuit& circuit, std::size_t n, const GarblingKeys& keys, Blocks evaluator_zero_labels,
                   BatchOptions options, std::optional<KnownInputs> known)
    : walk_(circuit, n, keys.hash, options.format), delta_(keys.delta),
      projection_keys_(mpc::projection_keys(circuit, n, keys.hash, options.format)), label_stream_(keys.label_seed, label_place(keys.hash)),
      known_(std::move(known)), evaluator_zero_labels_(std::move(evaluator_zero_labels)),
      permute_bits_(bytes_of_bits(n * circuit.output_bits())), keep_labels_(keeps_labels(circuit, options)) {
    if (delta_.colour() != 1) throw ParameterError("delta must have its lowest bit set");
    if (evaluator_zero_labels_.size() != n * circuit.evaluator_bits()) {
        throw LengthError("zero labels of the evaluator's inputs", n * circuit.evaluator_bits(),
                          evaluator_zero_labels_.size());
    }
    if (known_) {
        check_packed("known values of the garbler", known_->bits, n * circuit.garbler_bits());
        known_stream_.emplace(known_->seed);
    }
    if (keep_labels_) output_zero_labels_.resize(n * circuit.output_bits());
    if (circuit.and_gates() == 0) run_free_gates();
}

Garbling::~Garbling() {
    wipe(&delta_, sizeof delta_);
    release_inputs();
    release(&output_zero_labels_);
}

void Garbling::release_inputs() {
    release(&drawn_);
    release(&evaluator_zero_labels_);
    if (known_) wipe(known_->bits.data(), known_->bits.size());
}

void Garbling::start_tile() {
    const std::size_t count = walk_.lanes() * circuit().garbler_bits();
    const std::size_t place = walk_.place(circuit().garbler_bits());
    drawn_.resize(count);
    if (known_) {
        known_stream_->counter_mode(place, kGarblerStream, drawn_.data(), count);
        // A tile's bits begin a byte: those before them belong to whole tiles.
        garbling_kernels().shift(drawn_.data(), known_->bits.data() + place / 8, count, delta_);
    } else {
        label_stream_.counter_mode(place, kGarblerStream, drawn_.data(), count);
    }
    walk_.set_inputs(drawn_.data(), evaluator_zero_labels_.data() + walk_.place(circuit().evaluator_bits()));
    if (walk_.format == TableFormat::three_halves) {  // two words a block
        dice_.resize((circuit().and_gates() + 1) / 2);
        label_stream_.counter_mode(walk_.place(circuit().and_gates()), kDiceStream, dice_.data(), dice_.size());
        walk_.set_dice(reinterpret_cast<const std::uint64_t*>(dice_.data()));
    }
}

void Garbling::finish_tile() {
    const std::size_t lanes = walk_.lanes();
    const std::uint64_t ones = (std::uint64_t{1} << lanes) - 1;
    std::size_t place = walk_.place(circuit().output_bits());
    for (const OutputBit& bit : circuit().outputs()) {
        const Block* row = walk_.row(bit.row);
        const std::uint64_t colours = garbling_kernels().colours(row, lanes);
        put_bits(permute_bits_.data(), place, lanes, bit.invert ? ~colours & ones : colours);
        if (keep_labels_) {
            Block* const kept = output_zero_labels_.data() + place;
            std::copy(row, row + lanes, kept);
            for (std::size_t i = 0; bit.invert && i < lanes; ++i) kept[i] ^= delta_;
        }
        place += lanes;
    }
    walk_.next_tile();
    if (walk_.finished()) release_inputs();
}

void Garbling::run_free_gates() {
    while (!walk_.finished()) {
        start_tile();
        walk_.run(nullptr, 0, &delta_);
        finish_tile();
    }
}

std::size_t Garbling::next_tables(MutableByteView out) {
    std::size_t written = 0;
    const auto take_pending = [&] {
        const std::size_t now = std::min(out.size() - written, pending_.size() - pending_used_);
        copy_bytes(out.data() + written, pending_.data() + pending_used_, now);
        written += now;
        pending_used_ += now;
    };
    take_pending();
    while (written < out.size() && !walk_.finished()) {
        if (walk_.at_tile_start()) start_tile();
        const std::size_t row = walk_.row_bytes();
        const std::size_t whole_gates = (out.size() - written) / row;
        if (whole_gates > 0) {
            written += row * walk_.run(out.data() + written, whole_gates, &delta_);
        } else {
            pending_.resize(row);
            pending_used_ = row * (1 - walk_.run(pending_.data(), 1, &delta_));
            take_pending();
        }
        if (walk_.tile_done()) finish_tile();
    }
    return written;
}

void Garbling::input_labels(WordView values, MutableByteView out) {
    if (known_) throw OrderError("the garbler's values were known when it garbled");
    if (inputs_given_) throw OrderError("the garbler's labels were given out already");
    const std::size_t labels = instances() * circuit().garbler_bits();
    if (out.size() != labels * sizeof(Block)) throw LengthError("room for labels", labels * sizeof(Block), out.size());
    Bytes bits = pack_values(circuit().garbler_widths(), values, instances());
    inputs_given_ = true;
    constexpr std::size_t together = 256;
    Block some[together];
    for (std::size_t first = 0; first < labels; first += together) {
        const std::size_t now = std::min(together, labels - first);
        label_stream_.counter_mode(first, kGarblerStream, some, now);
        garbling_kernels().shift(some, bits.data() + first / 8, now, delta_);
        std::memcpy(out.data() + first * sizeof(Block), some, now * sizeof(Block));
    }
    wipe(some, sizeof some);
    wipe(bits.data(), bits.size());
}

Bytes Garbling::input_labels(WordView values) {
    Bytes labels(instances() * circuit().garbler_bits() * sizeof(Block));
    input_labels(values, labels);
    return labels;
}

void Garbling::require_finished(const char* step) const {
    if (!walk_.finished()) throw OrderError(std::string(step) + ": tables are still to be taken");
}

Bytes Garbling::decoding() const {
    require_finished("decoding");
    return permute_bits_;
}

std::vector<std::uint64_t> Garbling::decode(ByteView colours) const {
    require_finished("decoding");
    return opened(circuit(), instances(), permute_bits_, colours, "colour bits of the outputs");
}

Blocks Garbling::take_output_zero_labels() {
    require_finished("projection");
    if (!keep_labels_) throw OrderError("this garbling was projected already, or was not made to be");
    keep_labels_ = false;
    return std::move(output_zero_labels_);
}

// ---- evaluator ---------------------------------------------------------------------------------------------------

Evaluation::Evaluation(const Circuit& circuit, std::size_t n, const HashKeys& keys, BatchOptions options)
    : walk_(circuit, n, keys, options.format),
      projection_keys_(mpc::projection_keys(circuit, n, keys, options.format)),
      tables_left_(table_bytes(circuit, n, options.format)), colours_(bytes_of_bits(n * circuit.output_bits())),
      keep_labels_(keeps_labels(circuit, options)) {}

Evaluation::~Evaluation() {
    release(&garbler_labels_);
    release(&evaluator_labels_);
    release(&output_labels_);
}

void Evaluation::start_tile() {
    const std::size_t place = walk_.place(circuit().garbler_bits());
    const Block* garbler_rows = garbler_labels_.data();
    if (label_stream_) {
        label_stream_->counter_mode(place, kGarblerStream, garbler_labels_.data(),
                                    walk_.lanes() * circuit().garbler_bits());
    } else {
        garbler_rows += place;
    }
    walk_.set_inputs(garbler_rows, evaluator_labels_.data() + walk_.place(circuit().evaluator_bits()));
}

void Evaluation::finish_tile() {
    const std::size_t lanes = walk_.lanes();
    std::size_t place = walk_.place(circuit().output_bits());
    for (const OutputBit& bit : circuit().outputs()) {
        const Block* row = walk_.row(bit.row);
        put_bits(colours_.data(), place, lanes, garbling_kernels().colours(row, lanes));
        if (keep_labels_) std::copy(row, row + lanes, output_labels_.data() + place);
        place += lanes;
    }
    walk_.next_tile();
    if (walk_.finished()) {
        release(&garbler_labels_);
        release(&evaluator_labels_);
    }
}

void Evaluation::run_free_gates() {
    while (!walk_.finished()) {
        start_tile();
        walk_.run(nullptr, 0, nullptr);
        finish_tile();
    }
}

void Evaluation::check_unlabelled(const Blocks& evaluator_labels) const {
    if (labels_set_) throw OrderError("labels were set already");
    const std::size_t count = instances() * circuit().evaluator_bits();
    if (evaluator_labels.size() != count) {
        throw LengthError("labels of the evaluator's inputs", count, evaluator_labels.size());
    }
}

void Evaluation::set_labels(ByteView garbler_labels, Blocks evaluator_labels) {
    check_unlabelled(evaluator_labels);
    const std::size_t count = instances() * circuit().garbler_bits();
    if (garbler_labels.size() != count * sizeof(Block)) {
        throw LengthError("labels of the garbler's inputs", count * sizeof(Block), garbler_labels.size());
    }
    garbler_labels_.resize(count);
    copy_bytes(reinterpret_cast<std::uint8_t*>(garbler_labels_.data()), garbler_labels.data(), garbler_labels.size());
    begin(std::move(evaluator_labels));
}

void Evaluation::set_labels(const Block& seed, Blocks evaluator_labels) {
    check_unlabelled(evaluator_labels);
    label_stream_.emplace(seed);
    garbler_labels_.resize(std::min(kTile, instances()) * circuit().garbler_bits());
    begin(std::move(evaluator_labels));
}

void Evaluation::begin(Blocks evaluator_labels) {
    evaluator_labels_ = std::move(evaluator_labels);
    if (keep_labels_) output_labels_.resize(instances() * circuit().output_bits());
    labels_set_ = true;
    if (circuit().and_gates() == 0) run_free_gates();
}

void Evaluation::feed(ByteView tables) {
    if (!labels_set_) throw OrderError("tables: the labels come first");
    if (tables.size() > tables_left_) {
        throw LengthError("tables", static_cast<std::size_t>(tables_left_), tables.size());
    }
    tables_left_ -= tables.size();
    while (tables.size() > 0) {
        if (walk_.at_tile_start()) start_tile();
        const std::size_t row = walk_.row_bytes();
        const std::size_t whole_gates = tables.size() / row;
        if (partial_.empty() && whole_gates > 0) {
            // The kernel only reads the tables of an evaluation.
            auto* const rows = const_cast<std::uint8_t*>(tables.data());
            tables = tables.from(row * walk_.run(rows, whole_gates, nullptr));
        } else {
            const ByteView some = tables.slice(0, std::min(tables.size(), row - partial_.size()));
            partial_.insert(partial_.end(), some.begin(), some.end());
            tables = tables.from(some.size());
            if (partial_.size() < row) return;
            walk_.run(partial_.data(), 1, nullptr);
            partial_.clear();
        }
        if (walk_.tile_done()) finish_tile();
    }
}

void Evaluation::require_done(const char* step) const {
    if (!done()) throw OrderError(std::string(step) + ": the evaluation is not complete");
}

Bytes Evaluation::colours() const {
    require_done("colour bits");
    return colours_;
}

std::vector<std::uint64_t> Evaluation::decode(ByteView decoding) const {
    require_done("decoding");
    return opened(circuit(), instances(), colours_, decoding, "decoding bits of the outputs");
}

const Blocks& Evaluation::output_labels() const {
    if (!keep_labels_) throw OrderError("this evaluation was projected already, or was not made to be");
    require_done("projection");
    return output_labels_;
}

void Evaluation::release_output_labels() {
    release(&output_labels_);
    keep_labels_ = false;
}

}  // namespace mpc
