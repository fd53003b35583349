// Python's Circuit.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "bindings/convert.hpp"
#include "core/circuits/circuits.hpp"
#include "core/garbling/projection.hpp"

namespace mpc::bindings {

namespace {

// Building and scheduling a circuit takes longer than garbling it once, and a Circuit is a handle: each is built once a
// process, up to a bound on how many are kept.
template <typename... Numbers>
auto cached(Circuit (*make)(Numbers...)) {
    return [make](Numbers... numbers) {
        static std::mutex mutex;
        static std::map<std::pair<Circuit (*)(Numbers...), std::tuple<Numbers...>>, Circuit> kept;
        constexpr std::size_t most = 256;
        const nb::gil_scoped_release released;
        const std::lock_guard<std::mutex> hold(mutex);
        const auto key = std::make_pair(make, std::make_tuple(numbers...));
        const auto found = kept.find(key);
        if (found != kept.end()) return found->second;
        if (kept.size() >= most) kept.clear();
        return kept.emplace(key, make(numbers...)).first->second;
    };
}

}  // namespace

void bind_circuit(nb::module_& m) {
    namespace make = mpc::circuits;
    nb::class_<Circuit>(m, "Circuit", "An immutable Boolean circuit between a garbler and an evaluator.")
        .def_static("relu", cached(&make::relu), nb::arg("ring_bits"), nb::arg("shift"))
        .def_static("rescale", cached(&make::rescale), nb::arg("ring_bits"), nb::arg("shift"))
        .def_static("leaky_relu", cached(&make::leaky_relu), nb::arg("ring_bits"), nb::arg("shift"), nb::arg("slope"),
                    nb::arg("slope_bits"))
        .def_static("max_pool", cached(&make::max_pool), nb::arg("window"), nb::arg("ring_bits"), nb::arg("shift"),
                    nb::arg("rectify"))
        .def_static("argmax", cached(&make::argmax), nb::arg("classes"), nb::arg("ring_bits"))
        .def_static("threshold", cached(&make::threshold), nb::arg("labels"), nb::arg("ring_bits"))
        .def_static("sum_histogram", cached(&make::sum_histogram), nb::arg("classes"), nb::arg("width"))
        .def_static("noisy_release", cached(&make::noisy_release), nb::arg("count"), nb::arg("modulus_low"),
                    nb::arg("modulus_high"), nb::arg("shift"), nb::arg("range_bits"), nb::arg("noise_bits"))
        .def_static("add", cached(&make::add), nb::arg("width"))
        .def_static("sub", cached(&make::subtract), nb::arg("width"))
        .def_static("less_than", cached(&make::less_than), nb::arg("width"))
        .def_static("select", cached(&make::select), nb::arg("width"))
        .def_prop_ro("name", &Circuit::name)
        .def_prop_ro("garbler_widths", &Circuit::garbler_widths)
        .def_prop_ro("evaluator_widths", &Circuit::evaluator_widths)
        .def_prop_ro("output_widths", &Circuit::output_widths)
        .def_prop_ro("evaluator_bits", &Circuit::evaluator_bits)
        .def_prop_ro("and_gates", &Circuit::and_gates)
        .def("table_bytes", [](const Circuit& c, std::size_t n, const std::string& tables) {
            return table_bytes(c, n, format_of(tables));
        }, nb::arg("n"), nb::arg("tables") = "half-gates")
        .def("projection_bytes", &projection_bytes, nb::arg("n"), nb::arg("width"))
        .def(
            "run",
            [](const Circuit& c, nb::ndarray<nb::ro> garbler, nb::handle evaluator) {
                const std::size_t n = garbler.ndim() == 2 ? garbler.shape(0) : 0;
                const Words g = words_of(nb::cast(garbler), n, c.garbler_widths().size(), "garbler's values");
                const Words e = words_of(evaluator, n, c.evaluator_widths().size(), "evaluator's values");
                std::vector<std::uint64_t> out;
                {
                    const nb::gil_scoped_release released;
                    out = c.run(std::vector<std::uint64_t>(g.data(), g.data() + g.size()),
                                std::vector<std::uint64_t>(e.data(), e.data() + e.size()), n);
                }
                return to_array(std::move(out), n, c.output_widths().size());
            },
            nb::arg("garbler"), nb::arg("evaluator"))
        .def("__repr__", [](const Circuit& c) {
            return "<Circuit " + c.name() + ", " + std::to_string(c.and_gates()) + " AND gates>";
        });
}

}  // namespace mpc::bindings
