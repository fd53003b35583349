// What threads of one process may share, for the thread sanitizer. These are circuits, the choice of the kernels, the
// generator's table, keys and evaluators of the encrypted linear layers and of CKKS. Sessions belong to one thread each.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/base/error.hpp"
#include "core/bfv/linear.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/session.hpp"
#include "tests/check.hpp"
#include "tests/ckks_setting.hpp"
#include "tests/setting.hpp"

using namespace mpc;

namespace {

// Messages one way between two threads.
class Pipe {
public:
    void send(Bytes message) {
        const std::lock_guard<std::mutex> guard(turn_);
        messages_.push_back(std::move(message));
        arrived_.notify_one();
    }
    Bytes receive() {
        std::unique_lock<std::mutex> guard(turn_);
        arrived_.wait(guard, [this] { return !messages_.empty(); });
        Bytes message = std::move(messages_.front());
        messages_.pop_front();
        return message;
    }

private:
    std::mutex turn_;
    std::condition_variable arrived_;
    std::deque<Bytes> messages_;
};

// Runs all at once; a failure in any thread is a failure of the case.
void at_once(const std::vector<std::function<void()>>& bodies) {
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (const auto& body : bodies) {
        threads.emplace_back([&failed, &body] {
            try {
                body();
            } catch (const std::exception&) {
                ++failed;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failed == 0);
}

constexpr std::size_t kInstances = 70;
constexpr std::size_t kChunk = 5000;

struct Conversation {
    Pipe to_garbler;
    Pipe to_evaluator;
    Values mine;
    Values theirs;
    Values decoded;
};

void garbler(const Circuit& circuit, Conversation* with) {
    GarblerSession session;
    const Bytes first = with->to_garbler.receive();
    with->to_evaluator.send(session.receive_base(first));
    const Bytes sums = with->to_garbler.receive();
    session.finish_base(sums);
    const Bytes extension = with->to_garbler.receive();
    session.extend(extension);
    const Bytes corrections = with->to_garbler.receive();
    GarbledPiece batch = session.garble(circuit, kInstances, corrections);
    with->to_evaluator.send(batch.input_labels(with->mine));
    while (batch.tables_left() > 0) {
        Bytes chunk(kChunk);
        chunk.resize(batch.next_tables(chunk));
        with->to_evaluator.send(std::move(chunk));
    }
    with->to_evaluator.send(batch.decoding());
}

void evaluator(const Circuit& circuit, Conversation* with) {
    EvaluatorSession session;
    with->to_garbler.send(session.start_base());
    const Bytes reply = with->to_evaluator.receive();
    with->to_garbler.send(session.receive_base(reply));
    with->to_garbler.send(session.extend(kInstances * circuit.evaluator_bits()));
    EvaluatedPiece batch = session.evaluate(circuit, kInstances, with->theirs);
    with->to_garbler.send(batch.corrections());
    const Bytes labels = with->to_evaluator.receive();
    batch.set_labels(labels);
    for (std::uint64_t left = table_bytes(circuit, kInstances); left > 0;) {
        const Bytes chunk = with->to_evaluator.receive();
        batch.feed_tables(chunk);
        left -= chunk.size();
    }
    const Bytes decoding = with->to_evaluator.receive();
    with->decoded = batch.decode(decoding);
}

void sessions_side_by_side() {
    const Circuit circuit = circuits::relu(17, 3);
    std::vector<std::unique_ptr<Conversation>> conversations;
    std::vector<std::function<void()>> bodies;
    Prg prg(Block{5, 5});
    for (int k = 0; k < 3; ++k) {
        conversations.push_back(std::make_unique<Conversation>());
        Conversation* const one = conversations.back().get();
        one->mine = random_values(circuit.garbler_widths(), kInstances, prg);
        one->theirs = random_values(circuit.evaluator_widths(), kInstances, prg);
        bodies.push_back([&circuit, one] { garbler(circuit, one); });
        bodies.push_back([&circuit, one] { evaluator(circuit, one); });
    }
    at_once(bodies);
    for (const auto& one : conversations) CHECK(one->decoded == circuit.run(one->mine, one->theirs, kInstances));
}

// One key and one evaluator under many threads: results stay right, and no more of them are given than the bound says.
void one_evaluator_for_all() {
    constexpr std::size_t degree = 4096;
    constexpr std::uint64_t given = 3;
    const auto parameters =
        std::make_shared<bfv::Parameters>(degree, 30, std::vector<bfv::LayerBound>{{100, given}}, 40);
    const bfv::SecretKey key(parameters, Block{1, 2});
    const Bytes public_key = key.public_key();
    const bfv::Evaluator evaluator(parameters, public_key, Block{3, 4});
    std::vector<std::int64_t> weights(degree, 0);
    weights[0] = 7;
    const bfv::Weights loaded = evaluator.load(weights.data(), 1, 1, 0);
    const std::int64_t position = 9;
    const bfv::Selection selection({&position, 1}, 1, degree);
    std::atomic<std::uint64_t> right{0}, refused{0};
    std::vector<std::function<void()>> bodies;
    for (std::uint64_t k = 0; k < given + 2; ++k) {
        bodies.push_back([&, k] {
            const std::vector<std::uint64_t> message(degree, 100 + k);
            const std::uint64_t mask = 5;
            const Bytes upload = key.encrypt(message);
            try {
                const Bytes reply = evaluator.apply(loaded, upload, {&mask, 1}, selection);
                if (key.decrypt(reply, selection)[0] == 7 * (100 + k) + mask) ++right;
            } catch (const LimitError&) {
                ++refused;
            }
        });
    }
    at_once(bodies);
    CHECK(right == given);
    CHECK(refused == 2);
}

// Keys and an evaluator of CKKS, whose ciphertexts are shared, too.
void one_evaluator_of_ckks_for_all() {
    const ckks::Setting setting(ckks::of_depth(256, 2, 2));
    const ckks::Evaluator evaluator = setting.evaluator({1});
    const ckks::PublicKey open(setting.parameters, setting.key.public_key());
    const std::vector<double> values(128, 0.5);
    const ckks::Ciphertext shared = setting.encrypted(values, 2);
    std::atomic<int> right{0};
    const std::vector<std::function<void()>> bodies(4, [&] {
        const ckks::Ciphertext own = open.encrypt(values, 2, setting.parameters->scale());
        const ckks::Ciphertext product = evaluator.dot({&shared, &own}, {&own, &shared}, true);
        const std::vector<double> found = setting.key.decrypt(evaluator.rotate_each(product, {1}).front());
        const std::vector<double> again = setting.key.decrypt(setting.encrypted(values, 1));
        if (ckks::largest_difference(found, values) < 1e-6 && ckks::largest_difference(again, values) < 1e-6) ++right;
    });
    at_once(bodies);
    CHECK(right == 4);
}

}  // namespace

int main() {
    check::run("sessions side by side", sessions_side_by_side);
    check::run("one evaluator for all", one_evaluator_for_all);
    check::run("one evaluator of CKKS for all", one_evaluator_of_ckks_for_all);
    return check::result();
}
