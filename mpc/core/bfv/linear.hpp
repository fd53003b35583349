// Linear maps on encrypted polynomials, both sides of one step.
//
//     querying party (SecretKey)                                  answering party (Evaluator, weights w_oj)
//     s ternary
//     public key  p = Enc(0)             -------- once ------->
//     r_j in R_t, c_j = Enc(r_j)         ------- upload ------>   sum_j w_oj c_j + u_o p + e_o, flooded, masked
//     y_o = sum_j w_oj r_j + mask_o      <------- reply -------   switched to 2^k; c_0 only where results are
//
// The querying party learns y_o at the selected coefficients. It learns nothing else of w and mask, up to the
// statistical distance that parameters.hpp derives. The answering party learns nothing of r (RLWE). An encryption is
// Enc(r) = (floor((q r + dither) / 2^l) + e - a s, a) with `a` from a public seed. The parties are semi-honest. A
// querying party that chose its noise freely could make the flood too narrow. Calls on one object may run in several
// threads at once. An evaluator counts the results that its flood covers. So it answers in its own process only and
// refuses in a fork of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/aes/seeds.hpp"
#include "core/base/process.hpp"
#include "core/bfv/parameters.hpp"
#include "core/bfv/scaling.hpp"
#include "core/bfv/wire.hpp"

namespace mpc::bfv {

class SecretKey {
public:
    // Draws all randomness from `injected`, which is for tests only.
    explicit SecretKey(SharedParameters parameters, const std::optional<Block>& injected = std::nullopt);

    const Parameters& parameters() const { return *parameters_; }
    const Bytes& public_key() const { return public_key_; }

    // Encrypts polynomials of N coefficients below t, one after the other, and returns the upload. Throws
    // ParameterError on a larger coefficient or a number of them that N does not divide.
    Bytes encrypt(WordView messages) const;

    // Opens the selected results of a reply. Throws LengthError and MalformedError.
    std::vector<std::uint64_t> decrypt(ByteView reply, const Selection& selection) const;
    // Gives the same before rounding, modulo 2^k, which is 2^(k-l) y plus noise. For measuring the noise.
    std::vector<std::uint64_t> phases(ByteView reply, const Selection& selection) const;

private:
    friend struct Probe;  // tests look at noise before the flood through it

    template <class Take>
    void open(ByteView reply, const Selection& selection, Take take) const;
    void times_secret_mod_two_primes(const std::uint64_t* c, std::uint64_t* low, std::uint64_t* high) const;

    SharedParameters parameters_;
    Scaling scaling_;
    std::unique_ptr<SeedSource> seeds_;
    lattice::Words secret_;             // transformed, modulo each prime
    lattice::Factor inverse_of_first_;  // of the first prime modulo the second
    Bytes public_key_;
};

// Transforms of the weights of one layer. Polynomial (o, j) starts at (o * inputs + j) * words.
class Weights {
public:
    std::size_t outputs() const { return outputs_; }
    std::size_t inputs() const { return inputs_; }
    std::size_t layer() const { return layer_; }

private:
    friend class Evaluator;
    friend struct Probe;
    Weights() = default;

    SharedParameters parameters_;
    std::size_t outputs_ = 0, inputs_ = 0, layer_ = 0;
    lattice::LargeWords transforms_;
};

class Evaluator {
public:
    // Throws LengthError or MalformedError if the key is not one of these parameters.
    Evaluator(SharedParameters parameters, ByteView public_key, const std::optional<Block>& injected = std::nullopt);

    const Parameters& parameters() const { return *parameters_; }

    // Transforms weights [outputs, inputs, N] of layer `layer` of the parameters. Throws ParameterError if an output's
    // weights exceed the layer's bound or a weight is not below 2^30 in magnitude. For products of words the layer is 0
    // and the weights are any words, as many behind an output as the parameters say.
    Weights load(const std::int64_t* weights, std::size_t outputs, std::size_t inputs, std::size_t layer) const;

    // Answers an upload of batch * inputs polynomials with batch * outputs polynomials, batch-major. `masks`, one a
    // selected result, below t, are added to the results. Throws LengthError and MalformedError on the upload,
    // LimitError when more results of the layer are asked for than its bound allows, OrderError in a forked process,
    // ParameterError on the rest.
    Bytes apply(const Weights& weights, ByteView upload, WordView masks, const Selection& selection) const;

private:
    friend struct Probe;

    // What is drawn for one polynomial of a reply, in this order, with `results` words of each of the last four.
    struct Draws {
        Draws(const Parameters& parameters, std::size_t results, Prg& prg);

        lattice::SignedWords blinding, noise;
        lattice::Words low, middle, top, high;
    };
    // Some consecutive polynomials of a reply, which are all outputs of some instances or some outputs of one.
    struct Group {
        std::size_t instance, instances, output, outputs;

        std::size_t polynomials() const { return instances * outputs; }
    };
    struct Scratch {
        Scratch(const Parameters& parameters, std::size_t polynomials);

        // c_0 and c_1 of each polynomial of a group modulo every prime, coefficients
        lattice::LargeWords first, second;
        lattice::Words blinding, product;
        lattice::Words reply, reply_high;  // of a reply's words the lowest 64 bits, and those above

        void put(std::size_t place, lattice::Wide word) {
            reply[place] = static_cast<std::uint64_t>(word);
            reply_high[place] = static_cast<std::uint64_t>(word >> 64);
        }
    };
    void check_words(const std::int64_t* weights, std::size_t outputs, std::size_t block) const;
    void charge(std::size_t layer, std::size_t results) const;
    void combine(const Weights& weights, const Group& group, const Ciphertexts& inputs, const std::vector<Draws>& draws,
                 Scratch& scratch) const;
    void hide(const std::uint64_t* masks, const Selection& selection, std::size_t polynomial, const Draws& draws,
              std::uint64_t* first) const;

    OneProcess process_;
    SharedParameters parameters_;
    Scaling scaling_;
    std::unique_ptr<SeedSource> seeds_;
    Ciphertexts public_key_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> answered_;  // results given, layer by layer
};

}  // namespace mpc::bfv
