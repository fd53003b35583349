// The run that both executables share. It does base OTs, OT extension and one garbled circuit, in two round trips.
//
//     party 1, evaluator (listens)                                   party 2, garbler (connects)
//     hello (tool, classes, widths), first base-OT message  ------>
//                                                           <------  hello; salt and points
//     tree sums, OT extension, corrections                  ------>
//                                                           <------  tables, seed of labels, output message
#pragma once

#include "core/garbling/session.hpp"
#include "tools/command_line.hpp"
#include "tools/tcp.hpp"

namespace mpc::tools {

constexpr std::uint32_t kProtocolVersion = 3;  // of the messages above and what is in them

// What both sides must agree on.
struct Hello {
    std::uint32_t version = kProtocolVersion;
    std::uint32_t tool = 0;  // 1 argmax, 2 sum_histogram
    std::uint32_t values = 0;
    std::uint32_t bits = 0;
    std::uint32_t share_bits = 0;
};

inline Bytes encoded(const Hello& hello) {
    Bytes bytes(sizeof hello);
    std::memcpy(bytes.data(), &hello, sizeof hello);
    return bytes;
}

inline void check_hello(const Hello& mine, const Bytes& message) {
    Hello theirs;
    std::memcpy(&theirs, message.data(), sizeof theirs);
    const auto check = [](const char* what, std::uint32_t here, std::uint32_t there) {
        if (here != there)
            throw ConnectionError("the two parties differ in " + std::string(what) + ": " + std::to_string(here) +
                                  " here, " + std::to_string(there) + " at the peer");
    };
    check("protocol version", mine.version, theirs.version);
    check("tool (1 argmax, 2 sum_histogram)", mine.tool, theirs.tool);
    check("number of values", mine.values, theirs.values);
    check("--bits", mine.bits, theirs.bits);
    check("--share-bits", mine.share_bits, theirs.share_bits);
}

// Party 1 up to the evaluated circuit; `output_bytes` is the length of the garbler's output message, returned.
inline std::pair<mpc::EvaluatedPiece, Bytes> run_evaluator(Connection& peer, const Hello& hello,
                                                           const mpc::Circuit& circuit,
                                                           const std::vector<std::uint64_t>& shares,
                                                           std::size_t output_bytes) {
    mpc::EvaluatorSession session;
    peer.send({encoded(hello), session.start_base()});
    check_hello(hello, peer.receive("hello", sizeof hello));
    const Bytes reply = peer.receive("base OTs", mpc::kSecondMessageBytes);
    const Bytes sums = session.receive_base(reply);
    const Bytes extension = session.extend(circuit.evaluator_bits());
    mpc::EvaluatedPiece batch = session.evaluate(circuit, 1, shares, mpc::Outputs::opened, mpc::GarblerLabels::seeded);
    peer.send({sums, extension, batch.corrections()});
    const std::size_t tables = static_cast<std::size_t>(mpc::table_bytes(circuit, 1));
    const Bytes garbled = peer.receive("garbled circuit", tables + batch.label_bytes() + output_bytes);
    batch.set_labels(ByteView(garbled).slice(tables, batch.label_bytes()));
    batch.feed_tables(ByteView(garbled).slice(0, tables));
    return {std::move(batch), Bytes(garbled.end() - static_cast<std::ptrdiff_t>(output_bytes), garbled.end())};
}

// Party 2. `output(batch)` makes the output message once the tables are out.
template <typename Output>
void run_garbler(Connection& peer, const Hello& hello, const mpc::Circuit& circuit,
                 const std::vector<std::uint64_t>& shares, Output output) {
    mpc::GarblerSession session;
    const Bytes start = peer.receive("hello", sizeof hello + mpc::kFirstMessageBytes);
    peer.send({encoded(hello)});
    check_hello(hello, start);
    peer.send({session.receive_base(ByteView(start).from(sizeof hello))});
    const std::size_t ots = circuit.evaluator_bits();
    const std::size_t extension = mpc::extension_bytes((ots + 127) / 128), corrections = (ots + 7) / 8;
    const Bytes choices = peer.receive("OT extension", mpc::kThirdMessageBytes + extension + corrections);
    const ByteView view = choices;
    session.finish_base(view.slice(0, mpc::kThirdMessageBytes));
    session.extend(view.slice(mpc::kThirdMessageBytes, extension));
    const ByteView chosen = view.from(mpc::kThirdMessageBytes + extension);
    mpc::GarbledPiece batch = session.garble(circuit, 1, chosen, mpc::Outputs::opened, shares);
    Bytes tables(static_cast<std::size_t>(mpc::table_bytes(circuit, 1)));
    batch.next_tables(tables);
    const Bytes labels = batch.input_labels();
    peer.send({tables, labels, output(batch)});
}

inline Connection open_connection(const Arguments& arguments) {
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(arguments.deadline_s);
    return arguments.evaluator ? Connection::accept(arguments.host, arguments.port, deadline)
                               : Connection::connect(arguments.host, arguments.port, deadline);
}

}  // namespace mpc::tools
