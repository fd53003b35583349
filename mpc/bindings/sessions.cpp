// Python's GarblerSession, Garbling, EvaluatorSession and Evaluation.
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>
#include <optional>

#include "bindings/convert.hpp"
#include "core/garbling/session.hpp"

namespace mpc::bindings {

namespace {

template <typename Session>
void bind_base(nb::class_<Locked<Session>>& type) {
    type.def("__init__",
             [](Locked<Session>* self, nb::handle randomness, const std::string& tables) {
                 new (self) Locked<Session>(seed_of(randomness), format_of(tables));
             },
             nb::arg("randomness") = nb::none(), nb::arg("tables") = "half-gates")
        .def("receive_base",
             [](Locked<Session>& self, nb::handle message) {
                 const Buffer in(message);
                 return to_bytes(self.run([&](Session& s) { return s.receive_base(in); }));
             },
             nb::arg("message"))
        .def_prop_ro("ots_left",
                     [](Locked<Session>& self) { return self.run([](Session& s) { return s.ots_left(); }); });
}

template <typename Batch>
std::string described(const char* role, const Locked<Batch>& batch) {
    return "<" + std::string(role) + " " + batch.peek().circuit().name() + ", n=" +
           std::to_string(batch.peek().instances()) + ">";
}

Outputs outputs_of(bool projected) { return projected ? Outputs::projected : Outputs::opened; }

std::optional<WordView> view_of(const std::optional<Words>& values) {
    return values ? std::optional<WordView>(*values) : std::nullopt;
}

using Flat = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Flat flat_words(nb::handle object, const char* what) {
    Flat array;
    if (!nb::try_cast(object, array, false)) {
        throw ParameterError(std::string(what) + ": expected a contiguous uint64 array of one dimension, found another");
    }
    return array;
}

WordsOut outputs(const Locked<GarbledPiece>& b, std::vector<std::uint64_t> values) {
    return to_array(std::move(values), b.peek().instances(), b.peek().circuit().output_widths().size());
}
WordsOut outputs(const Locked<EvaluatedPiece>& b, std::vector<std::uint64_t> values) {
    return to_array(std::move(values), b.peek().instances(), b.peek().circuit().output_widths().size());
}

// The evaluator's half of words or of products.
template <typename Kind>
void bind_chosen(nb::module_& m, const char* name, const char* doc) {
    using Self = Locked<Chosen<Kind>>;
    nb::class_<Self>(m, name, doc)
        .def_prop_ro("corrections", [](const Self& self) { return to_bytes(self.peek().corrections()); })
        .def_prop_ro("message_bytes", [](const Self& self) { return self.peek().kind().message_bytes(); })
        .def("receive",
             [](Self& self, nb::handle message) {
                 const Buffer in(message);
                 return to_vector(self.run([&](Chosen<Kind>& c) { return c.receive(in); }));
             },
             nb::arg("message"))
        .def("__repr__", [name](const Self& self) {
            return "<" + std::string(name) + ", n=" + std::to_string(self.peek().kind().n) + ">";
        });
}

// The garbler's message and its shares.
template <typename Kind>
nb::tuple sent(Locked<GarblerSession>& self, const Kind& kind, nb::handle corrections, nb::handle values) {
    kind.check();
    const Buffer chosen(corrections);
    const Flat given = flat_words(values, "values");
    std::vector<std::uint64_t> shares;
    nb::bytes message = filled_bytes(kind.message_bytes(), [&](std::uint8_t* out) {
        shares = self.run([&](GarblerSession& s) {
            return s.send(kind, chosen, given, {out, kind.message_bytes()});
        });
    });
    return nb::make_tuple(message, to_vector(std::move(shares)));
}

void bind_garbling(nb::module_& m) {
    using Self = Locked<GarbledPiece>;
    nb::class_<Self>(m, "GarbledPiece", "The garbler's half of one circuit over n instances.")
        .def("write_tables",
             [](Self& self, nb::handle target) {
                 const WritableBuffer out(target);
                 return self.run([&](GarbledPiece& b) { return b.next_tables(out); });
             },
             nb::arg("target"))
        .def("input_labels",
             [](Self& self, nb::handle values) {
                 const auto& circuit = self.peek().circuit();
                 std::optional<Words> v;
                 if (!values.is_none())
                     v = words_of(values, self.peek().instances(), circuit.garbler_widths().size(), "garbler's values");
                 return filled_bytes(self.peek().label_bytes(), [&](std::uint8_t* out) {
                     self.run([&](GarbledPiece& b) { b.input_labels(view_of(v), {out, b.label_bytes()}); });
                 });
             },
             nb::arg("values") = nb::none())
        .def("decoding", [](Self& self) { return to_bytes(self.run([](GarbledPiece& b) { return b.decoding(); })); })
        .def("decode",
             [](Self& self, nb::handle colours) {
                 const Buffer in(colours);
                 return outputs(self, self.run([&](GarbledPiece& b) { return b.decode(in); }));
             },
             nb::arg("colours"))
        .def("project",
             [](Self& self, unsigned width, bool signed_words) {
                 auto result = self.run([&](GarbledPiece& b) { return b.project({width, signed_words}); });
                 return nb::make_tuple(to_bytes(result.message), outputs(self, std::move(result.shares)));
             },
             nb::arg("width"), nb::arg("signed_words") = false)
        .def_prop_ro("tables_left",
                     [](Self& self) { return self.run([](GarbledPiece& b) { return b.tables_left(); }); })
        .def("__repr__", [](const Self& self) { return described("GarbledPiece", self); });
}

void bind_evaluation(nb::module_& m) {
    using Self = Locked<EvaluatedPiece>;
    nb::class_<Self>(m, "EvaluatedPiece", "The evaluator's half of one circuit over n instances.")
        .def_prop_ro("corrections",
                     [](Self& self) { return to_bytes(self.run([](EvaluatedPiece& b) { return b.corrections(); })); })
        .def("feed_tables",
             [](Self& self, nb::handle chunk) {
                 const Buffer in(chunk);
                 self.run([&](EvaluatedPiece& b) { b.feed_tables(in); });
             },
             nb::arg("chunk"))
        .def("set_labels",
             [](Self& self, nb::handle message) {
                 const Buffer in(message);
                 self.run([&](EvaluatedPiece& b) { b.set_labels(in); });
             },
             nb::arg("message"))
        .def_prop_ro("label_bytes", [](const Self& self) { return self.peek().label_bytes(); })
        .def("colours", [](Self& self) { return to_bytes(self.run([](EvaluatedPiece& b) { return b.colours(); })); })
        .def("decode",
             [](Self& self, nb::handle decoding) {
                 const Buffer in(decoding);
                 return outputs(self, self.run([&](EvaluatedPiece& b) { return b.decode(in); }));
             },
             nb::arg("decoding"))
        .def("open_projection",
             [](Self& self, nb::handle message, unsigned width, bool signed_words) {
                 const Buffer in(message);
                 return outputs(self, self.run([&](EvaluatedPiece& b) {
                     return b.open_projection({width, signed_words}, in);
                 }));
             },
             nb::arg("message"), nb::arg("width"), nb::arg("signed_words") = false)
        .def("__repr__", [](const Self& self) { return described("EvaluatedPiece", self); });
}

nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>> table_memory(std::size_t bytes) {
    auto* const memory = new StoredBytes(bytes);
    const nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<StoredBytes*>(p); });
    const std::size_t shape[1] = {bytes};
    return {memory->data(), 1, shape, owner};
}

}  // namespace

void bind_sessions(nb::module_& m) {
    m.def("table_memory", &table_memory, nb::arg("bytes"));
    bind_garbling(m);
    bind_evaluation(m);
    bind_chosen<WordOts>(m, "ChosenWords", "The evaluator's half of correlated words.");
    bind_chosen<WordProducts>(m, "ChosenProducts", "The evaluator's half of products.");

    nb::class_<Locked<GarblerSession>> garbler(m, "GarblerSession", "The garbler's half of a lasting session.");
    bind_base(garbler);
    garbler
        .def("finish_base",
             [](Locked<GarblerSession>& self, nb::handle message) {
                 const Buffer in(message);
                 self.run([&](GarblerSession& s) { s.finish_base(in); });
             },
             nb::arg("message"))
        .def("extend",
             [](Locked<GarblerSession>& self, nb::handle message) {
                 const Buffer in(message);
                 self.run([&](GarblerSession& s) { s.extend(in); });
             },
             nb::arg("message"))
        .def("garble",
             [](Locked<GarblerSession>& self, const Circuit& circuit, std::size_t n, nb::handle corrections,
                bool projected, nb::handle values) {
                 const Buffer chosen(corrections);
                 std::optional<Words> v;
                 if (!values.is_none()) v = words_of(values, n, circuit.garbler_widths().size(), "garbler's values");
                 return self.run([&](GarblerSession& s) {
                     return std::make_unique<Locked<GarbledPiece>>(
                         s.garble(circuit, n, chosen, outputs_of(projected), view_of(v)));
                 });
             },
             nb::arg("circuit"), nb::arg("n"), nb::arg("corrections"), nb::arg("projected") = false,
             nb::arg("values") = nb::none())
        .def("send_words",
             [](Locked<GarblerSession>& self, std::size_t n, unsigned words, unsigned bits, nb::handle corrections,
                nb::handle differences) { return sent(self, WordOts{n, words, bits}, corrections, differences); },
             nb::arg("n"), nb::arg("words"), nb::arg("bits"), nb::arg("corrections"), nb::arg("differences"))
        .def("send_products",
             [](Locked<GarblerSession>& self, unsigned bits, nb::handle corrections, nb::handle factors) {
                 const std::size_t n = flat_words(factors, "factors").size();
                 return sent(self, WordProducts{n, bits}, corrections, factors);
             },
             nb::arg("bits"), nb::arg("corrections"), nb::arg("factors"))
        .def("__repr__", [](const Locked<GarblerSession>&) { return std::string("<GarblerSession>"); });

    nb::class_<Locked<EvaluatorSession>> evaluator(m, "EvaluatorSession", "The evaluator's half of a lasting session.");
    bind_base(evaluator);
    evaluator
        .def("start_base",
             [](Locked<EvaluatorSession>& self) {
                 return to_bytes(self.run([](EvaluatorSession& s) { return s.start_base(); }));
             })
        .def("extend",
             [](Locked<EvaluatorSession>& self, std::size_t count) {
                 const std::size_t bytes = EvaluatorSession::extension_message_bytes(count);
                 return filled_bytes(bytes, [&](std::uint8_t* message) {
                     self.run([&](EvaluatorSession& s) { s.extend(count, {message, bytes}); });
                 });
             },
             nb::arg("count"))
        .def("evaluate",
             [](Locked<EvaluatorSession>& self, const Circuit& circuit, std::size_t n, nb::handle values,
                bool projected, bool seeded) {
                 const Words v = words_of(values, n, circuit.evaluator_widths().size(), "evaluator's values");
                 return self.run([&](EvaluatorSession& s) {
                     return std::make_unique<Locked<EvaluatedPiece>>(
                         s.evaluate(circuit, n, v, outputs_of(projected),
                                    seeded ? GarblerLabels::seeded : GarblerLabels::sent));
                 });
             },
             nb::arg("circuit"), nb::arg("n"), nb::arg("values"), nb::arg("projected") = false,
             nb::arg("seeded") = false)
        .def("choose_words",
             [](Locked<EvaluatorSession>& self, std::size_t n, unsigned words, unsigned bits, nb::handle choices) {
                 const Buffer in(choices);
                 return self.run([&](EvaluatorSession& s) {
                     return std::make_unique<Locked<ChosenWords>>(s.choose(WordOts{n, words, bits}, in));
                 });
             },
             nb::arg("n"), nb::arg("words"), nb::arg("bits"), nb::arg("choices"))
        .def("choose_products",
             [](Locked<EvaluatorSession>& self, unsigned bits, nb::handle factors) {
                 const Flat in = flat_words(factors, "factors");
                 return self.run([&](EvaluatorSession& s) {
                     return std::make_unique<Locked<ChosenProducts>>(s.choose(WordProducts{in.size(), bits}, in));
                 });
             },
             nb::arg("bits"), nb::arg("factors"))
        .def("__repr__", [](const Locked<EvaluatorSession>&) { return std::string("<EvaluatorSession>"); });
}

}  // namespace mpc::bindings
