// Sessions; see session.hpp.
#include "core/garbling/session.hpp"

#include <algorithm>
#include <string>

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"

namespace mpc {
namespace {

void check_length(const char* what, std::size_t expected, std::size_t found) {
    if (expected != found) throw LengthError(std::string(what) + ", bytes", expected, found);
}

void require_ready(bool ready, const char* step) {
    if (!ready) throw OrderError(std::string(step) + ": the base OTs are not finished");
}

// n * evaluator bits, refused where the product (or the memory for its labels) would overflow.
std::size_t ots_needed(const Circuit& circuit, std::size_t n, std::size_t left) {
    if (n == 0) throw ParameterError(circuit.name() + ": expected at least one instance");
    const std::size_t bits = std::max<std::size_t>(circuit.evaluator_bits(), 1);
    if (n > (std::size_t{1} << 40) / bits) throw ParameterError(circuit.name() + ": too many instances");
    const std::size_t needed = n * circuit.evaluator_bits();
    if (needed > left)
        throw OrderError(circuit.name() + ": needs " + std::to_string(needed) + " OTs, and " + std::to_string(left) +
                         " are left; extend first");
    return needed;
}

}  // namespace

// ---- one batch, garbler then evaluator -----------------------------------------------------------------------------

GarbledBatch::GarbledBatch(Garbling garbling)
    : garbling_(std::move(garbling)), tables_left_(garbling_.table_bytes()) {}

std::size_t GarbledBatch::next_tables(std::uint8_t* out, std::size_t max) {
    const std::size_t written = garbling_.next_tables(out, max);
    tables_left_ -= written;
    return written;
}

void GarbledBatch::input_labels(const std::uint64_t* values, std::size_t count, std::uint8_t* out) {
    if (seeded() != (values == nullptr))
        throw OrderError(seeded() ? "labels: this batch had the garbler's values when it was garbled"
                                  : "labels: the garbler's values are missing");
    if (seeded()) {
        store_block(out, *garbling_.input_seed());
    } else {
        garbling_.input_labels(values, count, out);
    }
}

EvaluatedBatch::EvaluatedBatch(Evaluation evaluation, Blocks t, Bytes corrections, bool seeded)
    : evaluation_(std::move(evaluation)), t_(std::move(t)), corrections_(std::move(corrections)), seeded_(seeded) {}

void EvaluatedBatch::set_labels(const std::uint8_t* message, std::size_t bytes) {
    if (labelled_) throw OrderError("labels: set twice");
    check_length("labels", label_bytes(), bytes);
    if (seeded_) {
        evaluation_.set_labels(load_block(message), std::move(t_));
    } else {
        evaluation_.set_labels(message, bytes, std::move(t_));
    }
    t_.clear();
    labelled_ = true;
}

// ---- base OTs ------------------------------------------------------------------------------------------------------

GarblerSession::GarblerSession(Prg randomness, TableFormat format)
    : randomness_(std::move(randomness)), format_(format) {
    delta_ = randomness_.block();
    delta_.lo |= 1;  // point and permute: the two labels of a wire differ in colour
    salt_ = randomness_.block();
}

GarblerSession::~GarblerSession() { wipe(&delta_, sizeof delta_); }

EvaluatorSession::EvaluatorSession(Prg randomness, TableFormat format)
    : randomness_(std::move(randomness)), format_(format) {}

Bytes EvaluatorSession::start_base() {
    if (started_) throw OrderError("base OT: started twice");
    base_ = std::make_unique<BaseOtSender>(randomness_);
    started_ = true;
    return Bytes(base_->message(), base_->message() + kPointBytes);
}

Bytes GarblerSession::receive_base(const std::uint8_t* message, std::size_t bytes) {
    if (cot_ || !base_keys_.empty()) throw OrderError("base OT: first message received twice");
    check_length("base OT, first message", kFirstMessageBytes, bytes);
    const auto choices = CotSender::base_choices(delta_);
    Bytes reply(kSecondMessageBytes);
    store_block(reply.data(), salt_);
    base_keys_ = base_ot_receive(message, choices.data(), choices.size(), randomness_, reply.data() + kSaltBytes);
    return reply;
}

Bytes EvaluatorSession::receive_base(const std::uint8_t* message, std::size_t bytes) {
    if (!base_) throw OrderError(cot_ ? "base OT: reply received twice" : "base OT: reply before the start");
    check_length("base OT, reply", kSecondMessageBytes, bytes);
    std::vector<KeyPair> keys = base_->finish(message + kSaltBytes, kBaseOts);
    Bytes sums(kTreeMessageBytes);
    cot_ = std::make_unique<CotReceiver>(keys, sums.data());
    salt_ = load_block(message);
    base_.reset();
    wipe(keys.data(), keys.size() * sizeof(KeyPair));
    return sums;
}

void GarblerSession::finish_base(const std::uint8_t* message, std::size_t bytes) {
    if (cot_ || base_keys_.empty()) throw OrderError("base OT: third message out of turn");
    check_length("base OT, third message", kThirdMessageBytes, bytes);
    cot_ = std::make_unique<CotSender>(delta_, base_keys_, message);
    Blocks().swap(base_keys_);
}

// ---- OT extension --------------------------------------------------------------------------------------------------

std::size_t EvaluatorSession::extension_message_bytes(std::size_t count) {
    if (count == 0 || count > (std::size_t{1} << 36)) throw ParameterError("OT extension: expected 1 to 2^36 OTs");
    return extension_bytes((count + 127) / 128);
}

void EvaluatorSession::extend(std::size_t count, std::uint8_t* message) {
    require_ready(cot_ != nullptr, "OT extension");
    const std::size_t blocks = extension_message_bytes(count) / extension_bytes(1);
    Block* t = t_.grow(128 * blocks);
    cot_->extend(blocks, message, t, u_.grow(blocks));
}

void GarblerSession::extend(const std::uint8_t* message, std::size_t bytes) {
    require_ready(cot_ != nullptr, "OT extension");
    const std::size_t unit = extension_bytes(1);
    if (bytes == 0 || bytes % unit != 0)
        throw LengthError("OT extension, bytes in multiples of " + std::to_string(unit),
                          std::max<std::size_t>(unit, bytes / unit * unit), bytes);
    const std::size_t blocks = bytes / unit;
    cot_->extend(blocks, message, q_.grow(128 * blocks));
}

// ---- garbling ------------------------------------------------------------------------------------------------------

EvaluatedBatch EvaluatorSession::evaluate(const Circuit& circuit, std::size_t n, const std::uint64_t* values,
                                          std::size_t count, bool projected, bool seeded) {
    require_ready(cot_ != nullptr, "evaluation");
    const std::size_t needed = ots_needed(circuit, n, t_.size());
    Bytes choices = pack_values(circuit.evaluator_widths(), values, count, n);
    Evaluation evaluation(circuit, n, salt_, next_index_, format_, projected);
    Bytes corrections = u_.take(needed);
    for (std::size_t i = 0; i < choices.size(); ++i)
        corrections[i] = static_cast<std::uint8_t>(corrections[i] ^ choices[i]);
    wipe(choices.data(), choices.size());
    next_index_ += hash_indices(circuit, n, format_);
    return EvaluatedBatch(std::move(evaluation), t_.take(needed), std::move(corrections), seeded);
}

GarbledBatch GarblerSession::garble(const Circuit& circuit, std::size_t n, const Bytes& corrections, bool projected,
                                    const std::uint64_t* values, std::size_t count) {
    require_ready(cot_ != nullptr, "garbling");
    const std::size_t needed = ots_needed(circuit, n, q_.size());
    check_packed("corrections of the evaluator's choices", corrections.data(), corrections.size(), needed);
    std::optional<KnownInputs> known;
    if (values != nullptr) known = KnownInputs{{}, pack_values(circuit.garbler_widths(), values, count, n)};
    const Block label_seed = randomness_.block();
    if (known) known->seed = randomness_.block();
    const std::uint64_t index = next_index_;
    next_index_ += hash_indices(circuit, n, format_);
    Blocks zero_labels = corrected_labels(q_.take(needed), corrections, delta_);
    return GarbledBatch(Garbling(circuit, n, delta_, salt_, index, label_seed, std::move(zero_labels), format_, projected,
                                 std::move(known)));
}

}  // namespace mpc
