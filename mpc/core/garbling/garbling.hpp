// Garbling n instances of a circuit, and evaluating them: half-gates (Zahur, Rosulek, Evans, EUROCRYPT 2015), or three
// halves (three_halves.hpp), with free XOR and point-and-permute. Bytes in, bytes out, no I/O; the session
// (session.hpp) brings the OTs.
//
// How the two classes meet, G the garbler, E the evaluator; every list of labels or bits is in wire order
// (bit_matrix.hpp), `garbler_bits`, `evaluator_bits`, `output_bits` counted per instance:
//
//   1. Evaluator's inputs. From OT extension G holds blocks q, E holds t = q ^ u delta and its random bits u, one per
//      evaluator input bit of every instance. E's choice c is sent as d = c ^ u.
//      G's zero labels are q ^ d delta (`corrected_labels`), E's labels are t.
//   2. Tables: G `next_tables` until it returns 0  -->  E `feed` in any pieces: `table_bytes`, after 3.
//   3. Garbler's inputs.
//      Known when it garbles: G draws a public seed for this garbling. The labels of its values are
//      A = AES_seed(place), which E makes from the seed (`set_labels(seed, evaluator labels)`); its zero labels are
//      A ^ x delta, x its bits.
//      Otherwise: G `input_labels(values)`  -->  E `set_labels(garbler labels, evaluator labels)`.
//      The garbler does 2 and 3 in either order. The evaluator's labels come first: tables are evaluated as they arrive,
//      memory bounded by a tile. Who is sent tables ahead of the labels (preprocessing) keeps them until these come.
//   4. Outputs, one or more of: G `decoding` --> E `decode`; E `colours` --> G `decode`;
//      G `project` --> E `open_projection` (projection.hpp), if both were made `projected`, as circuits whose output
//      words are single bits always are.
//
// A seed in the place of labels is sound because a label pair may be drawn either way: the zero label, then the label
// of the value; or that label, A, then the zero label A ^ x delta. Pairs, and what E holds of them, are distributed
// alike, A and its colour independent of x. E sees A in any case; that it knows where A comes from gives it nothing:
// (1) the seed is drawn for this alone, independent of delta, salt, x, the OTs and `label_seed`, which stays secret;
// (2) the hash needs inputs that are distinct, not unknown: its circular correlation robustness (hash.hpp) holds for
// labels that the adversary chose, the unknown being delta. Under one seed the A differ from each other for certain,
// AES being a permutation, and XORs of them agree as rarely as those of uniform labels do.
//
// delta has its lowest bit set and is the session's; `salt` and hash indices: see hash.hpp. A garbling uses the
// indices first_index .. first_index + hash_indices(circuit, n, format) - 1, which no other garbling of the session
// may use.
//
// Constant-time: branches and addresses depend on the circuit, n and lengths only. Both throw LengthError for a message
// of the wrong size, MalformedError for set padding bits and OrderError for a call out of turn; a failed call has
// changed nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/aes/aes.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/circuits/circuit.hpp"
#include "core/garbling/tile_walk.hpp"

namespace mpc {

using Bytes = std::vector<std::uint8_t>;

// How many hash indices a garbling of n instances takes, projection included.
std::uint64_t hash_indices(const Circuit& circuit, std::size_t n, TableFormat format = TableFormat::half_gates);
// Bytes of all tables of n instances.
std::uint64_t table_bytes(const Circuit& circuit, std::size_t n, TableFormat format = TableFormat::half_gates);

// zero_labels[k] = q[k] ^ d_k delta, d packed. Throws LengthError unless d has q.size() bits.
Blocks corrected_labels(Blocks q, const Bytes& corrections, const Block& delta);

// The garbler's inputs, where they are known when it garbles.
struct KnownInputs {
    Block seed;  // public and fresh: nothing else is made from it
    Bytes bits;  // n x garbler_bits, packed
};

class Garbling {
public:
    // Zero labels of all evaluator inputs, n x evaluator_bits. Throws LengthError for another number of them; LengthError
    // and MalformedError for `known` of another size.
    Garbling(const Circuit& circuit, std::size_t n, const Block& delta, const Block& salt, std::uint64_t first_index,
             const Block& label_seed, Blocks evaluator_zero_labels, TableFormat format = TableFormat::half_gates,
             bool projected = false, std::optional<KnownInputs> known = std::nullopt);
    ~Garbling();
    Garbling(Garbling&&) noexcept = default;
    Garbling& operator=(Garbling&&) noexcept = default;

    const Circuit& circuit() const { return walk_.circuit; }
    std::size_t instances() const { return walk_.n; }
    std::uint64_t table_bytes() const { return mpc::table_bytes(circuit(), instances(), walk_.format); }

    // Writes up to `max` bytes of tables and returns how many, 0 once all are out. Any max > 0 makes progress; the
    // fastest are multiples of 1 KiB from 64 KiB on.
    std::size_t next_tables(std::uint8_t* out, std::size_t max);

    // The seed that the evaluator makes the labels from, if the values were known; null otherwise.
    const Block* input_seed() const { return known_ ? &known_->seed : nullptr; }
    // Labels of the garbler's values (n x garbler words, row by row): n x garbler_bits blocks, to `out`. Only if they
    // were not known, and one call only: two labels of one wire would give delta away.
    void input_labels(const std::uint64_t* values, std::size_t count, std::uint8_t* out);
    Bytes input_labels(const std::uint64_t* values, std::size_t count) {
        Bytes labels(instances() * circuit().garbler_bits() * sizeof(Block));
        input_labels(values, count, labels.data());
        return labels;
    }

    // After the last table: the permute bits of the outputs, packed; they open the outputs to the evaluator.
    Bytes decoding() const;
    // After the last table: the outputs (n x output words) from the evaluator's colour bits.
    std::vector<std::uint64_t> decode(const std::uint8_t* colours, std::size_t bytes) const;

    // For projection.hpp: zero labels of the outputs, n x output_bits, once, after the last table; and the first of the
    // hash indices that are set aside for it.
    Blocks take_output_zero_labels();
    const Block& delta() const { return delta_; }
    const Block& salt() const { return salt_; }
    std::uint64_t projection_index() const { return projection_index_; }

private:
    void start_tile();
    void finish_tile();
    void release_inputs();
    void run_free_gates();
    void require_finished(const char* step) const;

    TileWalk walk_;
    Block delta_;
    Block salt_;
    std::uint64_t projection_index_;
    // The garbler's zero labels: AES(place), high half 0; dice (three halves): high half 2.
    Aes128 label_stream_;
    std::optional<KnownInputs> known_;
    std::optional<Aes128> known_stream_;  // labels of the known values: AES(place)
    Blocks dice_;  // of the tile in work
    Blocks drawn_;  // those of the tile in work
    Blocks evaluator_zero_labels_;
    Bytes pending_;  // tables of one AND gate of which a caller's chunk took only a part
    std::size_t pending_used_ = 0;
    Bytes permute_bits_;
    Blocks output_zero_labels_;
    bool keep_labels_;
    bool inputs_given_ = false;
};

class Evaluation {
public:
    Evaluation(const Circuit& circuit, std::size_t n, const Block& salt, std::uint64_t first_index,
               TableFormat format = TableFormat::half_gates, bool projected = false);
    ~Evaluation();
    Evaluation(Evaluation&&) noexcept = default;
    Evaluation& operator=(Evaluation&&) noexcept = default;

    const Circuit& circuit() const { return walk_.circuit; }
    std::size_t instances() const { return walk_.n; }

    // Garbler's labels as `input_labels` gave them, or the seed of them, and the evaluator's own labels,
    // n x evaluator_bits. Once.
    void set_labels(const std::uint8_t* garbler_labels, std::size_t bytes, Blocks evaluator_labels);
    void set_labels(const Block& seed, Blocks evaluator_labels);
    // The next bytes of the tables, cut anywhere. After set_labels.
    void feed(const std::uint8_t* tables, std::size_t bytes);
    bool done() const { return labels_set_ && walk_.finished(); }

    // The rest needs done().
    // Colour bits of the outputs, packed: they open the outputs to the garbler.
    Bytes colours() const;
    std::vector<std::uint64_t> decode(const std::uint8_t* decoding, std::size_t bytes) const;

    // For projection.hpp, as in Garbling; they are kept until they are let go.
    const Blocks& output_labels() const;
    void release_output_labels();
    const Block& salt() const { return salt_; }
    std::uint64_t projection_index() const { return projection_index_; }

private:
    void check_unlabelled(const Blocks& evaluator_labels) const;
    void begin(Blocks evaluator_labels);
    void start_tile();
    void finish_tile();
    void run_free_gates();
    void require_done(const char* step) const;

    TileWalk walk_;
    Block salt_;
    std::uint64_t projection_index_;
    std::uint64_t tables_left_;
    bool labels_set_ = false;
    std::optional<Aes128> label_stream_;  // of the garbler's labels, if a seed came in their place
    Blocks garbler_labels_;               // all of them; from a seed, those of the tile in work
    Blocks evaluator_labels_;
    Bytes partial_;       // the beginning of one AND gate's tables
    Bytes colours_;
    Blocks output_labels_;
    bool keep_labels_;
};

}  // namespace mpc
