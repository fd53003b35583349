// argmax PARTY PORT INPUT OUTPUT: from additive shares of a vector to fresh additive shares of the one-hot vector of
// its largest entry (signed, ties to the lowest index). Neither party learns the argmax.
//
// It speaks plain TCP, for one machine and for benchmarks. two_party.hpp has the rounds, core/garbling/session.hpp the
// protocol.
#include "core/circuits/circuits.hpp"
#include "tools/two_party.hpp"

namespace {

using namespace mpc;

const char* const kUsage =
    "usage: argmax PARTY PORT INPUT OUTPUT [--host H] [--bits B] [--share-bits W] [--deadline SECONDS]\n"
    "  PARTY   1: querying party (evaluator), listens on PORT; 2: garbler, connects to PORT\n"
    "  INPUT   this party's additive shares modulo 2^B, comma-separated (B is 64 unless given)\n"
    "  OUTPUT  this party's fresh shares of the one-hot argmax modulo 2^W (64), written with mode 0600\n"
    "Unencrypted: for one machine (H is 127.0.0.1 unless given) and for benchmarks.\n";

void write_shares(const std::string& path, const std::vector<std::uint64_t>& shares) {
    std::string text;
    for (const std::uint64_t share : shares) text += (text.empty() ? "" : ",") + std::to_string(share);
    tools::write_private(path, text + "\n");
}

void run(int count, char** values) {
    const tools::Arguments arguments = tools::parse_arguments(count, values, true);
    const std::vector<std::uint64_t> shares = tools::read_shares(arguments.input, arguments.bits);
    const auto classes = static_cast<unsigned>(shares.size());
    const mpc::Circuit circuit = mpc::circuits::argmax(classes, arguments.bits);
    const tools::Hello hello{tools::kProtocolVersion, 1, classes, arguments.bits, arguments.share_bits};
    tools::Connection peer = tools::open_connection(arguments);
    if (arguments.evaluator) {
        const std::size_t projection = mpc::projection_bytes(circuit, 1, arguments.share_bits);
        auto [batch, message] = tools::run_evaluator(peer, hello, circuit, shares, projection);
        write_shares(arguments.output, batch.open_projection({arguments.share_bits}, message));
    } else {
        std::vector<std::uint64_t> mine;
        tools::run_garbler(peer, hello, circuit, shares, [&](mpc::GarbledPiece& batch) {
            mpc::GarblerProjection projection = batch.project({arguments.share_bits});
            mine = std::move(projection.shares);
            return std::move(projection.message);
        });
        write_shares(arguments.output, mine);
    }
}

}  // namespace

int main(int count, char** values) {
    return tools::run_tool(kUsage, count, values, [&] { run(count, values); });
}
