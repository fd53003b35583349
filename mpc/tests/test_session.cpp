// Sessions end to end. It covers many batches from one set of base OTs, surplus OTs, calls out of turn, messages of the
// wrong length or content, and reproducible bytes.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"
#include "core/base/sanitizers.hpp"
#include "core/base/sha256.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/session.hpp"
#include "tests/check.hpp"

using namespace mpc;
using Values = std::vector<std::uint64_t>;

namespace {

Values random_values(const Widths& widths, std::size_t n, Prg& prg) {
    Values values;
    for (std::size_t i = 0; i < n; ++i)
        for (const unsigned width : widths) values.push_back(prg.word() & (~std::uint64_t{0} >> (64 - width)));
    return values;
}

std::string sha256(const Bytes& bytes) {
    const Sha256::Digest digest = Sha256().update(bytes.data(), bytes.size()).digest();
    return check::hex(digest.data(), digest.size());
}

struct Pair {
    GarblerSession garbler;
    EvaluatorSession evaluator;
    Bytes first, reply, sums;

    explicit Pair(TableFormat format = TableFormat::half_gates)
        : garbler(Block{11, 1}, format), evaluator(Block{22, 2}, format) {
        first = evaluator.start_base();
        reply = garbler.receive_base(first);
        sums = evaluator.receive_base(reply);
        garbler.finish_base(sums);
    }

    Bytes extend(std::size_t count) {
        const Bytes message = evaluator.extend(count);
        garbler.extend(message);
        return message;
    }
};

Bytes all_tables(GarbledPiece& batch) {
    Bytes tables(static_cast<std::size_t>(batch.tables_left()));
    CHECK(batch.next_tables(tables) == tables.size());
    return tables;
}

void run_batch(Pair& pair, const Circuit& circuit, std::size_t n, Prg& prg, bool seeded = false) {
    const Values mine = random_values(circuit.garbler_widths(), n, prg);
    const Values theirs = random_values(circuit.evaluator_widths(), n, prg);
    const GarblerLabels kind = seeded ? GarblerLabels::seeded : GarblerLabels::sent;
    const std::optional<WordView> values = mine;
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, n, theirs, Outputs::opened, kind);
    GarbledPiece garbled = pair.garbler.garble(circuit, n, evaluated.corrections(), Outputs::opened,
                                               seeded ? values : std::nullopt);
    const Bytes tables = all_tables(garbled);
    const Bytes labels = garbled.input_labels(seeded ? std::nullopt : values);
    CHECK(labels.size() == evaluated.label_bytes());
    CHECK(labels.size() == 16 * (seeded ? 1 : n * circuit.garbler_bits()));
    evaluated.set_labels(labels);
    evaluated.feed_tables(tables);
    const Values expected = circuit.run(mine, theirs, n);
    const Bytes decoding = garbled.decoding(), colours = evaluated.colours();
    CHECK(evaluated.decode(decoding) == expected);
    CHECK(garbled.decode(colours) == expected);
    if (circuit.has_bit_outputs()) {
        const GarblerProjection projection = garbled.project({7});
        const Values other = evaluated.open_projection({7}, projection.message);
        for (std::size_t k = 0; k < expected.size(); ++k)
            CHECK(((projection.shares[k] + other[k]) & 127) == expected[k]);
    }
}

void many_batches(TableFormat format) {
    Pair pair(format);
    Prg prg(Block{3, 3});
    for (std::size_t n = 1; n < 70; n += 11) {
        for (const Circuit& circuit : {circuits::argmax(5, 9), circuits::relu(13, 4), circuits::less_than(64),
                                       circuits::threshold(3, 20), circuits::add(1)}) {
            const std::size_t needed = n * circuit.evaluator_bits();
            if (pair.evaluator.ots_left() < needed) pair.extend(needed - pair.evaluator.ots_left());
            run_batch(pair, circuit, n, prg, n % 3 == 0);
            CHECK(pair.evaluator.ots_left() == pair.garbler.ots_left());
        }
    }
}

void many_batches_from_one_session() {
    for (const TableFormat format : {TableFormat::half_gates, TableFormat::three_halves}) many_batches(format);
}

void surplus_is_kept_and_used_once() {
    Pair pair;
    Prg prg(Block{4, 4});
    const Circuit circuit = circuits::add(7);
    CHECK(pair.extend(1).size() == extension_bytes(1));
    CHECK(pair.evaluator.ots_left() == 128 && pair.garbler.ots_left() == 128);
    for (int i = 0; i < 18; ++i) run_batch(pair, circuit, 1, prg);  // 126 of them, at odd bit places
    CHECK(pair.garbler.ots_left() == 2);
    const Values value{5};
    CHECK_THROWS(pair.garbler.garble(circuit, 1, Bytes(1)), OrderError);
    CHECK_THROWS(pair.evaluator.evaluate(circuit, 1, value), OrderError);
    pair.extend(129);
    CHECK(pair.evaluator.ots_left() == 258 && pair.garbler.ots_left() == 258);
    for (int i = 0; i < 36; ++i) run_batch(pair, circuit, 1, prg);
    CHECK(pair.evaluator.ots_left() == 6);
}

// The second batch is begun, and finished, before the first.
void batches_may_overlap() {
    Pair pair;
    pair.extend(64);
    const Circuit circuit = circuits::add(8);
    const Values mine[2] = {{200}, {17}}, theirs[2] = {{100}, {4}};
    std::vector<EvaluatedPiece> evaluated;
    std::vector<GarbledPiece> garbled;
    for (const Values& value : theirs) {
        evaluated.push_back(pair.evaluator.evaluate(circuit, 1, value));
        garbled.push_back(pair.garbler.garble(circuit, 1, evaluated.back().corrections()));
    }
    for (const std::size_t k : {1u, 0u}) {
        const Bytes tables = all_tables(garbled[k]);
        const Bytes labels = garbled[k].input_labels(mine[k]);
        evaluated[k].set_labels(labels);
        evaluated[k].feed_tables(tables);
        const Bytes decoding = garbled[k].decoding();
        CHECK(evaluated[k].decode(decoding)[0] == ((mine[k][0] + theirs[k][0]) & 255));
    }
}

void calls_out_of_turn() {
    GarblerSession garbler;
    EvaluatorSession evaluator;
    const Bytes block(extension_bytes(1)), sums(kThirdMessageBytes), reply(kSecondMessageBytes);
    const Circuit circuit = circuits::add(4);
    CHECK_THROWS(garbler.finish_base(sums), OrderError);
    CHECK_THROWS(garbler.extend(block), OrderError);
    const Values value{5};
    CHECK_THROWS(garbler.garble(circuit, 1, Bytes(1)), OrderError);
    CHECK_THROWS(evaluator.receive_base(reply), OrderError);
    CHECK_THROWS(evaluator.extend(1), OrderError);
    CHECK_THROWS(evaluator.evaluate(circuit, 1, value), OrderError);
    const Bytes first = evaluator.start_base();
    CHECK_THROWS(evaluator.start_base(), OrderError);
    garbler.receive_base(first);
    CHECK_THROWS(garbler.receive_base(first), OrderError);

    Pair pair;
    CHECK_THROWS(pair.garbler.receive_base(pair.first), OrderError);
    CHECK_THROWS(pair.garbler.finish_base(pair.sums), OrderError);
    CHECK_THROWS(pair.evaluator.receive_base(pair.reply), OrderError);
    pair.extend(64);
    EvaluatedPiece batch = pair.evaluator.evaluate(circuit, 1, value);
    GarbledPiece garbled = pair.garbler.garble(circuit, 1, batch.corrections());
    CHECK_THROWS(batch.colours(), OrderError);
    CHECK_THROWS(garbled.decoding(), OrderError);
    const Bytes labels = garbled.input_labels(value);
    CHECK_THROWS(garbled.input_labels(value), OrderError);
    batch.set_labels(labels);
    CHECK_THROWS(batch.set_labels(labels), OrderError);

    EvaluatedPiece other = pair.evaluator.evaluate(circuit, 1, value);
    GarbledPiece later = pair.garbler.garble(circuit, 1, other.corrections());
    CHECK_THROWS(later.input_labels(), OrderError);
    EvaluatedPiece told = pair.evaluator.evaluate(circuit, 1, value, Outputs::opened, GarblerLabels::seeded);
    GarbledPiece seeded = pair.garbler.garble(circuit, 1, told.corrections(), Outputs::opened, value);
    CHECK_THROWS(seeded.input_labels(value), OrderError);
    const Bytes seed = seeded.input_labels();
    told.set_labels(seed);
    CHECK_THROWS(told.set_labels(seed), OrderError);
}

// The seed is new for every batch, and the same whatever the garbler's values are: these show in the tables alone. It
// is not the one that secret zero labels come from, some of which a batch without it gives away for value zero.
void a_seed_tells_nothing() {
    const Circuit circuit = circuits::add(5);
    std::vector<Bytes> first, second, tables;
    for (const std::uint64_t own : {0u, 31u, 21u}) {
        Pair pair;
        pair.extend(64);
        for (std::vector<Bytes>* seeds : {&first, &second}) {
            const Values value{own}, theirs{7};
            EvaluatedPiece evaluated =
                pair.evaluator.evaluate(circuit, 1, theirs, Outputs::opened, GarblerLabels::seeded);
            GarbledPiece garbled = pair.garbler.garble(circuit, 1, evaluated.corrections(), Outputs::opened, value);
            seeds->push_back(garbled.input_labels());
            if (seeds == &first) tables.push_back(all_tables(garbled));
        }
    }
    for (const std::size_t k : {1u, 2u}) {
        CHECK(first[k] == first[0] && second[k] == second[0]);
        CHECK(tables[k] != tables[0]);
    }
    CHECK(first[0] != second[0]);
    Pair pair;
    pair.extend(64);
    const Values zero{0};
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, 1, zero);
    GarbledPiece without = pair.garbler.garble(circuit, 1, evaluated.corrections());
    const Bytes labels = without.input_labels(zero);
    Block known{};
    Aes128(load_block(first[0].data())).encrypt(&known, &known, 1);
    CHECK(load_block(labels.data()) != known);
}

void wrong_messages() {
    Pair pair;
    for (const std::size_t bytes : {0u, 31u, 33u}) {
        GarblerSession garbler;
        const Bytes message(bytes + 1);
        CHECK_THROWS(garbler.receive_base({message.data(), bytes}), LengthError);
    }
    {
        GarblerSession garbler;  // small order
        const Bytes zeros(kFirstMessageBytes);
        CHECK_THROWS(garbler.receive_base(zeros), MalformedError);
    }
    {
        EvaluatorSession evaluator;
        GarblerSession garbler;
        const Bytes first = evaluator.start_base();
        Bytes reply = garbler.receive_base(first);
        CHECK_THROWS(evaluator.receive_base({reply.data(), reply.size() - 1}), LengthError);
        std::fill(reply.end() - kPointBytes, reply.end(), std::uint8_t{0});
        CHECK_THROWS(evaluator.receive_base(reply), MalformedError);
        const Bytes sums(kThirdMessageBytes + 1);
        CHECK_THROWS(garbler.finish_base(sums), LengthError);
    }
    const Bytes message = pair.evaluator.extend(300);
    for (const std::size_t bytes : {std::size_t{0}, message.size() - 1, std::size_t{495}, std::size_t{544}, extension_bytes(0)})
        CHECK_THROWS(pair.garbler.extend({message.data(), bytes}), LengthError);
    CHECK(pair.garbler.ots_left() == 0);
    pair.garbler.extend(message);
    CHECK_THROWS(pair.evaluator.extend(0), ParameterError);

    const Circuit circuit = circuits::add(4);
    const Values wide{16}, good{5};
    CHECK_THROWS(pair.evaluator.evaluate(circuit, 1, wide), ParameterError);
    CHECK_THROWS(pair.evaluator.evaluate(circuit, 0, {}), ParameterError);
    CHECK_THROWS(pair.evaluator.evaluate(circuit, std::size_t{1} << 62, good), ParameterError);
    const Bytes padded{0x10}, two(2);
    CHECK_THROWS(pair.garbler.garble(circuit, 1, padded), MalformedError);
    CHECK_THROWS(pair.garbler.garble(circuit, 1, two), LengthError);
    CHECK(pair.garbler.ots_left() == pair.evaluator.ots_left());  // refusals took nothing
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, 1, good);
    GarbledPiece garbled = pair.garbler.garble(circuit, 1, evaluated.corrections());
    const Bytes labels = garbled.input_labels(good);
    CHECK_THROWS(evaluated.set_labels({labels.data(), labels.size() - 1}), LengthError);
    for (const std::size_t bytes : {0u, 15u, 17u}) {
        EvaluatedPiece told = pair.evaluator.evaluate(circuit, 1, good, Outputs::opened, GarblerLabels::seeded);
        GarbledPiece seeded = pair.garbler.garble(circuit, 1, told.corrections(), Outputs::opened, good);
        const Bytes seed = seeded.input_labels(), wrong(bytes + 1);
        CHECK_THROWS(told.set_labels({wrong.data(), bytes}), LengthError);
        told.set_labels(seed);
    }
    CHECK_THROWS(pair.garbler.garble(circuit, 1, Bytes(1), Outputs::opened, wide), ParameterError);
    CHECK_THROWS(pair.garbler.garble(circuit, 2, Bytes(1), Outputs::opened, good), LengthError);
    CHECK(pair.garbler.ots_left() == pair.evaluator.ots_left());
    evaluated.set_labels(labels);  // a refused message did not spoil the batch
    const Bytes tables = all_tables(garbled);
    evaluated.feed_tables(tables);
    CHECK_THROWS(evaluated.feed_tables({tables.data(), 1}), LengthError);
    CHECK_THROWS(garbled.project({8}), OrderError);  // outputs of more than a bit, and not made to be projected
}

// What two sessions did on a stack of their own, which is then searched for delta.
struct Stack {
    alignas(64) static std::uint8_t memory[std::size_t{1} << 20];

    static void run(void* (*body)(void*)) {
        std::memset(memory, 0, sizeof memory);
        pthread_attr_t attributes;
        pthread_t thread;
        CHECK(pthread_attr_init(&attributes) == 0);
        CHECK(pthread_attr_setstack(&attributes, memory, sizeof memory) == 0);
        CHECK(pthread_create(&thread, &attributes, body, nullptr) == 0);
        pthread_join(thread, nullptr);
        pthread_attr_destroy(&attributes);
    }

    // Places where either half of the block stands, whatever its alignment.
    static int found(const Block& block) {
        int places = 0;
        for (const std::uint64_t half : {block.lo, block.hi}) {
            for (std::size_t i = 0; i + sizeof half <= sizeof memory; ++i) {
                places += std::memcmp(memory + i, &half, sizeof half) == 0 ? 1 : 0;
            }
        }
        return places;
    }
};
alignas(64) std::uint8_t Stack::memory[std::size_t{1} << 20];

Block delta_of_pair() {
    Block delta = Prg(Block{11, 1}).block();
    delta.lo |= 1;
    return delta;
}

void* leave_delta(void*) {
    volatile std::uint64_t left = delta_of_pair().lo;
    (void)left;
    return nullptr;
}

void* run_sessions(void*) {
    for (const TableFormat format : {TableFormat::half_gates, TableFormat::three_halves}) {
        Pair pair(format);
        Prg prg(Block{3, 3});
        for (const std::size_t n : {1u, 33u, 70u}) {
            for (const Circuit& circuit : {circuits::argmax(5, 9), circuits::less_than(64)}) {
                pair.extend(n * circuit.evaluator_bits());
                run_batch(pair, circuit, n, prg, n == 33);
            }
        }
    }
    return nullptr;
}

void delta_is_not_left_on_the_stack() {
    if (kSanitized) return;  // its checks keep copies of their own on the stack
    Stack::run(leave_delta);
    CHECK(Stack::found(delta_of_pair()) > 0);  // so the search finds what is there
    Stack::run(run_sessions);
    CHECK(Stack::found(delta_of_pair()) == 0);
}

// Whether `body` is refused, with OrderError, in a fork of this process.
template <class Body>
bool refused_in_a_fork(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        int status = 1;
        try {
            body();
        } catch (const OrderError&) {
            status = 0;
        } catch (...) {
        }
        _exit(status);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void a_fork_is_refused() {
    Pair pair;
    pair.extend(128);
    const Circuit circuit = circuits::add(4);
    const Values value{5};
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, 1, value);
    GarbledPiece garbled = pair.garbler.garble(circuit, 1, evaluated.corrections());
    Bytes tables(static_cast<std::size_t>(garbled.tables_left()));
    const Bytes block(extension_bytes(1)), corrections = evaluated.corrections();
    CHECK(refused_in_a_fork([&] { garbled.next_tables(tables); }));
    CHECK(refused_in_a_fork([&] { garbled.input_labels(value); }));
    CHECK(refused_in_a_fork([&] { pair.garbler.extend(block); }));
    CHECK(refused_in_a_fork([&] { pair.garbler.garble(circuit, 1, corrections); }));
    CHECK(refused_in_a_fork([&] { pair.evaluator.extend(1); }));
    CHECK(refused_in_a_fork([&] { pair.evaluator.evaluate(circuit, 1, value); }));
    const Bytes labels = garbled.input_labels(value);
    CHECK(refused_in_a_fork([&] { evaluated.set_labels(labels); }));
    evaluated.set_labels(labels);  // in this process all goes on
    CHECK(garbled.next_tables(tables) == tables.size());
    CHECK(refused_in_a_fork([&] { evaluated.feed_tables(tables); }));
    evaluated.feed_tables(tables);
    CHECK(refused_in_a_fork([&] { evaluated.colours(); }));
    CHECK(refused_in_a_fork([&] { garbled.decoding(); }));
    CHECK(evaluated.decode(garbled.decoding()) == Values{10});
    GarblerSession garbler;
    EvaluatorSession evaluator;
    CHECK(refused_in_a_fork([&] { evaluator.start_base(); }));
    const Bytes first = evaluator.start_base();
    CHECK(refused_in_a_fork([&] { garbler.receive_base(first); }));
}

// After a check has failed nothing goes on: each further try would be a guess at delta.
void a_deviation_ends_the_session() {
    const Circuit circuit = circuits::add(4);
    for (const std::size_t place : {0u, 700u, 1040u, 1080u}) {
        Pair pair;
        pair.extend(64);
        const Values value{5};
        const EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, 1, value);
        Bytes message = pair.evaluator.extend(200);
        message[place] = static_cast<std::uint8_t>(message[place] ^ 1);
        CHECK_THROWS(pair.garbler.extend(message), MalformedError);
        message[place] = static_cast<std::uint8_t>(message[place] ^ 1);
        CHECK_THROWS(pair.garbler.extend(message), OrderError);
        CHECK_THROWS(pair.garbler.garble(circuit, 1, evaluated.corrections()), OrderError);
        CHECK_THROWS(pair.garbler.receive_base(pair.first), OrderError);
    }
    GarblerSession garbler;
    EvaluatorSession evaluator;
    const Bytes first = evaluator.start_base();
    Bytes sums = evaluator.receive_base(garbler.receive_base(first));
    sums.back() = static_cast<std::uint8_t>(sums.back() ^ 1);
    CHECK_THROWS(garbler.finish_base(sums), MalformedError);
    sums.back() = static_cast<std::uint8_t>(sums.back() ^ 1);
    CHECK_THROWS(garbler.finish_base(sums), OrderError);
    CHECK_THROWS(garbler.receive_base(first), OrderError);
}

// Known answers under fixed seeds: a change of these digests is a change of the protocol.
void wire_is_reproducible() {
    Pair pair;
    CHECK(sha256(pair.first) == "010041ef23dc000b1a928d6a188dced6d7cf35689301eca52a3dc6a3f4a4c0fb");
    CHECK(sha256(pair.reply) == "431edba197737100bc9b33e03bd4636fc0d05bad7821158cee6bc39cd34dbf90");
    CHECK(sha256(pair.sums) == "74d2bf3a1588671bc29e0a32d268b28c62a20495d905b7ed8539c3109537ce60");
    CHECK(sha256(pair.extend(5000)) == "94de6584e3722220c392f950790c86e41ae075914c0455e54f7e953b56b672a0");
    const Circuit circuit = circuits::add(6);
    const Values mine{1, 2, 3}, theirs{60, 50, 40};
    EvaluatedPiece evaluated = pair.evaluator.evaluate(circuit, 3, theirs);
    GarbledPiece garbled = pair.garbler.garble(circuit, 3, evaluated.corrections());
    CHECK(sha256(evaluated.corrections()) == "19100b145181ce40b447597ffff724b59cd4749c6ec47a8841ed362056639f24");
    CHECK(sha256(garbled.input_labels(mine)) ==
          "8cf50f7b8ca1c1566676aa8c84734a52efcc676a8cf74c9cada6126e7d436a93");
}

}  // namespace

int main() {
    check::run_on_all_levels("many_batches_from_one_session", many_batches_from_one_session);
    check::run("surplus_is_kept_and_used_once", surplus_is_kept_and_used_once);
    check::run("batches_may_overlap", batches_may_overlap);
    check::run("calls_out_of_turn", calls_out_of_turn);
    check::run("wrong_messages", wrong_messages);
    check::run("a_seed_tells_nothing", a_seed_tells_nothing);
    check::run_on_all_levels("delta_is_not_left_on_the_stack", delta_is_not_left_on_the_stack);
    check::run("a_fork_is_refused", a_fork_is_refused);
    check::run("a_deviation_ends_the_session", a_deviation_ends_the_session);
    check::run_on_all_levels("wire_is_reproducible", wire_is_reproducible);
    return check::result();
}
