// What the tests of garbling share. It is one garbling with everything that the two parties hold around it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/bit_matrix.hpp"
#include "core/garbling/garbling.hpp"

namespace mpc {

using Values = std::vector<std::uint64_t>;

constexpr std::uint64_t kFirstIndex = 12345;

inline std::uint64_t ring(unsigned bits) { return ~std::uint64_t{0} >> (64 - bits); }

inline Values random_values(const Widths& widths, std::size_t n, Prg& prg) {
    Values values;
    for (std::size_t i = 0; i < n; ++i) {
        for (const unsigned width : widths) values.push_back(prg.word() & ring(width));
    }
    return values;
}

// The oblivious transfers are dealt.
struct Setting {
    Circuit circuit;
    std::size_t n;
    Prg prg;
    Block delta;
    Block salt;
    Block label_seed;
    Values garbler_values;
    Values evaluator_values;
    Blocks q;
    Blocks t;
    Bytes corrections;
    TableFormat format;
    bool known = false;  // the garbler's values, when it garbles
    Block input_seed;

    Setting(Circuit c, std::size_t instances, std::uint64_t seed, TableFormat tables = TableFormat::half_gates)
        : circuit(std::move(c)), n(instances), prg(Block{seed, 1}), delta(prg.block()), salt(prg.block()),
          label_seed(prg.block()), format(tables), input_seed(Block{seed, 2}) {
        delta.lo |= 1;
        garbler_values = random_values(circuit.garbler_widths(), n, prg);
        evaluator_values = random_values(circuit.evaluator_widths(), n, prg);
        q.resize(n * circuit.evaluator_bits());
        prg.fill_blocks(q.data(), q.size());
        t = q;
        corrections = pack_values(circuit.evaluator_widths(), evaluator_values, n);
        for (std::size_t k = 0; k < q.size(); ++k) {
            const bool u = (prg.word() & 1) != 0;
            t[k] ^= mask_of(u) & delta;
            corrections[k / 8] = static_cast<std::uint8_t>(corrections[k / 8] ^ ((u ? 1 : 0) << (k % 8)));
        }
    }

    Setting& with_known_inputs(bool choice = true) {
        known = choice;
        return *this;
    }

    Garbling garbling() const {
        std::optional<KnownInputs> own;
        if (known) {
            own = KnownInputs{input_seed, pack_values(circuit.garbler_widths(), garbler_values, n)};
        }
        return Garbling(circuit, n, keys(), corrected_labels(q, corrections, delta), {format, Outputs::projected},
                        std::move(own));
    }
    Evaluation evaluation() const { return Evaluation(circuit, n, keys().hash, {format, Outputs::projected}); }
    GarblingKeys keys() const { return GarblingKeys{delta, label_seed, {salt, kFirstIndex}}; }

    void give_labels(Garbling& garbling, Evaluation& evaluation) const {
        if (known) {
            evaluation.set_labels(*garbling.input_seed(), t);
        } else {
            const Bytes labels = garbling.input_labels(garbler_values);
            evaluation.set_labels(labels, t);
        }
    }

    Values in_the_clear() const { return circuit.run(garbler_values, evaluator_values, n); }
};

inline Bytes all_tables(Garbling& garbling, std::size_t chunk) {
    Bytes tables;
    Bytes buffer(chunk);
    while (const std::size_t got = garbling.next_tables(buffer)) {
        tables.insert(tables.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got));
    }
    return tables;
}

}  // namespace mpc
