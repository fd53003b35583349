// Builds circuits; see builder.hpp.
#include "core/builder.hpp"

#include <limits>
#include <utility>

#include "core/error.hpp"

namespace capc::mpc {

Word Builder::input(unsigned width, Widths* widths) {
    if (width < 1 || width > 64) throw ParameterError("a word has 1 to 64 bits, not " + std::to_string(width));
    if (!gates_.empty()) throw OrderError("circuit inputs are declared before the first gate");
    widths->push_back(width);
    Word word;
    for (unsigned i = 0; i < width; ++i) word.push_back(Wire{first_gate_++, false});
    return word;
}

Word Builder::garbler_word(unsigned width) {
    const Word word = input(width, &garbler_widths_);
    for (const Wire w : word) garbler_inputs_.push_back(w.id);
    return word;
}

Word Builder::evaluator_word(unsigned width) {
    const Word word = input(width, &evaluator_widths_);
    for (const Wire w : word) evaluator_inputs_.push_back(w.id);
    return word;
}

Wire Builder::add_gate(Wire a, Wire b, bool is_and) {
    gates_.push_back(Node{a, b, is_and});
    return Wire{first_gate_ + static_cast<std::uint32_t>(gates_.size() - 1), false};
}

Wire Builder::exclusive_or(Wire a, Wire b) {
    const bool invert = a.invert != b.invert;
    if (a.id == b.id) return constant(invert);
    if (a.id == 0) return Wire{b.id, invert};
    if (b.id == 0) return Wire{a.id, invert};
    Wire out = add_gate(Wire{a.id, false}, Wire{b.id, false}, false);
    out.invert = invert;
    return out;
}

Wire Builder::both(Wire a, Wire b) {
    if (a == constant(false) || b == constant(false) || a == ~b) return constant(false);
    if (a == constant(true) || a == b) return b;
    if (b == constant(true)) return a;
    return add_gate(a, b, true);
}

Wire Builder::either(Wire a, Wire b) { return ~both(~a, ~b); }

Wire Builder::choose(Wire pick, Wire yes, Wire no) {
    return exclusive_or(no, both(pick, exclusive_or(yes, no)));
}

void Builder::output(const Word& word) {
    if (word.empty() || word.size() > 64) throw ParameterError("an output word has 1 to 64 bits");
    output_widths_.push_back(static_cast<unsigned>(word.size()));
    outputs_.insert(outputs_.end(), word.begin(), word.end());
}

Circuit Builder::build(std::string name) {
    const std::size_t wires = first_gate_ + gates_.size();
    constexpr std::size_t never = std::numeric_limits<std::size_t>::max();
    constexpr std::size_t at_the_end = never - 1;

    // Backwards: which gates reach an output, and which gate reads each wire last.
    std::vector<std::size_t> last_reader(wires, never);
    for (const Wire w : outputs_) last_reader[w.id] = at_the_end;
    std::vector<bool> needed(gates_.size(), false);
    for (std::size_t g = gates_.size(); g-- > 0;) {
        if (last_reader[first_gate_ + g] == never) continue;
        needed[g] = true;
        for (const Wire w : {gates_[g].a, gates_[g].b}) {
            if (last_reader[w.id] == never) last_reader[w.id] = g;
        }
    }

    // Forwards: give each wire a slot, taking the one that was freed last, which is the likeliest to be in cache.
    Circuit::Parts parts;
    std::vector<std::uint32_t> slot_of(wires, 0);
    std::vector<std::uint32_t> free_slots;
    std::uint32_t slots = 0;
    for (const auto* inputs : {&garbler_inputs_, &evaluator_inputs_}) {
        for (const std::uint32_t id : *inputs) slot_of[id] = slots++;
    }
    for (std::uint32_t id = 1; id < first_gate_; ++id) {
        if (last_reader[id] == never) free_slots.push_back(slot_of[id]);
    }
    for (std::size_t g = 0; g < gates_.size(); ++g) {
        if (!needed[g]) continue;
        const Node& node = gates_[g];
        // A gate may write over its own operand: the kernels read a row before they write it.
        if (last_reader[node.a.id] == g) free_slots.push_back(slot_of[node.a.id]);
        if (last_reader[node.b.id] == g && node.b.id != node.a.id) free_slots.push_back(slot_of[node.b.id]);
        std::uint32_t slot = slots;
        if (free_slots.empty()) {
            ++slots;
        } else {
            slot = free_slots.back();
            free_slots.pop_back();
        }
        slot_of[first_gate_ + g] = slot;
        std::uint32_t kind = 0;
        if (node.is_and) kind |= Gate::is_and;
        if (node.a.invert) kind |= Gate::invert_a;
        if (node.b.invert) kind |= Gate::invert_b;
        parts.gates.push_back(Gate{slot_of[node.a.id], slot_of[node.b.id], slot, kind});
    }
    for (const Wire w : outputs_) parts.outputs.push_back(OutputBit{slot_of[w.id], w.id == 0, w.invert});
    parts.name = std::move(name);
    parts.garbler_widths = std::move(garbler_widths_);
    parts.evaluator_widths = std::move(evaluator_widths_);
    parts.output_widths = std::move(output_widths_);
    parts.slot_count = slots;
    return Circuit(std::move(parts));
}

}  // namespace capc::mpc
