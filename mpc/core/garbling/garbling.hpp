// Garbling n instances of a circuit, and evaluating them. An AND gate is garbled by half-gates (Zahur, Rosulek, Evans,
// EUROCRYPT 2015) or by three halves (three_halves.hpp), with free XOR and point-and-permute. Bytes go in and come out,
// there is no I/O. The session (session.hpp) brings the OTs.
//
// How the two classes meet. G is the garbler, E is the evaluator. Every list of labels or bits is in wire order
// (bit_matrix.hpp). `garbler_bits`, `evaluator_bits` and `output_bits` count per instance.
//
//   1. Evaluator's inputs. There is one OT per evaluator input bit of every instance. From OT extension G holds blocks
//      q, and E holds t = q ^ u delta with its random bits u. E sends its choice c as the correction d = c ^ u. G's
//      zero labels are q ^ d delta (`corrected_labels`), and E's labels are t.
//   2. Tables. G calls `next_tables` until it returns 0. E calls `feed` with `table_bytes` in pieces of any size,
//      after 3.
//   3. Garbler's inputs.
//      If G knows its values when it garbles, it draws a public seed for this garbling. The labels of its values are
//      A = AES_seed(place). E makes them from the seed (`set_labels(seed, evaluator labels)`). G's zero labels are
//      A ^ x delta, where x are its bits.
//      Otherwise G sends `input_labels(values)`, and E calls `set_labels(garbler labels, evaluator labels)`.
//      G does 2 and 3 in either order. E needs its labels first, as it evaluates tables as they arrive. Its memory is
//      bounded by a tile. Where tables are sent ahead of the labels (preprocessing), E keeps them until
//      the labels come.
//   4. Outputs, in one way or more. G sends `decoding` and E calls `decode`. E sends `colours` and G calls `decode`.
//      G calls `project` and E calls `open_projection` (projection.hpp), which needs Outputs::projected on both sides
//      unless all output words are single bits.
//
// A seed may stand for the labels, because a label pair may be drawn either way. One way draws the zero label, from
// which the label of the value follows. The other draws the label of the value, A, from which the zero label
// A ^ x delta follows. Pairs, and what E holds of them, have the same distribution, and A with its permute bit is
// independent of x. E sees A in any case. To know where A comes from gives it nothing, for two reasons.
// (1) The seed is drawn for this alone. It is independent of delta, salt, x, the OTs and `label_seed`, which
// stays secret.
// (2) The hash needs inputs that are distinct, not unknown. Its circular correlation robustness (hash.hpp) holds for
// labels that the adversary chose, the unknown being delta. Under one seed the A differ from each other for certain,
// as AES is a permutation, and XORs of them agree as rarely as those of uniform labels do.
//
// A garbling uses the hash indices first_index .. first_index + hash_indices(circuit, n, format) - 1 (hash.hpp). No
// other garbling of the session may use them.
//
// Constant-time: branches and addresses depend on the circuit, n and lengths only. Both classes throw LengthError for a
// message of the wrong size, MalformedError for set padding bits and OrderError for a call out of turn. A failed call
// has changed nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/aes/aes.hpp"
#include "core/aes/hash.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/byte_view.hpp"
#include "core/circuits/circuit.hpp"
#include "core/garbling/tile_walk.hpp"

namespace mpc {

// What a garbling is made from. The first two are secret and wiped. From delta and one label of a wire follows the
// other label, hence every value. From `label_seed` follow all zero labels that are drawn here.
struct GarblingKeys {
    Block delta;       // secret, lowest bit set, the session's
    Block label_seed;  // secret, fresh for each garbling
    HashKeys hash;     // public

    ~GarblingKeys() {
        wipe(&delta, sizeof delta);
        wipe(&label_seed, sizeof label_seed);
    }
};

// What becomes of the outputs.
enum class Outputs : std::uint8_t {
    opened,     // to either side; words of a single bit may be projected anyway
    projected,  // to shares (projection.hpp); they may be opened too
};

// What both sides of a batch say alike.
struct BatchOptions {
    TableFormat format = TableFormat::half_gates;
    Outputs outputs = Outputs::opened;
};

// Throws ParameterError for so many instances that their tables or labels would not fit 2^50 bytes.
void check_instances(const Circuit& circuit, std::size_t n);
// Counts the hash indices that a garbling of n instances takes, projection included.
std::uint64_t hash_indices(const Circuit& circuit, std::size_t n, TableFormat format = TableFormat::half_gates);
// Counts the bytes of all tables of n instances. Throws ParameterError as check_instances does.
std::uint64_t table_bytes(const Circuit& circuit, std::size_t n, TableFormat format = TableFormat::half_gates);

// Returns zero_labels[k] = q[k] ^ d_k delta, d packed. Throws LengthError unless d has q.size() bits, and
// MalformedError for set padding bits.
Blocks corrected_labels(Blocks q, ByteView corrections, const Block& delta);

// The garbler's inputs, where they are known when it garbles.
struct KnownInputs {
    Block seed;  // public and fresh, nothing else is made from it
    Bytes bits;  // n x garbler_bits, packed
};

class Garbling {
public:
    // Takes the zero labels of all evaluator inputs, n x evaluator_bits. Throws LengthError for another number of them
    // and for `known` of another size, MalformedError for padding bits in `known`, ParameterError for an even delta.
    Garbling(const Circuit& circuit, std::size_t n, const GarblingKeys& keys, Blocks evaluator_zero_labels,
             BatchOptions options = {}, std::optional<KnownInputs> known = std::nullopt);
    ~Garbling();
    Garbling(Garbling&&) noexcept = default;
    Garbling& operator=(Garbling&&) noexcept = default;

    const Circuit& circuit() const { return walk_.circuit; }
    std::size_t instances() const { return walk_.n; }
    std::uint64_t table_bytes() const { return mpc::table_bytes(circuit(), instances(), walk_.format); }

    // Fills `out` with the next bytes of tables, as far as there are any, and returns how many. Room for one byte makes
    // progress. The fastest are multiples of 1 KiB from 64 KiB on.
    std::size_t next_tables(MutableByteView out);

    // The seed that the evaluator makes the labels from, if the values were known; null otherwise.
    const Block* input_seed() const { return known_ ? &known_->seed : nullptr; }
    // Writes the labels of the garbler's values (n x garbler words, row by row), which are n x garbler_bits blocks. May
    // be called only if the values were not known, and once, as two labels of one wire would give delta away.
    void input_labels(WordView values, MutableByteView out);
    Bytes input_labels(WordView values);

    // Returns the permute bits of the outputs, packed, after the last table. They open the outputs to the evaluator.
    Bytes decoding() const;
    // Opens the outputs (n x output words) with the evaluator's permute bits, after the last table.
    std::vector<std::uint64_t> decode(ByteView colours) const;

    // For projection.hpp. Hands out the zero labels of the outputs, n x output_bits, once, after the last table.
    Blocks take_output_zero_labels();
    const Block& delta() const { return delta_; }
    // The hash keys that are set aside for the projection.
    const HashKeys& projection_keys() const { return projection_keys_; }

private:
    void start_tile();
    void finish_tile();
    void release_inputs();
    void run_free_gates();
    void require_finished(const char* step) const;

    TileWalk walk_;
    Block delta_;
    HashKeys projection_keys_;
    // The garbler's zero labels are AES(place) with high half 0. Dice (three halves) have high half 2. Both are bound to
    // the session's salt and the batch's first hash index, so that no two garblings encrypt the same blocks.
    Aes128 label_stream_;
    std::optional<KnownInputs> known_;
    std::optional<Aes128> known_stream_;  // the labels of known values are AES(place)
    Blocks dice_;                         // of the tile in work
    Blocks drawn_;                        // garbler's zero labels of the tile in work
    Blocks evaluator_zero_labels_;
    Bytes pending_;  // the tables of one AND gate, of which the caller's room took only a part
    std::size_t pending_used_ = 0;
    Bytes permute_bits_;
    Blocks output_zero_labels_;
    bool keep_labels_;
    bool inputs_given_ = false;
};

class Evaluation {
public:
    Evaluation(const Circuit& circuit, std::size_t n, const HashKeys& keys, BatchOptions options = {});
    ~Evaluation();
    Evaluation(Evaluation&&) noexcept = default;
    Evaluation& operator=(Evaluation&&) noexcept = default;

    const Circuit& circuit() const { return walk_.circuit; }
    std::size_t instances() const { return walk_.n; }

    // Takes the garbler's labels as `input_labels` gave them, or the seed of them, and the evaluator's own labels,
    // n x evaluator_bits. Once.
    void set_labels(ByteView garbler_labels, Blocks evaluator_labels);
    void set_labels(const Block& seed, Blocks evaluator_labels);
    // Evaluates with the next bytes of the tables, cut anywhere. After set_labels.
    void feed(ByteView tables);
    bool done() const { return labels_set_ && walk_.finished(); }

    // The rest needs done().
    // Returns the permute bits of the outputs, packed. They open the outputs to the garbler.
    Bytes colours() const;
    std::vector<std::uint64_t> decode(ByteView decoding) const;

    // For projection.hpp, as in Garbling. The labels are kept until they are let go.
    const Blocks& output_labels() const;
    void release_output_labels();
    const HashKeys& projection_keys() const { return projection_keys_; }

private:
    void check_unlabelled(const Blocks& evaluator_labels) const;
    void begin(Blocks evaluator_labels);
    void start_tile();
    void finish_tile();
    void run_free_gates();
    void require_done(const char* step) const;

    TileWalk walk_;
    HashKeys projection_keys_;
    std::uint64_t tables_left_;
    bool labels_set_ = false;
    std::optional<Aes128> label_stream_;  // of the garbler's labels, if a seed came in their place
    Blocks garbler_labels_;               // all of them, or with a seed those of the tile in work
    Blocks evaluator_labels_;
    Bytes partial_;  // the beginning of one AND gate's tables
    Bytes colours_;
    Blocks output_labels_;
    bool keep_labels_;
};

}  // namespace mpc
