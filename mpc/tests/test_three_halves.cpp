// Circuits with three-halves tables. What is garbled is what is clear on every CPU level, with the same bytes on all of
// them, and the evaluator holds one label a wire. A single gate is tested in test_three_halves_gate.cpp.
#include <algorithm>

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/circuits/builder.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/projection.hpp"
#include "core/garbling/three_halves.hpp"
#include "tests/check.hpp"
#include "tests/setting.hpp"

using namespace mpc;

namespace {

constexpr TableFormat kFormat = TableFormat::three_halves;

void run_both(const Setting& setting, std::size_t taken, std::size_t fed) {
    Garbling garbling = setting.garbling();
    Evaluation evaluation = setting.evaluation();
    const Bytes tables = all_tables(garbling, taken);
    CHECK(tables.size() == table_bytes(setting.circuit, setting.n, kFormat));
    setting.give_labels(garbling, evaluation);
    for (std::size_t at = 0; at < tables.size(); at += fed) {
        evaluation.feed(ByteView(tables).slice(at, std::min(fed, tables.size() - at)));
    }
    CHECK(evaluation.done());
    const Values expected = setting.in_the_clear();
    const Bytes decoding = garbling.decoding(), colours = evaluation.colours();
    CHECK(evaluation.decode(decoding) == expected);
    CHECK(garbling.decode(colours) == expected);
}

void garbled_is_clear() {
    const std::vector<Circuit> all{
        circuits::add(64),    circuits::select(33),     circuits::relu(41, 12),    circuits::argmax(10, 37),
        circuits::add(1),     circuits::threshold(4, 9), circuits::less_than(1),   circuits::sum_histogram(10, 20),
        circuits::relu(9, 2), circuits::max_pool(4, 17, 3, true),
    };
    for (const Circuit& circuit : all) {
        for (const bool known : {false, true}) {
            Setting setting(circuit, 37, 5, kFormat);
            run_both(setting.with_known_inputs(known), 1u << 16, 1u << 16);
        }
    }
    for (std::size_t n = 1; n <= 70; ++n) {
        run_both(Setting(circuits::relu(5, 1), n, n, kFormat), 999, 501);
    }
}

void chunks_cut_anywhere() {
    const Setting setting(circuits::relu(9, 2), 35, 77, kFormat);
    Garbling garbling = setting.garbling();
    const Bytes whole = all_tables(garbling, 1u << 20);
    for (const std::size_t chunk : {1u, 7u, 787u, 788u, 789u, 3000u}) {
        Garbling again = setting.garbling();
        CHECK(all_tables(again, chunk) == whole);
        run_both(setting, 5000, chunk);
    }
}

void projections() {
    const Setting setting(circuits::argmax(5, 8), 45, 3, kFormat);
    Garbling garbling = setting.garbling();
    Evaluation evaluation = setting.evaluation();
    const Bytes tables = all_tables(garbling, 1u << 14);
    setting.give_labels(garbling, evaluation);
    evaluation.feed(tables);
    const auto mine = project(garbling, {20});
    const auto theirs = open_projection(evaluation, {20}, mine.message);
    const Values clear = setting.in_the_clear();
    for (std::size_t i = 0; i < clear.size(); ++i) CHECK(((mine.shares[i] + theirs[i]) & ring(20)) == clear[i]);
}

// A change of this digest is a change of the protocol.
void known_answer() {
    static const char kExpected[] = "bd30c79cbcadfe80a5e81476fb4161dfefcd172fe9979ff840816e6e6bea936b";
    const Setting setting(circuits::relu(41, 12), 45, 2026, kFormat);
    Garbling garbling = setting.garbling();
    Bytes bytes = all_tables(garbling, 10000);
    const Bytes decoding = garbling.decoding();
    bytes.insert(bytes.end(), decoding.begin(), decoding.end());
    const Sha256::Digest digest = Sha256().update(bytes.data(), bytes.size()).digest();
    const std::string found = check::hex(digest.data(), digest.size());
    CHECK(found == kExpected);
    if (found != kExpected) std::printf("  found %s\n", found.c_str());
}

void evaluator_sees_one_label_a_wire() {
    const Setting setting(circuits::argmax(4, 9), 40, 50, kFormat);
    Garbling garbling = setting.garbling();
    Evaluation evaluation = setting.evaluation();
    const Bytes tables = all_tables(garbling, 4096);
    setting.give_labels(garbling, evaluation);
    evaluation.feed(tables);
    std::vector<std::uint64_t> halves;
    for (const Block& label : evaluation.output_labels()) halves.insert(halves.end(), {label.lo, label.hi});
    for (std::size_t at = 0; at + 8 <= tables.size(); at += 8) {
        std::uint64_t half;
        std::memcpy(&half, &tables[at], 8);
        halves.push_back(half);
    }
    std::sort(halves.begin(), halves.end());
    const Block d = setting.delta;
    for (const std::uint64_t combination : {d.lo, d.hi, d.lo ^ d.hi}) {
        for (const std::uint64_t half : halves) {
            CHECK(half != combination && !std::binary_search(halves.begin(), halves.end(), half ^ combination));
        }
    }
}

void sizes() {
    CHECK(row_bytes(kFormat, 32) == 788 && row_bytes(kFormat, 1) == 27);
    const Circuit circuit = circuits::relu(32, 0);
    CHECK(table_bytes(circuit, 3200, kFormat) == 100 * 788 * circuit.and_gates());
    CHECK(table_bytes(circuit, 3201, kFormat) == (100 * 788 + 27) * circuit.and_gates());
    CHECK(hash_indices(circuit, 64, kFormat) == 2 * (3 * circuit.and_gates() + circuit.output_bits()));
}

}  // namespace

int main() {
    check::run_on_all_levels("garbled is clear", garbled_is_clear);
    check::run_on_all_levels("chunks cut anywhere", chunks_cut_anywhere);
    check::run_on_all_levels("projections", projections);
    check::run_on_all_levels("known answer", known_answer);
    check::run("evaluator sees one label a wire", evaluator_sees_one_label_a_wire);
    check::run("sizes", sizes);
    return check::result();
}
