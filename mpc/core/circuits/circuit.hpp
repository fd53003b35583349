// An immutable Boolean circuit between a garbler and an evaluator, and its evaluation in the clear.
//
// Inputs and outputs are words of 1..64 bits. A word is an unsigned integer, least significant bit first. Gates read
// rows and write slots. Row 0 is the constant zero. Then come the garbler's input bits, the evaluator's input bits, and
// the slots. A slot is reused once its wire is dead, so `slot_count` is what one instance keeps in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bit_matrix.hpp"
#include "core/circuits/gate.hpp"

namespace mpc {

// Where an output bit is found once all gates are done, as row ^ invert. Row 0 makes a constant.
struct OutputBit {
    std::uint32_t row;
    bool invert;
};

class Circuit {
public:
    // What Builder::build hands over.
    struct Parts {
        std::string name;
        Widths garbler_widths;
        Widths evaluator_widths;
        Widths output_widths;
        std::vector<Gate> gates;
        std::vector<OutputBit> outputs;
        std::size_t slot_count = 0;
    };
    explicit Circuit(Parts parts);

    const std::string& name() const { return content_->parts.name; }
    const Widths& garbler_widths() const { return content_->parts.garbler_widths; }
    const Widths& evaluator_widths() const { return content_->parts.evaluator_widths; }
    const Widths& output_widths() const { return content_->parts.output_widths; }
    std::size_t garbler_bits() const { return content_->garbler_bits; }
    std::size_t evaluator_bits() const { return content_->evaluator_bits; }
    std::size_t output_bits() const { return content_->parts.outputs.size(); }
    const std::vector<Gate>& gates() const { return content_->parts.gates; }
    const std::vector<OutputBit>& outputs() const { return content_->parts.outputs; }
    std::size_t and_gates() const { return content_->and_gates; }
    std::size_t slot_count() const { return content_->parts.slot_count; }
    std::size_t first_slot_row() const { return 1 + garbler_bits() + evaluator_bits(); }
    // Tells whether every output word is one bit wide. Such outputs can always be projected.
    bool has_bit_outputs() const { return output_bits() == output_widths().size(); }

    // Evaluates in the clear, 64 instances at a time. Takes n x garbler words and n x evaluator words and returns
    // n x output words, all row by row. Throws LengthError, and ParameterError for a value beyond its word.
    std::vector<std::uint64_t> run(const std::vector<std::uint64_t>& garbler,
                                   const std::vector<std::uint64_t>& evaluator, std::size_t n) const;

private:
    struct Content {
        Parts parts;
        std::size_t garbler_bits;
        std::size_t evaluator_bits;
        std::size_t and_gates;
    };
    // Shared, so that a copy of a Circuit is a handle and a running garbling keeps its circuit alive.
    std::shared_ptr<const Content> content_;
};

}  // namespace mpc
