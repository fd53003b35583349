// What a validity circuit is: an encoding of measurements, the inputs of its one gadget, and what must be zero
// (draft-20, sections 7.3.2 and 7.4). The circuits are in circuits.cpp, and the proof made of one is in flp.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/blocks.hpp"
#include "core/base/error.hpp"

namespace mpc::prio {

constexpr std::size_t kMostElements = std::size_t{1} << 24;  // of an encoded measurement, and of a chunk

enum class Kind { count, sum, sum_vec, histogram, multihot_count_vec, linear_regression, higher_degree };

// A kind and its parameters, of which each kind uses some.
struct CircuitOptions {
    Kind kind = Kind::count;
    std::uint64_t length = 0;           // of a vector or a histogram, or the number of features
    std::uint64_t max_measurement = 0;  // of a number, or of each entry
    std::uint64_t chunk_length = 0;
    std::uint64_t max_weight = 0;
    std::uint64_t bits = 0;  // of features and label
};

template <class Element>
using Secrets = std::vector<Element, LargeAllocator<Element, true>>;

// Lengths are numbers of elements, but for `words`.
struct Shape {
    std::size_t words = 1;  // 64-bit words of a measurement before it is encoded
    std::size_t measurement = 1, output = 1, joint_randomness = 0;
    std::size_t results = 1;                       // that must all be zero
    std::size_t arity = 1, degree = 2, calls = 1;  // of the gadget

    unsigned wire_bits() const { return bits_for(1 + calls); }  // log2 of the values of a wire polynomial
    std::size_t wire_size() const { return std::size_t{1} << wire_bits(); }
    std::size_t gadget_size() const { return degree * (wire_size() - 1) + 1; }
    unsigned gadget_bits() const { return bits_for(gadget_size()); }
    std::size_t proof() const { return arity + gadget_size(); }
    std::size_t query_randomness() const { return 1 + (results > 1 ? results : 0); }
    std::size_t verifier() const { return 2 + arity; }

private:
    static unsigned bits_for(std::size_t count) {
        unsigned bits = 0;
        while (std::size_t{1} << bits < count) ++bits;
        return bits;
    }
};

// Times depend on the shape alone, but for the refusal of `encode`. Everything but `encode` and `gadget` is affine in
// the measurement, so it also takes shares, with `one` the same share of 1 at each aggregator.
template <class F>
class Circuit {
public:
    using Element = typename F::Element;
    using Factor = typename F::Factor;

    explicit Circuit(const Shape& shape) : shape_(shape) {}
    virtual ~Circuit() = default;
    const Shape& shape() const { return shape_; }

    // Throws ParameterError for words that are no valid measurement.
    virtual void encode(const std::uint64_t* words, Element* measurement) const = 0;
    virtual void truncate(const Element* measurement, Element* output) const = 0;
    // Input j of call k goes to wires[j * stride + k]. `scratch` has room for a factor each call.
    virtual void fill_wires(const Element* measurement, const Factor* joint, Element one, Element* wires,
                            std::size_t stride, Factor* scratch) const = 0;
    // The gadget's value where input j is inputs[j * stride].
    virtual Element gadget(const Element* inputs, std::size_t stride) const = 0;
    // What must be zero, from what the calls of the gadget gave.
    virtual void finish(const Element* measurement, const Element* called, const Factor* joint, Element one,
                        Element* results) const = 0;

private:
    Shape shape_;
};

// Throws ParameterError for parameters that the circuit cannot have.
template <class F>
std::unique_ptr<Circuit<F>> make_circuit(const CircuitOptions& options);

}  // namespace mpc::prio
