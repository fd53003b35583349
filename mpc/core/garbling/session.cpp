// Sessions of two parties; see session.hpp.
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
    if (!ready) throw OrderError(std::string(step) + ": the base OTs are not finished, or a check has failed");
}

// n * evaluator bits, refused where the product (or the memory for its labels) would overflow.
std::size_t ots_needed(const Circuit& circuit, std::size_t n, std::size_t left) {
    if (n == 0) throw ParameterError(circuit.name() + ": expected at least one instance");
    check_instances(circuit, n);
    const std::size_t needed = n * circuit.evaluator_bits();
    if (needed > left)
        throw OrderError(circuit.name() + ": needs " + std::to_string(needed) + " OTs, and " + std::to_string(left) +
                         " are left; extend first");
    return needed;
}

// Length of the message that brings the garbler's labels.
std::size_t message_bytes(const Circuit& circuit, std::size_t n, GarblerLabels labels) {
    return (labels == GarblerLabels::seeded ? 1 : n * circuit.garbler_bits()) * sizeof(Block);
}

}  // namespace

// ---- one batch, garbler then evaluator -----------------------------------------------------------------------------

GarbledPiece::GarbledPiece(Garbling garbling)
    : garbling_(std::move(garbling)), tables_left_(garbling_.table_bytes()) {}

std::size_t GarbledPiece::next_tables(MutableByteView out) {
    process_.require("tables");
    return leaving_no_trace<kShallowStack>([&] {
        const std::size_t written = garbling_.next_tables(out);
        tables_left_ -= written;
        return written;
    });
}

std::size_t GarbledPiece::label_bytes() const {
    return message_bytes(circuit(), instances(), seeded() ? GarblerLabels::seeded : GarblerLabels::sent);
}

void GarbledPiece::input_labels(std::optional<WordView> values, MutableByteView out) {
    process_.require("labels");
    leaving_no_trace<kShallowStack>([&] {
        if (seeded() == values.has_value())
            throw OrderError(seeded() ? "labels: this batch had the garbler's values when it was garbled"
                                      : "labels: the garbler's values are missing");
        if (seeded()) {
            check_length("room for labels", label_bytes(), out.size());
            store_block(out.data(), *garbling_.input_seed());
        } else {
            garbling_.input_labels(*values, out);
        }
    });
}

Bytes GarbledPiece::input_labels(std::optional<WordView> values) {
    Bytes labels(label_bytes());
    input_labels(values, labels);
    return labels;
}

Bytes GarbledPiece::decoding() const {
    process_.require("decoding");
    return garbling_.decoding();
}

std::vector<std::uint64_t> GarbledPiece::decode(ByteView colours) const {
    process_.require("decoding");
    return garbling_.decode(colours);
}

GarblerProjection GarbledPiece::project(ProjectionRing ring) {
    process_.require("projection");
    return leaving_no_trace<kShallowStack>([&] { return mpc::project(garbling_, ring); });
}

EvaluatedPiece::EvaluatedPiece(Evaluation evaluation, Blocks t, Bytes corrections, GarblerLabels labels)
    : evaluation_(std::move(evaluation)), t_(std::move(t)), corrections_(std::move(corrections)), labels_(labels) {}

std::size_t EvaluatedPiece::label_bytes() const { return message_bytes(circuit(), instances(), labels_); }

void EvaluatedPiece::set_labels(ByteView message) {
    process_.require("labels");
    leaving_no_trace<kShallowStack>([&] {
        if (labelled_) throw OrderError("labels: set twice");
        check_length("labels", label_bytes(), message.size());
        if (labels_ == GarblerLabels::seeded) {
            evaluation_.set_labels(load_block(message.data()), std::move(t_));
        } else {
            evaluation_.set_labels(message, std::move(t_));
        }
        t_.clear();
        labelled_ = true;
    });
}

void EvaluatedPiece::feed_tables(ByteView chunk) {
    process_.require("tables");
    leaving_no_trace<kShallowStack>([&] { evaluation_.feed(chunk); });
}

Bytes EvaluatedPiece::colours() const {
    process_.require("colour bits");
    return evaluation_.colours();
}

std::vector<std::uint64_t> EvaluatedPiece::decode(ByteView decoding) const {
    process_.require("decoding");
    return evaluation_.decode(decoding);
}

std::vector<std::uint64_t> EvaluatedPiece::open_projection(ProjectionRing ring, ByteView message) {
    process_.require("projection");
    return leaving_no_trace<kShallowStack>([&] {
        std::vector<std::uint64_t> shares = mpc::open_projection(evaluation_, ring, message);
        evaluation_.release_output_labels();
        return shares;
    });
}

// ---- base OTs ------------------------------------------------------------------------------------------------------

GarblerSession::GarblerSession(const std::optional<Block>& injected, TableFormat format)
    : seeds_(injected), format_(format) {
    leaving_no_trace<kShallowStack>([&] {
        delta_ = seeds_.next();
        delta_.lo |= 1;  // point and permute: the two labels of a wire differ in their permute bit
        salt_ = seeds_.next();
    });
}

GarblerSession::~GarblerSession() { wipe(&delta_, sizeof delta_); }

EvaluatorSession::EvaluatorSession(const std::optional<Block>& injected, TableFormat format)
    : seeds_(injected), format_(format) {}

Bytes EvaluatorSession::start_base() {
    process_.require("base OT");
    return leaving_no_trace<kDeepStack>([&] {
        if (started_) throw OrderError("base OT: started twice");
        Prg randomness = seeds_.stream();
        base_ = std::make_unique<BaseOtSender>(randomness);
        started_ = true;
        const ByteView message = base_->message();
        return Bytes(message.begin(), message.end());
    });
}

Bytes GarblerSession::receive_base(ByteView message) {
    process_.require("base OT");
    return leaving_no_trace<kDeepStack>([&] {
        if (cot_ || deviated_ || !base_keys_.empty()) throw OrderError("base OT: first message received twice");
        check_length("base OT, first message", kFirstMessageBytes, message.size());
        Bytes reply(kSecondMessageBytes);
        store_block(reply.data(), salt_);
        const MutableByteView points = MutableByteView(reply).from(kSaltBytes);
        Prg randomness = seeds_.stream();
        base_keys_ = base_ot_receive(message, CotSender::base_choices(delta_), randomness, points);
        return reply;
    });
}

Bytes EvaluatorSession::receive_base(ByteView message) {
    process_.require("base OT");
    return leaving_no_trace<kDeepStack>([&] {
        if (!base_) throw OrderError(cot_ ? "base OT: reply received twice" : "base OT: reply before the start");
        check_length("base OT, reply", kSecondMessageBytes, message.size());
        std::vector<KeyPair> keys = base_->finish(message.from(kSaltBytes));
        Bytes sums(kTreeMessageBytes);
        salt_ = load_block(message.data());
        cot_ = std::make_unique<CotReceiver>(keys, salt_, sums);
        base_.reset();
        wipe(keys.data(), keys.size() * sizeof(KeyPair));
        return sums;
    });
}

void GarblerSession::finish_base(ByteView message) {
    process_.require("base OT");
    leaving_no_trace<kDeepStack>([&] {
        if (cot_ || base_keys_.empty()) throw OrderError("base OT: third message out of turn");
        check_length("base OT, third message", kThirdMessageBytes, message.size());
        auto cot = std::make_unique<CotSender>(delta_, base_keys_, salt_, message);
        Blocks().swap(base_keys_);
        deviated_ = !cot->trees_agree();
        if (deviated_) throw MalformedError("base OT, third message: the trees of the OT extension are not consistent");
        cot_ = std::move(cot);
    });
}

// ---- OT extension --------------------------------------------------------------------------------------------------

std::size_t EvaluatorSession::extension_message_bytes(std::size_t count) {
    if (count == 0 || count > (std::size_t{1} << 28)) throw ParameterError("OT extension: expected 1 to 2^28 OTs");
    return extension_bytes((count + 127) / 128);
}

void EvaluatorSession::extend(std::size_t count, MutableByteView message) {
    process_.require("OT extension");
    leaving_no_trace<kShallowStack>([&] {
        require_ready(cot_ != nullptr, "OT extension");
        check_length("room for the OT extension", extension_message_bytes(count), message.size());
        const std::size_t blocks = extension_blocks(message.size());
        Block* t = t_.grow(128 * blocks);
        cot_->extend(blocks, message, t, u_.grow(blocks));
    });
}

Bytes EvaluatorSession::extend(std::size_t count) {
    Bytes message(extension_message_bytes(count));
    extend(count, message);
    return message;
}

void GarblerSession::extend(ByteView message) {
    process_.require("OT extension");
    leaving_no_trace<kShallowStack>([&] {
        require_ready(cot_ != nullptr, "OT extension");
        const std::size_t blocks = extension_blocks(message.size());
        deviated_ = cot_->extend(blocks, message, q_.grow(128 * blocks)) != 0;
        if (deviated_) {
            cot_.reset();  // a second try would be a second guess at delta
            throw MalformedError("OT extension: the consistency check failed; the session is over");
        }
    });
}

// ---- garbling ------------------------------------------------------------------------------------------------------

EvaluatedPiece EvaluatorSession::evaluate(const Circuit& circuit, std::size_t n, WordView values, Outputs outputs,
                                          GarblerLabels labels) {
    process_.require("evaluation");
    return leaving_no_trace<kShallowStack>([&] {
        require_ready(cot_ != nullptr, "evaluation");
        const std::size_t needed = ots_needed(circuit, n, t_.size());
        Bytes choices = pack_values(circuit.evaluator_widths(), values, n);
        Evaluation evaluation(circuit, n, HashKeys{salt_, next_index_}, BatchOptions{format_, outputs});
        Bytes corrections = u_.take(needed);
        for (std::size_t i = 0; i < choices.size(); ++i)
            corrections[i] = static_cast<std::uint8_t>(corrections[i] ^ choices[i]);
        wipe(choices.data(), choices.size());
        next_index_ += hash_indices(circuit, n, format_);
        return EvaluatedPiece(std::move(evaluation), t_.take(needed), std::move(corrections), labels);
    });
}

GarbledPiece GarblerSession::garble(const Circuit& circuit, std::size_t n, ByteView corrections, Outputs outputs,
                                    std::optional<WordView> values) {
    process_.require("garbling");
    return leaving_no_trace<kShallowStack>([&] {
        require_ready(cot_ != nullptr, "garbling");
        const std::size_t needed = ots_needed(circuit, n, q_.size());
        check_packed("corrections of the evaluator's choices", corrections, needed);
        std::optional<KnownInputs> known;
        if (values) known = KnownInputs{{}, pack_values(circuit.garbler_widths(), *values, n)};
        const GarblingKeys keys{delta_, seeds_.next(), {salt_, next_index_}};
        if (known) known->seed = seeds_.next();
        next_index_ += hash_indices(circuit, n, format_);
        Blocks zero_labels = corrected_labels(q_.take(needed), corrections, delta_);
        return GarbledPiece(
            Garbling(circuit, n, keys, std::move(zero_labels), BatchOptions{format_, outputs}, std::move(known)));
    });
}

// ---- words and products --------------------------------------------------------------------------------------------

namespace {

// The OTs of words or products, refused where there are not so many.
template <class Kind>
std::size_t correlated_ots(const Kind& kind, std::size_t left) {
    kind.check();
    if (kind.ots() > left)
        throw OrderError("words by OT: needs " + std::to_string(kind.ots()) + " OTs, and " + std::to_string(left) +
                         " are left; extend first");
    return kind.ots();
}

}  // namespace

template <class Kind>
Chosen<Kind> EvaluatorSession::choose_bits(const Kind& kind, Bytes choices) {
    require_ready(cot_ != nullptr, "words by OT");
    const std::size_t needed = correlated_ots(kind, t_.size());
    const std::size_t left = 8 * choices.size() - needed;
    if (choices.size() != bytes_of_bits(needed) || (left != 0 && choices.back() >> (8 - left) != 0)) {
        throw ParameterError("words by OT: expected " + std::to_string(needed) + " packed choices, found others");
    }
    Bytes corrections = u_.take(needed);
    for (std::size_t i = 0; i < choices.size(); ++i)
        corrections[i] = static_cast<std::uint8_t>(corrections[i] ^ choices[i]);
    const HashKeys keys{salt_, next_index_};
    next_index_ += kind.hash_indices();
    return Chosen<Kind>(kind, keys, t_.take(needed), std::move(choices), std::move(corrections));
}

ChosenWords EvaluatorSession::choose(const WordOts& kind, ByteView choices) {
    process_.require("words by OT");
    return leaving_no_trace<kShallowStack>(
        [&] { return choose_bits(kind, Bytes(choices.begin(), choices.end())); });
}

ChosenProducts EvaluatorSession::choose(const WordProducts& kind, WordView factors) {
    process_.require("products by OT");
    return leaving_no_trace<kShallowStack>([&] {
        kind.check();
        if (factors.size() != kind.n) throw ParameterError("products by OT: expected one factor a product");
        Bytes choices(bytes_of_bits(kind.ots()));
        const std::uint64_t mask = ~std::uint64_t{0} >> (64 - kind.bits);
        for (std::size_t i = 0; i < factors.size(); ++i) {
            put_bits(choices.data(), i * kind.bits, kind.bits, factors[i] & mask);
        }
        return choose_bits(kind, std::move(choices));
    });
}

template <>
std::vector<std::uint64_t> Chosen<WordOts>::receive(ByteView message) {
    process_.require("words by OT");
    return leaving_no_trace<kShallowStack>([&] {
        if (t_.empty()) throw OrderError("words by OT: received twice");
        std::vector<std::uint64_t> shares(kind_.n * kind_.words);
        receive_words(kind_, keys_, t_.data(), choices_, message, shares.data());
        Blocks().swap(t_);
        return shares;
    });
}

template <>
std::vector<std::uint64_t> Chosen<WordProducts>::receive(ByteView message) {
    process_.require("products by OT");
    return leaving_no_trace<kDeepStack>([&] {
        if (t_.empty()) throw OrderError("products by OT: received twice");
        std::vector<std::uint64_t> shares(kind_.n);
        receive_products(kind_, keys_, t_.data(), choices_, message, shares.data());
        Blocks().swap(t_);
        return shares;
    });
}

template <class Kind, class Send>
std::vector<std::uint64_t> GarblerSession::send_correlated(const Kind& kind, std::size_t shares, ByteView corrections,
                                                           Send send) {
    process_.require("words by OT");
    return leaving_no_trace<kDeepStack>([&] {
        require_ready(cot_ != nullptr, "words by OT");
        const std::size_t needed = correlated_ots(kind, q_.size());
        check_packed("corrections of the choices", corrections, needed);
        const HashKeys keys{salt_, next_index_};
        next_index_ += kind.hash_indices();
        const Blocks q = corrected_labels(q_.take(needed), corrections, delta_);
        std::vector<std::uint64_t> own(shares);
        send(keys, q.data(), own.data());
        return own;
    });
}

std::vector<std::uint64_t> GarblerSession::send(const WordOts& kind, ByteView corrections, WordView values,
                                                MutableByteView message) {
    return send_correlated(kind, kind.n * kind.words, corrections,
                           [&](const HashKeys& keys, const Block* q, std::uint64_t* shares) {
                               send_words(kind, keys, delta_, q, values, message, shares);
                           });
}

std::vector<std::uint64_t> GarblerSession::send(const WordProducts& kind, ByteView corrections, WordView values,
                                                MutableByteView message) {
    return send_correlated(kind, kind.n, corrections,
                           [&](const HashKeys& keys, const Block* q, std::uint64_t* shares) {
                               send_products(kind, keys, delta_, q, values, message, shares);
                           });
}

}  // namespace mpc
