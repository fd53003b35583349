// Fuzzes what sessions read from the peer. That is the base OTs of both sides, OT extension, and batches through a
// session that lasts over many inputs, so that a refused message that left a trace would spoil a later result.
#include <memory>
#include <optional>

#include "core/circuits/circuits.hpp"
#include "core/garbling/session.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/setting.hpp"

using namespace mpc;
using fuzz::Input;
using fuzz::refused;

namespace {

struct Pair {
    GarblerSession garbler{Block{1, 1}};
    EvaluatorSession evaluator{Block{2, 2}};
    Bytes first, reply, sums;

    Pair() {
        first = evaluator.start_base();
        reply = garbler.receive_base(first);
        sums = evaluator.receive_base(reply);
        garbler.finish_base(sums);
    }
    void extend() {
        const Bytes message = evaluator.extend(1000);
        garbler.extend(message);
    }
};

std::unique_ptr<Pair> lasting;

const Circuit& circuit() {
    static const Circuit made = circuits::threshold(2, 6);
    return made;
}

void base_ots_of_the_garbler(Input& input) {
    const Pair& honest = *lasting;
    GarblerSession session(Block{3, 3});
    const Bytes first = input.message(honest.first);
    if (refused([&] { (void)session.receive_base(first); })) REQUIRE(first != honest.first);
    const Bytes sums = input.message(honest.sums);
    if (refused([&] { session.finish_base(sums); })) return;
    REQUIRE(sums.size() == kThirdMessageBytes);
    const Bytes extension = input.message(Bytes(extension_bytes(1)));
    if (refused([&] { session.extend(extension); })) return;
    const Bytes corrections = input.message(Bytes((circuit().evaluator_bits() + 7) / 8));
    (void)refused([&] { (void)session.garble(circuit(), 1, corrections); });
}

void base_ots_of_the_evaluator(Input& input) {
    EvaluatorSession session(Block{2, 2});
    const Bytes first = session.start_base();
    const Bytes reply = input.message(lasting->reply);
    if (refused([&] { (void)session.receive_base(reply); })) {
        REQUIRE(reply != lasting->reply);
        return;
    }
    REQUIRE(extension_blocks(session.extend(1 + input.word()).size()) > 0);
}

// False if the session is over.
bool extension(Input& input) {
    const Bytes message = lasting->evaluator.extend(1 + input.below(250));
    const Bytes altered = input.message(message);
    const std::size_t before = lasting->garbler.ots_left();
    if (!refused([&] { lasting->garbler.extend(altered); })) {
        REQUIRE(altered == message);  // the check lets no other pass
        REQUIRE(lasting->garbler.ots_left() - before == extension_blocks(altered.size()) * 128);
        return true;
    }
    REQUIRE(altered != message);
    if (altered.size() == message.size()) {  // a failed check ends the session
        REQUIRE(refused([&] { lasting->garbler.extend(message); }));
        return false;
    }
    REQUIRE(lasting->garbler.ots_left() == before);
    lasting->garbler.extend(message);
    return true;
}

void batch(Input& input) {
    Pair& pair = *lasting;
    const std::size_t n = 1 + input.below(40), left = pair.garbler.ots_left();
    const bool seeded = input.below(2) == 1;
    Prg prg(Block{n, 5});
    const Values mine = random_values(circuit().garbler_widths(), n, prg);
    const Values theirs = random_values(circuit().evaluator_widths(), n, prg);
    const std::optional<WordView> values = mine;
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit(), n, theirs, Outputs::opened,
                                                       seeded ? GarblerLabels::seeded : GarblerLabels::sent);
    const Bytes corrections = evaluated.corrections();
    std::optional<GarbledPiece> garbled;
    const auto garble = [&](const Bytes& taken) {
        garbled.emplace(
            pair.garbler.garble(circuit(), n, taken, Outputs::opened, seeded ? values : std::nullopt));
    };
    const Bytes received = input.message(corrections);
    if (refused([&] { garble(received); })) {
        REQUIRE(received != corrections && pair.garbler.ots_left() == left);
        garble(corrections);
    } else if (received != corrections) {
        return;  // this batch is spoilt, the session is not
    }
    Bytes tables(static_cast<std::size_t>(garbled->tables_left()));
    REQUIRE(garbled->next_tables(tables) == tables.size());
    const Bytes labels = garbled->input_labels(seeded ? std::nullopt : values);
    const Bytes altered = input.message(labels);
    const bool wrong = refused([&] { evaluated.set_labels(altered); });
    if (!wrong && altered != labels) return;
    if (wrong) evaluated.set_labels(labels);
    evaluated.feed_tables(tables);
    const Bytes decoding = garbled->decoding();
    REQUIRE(evaluated.decode(decoding) == circuit().run(mine, theirs, n));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (!lasting) lasting = std::make_unique<Pair>();
    while (lasting->garbler.ots_left() < 2000) lasting->extend();
    Input input(data, size);
    bool in_step = true;
    switch (input.below(4)) {
        case 0: base_ots_of_the_garbler(input); break;
        case 1: base_ots_of_the_evaluator(input); break;
        case 2: in_step = extension(input); break;
        default:
            for (std::size_t k = 0; k < 3; ++k) batch(input);
    }
    REQUIRE(!in_step || lasting->garbler.ots_left() == lasting->evaluator.ots_left());
    if (!in_step) lasting.reset();
    return 0;
}
