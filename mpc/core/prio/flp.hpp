// The fully linear proof of one circuit (draft-20, section 7.3, after Boneh et al., CRYPTO 2019, theorem 4.3), with all
// polynomials given by their values. The proof is a random value for each wire polynomial, and the gadget's value along
// these polynomials. A verifier computes everything at a random place t, and `decide` looks whether it fits together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "core/prio/circuit.hpp"
#include "core/prio/nodes.hpp"

namespace mpc::prio {

template <class F>
class Flp {
public:
    using Element = typename F::Element;
    using Factor = typename F::Factor;

    explicit Flp(std::unique_ptr<Circuit<F>> circuit)
        : circuit_(std::move(circuit)), wires_(shape().wire_bits()), gadget_(shape().gadget_bits()) {}

    const Circuit<F>& circuit() const { return *circuit_; }
    const Shape& shape() const { return circuit_->shape(); }

    // Memory for one proof at a time.
    struct Scratch {
        explicit Scratch(const Flp& flp)
            : wires(flp.shape().arity * flp.wires_.size()),
              other(wires.size()),
              results(flp.shape().results),
              called(flp.shape().calls),
              powers(flp.shape().calls),
              near(flp.wires_.size()),
              far(flp.gadget_.size()) {}
        Secrets<Element> wires, other, results, called;
        Secrets<Factor> powers, near, far;
    };

    // `randomness` has an element for each input of the gadget. The one who proves holds all of the measurement.
    void prove(const Element* measurement, const Element* randomness, const Factor* joint, Scratch& scratch,
               Element* proof) const {
        const std::size_t p = wires_.size(), n = gadget_.size(), arity = shape().arity, cosets = n / p;
        fill(measurement, randomness, joint, F::element(1), scratch);
        std::copy(randomness, randomness + arity, proof);
        Element* const values = proof + arity;
        const std::size_t size = shape().gadget_size();
        for (std::size_t k = 0; k < p && k * cosets < size; ++k)
            values[k * cosets] = circuit_->gadget(scratch.wires.data() + k, p);
        for (std::size_t j = 0; j < arity; ++j) wires_.to_coefficients(scratch.wires.data() + j * p);
        // The other nodes are w^s times those of the wires, so coefficient i is multiplied by w^(s i).
        for (std::size_t s = 1; s < cosets; ++s) {
            for (std::size_t j = 0; j < arity; ++j) {
                Element* const shifted = scratch.other.data() + j * p;
                for (std::size_t i = 0; i < p; ++i)
                    shifted[i] = F::multiply(gadget_.root(s * i), scratch.wires[j * p + i]);
                wires_.to_values(shifted);
            }
            for (std::size_t k = 0; k < p && s + k * cosets < size; ++k)
                values[s + k * cosets] = circuit_->gadget(scratch.other.data() + k, p);
        }
    }

    // From a share of the measurement and the proof to a share of the verifier: what must be zero, the wires at t, the
    // gadget's polynomial at t. `one` is the share of 1. False if t is a node of the wires, where the verifier would
    // show what the gadget gave, which happens with a chance of about 2^-50 at most.
    [[nodiscard]] bool query(const Element* measurement, const Element* proof, const Element* randomness,
                             const Factor* joint, Element one, Scratch& scratch, Element* verifier) const {
        const Shape& s = shape();
        const std::size_t p = wires_.size(), step = gadget_.size() / p;
        const Element* const values = proof + s.arity;
        for (std::size_t k = 0; k < s.calls; ++k) scratch.called[k] = values[(k + 1) * step];
        circuit_->finish(measurement, scratch.called.data(), joint, one, scratch.results.data());
        if (s.results > 1) {
            typename F::Sum sum;
            for (std::size_t i = 0; i < s.results; ++i)
                sum.add_product(F::to_factor(*randomness++), scratch.results[i]);
            verifier[0] = sum.value();
        } else {
            verifier[0] = scratch.results[0];
        }
        const Factor t = F::to_factor(*randomness);
        if (wires_.is_node(t)) return false;
        wires_.coefficients(t, 0, scratch.near.data());
        gadget_.coefficients(t, gadget_.size() - s.gadget_size(), scratch.far.data());
        fill(measurement, proof, joint, one, scratch);
        for (std::size_t j = 0; j < s.arity; ++j)
            verifier[1 + j] = inner_product(scratch.near.data(), scratch.wires.data() + j * p, s.calls + 1);
        verifier[1 + s.arity] = inner_product(scratch.far.data(), values, s.gadget_size());
        return true;
    }

    // Whether the sum of all shares of the verifier is that of a valid measurement.
    bool decide(const Element* verifier) const {
        const std::size_t arity = shape().arity;
        const bool is_zero = verifier[0] == F::element(0);
        return is_zero && circuit_->gadget(verifier + 1, 1) == verifier[1 + arity];
    }

private:
    // The values of the wire polynomials, which are the seed, the inputs of all calls, and zeros.
    void fill(const Element* measurement, const Element* seeds, const Factor* joint, Element one,
              Scratch& scratch) const {
        const std::size_t p = wires_.size(), calls = shape().calls;
        circuit_->fill_wires(measurement, joint, one, scratch.wires.data() + 1, p, scratch.powers.data());
        for (std::size_t j = 0; j < shape().arity; ++j) {
            scratch.wires[j * p] = seeds[j];
            for (std::size_t k = 1 + calls; k < p; ++k) scratch.wires[j * p + k] = F::element(0);
        }
    }

    static Element inner_product(const Factor* factors, const Element* elements, std::size_t count) {
        typename F::Sum sum;
        for (std::size_t i = 0; i < count; ++i) sum.add_product(factors[i], elements[i]);
        return sum.value();
    }

    std::unique_ptr<Circuit<F>> circuit_;
    Nodes<F> wires_, gadget_;
};

}  // namespace mpc::prio
