// Turns garbled words into additive shares; see projection.hpp.
#include "core/garbling/projection.hpp"

#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"
#include "core/garbling/kernels.hpp"

namespace mpc {

namespace {

std::size_t bits_an_instance(const Circuit& circuit, unsigned width) {
    if (width < 1 || width > 64) throw ParameterError("projection: the ring has 1 to 64 bits");
    std::size_t bits = 0;
    for (const unsigned word : circuit.output_widths()) {
        if (word > width) throw ParameterError("projection: the ring is narrower than an output word");
        for (unsigned k = 0; k < word; ++k) bits += width - k;
    }
    return bits;
}

// All but labels and shares.
ProjectionRun run_of(const Circuit& circuit, std::size_t n, ProjectionRing ring, const HashKeys& keys) {
    ProjectionRun run{};
    run.n = n;
    run.word_widths = circuit.output_widths().data();
    run.words = circuit.output_widths().size();
    run.rows = (n + kTile - 1) / kTile * circuit.output_bits();
    run.width = ring.width;
    run.signed_words = ring.signed_words;
    run.salt = keys.salt;
    run.index = keys.first_index;
    run.message_bytes = projection_bytes(circuit, n, ring.width);
    return run;
}

}  // namespace

std::size_t projection_bytes(const Circuit& circuit, std::size_t n, unsigned width) {
    check_instances(circuit, n);
    return bytes_of_bits(n * bits_an_instance(circuit, width));
}

GarblerProjection project(Garbling& garbling, ProjectionRing ring) {
    ProjectionRun run = run_of(garbling.circuit(), garbling.instances(), ring, garbling.projection_keys());
    const Blocks zero_labels = garbling.take_output_zero_labels();
    GarblerProjection result;
    result.message.resize(run.message_bytes);
    result.shares.resize(run.n * run.words);
    run.labels = zero_labels.data();
    run.shares = result.shares.data();
    garbling_kernels().project(run, garbling.delta(), result.message.data());
    return result;
}

std::vector<std::uint64_t> open_projection(const Evaluation& evaluation, ProjectionRing ring, ByteView message) {
    const Circuit& circuit = evaluation.circuit();
    const std::size_t n = evaluation.instances();
    ProjectionRun run = run_of(circuit, n, ring, evaluation.projection_keys());
    const Blocks& labels = evaluation.output_labels();
    check_packed("projection", message, n * bits_an_instance(circuit, ring.width));
    std::vector<std::uint64_t> shares(n * run.words);
    run.labels = labels.data();
    run.shares = shares.data();
    garbling_kernels().open_projection(run, message.data());
    return shares;
}

}  // namespace mpc
