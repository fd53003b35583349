// Python's Prio3. Tables come and go as buffers, with the interpreter released.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>

#include "bindings/convert.hpp"
#include "core/prio/prio3.hpp"
#include "core/prio/robust.hpp"

namespace mpc::bindings {

namespace {

using prio::Kind;
using prio::Prio3;
using prio::Robust;
using prio::Status;

using Parameters = std::map<std::string, std::uint64_t>;

Parameters parameters_of(const nb::dict& parameters) {
    Parameters named;
    for (const auto& [name, value] : parameters) named[nb::cast<std::string>(name)] = nb::cast<std::uint64_t>(value);
    return named;
}

prio::CircuitOptions circuit_of(const std::string& circuit, const Parameters& parameters) {
    static const std::map<std::string, Kind> kinds = {
        {"count", Kind::count},
        {"sum", Kind::sum},
        {"sum_vec", Kind::sum_vec},
        {"histogram", Kind::histogram},
        {"multihot_count_vec", Kind::multihot_count_vec},
        {"linear_regression", Kind::linear_regression},
        {"higher_degree", Kind::higher_degree},
    };
    prio::CircuitOptions options;
    const auto kind = kinds.find(circuit);
    if (kind == kinds.end()) throw ParameterError("circuit: expected one that exists, found " + circuit);
    options.kind = kind->second;
    const std::map<std::string, std::uint64_t*> places = {
        {"length", &options.length},
        {"max_measurement", &options.max_measurement},
        {"chunk_length", &options.chunk_length},
        {"max_weight", &options.max_weight},
        {"bits", &options.bits},
    };
    for (const auto& [name, value] : parameters) {
        const auto place = places.find(name);
        if (place == places.end())
            throw ParameterError("a circuit's parameter: expected one that exists, found " + name);
        *place->second = value;
    }
    return options;
}

ByteView view(const Buffer& buffer) { return {buffer.data(), buffer.size()}; }
MutableByteView view(const WritableBuffer& buffer) { return {buffer.data(), buffer.size()}; }
View<Status> statuses_in(const WritableBuffer& buffer) {
    return {reinterpret_cast<Status*>(buffer.data()), buffer.size()};
}

void shard(const Prio3& prio3, nb::handle context, const Words& measurements, nb::handle nonces, nb::handle randomness,
           nb::handle public_shares, nb::handle leader_shares, nb::handle helper_shares) {
    const Buffer c(context), n(nonces), r(randomness);
    const WritableBuffer p(public_shares), l(leader_shares), h(helper_shares);
    const WordView words(measurements.data(), measurements.size());
    const nb::gil_scoped_release released;
    prio3.shard(view(c), words, view(n), view(r), view(p), view(l), view(h));
}

void verify_init(const Prio3& prio3, nb::handle verify_key, nb::handle context, std::size_t aggregator,
                 nb::handle nonces, nb::handle public_shares, nb::handle input_shares, nb::handle states,
                 nb::handle verifier_shares, nb::handle statuses) {
    const Buffer k(verify_key), c(context), n(nonces), p(public_shares), i(input_shares);
    const WritableBuffer s(states), v(verifier_shares), t(statuses);
    const nb::gil_scoped_release released;
    prio3.verify_init(view(k), view(c), aggregator, view(n), view(p), view(i), view(s), view(v), statuses_in(t));
}

void verifier_shares_to_messages(const Prio3& prio3, nb::handle context, nb::handle verifier_shares,
                                 nb::handle messages, nb::handle statuses) {
    const Buffer c(context), v(verifier_shares);
    const WritableBuffer m(messages), t(statuses);
    const nb::gil_scoped_release released;
    prio3.verifier_shares_to_messages(view(c), view(v), view(m), statuses_in(t));
}

void verify_next(const Prio3& prio3, nb::handle states, nb::handle messages, nb::handle output_shares,
                 nb::handle statuses) {
    const Buffer s(states), m(messages);
    const WritableBuffer o(output_shares), t(statuses);
    const nb::gil_scoped_release released;
    prio3.verify_next(view(s), view(m), view(o), statuses_in(t));
}

bool add(const Prio3& prio3, nb::handle rows, nb::handle statuses, nb::handle aggregate) {
    const Buffer r(rows), t(statuses);
    const WritableBuffer a(aggregate);
    const nb::gil_scoped_release released;
    return prio3.add(view(r), {reinterpret_cast<const Status*>(t.data()), t.size()}, view(a));
}

nb::dict sizes(const Prio3& prio3) {
    const prio::Sizes& z = prio3.sizes();
    nb::dict named;
    named["words"] = z.words;
    named["nonce"] = z.nonce;
    named["verify_key"] = z.verify_key;
    named["randomness"] = z.randomness;
    named["public_share"] = z.public_share;
    named["leader_share"] = z.leader_share;
    named["helper_share"] = z.helper_share;
    named["verifier_share"] = z.verifier_share;
    named["verifier_message"] = z.verifier_message;
    named["state"] = z.state;
    named["aggregate"] = z.aggregate;
    named["element"] = z.element;
    return named;
}

// ---- with Shamir's shares -------------------------------------------------------------------------------------------

void deal(const Robust& robust, nb::handle context, const Words& measurement, nb::handle nonce, nb::handle randomness,
          nb::handle public_share, nb::handle shares) {
    const Buffer c(context), n(nonce), r(randomness);
    const WritableBuffer p(public_share), s(shares);
    const WordView words(measurement.data(), measurement.size());
    const nb::gil_scoped_release released;
    robust.deal(view(c), words, view(n), view(r), view(p), view(s));
}

int check(const Robust& robust, nb::handle context, std::size_t number, nb::handle nonce, nb::handle public_share,
          nb::handle share) {
    const Buffer c(context), n(nonce), p(public_share), s(share);
    const nb::gil_scoped_release released;
    return static_cast<int>(robust.check(view(c), number, view(n), view(p), view(s)));
}

int verifier(const Robust& robust, nb::handle context, nb::handle nonce, nb::handle public_share, nb::handle share,
             nb::handle coin, nb::handle words) {
    const Buffer c(context), n(nonce), p(public_share), s(share), k(coin);
    const WritableBuffer w(words);
    const nb::gil_scoped_release released;
    return static_cast<int>(robust.verifier(view(c), view(n), view(p), view(s), view(k), view(w)));
}

bool decide(const Robust& robust, nb::handle words) {
    const Buffer w(words);
    return robust.decide(view(w));
}

void output(const Robust& robust, nb::handle share, nb::handle out) {
    const Buffer s(share);
    const WritableBuffer o(out);
    robust.output(view(s), view(o));
}

nb::dict robust_sizes(const Robust& robust) {
    const prio::RobustSizes& z = robust.sizes();
    nb::dict named;
    named["words"] = z.words;
    named["public_share"] = z.public_share;
    named["share"] = z.share;
    named["verifier"] = z.verifier;
    named["aggregate"] = z.aggregate;
    named["element"] = z.element;
    return named;
}

}  // namespace

void bind_prio(nb::module_& m) {
    nb::class_<Robust>(m, "RobustPrio")
        .def(
            "__init__",
            [](Robust* place, const std::string& circuit, const nb::dict& parameters, std::uint32_t algorithm,
               unsigned field_bits, std::size_t aggregators, std::size_t threshold) {
                const prio::CircuitOptions chosen = circuit_of(circuit, parameters_of(parameters));
                new (place) Robust({chosen, algorithm, field_bits, aggregators, threshold});
            },
            nb::arg("circuit"), nb::arg("parameters"), nb::arg("algorithm"), nb::arg("field_bits"),
            nb::arg("aggregators"), nb::arg("threshold"))
        .def_prop_ro("sizes", robust_sizes)
        .def("deal", deal, nb::arg("context"), nb::arg("measurement"), nb::arg("nonce"), nb::arg("randomness"),
             nb::arg("public_share"), nb::arg("shares"))
        .def("check", check, nb::arg("context"), nb::arg("number"), nb::arg("nonce"), nb::arg("public_share"),
             nb::arg("share"))
        .def("verifier", verifier, nb::arg("context"), nb::arg("nonce"), nb::arg("public_share"), nb::arg("share"),
             nb::arg("coin"), nb::arg("words"))
        .def("decide", decide, nb::arg("words"))
        .def("output", output, nb::arg("share"), nb::arg("out"));
    nb::class_<Prio3>(m, "Prio3")
        .def(
            "__init__",
            [](Prio3* place, const std::string& circuit, const nb::dict& parameters, std::uint32_t algorithm,
               unsigned field_bits, std::size_t shares, std::size_t proofs) {
                const prio::CircuitOptions chosen = circuit_of(circuit, parameters_of(parameters));
                new (place) Prio3({chosen, algorithm, field_bits, shares, proofs});
            },
            nb::arg("circuit"), nb::arg("parameters"), nb::arg("algorithm"), nb::arg("field_bits"), nb::arg("shares"),
            nb::arg("proofs"))
        .def_prop_ro("sizes", sizes)
        .def("shard", shard, nb::arg("context"), nb::arg("measurements"), nb::arg("nonces"), nb::arg("randomness"),
             nb::arg("public_shares"), nb::arg("leader_shares"), nb::arg("helper_shares"))
        .def("verify_init", verify_init, nb::arg("verify_key"), nb::arg("context"), nb::arg("aggregator"),
             nb::arg("nonces"), nb::arg("public_shares"), nb::arg("input_shares"), nb::arg("states"),
             nb::arg("verifier_shares"), nb::arg("statuses"))
        .def("verifier_shares_to_messages", verifier_shares_to_messages, nb::arg("context"), nb::arg("verifier_shares"),
             nb::arg("messages"), nb::arg("statuses"))
        .def("verify_next", verify_next, nb::arg("states"), nb::arg("messages"), nb::arg("output_shares"),
             nb::arg("statuses"))
        .def("add", add, nb::arg("rows"), nb::arg("statuses"), nb::arg("aggregate"));
}

}  // namespace mpc::bindings
