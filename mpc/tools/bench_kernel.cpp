// Kernel benchmark, one JSON object on stdout: AES blocks a second with a fixed key, and what garbling and evaluation
// reach of it. Garbling an AND gate takes four AES blocks, evaluating two; `of_aes` is the share of that limit. With
// three halves they are six and three.
//   bench_kernel [seconds per measurement]        (MPC_CPU_LEVEL picks the instruction set)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "core/aes/aes.hpp"
#include "core/aes/prg.hpp"
#include "core/base/cpu.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/garbling.hpp"

using namespace mpc;

namespace {

using Clock = std::chrono::steady_clock;

// The fastest of many runs of `body`, in seconds.
template <class Body>
double fastest(double budget_s, Body body) {
    double best = 1e9;
    const auto end = Clock::now() + std::chrono::duration<double>(budget_s);
    do {
        const auto start = Clock::now();
        body();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    } while (Clock::now() < end);
    return best;
}

double aes_blocks_per_s(double budget_s) {
    constexpr std::size_t blocks = 1024;
    constexpr int repeats = 50;
    Blocks data(blocks);
    const Aes128 aes(system_random_block());
    const double seconds = fastest(budget_s, [&] {
        for (int i = 0; i < repeats; ++i) aes.encrypt(data.data(), data.data(), blocks);
    });
    return blocks * repeats / seconds;
}

struct Rates {
    double aes;       // blocks a second
    double garble;    // AND gates a second
    double evaluate;
    double labels;  // garbler's input labels a second
};

// The evaluator's choices are known early, as in preprocessing. Tables go through one buffer of `chunk` bytes. Garbling
// includes drawing the garbler's input labels, evaluation includes reading all input labels from memory. AES, garbling
// and evaluation take turns: a share is of what the core did within the same moments.
Rates rates(const Circuit& circuit, std::size_t n, TableFormat format, std::size_t chunk, double budget_s) {
    constexpr int turns = 6;
    GarblingKeys keys{system_random_block(), system_random_block(), {system_random_block(), 0}};
    keys.delta.lo |= 1;
    const Blocks zero_labels(n * circuit.evaluator_bits());
    const std::uint64_t total = table_bytes(circuit, n, format);
    std::vector<std::uint8_t> buffer(std::min<std::uint64_t>(chunk, total));
    const std::vector<std::uint64_t> values(n * circuit.garbler_widths().size());
    const std::vector<std::uint8_t> garbler_labels(n * circuit.garbler_bits() * sizeof(Block));
    const Blocks evaluator_labels(n * circuit.evaluator_bits());
    double aes = 0;
    double garble_s = 1e9;
    double labels_s = 1e9;
    double evaluate_s = 1e9;
    const auto turn_ends = [&] { return Clock::now() + std::chrono::duration<double>(budget_s / turns); };
    for (int turn = 0; turn < turns; ++turn) {
        aes = std::max(aes, aes_blocks_per_s(budget_s / turns));
        auto end = turn_ends();
        do {
            Garbling garbling(circuit, n, keys, zero_labels, {format});
            const auto start = Clock::now();
            while (garbling.next_tables(buffer) > 0) {
            }
            const auto garbled = Clock::now();
            garble_s = std::min(garble_s, std::chrono::duration<double>(garbled - start).count());
            (void)garbling.input_labels(values);
            labels_s = std::min(labels_s, std::chrono::duration<double>(Clock::now() - garbled).count());
        } while (Clock::now() < end);
        end = turn_ends();
        do {
            Evaluation evaluation(circuit, n, keys.hash, {format});
            evaluation.set_labels(garbler_labels, evaluator_labels);
            const auto start = Clock::now();
            for (std::uint64_t at = 0; at < total; at += buffer.size()) {
                const std::uint64_t now = std::min<std::uint64_t>(buffer.size(), total - at);
                evaluation.feed({buffer.data(), static_cast<std::size_t>(now)});
            }
            evaluate_s = std::min(evaluate_s, std::chrono::duration<double>(Clock::now() - start).count());
        } while (Clock::now() < end);
    }
    const double ands = static_cast<double>(n * circuit.and_gates());
    return Rates{aes, ands / garble_s, ands / evaluate_s,
                 static_cast<double>(n * circuit.garbler_bits()) / labels_s};
}

void print(const Circuit& circuit, std::size_t n, double budget_s, TableFormat format = TableFormat::half_gates) {
    constexpr std::size_t chunk = 256 * 1024;
    const Rates r = rates(circuit, n, format, chunk, budget_s);
    const auto hashes = static_cast<double>(keys_per_and(format));  // to evaluate a gate; twice as many to garble it
    const double ands = static_cast<double>(n * circuit.and_gates());
    std::printf("  \"%s x %zu%s\": {\"and_gates\": %zu, \"slots\": %zu, "
                "\"garble_mand_per_s\": %.1f, \"garble_of_aes\": %.3f, \"garble_us\": %.1f, "
                "\"evaluate_mand_per_s\": %.1f, \"evaluate_of_aes\": %.3f, \"evaluate_us\": %.1f, "
                "\"input_mlabels_per_s\": %.0f},\n",
                circuit.name().c_str(), n, format == TableFormat::half_gates ? "" : ", three halves",
                circuit.and_gates(), circuit.slot_count(), r.garble / 1e6,
                2 * hashes * r.garble / r.aes, ands / r.garble * 1e6, r.evaluate / 1e6, hashes * r.evaluate / r.aes,
                ands / r.evaluate * 1e6, r.labels / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
    const double budget_s = argc > 1 ? std::atof(argv[1]) : 0.3;
    const double aes = aes_blocks_per_s(budget_s);
    std::printf("{\n  \"level\": \"%s\",\n  \"tile\": %zu,\n  \"aes_mblocks_per_s\": %.1f,\n", cpu::name(cpu::level()),
                kTile, aes / 1e6);
    const Circuit relu = circuits::relu(41, 12);
    const Circuit argmax = circuits::argmax(10, 41);
    for (const std::size_t n : {1u, 4u, 64u, 1024u}) print(relu, n, budget_s);
    for (const std::size_t n : {1u, 8u, 256u}) print(argmax, n, budget_s);
    print(relu, 1024, budget_s, TableFormat::three_halves);
    print(argmax, 256, budget_s, TableFormat::three_halves);
    std::printf("  \"seconds_each\": %.2f\n}\n", budget_s);
    return 0;
}
