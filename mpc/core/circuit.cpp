// Circuits and their evaluation in the clear; see circuit.hpp.
#include "core/circuit.hpp"

#include <algorithm>
#include <utility>

#include "core/bit_matrix.hpp"
#include "core/error.hpp"

namespace capc::mpc {

std::size_t total_bits(const Widths& widths) {
    std::size_t bits = 0;
    for (const unsigned width : widths) bits += width;
    return bits;
}

Circuit::Circuit(Parts parts) {
    const std::size_t garbler_bits = total_bits(parts.garbler_widths);
    const std::size_t evaluator_bits = total_bits(parts.evaluator_widths);
    const auto is_and = [](const Gate& gate) { return (gate.kind & Gate::is_and) != 0; };
    const auto ands = std::count_if(parts.gates.begin(), parts.gates.end(), is_and);
    content_ = std::make_shared<const Content>(
        Content{std::move(parts), garbler_bits, evaluator_bits, static_cast<std::size_t>(ands)});
}

std::vector<std::uint64_t> Circuit::run(const std::vector<std::uint64_t>& garbler,
                                        const std::vector<std::uint64_t>& evaluator, std::size_t n) const {
    check_values(name() + ": garbler's values", garbler_widths(), garbler.data(), garbler.size(), n);
    check_values(name() + ": evaluator's values", evaluator_widths(), evaluator.data(), evaluator.size(), n);
    const std::size_t words = output_widths().size();
    std::vector<std::uint64_t> result(n * words);
    std::vector<std::uint64_t> slots(slot_count());
    std::vector<std::uint64_t> rows(output_bits());
    constexpr std::size_t together = 64;
    for (std::size_t first = 0; first < n; first += together) {
        const std::size_t now = std::min(together, n - first);
        rows_of_values(garbler_widths(), garbler.data() + first * garbler_widths().size(), now, slots.data());
        rows_of_values(evaluator_widths(), evaluator.data() + first * evaluator_widths().size(), now,
                       slots.data() + garbler_bits());
        for (const Gate& gate : gates()) {
            std::uint64_t a = slots[gate.a];
            std::uint64_t b = slots[gate.b];
            if ((gate.kind & Gate::invert_a) != 0) a = ~a;
            if ((gate.kind & Gate::invert_b) != 0) b = ~b;
            slots[gate.out] = (gate.kind & Gate::is_and) != 0 ? a & b : a ^ b;
        }
        for (std::size_t j = 0; j < rows.size(); ++j) {
            const OutputBit& bit = outputs()[j];
            const std::uint64_t value = bit.constant ? 0 : slots[bit.slot];
            rows[j] = bit.invert ? ~value : value;
        }
        values_of_rows(output_widths(), rows.data(), now, result.data() + first * words);
    }
    return result;
}

}  // namespace capc::mpc
