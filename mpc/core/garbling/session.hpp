// A lasting session of two parties. Base OTs come once, then any number of garbled circuits with OT-extended inputs.
// Bytes go in and come out, and the caller carries them.
//
//     evaluator                                             garbler (delta, salt drawn at birth)
//     start_base()        ---- A (32 B) ---------------->   receive_base()
//     receive_base()      <--- salt, 128 points (4112 B) -
//                         ---- tree sums (4128 B) ------>   finish_base(), checks the trees
//     extend(count)       ---- 496 B a 128 OTs, 544 B ->   extend(), checks the message    as often as needed
//     evaluate(circuit, n, values)                          garble(circuit, n, corrections)
//
// The free-XOR offset of the garbling is the offset delta of the correlated OTs, so an evaluator's input label comes
// straight from an OT. With choice bit u the evaluator holds t = q ^ u delta. After the correction d = c ^ u the label
// pair of the wire is (q ^ d delta, q ^ d delta ^ delta), of which t belongs to c. This is sound for semi-honest
// parties for four reasons.
// (1) The other label, t ^ delta, is as unknown to the evaluator as delta is, which has 127 random bits. So the pair is
// distributed as a freshly drawn one.
// (2) Every OT serves one wire and is gone.
// (3) The extension hands t to no hash but that of half-gates, which is circular correlation-robust for this delta
// (hash.hpp).
// (4) d is c under the one-time pad u, which hides c from the garbler.
//
// A garbler that knows its values when it garbles sends one block in the place of its labels, from which both make
// them. garbling.hpp says how, and why that is sound. The block is drawn for this batch alone.
//
// The OTs of a session also carry correlated words and products (word_ot.hpp), the garbler being the sender. Their hash
// takes keys of the same count, so that no key serves twice.
//
// Both sides count OTs and hash indices. They stay in step because both make the same calls in the same order. Once
// made, a batch is independent of its session, as its labels are its own. So it may be used after the next one was
// begun.
//
// LengthError and MalformedError speak of the peer's message, OrderError of a call out of turn, ParameterError of the
// caller's own arguments. A failed call leaves the session as it was, except that receive_base, finish_base and a failed
// check of the OT extension leave it unusable.
//
// Sessions and pieces belong to the process that made them and refuse to work in a fork of it (OrderError). Every step
// that holds secrets overwrites the stack that it used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/aes/seeds.hpp"
#include "core/base/byte_view.hpp"
#include "core/base/process.hpp"
#include "core/garbling/garbling.hpp"
#include "core/garbling/projection.hpp"
#include "core/ot/ot_extension.hpp"
#include "core/ot/ot_pool.hpp"
#include "core/ot/word_ot.hpp"

namespace mpc {

constexpr std::size_t kSaltBytes = sizeof(Block);
constexpr std::size_t kFirstMessageBytes = kPointBytes;
constexpr std::size_t kSecondMessageBytes = kSaltBytes + kBaseOts * kPointBytes;
constexpr std::size_t kThirdMessageBytes = kTreeMessageBytes;

// How the labels of the garbler's values reach the evaluator.
enum class GarblerLabels : std::uint8_t {
    sent,    // each of them, once the values are known
    seeded,  // as one block that both make them from, the values being known when it garbles
};

// One circuit over n instances, the garbler's half. Methods as in garbling.hpp.
class GarbledPiece {
public:
    const Circuit& circuit() const { return garbling_.circuit(); }
    std::size_t instances() const { return garbling_.instances(); }

    std::size_t next_tables(MutableByteView out);
    std::uint64_t tables_left() const { return tables_left_; }  // bytes
    // Writes the garbler's labels, label_bytes() of them, or the seed that stands for them. `values` are needed exactly
    // if it garbled without them.
    void input_labels(std::optional<WordView> values, MutableByteView out);
    Bytes input_labels(std::optional<WordView> values = std::nullopt);
    std::size_t label_bytes() const;
    Bytes decoding() const;
    std::vector<std::uint64_t> decode(ByteView colours) const;
    GarblerProjection project(ProjectionRing ring);

private:
    friend class GarblerSession;
    explicit GarbledPiece(Garbling garbling);
    bool seeded() const { return garbling_.input_seed() != nullptr; }

    OneProcess process_;
    Garbling garbling_;
    std::uint64_t tables_left_;
};

// The evaluator's half.
class EvaluatedPiece {
public:
    const Circuit& circuit() const { return evaluation_.circuit(); }
    std::size_t instances() const { return evaluation_.instances(); }

    // What the garbler needs before it garbles.
    const Bytes& corrections() const { return corrections_; }
    void feed_tables(ByteView chunk);
    // Takes the message of `input_labels`, once.
    void set_labels(ByteView message);
    std::size_t label_bytes() const;
    Bytes colours() const;
    std::vector<std::uint64_t> decode(ByteView decoding) const;
    // Opens this side's shares, once. A refused message may be followed by another.
    std::vector<std::uint64_t> open_projection(ProjectionRing ring, ByteView message);

private:
    friend class EvaluatorSession;
    EvaluatedPiece(Evaluation evaluation, Blocks t, Bytes corrections, GarblerLabels labels);

    OneProcess process_;
    Evaluation evaluation_;
    Blocks t_;  // until the labels are in
    Bytes corrections_;
    GarblerLabels labels_;
    bool labelled_ = false;
};

// The evaluator's half of words or products that it has chosen and not yet received.
template <class Kind>
class Chosen {
public:
    const Kind& kind() const { return kind_; }
    // What the garbler needs before it sends. One bit an OT.
    const Bytes& corrections() const { return corrections_; }
    // Takes the garbler's message, once, and gives this side's shares.
    std::vector<std::uint64_t> receive(ByteView message);

private:
    friend class EvaluatorSession;
    Chosen(const Kind& kind, const HashKeys& keys, Blocks t, Bytes choices, Bytes corrections)
        : kind_(kind), keys_(keys), t_(std::move(t)), choices_(std::move(choices)),
          corrections_(std::move(corrections)) {}

    OneProcess process_;
    Kind kind_;
    HashKeys keys_;
    Blocks t_;
    Bytes choices_, corrections_;
};
using ChosenWords = Chosen<WordOts>;
using ChosenProducts = Chosen<WordProducts>;
template <>
std::vector<std::uint64_t> Chosen<WordOts>::receive(ByteView message);
template <>
std::vector<std::uint64_t> Chosen<WordProducts>::receive(ByteView message);

class GarblerSession {
public:
    // Draws each secret and each public block by itself from the operating system. An injected seed is for known-answer
    // tests only. Both sides name the same format, for all their batches.
    explicit GarblerSession(const std::optional<Block>& injected = std::nullopt,
                            TableFormat format = TableFormat::half_gates);
    ~GarblerSession();

    Bytes receive_base(ByteView message);
    void finish_base(ByteView message);
    std::size_t ots_left() const { return q_.size(); }
    void extend(ByteView message);
    // Garbles n instances for the evaluator's `corrections`. Takes n * evaluator_bits OTs and throws OrderError if
    // there are fewer. Both sides say the same `outputs`. `values` (n x garbler words) are given if they are known now.
    // The batch is then seeded, which the evaluator must be told too.
    GarbledPiece garble(const Circuit& circuit, std::size_t n, ByteView corrections, Outputs outputs = Outputs::opened,
                        std::optional<WordView> values = std::nullopt);
    // Writes the message for the evaluator's `corrections`, and returns this side's shares. `values` are the differences
    // [n, words], or the factors [n]. Takes kind.ots() OTs and throws OrderError if there are fewer.
    std::vector<std::uint64_t> send(const WordOts& kind, ByteView corrections, WordView values, MutableByteView message);
    std::vector<std::uint64_t> send(const WordProducts& kind, ByteView corrections, WordView values,
                                    MutableByteView message);

private:
    template <class Kind, class Send>
    std::vector<std::uint64_t> send_correlated(const Kind& kind, std::size_t shares, ByteView corrections, Send send);

    OneProcess process_;
    SeedSource seeds_;
    TableFormat format_;
    Block delta_, salt_;
    Blocks base_keys_;
    std::unique_ptr<CotSender> cot_;
    bool deviated_ = false;  // the peer, and so the session is over
    BlockPool q_;
    std::uint64_t next_index_ = 0;
};

class EvaluatorSession {
public:
    explicit EvaluatorSession(const std::optional<Block>& injected = std::nullopt,
                              TableFormat format = TableFormat::half_gates);

    Bytes start_base();
    Bytes receive_base(ByteView message);
    std::size_t ots_left() const { return t_.size(); }
    // Makes at least `count` more OTs (the next multiple of 128) and writes the message for the garbler's `extend`, of
    // extension_message_bytes(count). Throws ParameterError for no OTs or too many.
    void extend(std::size_t count, MutableByteView message);
    static std::size_t extension_message_bytes(std::size_t count);
    Bytes extend(std::size_t count);
    // Begins n instances with `values` (n x evaluator words). Takes n * evaluator_bits OTs and throws OrderError if
    // there are fewer. Both sides say the same `outputs`; `labels` are seeded if the garbler garbles with its values.
    EvaluatedPiece evaluate(const Circuit& circuit, std::size_t n, WordView values, Outputs outputs = Outputs::opened,
                            GarblerLabels labels = GarblerLabels::sent);
    // Chooses by packed bits, one an OT, or by the bits of factors [n]. Takes kind.ots() OTs.
    ChosenWords choose(const WordOts& kind, ByteView choices);
    ChosenProducts choose(const WordProducts& kind, WordView factors);

private:
    template <class Kind>
    Chosen<Kind> choose_bits(const Kind& kind, Bytes choices);

    OneProcess process_;
    SeedSource seeds_;
    TableFormat format_;
    Block salt_;
    bool started_ = false;
    std::unique_ptr<BaseOtSender> base_;
    std::unique_ptr<CotReceiver> cot_;
    BlockPool t_;
    BitPool u_;
    std::uint64_t next_index_ = 0;
};

}  // namespace mpc
