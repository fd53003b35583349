// A lasting two-party session: base OTs once, then any number of garbled circuits with OT-extended inputs. Bytes in,
// bytes out; who carries them is the caller's business.
//
//     evaluator                                             garbler (delta, salt drawn at birth)
//     start_base()        ---- A (32 B) ---------------->   receive_base()
//     receive_base()      <--- salt, 128 points (4112 B) -
//                         ---- tree sums (3072 B) ------>   finish_base()
//     extend(count)       ---- 496 B a 128 OTs --------->   extend()                        as often as needed
//     evaluate(circuit, n, values)                          garble(circuit, n, corrections)
//
// The free-XOR offset of the garbling is the offset delta of the correlated OTs, so that an evaluator's input label
// comes straight from an OT: with choice bit u the evaluator holds t = q ^ u delta, and after the correction d = c ^ u
// the label pair of the wire is (q ^ d delta, q ^ d delta ^ delta), of which t belongs to c. Sound for semi-honest
// parties because (1) the other label, t ^ delta, is as unknown to the evaluator as delta is, which has 127 random
// bits: the distribution of a freshly drawn label pair; (2) every OT serves one wire and is gone; (3) the extension
// hands t to no hash but that of half-gates, which is circular correlation-robust for this delta (hash.hpp); (4) d is
// one-time padded by u, which hides c from the garbler.
//
// A garbler that knows its values when it garbles sends one block in the place of its labels, from which both make
// them: garbling.hpp says how, and why that is sound. The block is drawn from the session's randomness, like the salt,
// which is public too, and serves this batch alone.
//
// Both sides count OTs and hash indices; they stay in step because both make the same calls in the same order. A batch
// is independent of its session once made (its labels are its own), so it may be used after the next one was begun.
//
// LengthError and MalformedError: the peer's message; OrderError: a call out of turn; ParameterError: the caller's own.
// A failed call leaves the session as it was, apart from receive_base and finish_base, after which it is unusable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/garbling/garbling.hpp"
#include "core/garbling/projection.hpp"
#include "core/ot/ot_extension.hpp"
#include "core/ot/ot_pool.hpp"

namespace mpc {

constexpr std::size_t kSaltBytes = sizeof(Block);
constexpr std::size_t kFirstMessageBytes = kPointBytes;
constexpr std::size_t kSecondMessageBytes = kSaltBytes + kBaseOts * kPointBytes;
constexpr std::size_t kThirdMessageBytes = kTreeMessageBytes;

// Length of the message that brings the labels.
inline std::size_t label_bytes(const Circuit& circuit, std::size_t n, bool seeded) {
    return (seeded ? 1 : n * circuit.garbler_bits()) * sizeof(Block);
}

// One circuit over n instances, the garbler's half. Methods as in garbling.hpp.
class GarbledBatch {
public:
    const Circuit& circuit() const { return garbling_.circuit(); }
    std::size_t instances() const { return garbling_.instances(); }

    std::size_t next_tables(std::uint8_t* out, std::size_t max);
    std::uint64_t tables_left() const { return tables_left_; }  // bytes
    bool seeded() const { return garbling_.input_seed() != nullptr; }
    // The garbler's labels. Seeded, the seed stands for them, and `values` are null.
    void input_labels(const std::uint64_t* values, std::size_t count, std::uint8_t* out);
    Bytes input_labels(const std::uint64_t* values, std::size_t count) {
        Bytes labels(label_bytes());
        input_labels(values, count, labels.data());
        return labels;
    }
    // Length of that message.
    std::size_t label_bytes() const { return mpc::label_bytes(circuit(), instances(), seeded()); }
    Bytes decoding() const { return garbling_.decoding(); }
    std::vector<std::uint64_t> decode(const std::uint8_t* colours, std::size_t bytes) const {
        return garbling_.decode(colours, bytes);
    }
    GarblerProjection project(ProjectionRing ring) { return mpc::project(garbling_, ring); }

private:
    friend class GarblerSession;
    explicit GarbledBatch(Garbling garbling);

    Garbling garbling_;
    std::uint64_t tables_left_;
};

// The evaluator's half.
class EvaluatedBatch {
public:
    const Circuit& circuit() const { return evaluation_.circuit(); }
    std::size_t instances() const { return evaluation_.instances(); }

    // What the garbler needs before it garbles.
    const Bytes& corrections() const { return corrections_; }
    void feed_tables(const std::uint8_t* chunk, std::size_t bytes) { evaluation_.feed(chunk, bytes); }
    // The message of `input_labels`, once.
    void set_labels(const std::uint8_t* message, std::size_t bytes);
    std::size_t label_bytes() const { return mpc::label_bytes(circuit(), instances(), seeded_); }
    Bytes colours() const { return evaluation_.colours(); }
    std::vector<std::uint64_t> decode(const std::uint8_t* decoding, std::size_t bytes) const {
        return evaluation_.decode(decoding, bytes);
    }
    // Once; a refused message may be followed by another.
    std::vector<std::uint64_t> open_projection(ProjectionRing ring, const std::uint8_t* message, std::size_t bytes) {
        std::vector<std::uint64_t> shares = mpc::open_projection(evaluation_, ring, message, bytes);
        evaluation_.release_output_labels();
        return shares;
    }

private:
    friend class EvaluatorSession;
    EvaluatedBatch(Evaluation evaluation, Blocks t, Bytes corrections, bool seeded);

    Evaluation evaluation_;
    Blocks t_;  // until the labels are in
    Bytes corrections_;
    bool seeded_;
    bool labelled_ = false;
};

class GarblerSession {
public:
    // All of the session's randomness comes from `randomness`; a fixed seed is for known-answer tests only.
    // Both sides name the same format, for all their batches.
    explicit GarblerSession(Prg randomness, TableFormat format = TableFormat::half_gates);
    GarblerSession() : GarblerSession(Prg::from_system()) {}
    ~GarblerSession();

    Bytes receive_base(const std::uint8_t* message, std::size_t bytes);
    void finish_base(const std::uint8_t* message, std::size_t bytes);
    std::size_t ots_left() const { return q_.size(); }
    TableFormat format() const { return format_; }
    void extend(const std::uint8_t* message, std::size_t bytes);
    // Takes n * evaluator_bits OTs; throws OrderError if there are fewer.
    // `projected`: its outputs shall be projected; both sides say the same. One-bit words may be anyway.
    // `values` (n x garbler words), if they are known now: the batch is seeded, which the evaluator must be told too.
    GarbledBatch garble(const Circuit& circuit, std::size_t n, const Bytes& corrections, bool projected = false,
                        const std::uint64_t* values = nullptr, std::size_t count = 0);

private:
    Prg randomness_;
    TableFormat format_;
    Block delta_, salt_;
    Blocks base_keys_;
    std::unique_ptr<CotSender> cot_;
    BlockPool q_;
    std::uint64_t next_index_ = 0;
};

class EvaluatorSession {
public:
    explicit EvaluatorSession(Prg randomness, TableFormat format = TableFormat::half_gates);
    EvaluatorSession() : EvaluatorSession(Prg::from_system()) {}

    Bytes start_base();
    Bytes receive_base(const std::uint8_t* message, std::size_t bytes);
    std::size_t ots_left() const { return t_.size(); }
    TableFormat format() const { return format_; }
    // At least `count` more OTs (the next multiple of 128); writes the message for the garbler's `extend`, of
    // extension_message_bytes(count), which throws ParameterError for no OTs or too many.
    void extend(std::size_t count, std::uint8_t* message);
    static std::size_t extension_message_bytes(std::size_t count);
    Bytes extend(std::size_t count) {
        Bytes message(extension_message_bytes(count));
        extend(count, message.data());
        return message;
    }
    // `values`: n x evaluator words. Takes n * evaluator_bits OTs; throws OrderError if there are fewer.
    // `seeded`: the garbler knows its values when it garbles.
    EvaluatedBatch evaluate(const Circuit& circuit, std::size_t n, const std::uint64_t* values, std::size_t count,
                            bool projected = false, bool seeded = false);

private:
    Prg randomness_;
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
