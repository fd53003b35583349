// Builds circuits; see builder.hpp.
#include "core/circuits/builder.hpp"

#include <limits>
#include <utility>

#include "core/base/error.hpp"

namespace mpc {

namespace {

// A number of its own for each wire (SplitMix64's finalizer: Steele, Lea, Flood, OOPSLA 2014).
std::uint64_t number_of(std::uint64_t wire) {
    std::uint64_t z = wire * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

}  // namespace

Word Builder::input(unsigned width, Widths* widths) {
    if (width < 1 || width > 64) throw ParameterError("a word has 1 to 64 bits, not " + std::to_string(width));
    if (!gates_.empty()) throw OrderError("circuit inputs are declared before the first gate");
    widths->push_back(width);
    Word word;
    for (unsigned i = 0; i < width; ++i) {
        sums_.push_back(number_of(first_gate_));
        word.push_back(Wire{first_gate_++, false});
    }
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
    const auto id = static_cast<std::uint32_t>(sums_.size());
    gates_.push_back(Node{a, b, is_and});
    sums_.push_back(is_and ? number_of(id) : sums_[a.id] ^ sums_[b.id]);
    return Wire{id, false};
}

Wire Builder::exclusive_or(Wire a, Wire b) {
    const bool invert = a.invert != b.invert;
    if (same(a, b)) return constant(invert);
    if (a.id == 0) return Wire{b.id, invert};
    if (b.id == 0) return Wire{a.id, invert};
    Wire out = add_gate(Wire{a.id, false}, Wire{b.id, false}, false);
    out.invert = invert;
    return out;
}

Wire Builder::both(Wire a, Wire b) {
    if (a == constant(false) || b == constant(false)) return constant(false);
    if (a == constant(true)) return b;
    if (b == constant(true)) return a;
    if (same(a, b)) return a.invert == b.invert ? a : constant(false);
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

const Builder::Node& Builder::node(Wire w) const { return gates_[w.id - first_gate_]; }

// Rule: a gate that nothing reads is dead. Going from the last gate to the first, all readers of a gate are counted
// when it is its turn, and a dead gate reads nothing.
Builder::Readers Builder::count_readers() const {
    Readers readers(first_gate_ + gates_.size(), 0);
    for (const Wire w : outputs_) ++readers[w.id];
    for (std::size_t g = gates_.size(); g-- > 0;) {
        if (readers[first_gate_ + g] == 0) continue;
        ++readers[gates_[g].a.id];
        ++readers[gates_[g].b.id];
    }
    return readers;
}

// Rule: an AND gate whose one reader is an XOR gate is made where that XOR stands, as out = (a & b) ^ z. An XOR takes
// one such AND, the first of its operands if both would do.
Builder::Products Builder::place_products(const Readers& readers) const {
    Products products{std::vector<bool>(readers.size(), false), std::vector<bool>(readers.size(), false)};
    for (std::size_t g = 0; g < gates_.size(); ++g) {
        const std::size_t id = first_gate_ + g;
        if (gates_[g].is_and || readers[id] == 0) continue;
        for (const Wire w : {gates_[g].a, gates_[g].b}) {
            if (w.id < first_gate_ || !node(w).is_and || readers[w.id] != 1) continue;
            products.made_here[id] = true;
            products.taken[w.id] = true;
            break;
        }
    }
    return products;
}

// The gate with the AND that is made where it stands, if there is one.
Builder::Merged Builder::placed(std::size_t gate, const Products& products) const {
    Merged m;
    m.wanted = true;
    m.is_and = gates_[gate].is_and || products.made_here[first_gate_ + gate];
    m.a = gates_[gate].a;
    m.b = gates_[gate].b;
    if (products.made_here[first_gate_ + gate]) {
        const bool first = products.taken[m.a.id];
        const Node& product = node(first ? m.a : m.b);
        m.z = first ? m.b : m.a;
        m.a = product.a;
        m.b = product.b;
    }
    return m;
}

// Rule: a gate reads the operands of a plain XOR in place of its result. An AND gate does so at both operands. An XOR
// gate does so at one of them, and only if it is that XOR's one reader, for with another reader the XOR is made all the
// same. An XOR that all its readers opened is not made. `readers` counts while the gates are merged. Going from the
// last gate to the first, all readers of a gate are settled when it is its turn.
std::vector<Builder::Merged> Builder::open_sums(Readers readers, const Products& products) const {
    const Readers before = readers;
    const auto can_open = [&](Wire w) { return w.id >= first_gate_ && !node(w).is_and && !products.made_here[w.id]; };
    const auto open = [&](Wire* first, Wire* second) {
        const Node& inner = node(*first);
        --readers[first->id];
        ++readers[inner.a.id];
        ++readers[inner.b.id];
        first->id = inner.a.id;
        *second = inner.b;
    };
    const auto opens_alone = [&](Wire w) { return can_open(w) && readers[w.id] == 1; };
    std::vector<Merged> merged(gates_.size());
    for (std::size_t g = gates_.size(); g-- > 0;) {
        const std::size_t id = first_gate_ + g;
        if (products.taken[id] || before[id] == 0) continue;
        if (readers[id] == 0) {
            --readers[gates_[g].a.id];
            --readers[gates_[g].b.id];
            continue;
        }
        Merged& m = merged[g] = placed(g, products);
        if (m.is_and) {
            if (can_open(m.a)) open(&m.a, &m.x);
            if (can_open(m.b)) open(&m.b, &m.y);
        } else {
            if (!opens_alone(m.a)) std::swap(m.a, m.b);
            if (opens_alone(m.a)) open(&m.a, &m.x);
        }
    }
    return merged;
}

std::vector<Builder::Merged> Builder::merge() const {
    const Readers readers = count_readers();
    return open_sums(readers, place_products(readers));
}

Circuit Builder::build(std::string name) {
    const std::vector<Merged> merged = merge();
    const std::size_t wires = first_gate_ + gates_.size();
    constexpr std::size_t never = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> last_reader(wires, never);
    for (const Wire w : outputs_) last_reader[w.id] = gates_.size();
    for (std::size_t g = gates_.size(); g-- > 0;) {
        if (!merged[g].wanted) continue;
        for (const Wire w : {merged[g].a, merged[g].x, merged[g].b, merged[g].y, merged[g].z}) {
            if (last_reader[w.id] == never) last_reader[w.id] = g;
        }
    }

    // Each wire gets a row; a gate's is the slot that was freed last, which is the likeliest to be in cache.
    Circuit::Parts parts;
    std::vector<std::uint32_t> row_of(wires, 0);
    std::uint32_t rows = 1;
    for (const auto* inputs : {&garbler_inputs_, &evaluator_inputs_}) {
        for (const std::uint32_t id : *inputs) row_of[id] = rows++;
    }
    std::vector<std::uint32_t> free_slots;
    std::uint32_t slots = 0;
    for (std::size_t g = 0; g < gates_.size(); ++g) {
        const Merged& m = merged[g];
        if (!m.wanted) continue;
        // A gate may write over its own operand: the kernels read a row before they write it.
        for (const Wire w : {m.a, m.x, m.b, m.y, m.z}) {
            if (w.id < first_gate_ || last_reader[w.id] != g) continue;
            last_reader[w.id] = never;  // freed
            free_slots.push_back(row_of[w.id] - rows);
        }
        std::uint32_t slot = slots;
        if (free_slots.empty()) {
            ++slots;
        } else {
            slot = free_slots.back();
            free_slots.pop_back();
        }
        row_of[first_gate_ + g] = rows + slot;
        std::uint32_t kind = 0;
        if (m.is_and) kind |= Gate::is_and;
        if (m.a.invert) kind |= Gate::invert_a;
        if (m.b.invert) kind |= Gate::invert_b;
        if ((m.x.id | m.y.id | m.z.id) != 0) kind |= Gate::fused;
        parts.gates.push_back(Gate{row_of[m.a.id], row_of[m.x.id], row_of[m.b.id], row_of[m.y.id], row_of[m.z.id],
                                   slot, kind});
    }
    for (const Wire w : outputs_) parts.outputs.push_back(OutputBit{row_of[w.id], w.invert});
    parts.name = std::move(name);
    parts.garbler_widths = std::move(garbler_widths_);
    parts.evaluator_widths = std::move(evaluator_widths_);
    parts.output_widths = std::move(output_widths_);
    parts.slot_count = slots;
    return Circuit(std::move(parts));
}

}  // namespace mpc
