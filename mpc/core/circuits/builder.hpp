// Builds circuits. Constants and equal operands fold away for free, NOT costs nothing, dead gates go, XORs merge into
// the gates beside them, and slots are reused.
//
// hash.hpp needs the operands a, b of every AND gate and a ^ b to differ from instance to instance. Therefore a and b,
// as XORs of inputs and AND gates, are neither constant nor equal up to inversion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/circuits/circuit.hpp"

namespace mpc {

// A wire of a circuit under construction, possibly inverted. Wire 0 is the constant zero.
struct Wire {
    std::uint32_t id = 0;
    bool invert = false;

    friend Wire operator~(Wire w) { return Wire{w.id, !w.invert}; }
    friend bool operator==(Wire a, Wire b) { return a.id == b.id && a.invert == b.invert; }
};

// Bits of an unsigned integer, least significant first.
using Word = std::vector<Wire>;

class Builder {
public:
    static Wire constant(bool value) { return Wire{0, value}; }

    // Declare all inputs before the first gate. Throws ParameterError for a width outside 1..64.
    Word garbler_word(unsigned width);
    Word evaluator_word(unsigned width);

    Wire exclusive_or(Wire a, Wire b);       // free
    Wire both(Wire a, Wire b);               // one AND
    Wire either(Wire a, Wire b);             // one AND
    Wire choose(Wire pick, Wire yes, Wire no);  // pick ? yes : no; one AND

    void output(const Word& word);

    // Returns the finished circuit and uses the builder up.
    Circuit build(std::string name);

private:
    struct Node {
        Wire a;
        Wire b;
        bool is_and;
    };

    // A gate of the finished circuit while its operands are still wires; see gate.hpp.
    struct Merged {
        bool wanted = false;
        bool is_and = false;
        Wire a, x, b, y, z;
    };

    Word input(unsigned width, Widths* widths);
    bool same(Wire a, Wire b) const { return sums_[a.id] == sums_[b.id]; }  // up to inversion
    Wire add_gate(Wire a, Wire b, bool is_and);
    const Node& node(Wire w) const;  // the gate that makes it

    // How many gates and outputs read each wire.
    using Readers = std::vector<std::size_t>;
    // By wire: XOR gates that an AND is made in, and AND gates that are made in an XOR.
    struct Products {
        std::vector<bool> made_here;
        std::vector<bool> taken;
    };
    // Merges gates by three rules, which stand with these three.
    std::vector<Merged> merge() const;
    Readers count_readers() const;
    Products place_products(const Readers& readers) const;
    std::vector<Merged> open_sums(Readers readers, const Products& products) const;
    Merged placed(std::size_t gate, const Products& products) const;

    Widths garbler_widths_;
    Widths evaluator_widths_;
    Widths output_widths_;
    std::vector<std::uint32_t> garbler_inputs_;
    std::vector<std::uint32_t> evaluator_inputs_;
    std::vector<Wire> outputs_;
    std::uint32_t first_gate_ = 1;  // wires: 0 the constant, then the inputs, then one a gate
    std::vector<Node> gates_;
    // Every input and AND gate has a number. By wire, this is the XOR of the numbers of those that the wire is the XOR
    // of. Different XORs come out equal with a chance of 2^-64 a gate.
    std::vector<std::uint64_t> sums_{0};
};

}  // namespace mpc
