// Evaluates circuits in the clear; see circuit.hpp.
#include "core/circuits/circuit.hpp"

#include <algorithm>
#include <utility>

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"

namespace mpc {

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
    check_values(name() + ": garbler's values", garbler_widths(), garbler, n);
    check_values(name() + ": evaluator's values", evaluator_widths(), evaluator, n);
    const std::size_t words = output_widths().size();
    std::vector<std::uint64_t> result(n * words);
    std::vector<std::uint64_t> rows(first_slot_row() + slot_count());
    std::vector<std::uint64_t> opened(output_bits());
    constexpr std::size_t together = 64;
    for (std::size_t first = 0; first < n; first += together) {
        const std::size_t now = std::min(together, n - first);
        rows_of_values(garbler_widths(), garbler.data() + first * garbler_widths().size(), now, rows.data() + 1);
        rows_of_values(evaluator_widths(), evaluator.data() + first * evaluator_widths().size(), now,
                       rows.data() + 1 + garbler_bits());
        for (const Gate& gate : gates()) {
            std::uint64_t& out = rows[first_slot_row() + gate.out];
            std::uint64_t a = rows[gate.a] ^ rows[gate.x];
            std::uint64_t b = rows[gate.b] ^ rows[gate.y];
            if ((gate.kind & Gate::invert_a) != 0) a = ~a;
            if ((gate.kind & Gate::invert_b) != 0) b = ~b;
            out = (gate.kind & Gate::is_and) != 0 ? (a & b) ^ rows[gate.z] : a ^ b;
        }
        for (std::size_t j = 0; j < opened.size(); ++j) {
            const std::uint64_t value = rows[outputs()[j].row];
            opened[j] = outputs()[j].invert ? ~value : value;
        }
        values_of_rows(output_widths(), opened.data(), now, result.data() + first * words);
    }
    return result;
}

}  // namespace mpc
