// Fuzzes what one batch reads from the peer, with OTs dealt. The garbler's side reads corrections and permute bits. The
// evaluator's side reads tables in any pieces, labels, decoding bits and the projection, in any order.
#include <algorithm>

#include "core/circuits/circuits.hpp"
#include "core/garbling/projection.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/setting.hpp"

using namespace mpc;
using fuzz::Input;
using fuzz::refused;

namespace {

const Circuit& some_circuit(Input& input) {
    static const Circuit all[] = {circuits::relu(9, 2),   circuits::argmax(3, 5), circuits::threshold(2, 7),
                                  circuits::add(1),       circuits::select(64),   circuits::sum_histogram(5, 3),
                                  circuits::less_than(2)};
    return all[input.below(std::size(all))];
}

// Whether the message was taken; if it was not, the honest one is.
template <class Take>
bool take(const Bytes& message, const Bytes& honest, Take body) {
    if (!refused([&] { body(message); })) return message == honest;
    REQUIRE(message != honest);
    body(honest);
    return true;
}

struct Batch {
    Input& input;
    Setting setting;
    Garbling garbling;
    Evaluation evaluation;
    Bytes tables;
    std::size_t fed = 0;
    bool labelled = false;
    bool honest = true;  // so far
    Bytes labels;

    Batch(Input& from, const Circuit& circuit, std::size_t n, TableFormat format)
        : input(from), setting(circuit, n, 3, format), garbling(setting.garbling()),
          evaluation(setting.evaluation()) {}

    void garble() {
        tables = all_tables(garbling, 1 + input.word());
        labels = garbling.input_labels(setting.garbler_values);
        const Bytes altered = input.message(setting.corrections);
        const bool wrong = refused([&] { (void)corrected_labels(setting.q, altered, setting.delta); });
        REQUIRE(altered != setting.corrections || !wrong);
    }

    void feed(const Bytes& chunk) {
        const bool right = chunk.size() <= tables.size() - fed &&
                           std::equal(chunk.begin(), chunk.end(), tables.begin() + static_cast<std::ptrdiff_t>(fed));
        if (refused([&] { evaluation.feed(chunk); })) {
            REQUIRE(!labelled || chunk.size() > tables.size() - fed);
            return;
        }
        REQUIRE(labelled);
        fed += chunk.size();
        honest = honest && right;
    }
    Bytes tables_ahead(std::size_t count) const {
        const auto from = tables.begin() + static_cast<std::ptrdiff_t>(fed);
        return Bytes(from, from + static_cast<std::ptrdiff_t>(std::min(count, tables.size() - fed)));
    }
    void set_labels() {
        const bool again = labelled;
        const Bytes message = input.message(labels);
        if (!refused([&] { evaluation.set_labels(message, setting.t); })) {
            REQUIRE(!again);
            labelled = true;
            honest = honest && message == labels;
        } else {
            REQUIRE(again || message != labels);
        }
    }
    void read_outputs() {
        const Bytes nothing;
        const Bytes decoding = input.message(garbling.decoding());
        const bool closed = refused([&] { (void)evaluation.decode(decoding); });
        REQUIRE(closed || evaluation.done());
        const Bytes message = input.bytes(input.byte());
        const unsigned width = input.byte();
        (void)refused([&] { (void)open_projection(evaluation, {width}, message); });
        (void)refused([&] { (void)evaluation.colours(); });
    }

    void finish() {
        if (!labelled) evaluation.set_labels(labels, setting.t);
        labelled = true;
        feed(tables_ahead(tables.size()));
        REQUIRE(evaluation.done());
        const Values expected = setting.in_the_clear();
        const Bytes colours = evaluation.colours(), decoding = garbling.decoding();
        REQUIRE(!honest || evaluation.decode(decoding) == expected);
        Values found;
        if (take(input.message(colours), colours,
                 [&](const Bytes& bits) { found = garbling.decode(bits); })) {
            REQUIRE(!honest || found == expected);
        }
        project(expected);
    }
    void project(const Values& expected) {
        const Widths& words = setting.circuit.output_widths();
        const unsigned least = *std::max_element(words.begin(), words.end());
        const unsigned width = least + static_cast<unsigned>(input.below(65 - least));
        const GarblerProjection mine = mpc::project(garbling, {width});
        Values theirs;
        const bool intact = take(input.message(mine.message), mine.message, [&](const Bytes& message) {
            theirs = open_projection(evaluation, {width}, message);
        });
        for (std::size_t i = 0; honest && intact && i < expected.size(); ++i) {
            REQUIRE(((mine.shares[i] + theirs[i]) & ring(width)) == expected[i]);
        }
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const Circuit& circuit = some_circuit(input);
    const std::size_t n = 1 + input.below(70);
    Batch batch(input, circuit, n, input.below(2) == 0 ? TableFormat::half_gates : TableFormat::three_halves);
    batch.garble();
    while (input.left() > 0) {
        switch (input.below(5)) {
            case 0: batch.feed(batch.tables_ahead(input.word())); break;
            case 1: batch.feed(input.message(batch.tables_ahead(input.word()))); break;
            case 2: batch.set_labels(); break;
            case 3: batch.read_outputs(); break;
            default: batch.finish(); return 0;
        }
    }
    batch.finish();
    return 0;
}
