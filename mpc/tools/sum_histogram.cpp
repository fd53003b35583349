// sum_histogram PARTY PORT INPUT OUTPUT: from additive shares of a histogram to the index of its largest entry (signed,
// ties to the lowest index), which party 1 alone learns.
//
// It speaks plain TCP, for one machine and for benchmarks. two_party.hpp has the rounds, core/garbling/session.hpp the
// protocol.
#include "core/circuits/circuits.hpp"
#include "tools/two_party.hpp"

namespace {

using namespace mpc;

const char* const kUsage =
    "usage: sum_histogram PARTY PORT INPUT OUTPUT [--host H] [--bits B] [--deadline SECONDS]\n"
    "  PARTY   1: querying party (evaluator), listens on PORT; 2: garbler, connects to PORT\n"
    "  INPUT   this party's additive shares modulo 2^B, comma-separated (B is 64 unless given)\n"
    "  OUTPUT  party 1: the index of the largest sum, written with mode 0600; party 2: not created\n"
    "Unencrypted: for one machine (H is 127.0.0.1 unless given) and for benchmarks.\n";

void run(int count, char** values) {
    const tools::Arguments arguments = tools::parse_arguments(count, values, false);
    const std::vector<std::uint64_t> shares = tools::read_shares(arguments.input, arguments.bits);
    const auto classes = static_cast<unsigned>(shares.size());
    const mpc::Circuit circuit = mpc::circuits::sum_histogram(classes, arguments.bits);
    const tools::Hello hello{tools::kProtocolVersion, 2, classes, arguments.bits, 0};
    tools::Connection peer = tools::open_connection(arguments);
    if (arguments.evaluator) {
        const std::size_t colours = (circuit.output_bits() + 7) / 8;
        const auto [batch, message] = tools::run_evaluator(peer, hello, circuit, shares, colours);
        const std::uint64_t label = batch.decode(message)[0];
        if (label >= classes) throw tools::ConnectionError("the peer's circuit gave no valid index");
        tools::write_private(arguments.output, std::to_string(label) + "\n");
    } else {
        tools::run_garbler(peer, hello, circuit, shares, [](mpc::GarbledPiece& batch) { return batch.decoding(); });
        std::fprintf(stderr, "The result is party 1's alone; %s was not created.\n", arguments.output.c_str());
    }
}

}  // namespace

int main(int count, char** values) {
    return tools::run_tool(kUsage, count, values, [&] { run(count, values); });
}
