// Garbling against evaluation in the clear, on every CPU level. It covers every instance count around a tile, the
// garbler's values known or not, tables made before and after labels, chunks cut anywhere, outputs to either side,
// projection, a known answer, and refusals.
#include <algorithm>

#include "core/aes/hash.hpp"
#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"
#include "core/base/sanitizers.hpp"
#include "core/circuits/builder.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/garbling.hpp"
#include "core/garbling/projection.hpp"
#include "tests/check.hpp"
#include "tests/setting.hpp"

using namespace mpc;

namespace {

// The whole path; the labels are made before the tables or after them.
void run_both(const Setting& setting, std::size_t garbler_chunk, std::size_t evaluator_chunk, bool labels_first) {
    Garbling garbling = setting.garbling();
    Evaluation evaluation = setting.evaluation();
    if (labels_first) setting.give_labels(garbling, evaluation);
    const Bytes tables = all_tables(garbling, garbler_chunk);
    if (!labels_first) setting.give_labels(garbling, evaluation);
    CHECK(tables.size() == table_bytes(setting.circuit, setting.n));
    CHECK(garbling.next_tables({}) == 0);
    for (std::size_t at = 0; at < tables.size(); at += evaluator_chunk) {
        evaluation.feed(ByteView(tables).slice(at, std::min(evaluator_chunk, tables.size() - at)));
    }
    CHECK(evaluation.done());
    const Bytes decoding = garbling.decoding();
    const Bytes colours = evaluation.colours();
    CHECK(evaluation.decode(decoding) == setting.in_the_clear());
    CHECK(garbling.decode(colours) == setting.in_the_clear());
}

void every_instance_count() {
    std::uint64_t seed = 0;
    for (std::size_t n = 0; n <= 70; ++n) {
        Setting setting(n % 2 == 0 ? circuits::relu(11, 3) : circuits::argmax(3, 6), n, ++seed);
        run_both(setting.with_known_inputs(n % 5 < 2), 4096, 1000, n % 4 == 0);
    }
}

void every_circuit() {
    const std::vector<Circuit> all{
        circuits::add(64),        circuits::subtract(41),           circuits::less_than(1),
        circuits::select(33),     circuits::relu(41, 12),           circuits::rescale(41, 12),
        circuits::argmax(10, 37), circuits::threshold(4, 9),        circuits::sum_histogram(10, 20),
        circuits::relu(64, 63),   circuits::max_pool(4, 17, 3, true),
        circuits::add(1),
    };
    for (const Circuit& circuit : all) {
        for (const bool known : {false, true}) {
            Setting setting(circuit, 37, 5);
            run_both(setting.with_known_inputs(known), 1u << 16, 1u << 16, false);
        }
    }
}

// Labels of known values written out: AES_seed(place) at the evaluator whatever the values, which the garbler's zero
// labels follow; and nothing else of the garbling comes from that seed.
void known_inputs_as_specified() {
    Builder build;
    for (const Wire w : build.garbler_word(3)) build.output({w});
    (void)build.evaluator_word(1);
    const Circuit circuit = build.build("the garbler's own");
    for (const std::size_t n : {1u, 32u, 75u}) {
        Setting setting(circuit, n, n);
        setting.with_known_inputs();
        Garbling garbling = setting.garbling();
        Evaluation evaluation = setting.evaluation();
        setting.give_labels(garbling, evaluation);
        const Blocks zero = garbling.take_output_zero_labels();
        const Bytes bits = pack_values(circuit.garbler_widths(), setting.garbler_values, n);
        for (std::size_t place = 0; place < 3 * n; ++place) {
            Block label{place, 0};
            Aes128(setting.input_seed).encrypt(&label, &label, 1);
            CHECK(evaluation.output_labels()[place] == label);
            CHECK(zero[place] == (label ^ (mask_of(get_bits(bits.data(), place, 1)) & setting.delta)));
        }
    }
}

void chunks_cut_anywhere() {
    const Setting setting(circuits::relu(9, 2), 35, 77);
    Garbling garbling = setting.garbling();
    const Bytes whole = all_tables(garbling, 1u << 20);
    for (const std::size_t chunk : {1u, 7u, 31u, 33u, 1023u, 1024u, 1025u, 3000u}) {
        Garbling again = setting.garbling();
        CHECK(all_tables(again, chunk) == whole);
        run_both(setting, 5000, chunk, true);
    }
}

// Constants, inverted inputs and one wire twice among the outputs; no AND gate at all in the second circuit.
void odd_outputs() {
    for (const bool with_and : {true, false}) {
        Builder build;
        const Word a = build.garbler_word(2);
        const Word b = build.evaluator_word(2);
        for (const Wire w : {a[0], ~a[1], b[0], ~b[1], Builder::constant(false), Builder::constant(true), b[0],
                             build.exclusive_or(a[0], ~b[0]), with_and ? build.both(~a[0], ~b[1]) : a[1]}) {
            build.output({w});
        }
        const Circuit circuit = build.build("odd outputs");
        for (const std::size_t n : {1u, 5u, 33u}) {
            const Setting setting(circuit, n, n);
            run_both(setting, 100, 100, false);
            Garbling garbling = setting.garbling();
            Evaluation evaluation = setting.evaluation();
            const Bytes tables = all_tables(garbling, 999);
            setting.give_labels(garbling, evaluation);
            evaluation.feed(tables);
            const auto mine = project(garbling, {20});
            const auto theirs = open_projection(evaluation, {20}, mine.message);
            const Values clear = setting.in_the_clear();
            for (std::size_t i = 0; i < clear.size(); ++i) {
                CHECK(((mine.shares[i] + theirs[i]) & ring(20)) == clear[i]);
            }
        }
    }
}

void projections() {
    for (const unsigned width : {1u, 2u, 13u, 20u, 32u, 63u, 64u}) {
        for (const std::size_t n : {1u, 3u, 32u, 45u}) {
            const Setting setting(circuits::argmax(5, 8), n, width);
            Garbling garbling = setting.garbling();
            Evaluation evaluation = setting.evaluation();
            setting.give_labels(garbling, evaluation);
            const Bytes tables = all_tables(garbling, 1u << 14);
            evaluation.feed(tables);
            const auto mine = project(garbling, {width});
            CHECK(mine.message.size() == bytes_of_bits(width * 5 * n));
            const auto theirs = open_projection(evaluation, {width}, mine.message);
            const Values clear = setting.in_the_clear();
            bool varied = width < 4 || n * 5 < 10;
            for (std::size_t i = 0; i < clear.size(); ++i) {
                CHECK(mine.shares[i] <= ring(width) && theirs[i] <= ring(width));
                CHECK(((mine.shares[i] + theirs[i]) & ring(width)) == clear[i]);
                varied = varied || mine.shares[i] != mine.shares[0];
            }
            CHECK(varied);
            CHECK_THROWS(project(garbling, {width}), OrderError);
            const ByteView shorter = ByteView(mine.message).slice(0, mine.message.size() - 1);
            CHECK_THROWS(open_projection(evaluation, {width}, shorter), LengthError);
            CHECK_THROWS(open_projection(evaluation, {0}, {}), ParameterError);
        }
    }
}

// Words of several bits, as they are and in two's complement, in rings of their own width and beyond.
void projected_words() {
    for (const unsigned bits : {1u, 2u, 9u, 33u, 64u}) {
        for (const unsigned width : {bits, bits + (64 - bits) / 2, 64u}) {
            for (const bool is_signed : {false, true}) {
                const Setting setting(circuits::add(bits), 45, bits + width);
                Garbling garbling = setting.garbling();
                Evaluation evaluation = setting.evaluation();
                const Bytes tables = all_tables(garbling, 1u << 14);
                setting.give_labels(garbling, evaluation);
                evaluation.feed(tables);
                const auto mine = project(garbling, {width, is_signed});
                CHECK(mine.message.size() == bytes_of_bits(45 * (bits * width - bits * (bits - 1) / 2)));
                const auto theirs = open_projection(evaluation, {width, is_signed}, mine.message);
                const Values clear = setting.in_the_clear();
                for (std::size_t i = 0; i < clear.size(); ++i) {
                    const std::uint64_t sign = is_signed ? (clear[i] >> (bits - 1)) << (bits - 1) : 0;
                    CHECK(((mine.shares[i] + theirs[i]) & ring(width)) == ((clear[i] - 2 * sign) & ring(width)));
                }
            }
        }
        if (bits > 1) {
            const Setting setting(circuits::add(bits), 1, bits);
            Garbling garbling = setting.garbling();
            (void)all_tables(garbling, 1u << 14);
            CHECK_THROWS(project(garbling, {bits - 1}), ParameterError);
        }
    }
}

// The bytes on the wire for fixed randomness, the same on every level. A change here is a change of the protocol.
void known_answer() {
    const Setting setting(circuits::relu(41, 12), 45, 2026);
    Garbling garbling = setting.garbling();
    Bytes bytes = all_tables(garbling, 10000);
    for (const Bytes& more : {garbling.input_labels(setting.garbler_values),
                              garbling.decoding()}) {
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    // A digest from the project's own AES: Davies-Meyer chaining, each message block a key.
    Block digest{bytes.size(), 0};
    bytes.resize((bytes.size() + 15) / 16 * 16);
    for (std::size_t i = 0; i < bytes.size(); i += 16) {
        Block next;
        Aes128(load_block(bytes.data() + i)).encrypt(&digest, &next, 1);
        digest ^= next;
    }
    const std::string found = check::hex(&digest, sizeof digest);
    CHECK(found == "e6883fc9c32c75d59c8f7e8a42017bf8");
    if (found != "e6883fc9c32c75d59c8f7e8a42017bf8") std::printf("  found %s\n", found.c_str());
}

void colours_as_specified() {
    Block row[kTile];
    Prg(Block{3, 4}).fill_blocks(row, kTile);
    for (std::size_t lanes = 0; lanes <= kTile; ++lanes) {
        std::uint64_t colours = 0;
        for (std::size_t i = 0; i < lanes; ++i) colours |= row[i].colour() << i;
        CHECK(garbling_kernels().colours(row, lanes) == colours);
    }
}

// Every table row of a known circuit written out from the paper's figure, with one hash call at a time.
void half_gates_as_specified() {
    Builder build;
    const Wire a = build.garbler_word(1)[0];
    const Wire b = build.evaluator_word(1)[0];
    build.output({build.both(a, ~b)});
    const Setting setting(build.build("and"), 40, 99);
    Garbling garbling = setting.garbling();
    const Bytes tables = all_tables(garbling, 4096);
    const Blocks zero_b = corrected_labels(setting.q, setting.corrections, setting.delta);
    Blocks zero_a(40);
    Aes128(setting.label_seed, setting.salt ^ Block{0, kFirstIndex << 8}).counter_mode(0, 0, zero_a.data(), zero_a.size());
    for (std::size_t i = 0; i < 40; ++i) {
        const std::size_t tile = i / kTile;
        const std::size_t lanes = tile == 0 ? 32 : 8;
        const std::uint8_t* row = tables.data() + tile * 32 * 32 + (i % kTile) * 16;
        const auto hash = [&](std::uint64_t half, const Block& x) {
            return mpc::hash(setting.salt, kFirstIndex + 2 * tile + half, x);
        };
        const Block not_b = zero_b[i] ^ setting.delta;  // zero label of the inverted operand
        const Block garbler_row = hash(0, zero_a[i]) ^ hash(0, zero_a[i] ^ setting.delta) ^
                                  (mask_of(not_b.colour()) & setting.delta);
        const Block evaluator_row = hash(1, not_b) ^ hash(1, not_b ^ setting.delta) ^ zero_a[i];
        CHECK(load_block(row) == garbler_row);
        CHECK(load_block(row + lanes * 16) == evaluator_row);
    }
}

// Memory of every size class, whole and on a cache line, and again after it was given back.
void chunks() {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{65}, std::size_t{64} << 10, (std::size_t{2} << 20) - 1,
                                    (std::size_t{2} << 20) + 1, std::size_t{3} << 20, (std::size_t{4} << 20) + 70000}) {
        for (int again = 0; again < 2; ++again) {
            void* const memory = take_chunk(bytes);
            void* const another = take_chunk(bytes);
            CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
            std::memset(memory, 1, bytes);
            std::memset(another, 2, bytes);
            const auto* const first = static_cast<const std::uint8_t*>(memory);
            CHECK(std::all_of(first, first + bytes, [](std::uint8_t byte) { return byte == 1; }));
            give_chunk(memory, bytes);
            give_chunk(another, bytes);
        }
    }
    // A mapping that is kept serves for less, down to half of it, and only its end is given up.
    const std::size_t large = std::size_t{24} << 20, less = std::size_t{14} << 20, least = std::size_t{4} << 20;
    void* const whole = take_chunk(large);
    std::memset(whole, 3, large);
    give_chunk(whole, large);
    void *const small = take_chunk(least), *const cut = take_chunk(less), *const another = take_chunk(less);
    CHECK(kSanitized || (cut == whole && small != whole));
    std::memset(small, 4, least);
    std::memset(cut, 5, less);
    std::memset(another, 6, less);
    const auto* const first = static_cast<const std::uint8_t*>(cut);
    CHECK(std::all_of(first, first + less, [](std::uint8_t byte) { return byte == 5; }));
    give_chunk(another, less);
    give_chunk(cut, less);
    give_chunk(small, least);
    void* const again = take_chunk(less);
    CHECK(kSanitized || again == cut || again == another);
    give_chunk(again, less);
}

void levels_mix() {
    const auto levels = cpu::available();
    const auto usual = cpu::level();
    for (const auto garbler_level : levels) {
        for (const auto evaluator_level : levels) {
            Setting setting(circuits::sum_histogram(4, 10), 39, 4);
            setting.with_known_inputs(garbler_level != evaluator_level);
            cpu::force_level(garbler_level);
            Garbling garbling = setting.garbling();
            const Bytes tables = all_tables(garbling, 1777);
            cpu::force_level(evaluator_level);
            Evaluation evaluation = setting.evaluation();
            setting.give_labels(garbling, evaluation);
            evaluation.feed(tables);
            const Bytes decoding = garbling.decoding();
            CHECK(evaluation.decode(decoding) == setting.in_the_clear());
        }
    }
    cpu::force_level(usual);
}

void refusals() {
    const Setting setting(circuits::relu(8, 2), 5, 3);
    const Block even{2, 0};
    const Blocks three(3), right(5 * setting.circuit.evaluator_bits());
    const GarblingKeys keys = setting.keys();
    CHECK_THROWS(Garbling(setting.circuit, 5, GarblingKeys{even, keys.label_seed, keys.hash}, right), ParameterError);
    CHECK_THROWS(Garbling(setting.circuit, 5, keys, three), LengthError);
    CHECK_THROWS(corrected_labels(Blocks(9), Bytes(1), setting.delta), LengthError);
    CHECK_THROWS(corrected_labels(Blocks(9), Bytes{0, 2}, setting.delta), MalformedError);

    Garbling garbling = setting.garbling();
    CHECK_THROWS(garbling.decoding(), OrderError);
    CHECK_THROWS(garbling.decode({}), OrderError);
    CHECK(garbling.next_tables({}) == 0);
    const Bytes tables = all_tables(garbling, 64);
    CHECK_THROWS(garbling.input_labels({setting.garbler_values.data(), 4}), LengthError);
    const Values too_large(5, 256);
    CHECK_THROWS(garbling.input_labels(too_large), ParameterError);
    CHECK_THROWS(project(garbling, {4}), ParameterError);  // narrower than the outputs

    Evaluation evaluation = setting.evaluation();
    CHECK_THROWS(evaluation.colours(), OrderError);
    CHECK_THROWS(evaluation.feed(tables), OrderError);
    CHECK_THROWS(evaluation.decode({}), OrderError);
    const Bytes labels = garbling.input_labels(setting.garbler_values);
    CHECK_THROWS(garbling.input_labels(setting.garbler_values), OrderError);
    const Blocks& own = setting.t;
    CHECK_THROWS(evaluation.set_labels({labels.data(), labels.size() - 1}, own), LengthError);
    CHECK_THROWS(evaluation.set_labels(labels, Blocks(1)), LengthError);
    evaluation.set_labels(labels, own);
    CHECK_THROWS(evaluation.set_labels(labels, own), OrderError);
    CHECK_THROWS(evaluation.feed({tables.data(), tables.size() + 1}), LengthError);
    evaluation.feed(tables);
    CHECK_THROWS(evaluation.feed({tables.data(), 1}), LengthError);
    CHECK(evaluation.done());
    const Bytes decoding = garbling.decoding();
    CHECK_THROWS(evaluation.decode({decoding.data(), decoding.size() - 1}), LengthError);
    CHECK(evaluation.decode(decoding) == setting.in_the_clear());

    CHECK(garbling.input_seed() == nullptr);
    const auto garbled_with = [&](Bytes bits) {
        return Garbling(setting.circuit, 5, keys, right, {}, KnownInputs{setting.input_seed, std::move(bits)});
    };
    CHECK_THROWS(garbled_with(Bytes(4)), LengthError);
    Garbling known = garbled_with(Bytes(5));
    CHECK_THROWS(known.input_labels(setting.garbler_values), OrderError);
    Evaluation seeded = setting.evaluation();
    CHECK_THROWS(seeded.set_labels(setting.input_seed, Blocks(1)), LengthError);
    seeded.set_labels(setting.input_seed, own);
    CHECK_THROWS(seeded.set_labels(setting.input_seed, own), OrderError);
    CHECK_THROWS(seeded.set_labels(labels, own), OrderError);
}

// All that the evaluator ever sees, and no two blocks of it differ by delta: it holds one label a wire, no more.
void evaluator_sees_one_label_a_wire() {
    for (const bool known : {false, true}) {
        Setting setting(circuits::argmax(4, 9), 40, 50);
        setting.with_known_inputs(known);
        Garbling garbling = setting.garbling();
        Evaluation evaluation = setting.evaluation();
        Bytes view = all_tables(garbling, 4096);
        Bytes labels(40 * setting.circuit.garbler_bits() * sizeof(Block));
        if (setting.known) {
            Blocks made(labels.size() / sizeof(Block));
            Aes128(*garbling.input_seed()).counter_mode(0, 0, made.data(), made.size());
            std::memcpy(labels.data(), made.data(), labels.size());
        } else {
            garbling.input_labels(setting.garbler_values, labels);
        }
        view.insert(view.end(), labels.begin(), labels.end());
        evaluation.set_labels(labels, setting.t);
        evaluation.feed({view.data(), static_cast<std::size_t>(garbling.table_bytes())});
        Blocks blocks = setting.t;
        blocks.insert(blocks.end(), evaluation.output_labels().begin(), evaluation.output_labels().end());
        for (std::size_t at = 0; at < view.size(); at += sizeof(Block)) blocks.push_back(load_block(&view[at]));
        const auto less = [](const Block& a, const Block& b) { return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo; };
        std::sort(blocks.begin(), blocks.end(), less);
        for (const Block& block : blocks) {
            CHECK(block != setting.delta);
            CHECK(!std::binary_search(blocks.begin(), blocks.end(), block ^ setting.delta, less));
        }
    }
}

// A wrong table byte must change an output: what is checked above is really what the tables carry.
void corrupted_tables_show() {
    const Setting setting(circuits::add(16), 33, 6);
    std::size_t changed = 0;
    Garbling reference = setting.garbling();
    const Bytes tables = all_tables(reference, 4096);
    for (std::size_t at = 3; at < tables.size(); at += 997) {
        Bytes bad = tables;
        bad[at] ^= 0x10;
        Garbling garbling = setting.garbling();
        all_tables(garbling, 4096);
        Evaluation evaluation = setting.evaluation();
        setting.give_labels(garbling, evaluation);
        evaluation.feed(bad);
        const Bytes decoding = garbling.decoding();
        if (evaluation.decode(decoding) != setting.in_the_clear()) ++changed;
    }
    CHECK(changed > 0);
}

}  // namespace

int main() {
    check::run_on_all_levels("colours as specified", colours_as_specified);
    check::run_on_all_levels("half-gates as specified", half_gates_as_specified);
    check::run_on_all_levels("every instance count", every_instance_count);
    check::run_on_all_levels("every circuit", every_circuit);
    check::run_on_all_levels("known inputs as specified", known_inputs_as_specified);
    check::run_on_all_levels("chunks cut anywhere", chunks_cut_anywhere);
    check::run_on_all_levels("odd outputs", odd_outputs);
    check::run_on_all_levels("projections", projections);
    check::run_on_all_levels("projected words", projected_words);
    check::run_on_all_levels("known answer", known_answer);
    check::run("chunks", chunks);
    check::run("levels mix", levels_mix);
    check::run("evaluator sees one label a wire", evaluator_sees_one_label_a_wire);
    check::run("refusals", refusals);
    check::run("corrupted tables show", corrupted_tables_show);
    return check::result();
}
