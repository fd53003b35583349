// Python's encrypted linear maps: RlweParameters, RlweSecretKey, RlweEvaluator, RlweWeights.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "bindings/convert.hpp"
#include "core/bfv/linear.hpp"
#include "core/bfv/slots.hpp"

namespace mpc::bindings {

namespace {

using bfv::Evaluator;
using bfv::Parameters;
using bfv::SecretKey;
using bfv::Selection;
using bfv::Weights;

template <typename T, std::size_t Dimensions>
using Array = nb::ndarray<const T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

// Throws ParameterError unless the argument is a C-contiguous array of this type and number of dimensions.
template <typename T, std::size_t Dimensions>
Array<T, Dimensions> array_of(nb::handle object, const char* what) {
    Array<T, Dimensions> array;
    if (!nb::try_cast(object, array, false)) {
        throw ParameterError(std::string(what) + ": expected a C-contiguous " +
                                  (std::is_signed_v<T> ? "int64" : "uint64") + " array of " +
                                  std::to_string(Dimensions) + " dimensions, found another type or layout");
    }
    return array;
}

void check_degree(std::size_t found, const Parameters& parameters, const char* what) {
    if (found != parameters.degree()) {
        throw ParameterError(std::string(what) + ": expected polynomials of " +
                                  std::to_string(parameters.degree()) + " coefficients, found " +
                                  std::to_string(found));
    }
}

Selection selection_of(nb::handle positions, std::size_t polynomials, const Parameters& parameters) {
    const auto array = array_of<std::int64_t, 1>(positions, "positions");
    return Selection(array, polynomials, parameters.degree());
}

void bind_parameters(nb::module_& m) {
    nb::class_<Parameters>(m, "RlweParameters", "Public parameters of encrypted linear maps.")
        .def(nb::new_([](std::size_t degree, int plain_bits,
                         const std::vector<std::pair<std::uint64_t, std::uint64_t>>& layers, int statistical_bits) {
                 std::vector<bfv::LayerBound> bounds;
                 for (const auto& [norm_squared, results] : layers) bounds.push_back({norm_squared, results});
                 return std::make_shared<Parameters>(degree, plain_bits, std::move(bounds), statistical_bits);
             }),
             nb::arg("degree"), nb::arg("plain_bits"), nb::arg("layers"), nb::arg("statistical_bits") = 40)
        .def_static("for_products",
                    [](std::uint64_t plain_prime, std::uint64_t terms, std::uint64_t results, int statistical_bits) {
                        return std::const_pointer_cast<Parameters>(
                            Parameters::for_products(plain_prime, {terms, results}, statistical_bits));
                    },
                    nb::arg("plain_prime"), nb::arg("terms"), nb::arg("results"), nb::arg("statistical_bits") = 40)
        .def_prop_ro("degree", &Parameters::degree)
        .def_prop_ro("plain_bits", &Parameters::plain_bits)
        .def_prop_ro("modulus_bits", &Parameters::modulus_bits)
        .def_prop_ro("reply_bits", &Parameters::reply_bits)
        .def_prop_ro("flood_bits", &Parameters::flood_bits)
        .def_prop_ro("layers",
                     [](const Parameters& p) {
                         std::vector<std::pair<std::uint64_t, std::uint64_t>> layers;
                         for (const bfv::LayerBound& l : p.layers()) layers.emplace_back(l.norm_squared, l.results);
                         return layers;
                     })
        .def_prop_ro("primes",
                     [](const Parameters& p) {
                         std::vector<std::uint64_t> primes;
                         for (const lattice::Ntt& prime : p.primes()) primes.push_back(prime.p());
                         return primes;
                     })
        .def("upload_bytes", [](const Parameters& p, std::size_t polynomials) {
            return bfv::upload_bytes(p, polynomials);
        }, nb::arg("polynomials"))
        .def("reply_bytes", [](const Parameters& p, nb::handle positions, std::size_t polynomials) {
            return bfv::reply_bytes(p, selection_of(positions, polynomials, p));
        }, nb::arg("positions"), nb::arg("polynomials"))
        .def("__repr__", [](const Parameters& p) {
            return "RlweParameters(degree=" + std::to_string(p.degree()) + ", plain_bits=" +
                   std::to_string(p.plain_bits()) + ", modulus_bits=" + std::to_string(p.modulus_bits()) + ")";
        });
}

void bind_secret_key(nb::module_& m) {
    nb::class_<SecretKey>(m, "RlweSecretKey", "The querying party's key.")
        .def("__init__",
             [](SecretKey* self, std::shared_ptr<Parameters> parameters, nb::handle randomness) {
                 new (self) SecretKey(std::move(parameters), seed_of(randomness));
             },
             nb::arg("parameters"), nb::arg("randomness") = nb::none())
        .def("public_key", [](const SecretKey& key) { return to_bytes(key.public_key()); })
        .def("encrypt",
             [](const SecretKey& key, nb::handle messages) {
                 const auto array = array_of<std::uint64_t, 2>(messages, "messages");
                 check_degree(array.shape(1), key.parameters(), "messages");
                 Bytes upload;
                 {
                     const nb::gil_scoped_release released;
                     upload = key.encrypt(array);
                 }
                 return to_bytes(upload);
             },
             nb::arg("messages"))
        .def("decrypt",
             [](const SecretKey& key, nb::handle reply, nb::handle positions, std::size_t polynomials) {
                 const Selection selection = selection_of(positions, polynomials, key.parameters());
                 const Buffer in(reply);
                 std::vector<std::uint64_t> results;
                 {
                     const nb::gil_scoped_release released;
                     results = key.decrypt(in, selection);
                 }
                 return to_vector(std::move(results));
             },
             nb::arg("reply"), nb::arg("positions"), nb::arg("polynomials"))
        .def("__repr__", [](const SecretKey&) { return std::string("<RlweSecretKey>"); });
}

nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<2>> polynomials_of(std::vector<std::uint64_t> values,
                                                                  std::size_t degree) {
    const std::size_t rows = values.size() / degree;
    return to_array(std::move(values), rows, degree);
}

void bind_slots(nb::module_& m) {
    using bfv::Slots;
    nb::class_<Slots>(m, "RlweSlots", "Words as polynomials modulo primes, whose products are those of the words.")
        .def(nb::init<std::size_t, std::size_t, int>(), nb::arg("degree"), nb::arg("primes"), nb::arg("bits"))
        .def_prop_ro("primes", &Slots::primes)
        .def("encode",
             [](const Slots& slots, nb::handle words) {
                 const auto array = array_of<std::uint64_t, 1>(words, "words");
                 std::vector<std::uint64_t> found(slots.primes().size() * slots.degree());
                 {
                     const nb::gil_scoped_release released;
                     slots.encode(array, found.data());
                 }
                 return polynomials_of(std::move(found), slots.degree());
             },
             nb::arg("words"))
        .def("encode_factors",
             [](const Slots& slots, nb::handle words) {
                 const auto array = array_of<std::uint64_t, 1>(words, "words");
                 std::vector<std::uint64_t> found(slots.primes().size() * slots.degree());
                 {
                     const nb::gil_scoped_release released;
                     slots.encode(array, found.data());
                     slots.centre(found.data());
                 }
                 return polynomials_of(std::move(found), slots.degree());
             },
             nb::arg("words"))
        .def("decode",
             [](const Slots& slots, nb::handle coefficients, std::size_t count) {
                 const auto array = array_of<std::uint64_t, 2>(coefficients, "coefficients");
                 if (array.shape(0) != slots.primes().size() || array.shape(1) != slots.degree()) {
                     throw ParameterError("coefficients: expected a polynomial for each prime, found another shape");
                 }
                 std::vector<std::uint64_t> words;
                 {
                     const nb::gil_scoped_release released;
                     words = slots.decode(array.data(), count);
                 }
                 return to_vector(std::move(words));
             },
             nb::arg("coefficients"), nb::arg("count"))
        .def("masks",
             [](const Slots& slots, nb::handle uniform) {
                 const auto array = array_of<std::uint64_t, 1>(uniform, "uniform words");
                 const std::size_t count = slots.primes().size() * slots.degree();
                 if (array.shape(0) != 2 * count) {
                     throw ParameterError("uniform words: expected two a coefficient, found another number");
                 }
                 std::vector<std::uint64_t> found(count);
                 slots.below_primes(array.data(), found.data());
                 return polynomials_of(std::move(found), slots.degree());
             },
             nb::arg("uniform"))
        .def("__repr__", [](const Slots& slots) {
            return "RlweSlots(degree=" + std::to_string(slots.degree()) + ", primes=" +
                   std::to_string(slots.primes().size()) + ")";
        });
}

void bind_evaluator(nb::module_& m) {
    nb::class_<Weights>(m, "RlweWeights", "Transformed weights of one layer.")
        .def("__repr__", [](const Weights& w) {
            return "<RlweWeights of layer " + std::to_string(w.layer()) + ", " + std::to_string(w.outputs()) + " x " +
                   std::to_string(w.inputs()) + ">";
        });

    nb::class_<Evaluator>(m, "RlweEvaluator", "The answering party's side, under one public key.")
        .def("__init__",
             [](Evaluator* self, std::shared_ptr<Parameters> parameters, nb::handle public_key, nb::handle randomness) {
                 const Buffer in(public_key);
                 new (self) Evaluator(std::move(parameters), in, seed_of(randomness));
             },
             nb::arg("parameters"), nb::arg("public_key"), nb::arg("randomness") = nb::none())
        .def("load",
             [](const Evaluator& evaluator, nb::handle weights, std::size_t layer) {
                 const auto array = array_of<std::int64_t, 3>(weights, "weights");
                 check_degree(array.shape(2), evaluator.parameters(), "weights");
                 const nb::gil_scoped_release released;
                 return evaluator.load(array.data(), array.shape(0), array.shape(1), layer);
             },
             nb::arg("weights"), nb::arg("layer"))
        .def("apply",
             [](const Evaluator& evaluator, const Weights& weights, nb::handle upload, nb::handle masks,
                nb::handle positions, std::size_t batch) {
                 const Selection selection =
                     selection_of(positions, batch * weights.outputs(), evaluator.parameters());
                 const auto shifts = array_of<std::uint64_t, 1>(masks, "masks");
                 const Buffer in(upload);
                 Bytes reply;
                 {
                     const nb::gil_scoped_release released;
                     reply = evaluator.apply(weights, in, shifts, selection);
                 }
                 return to_bytes(reply);
             },
             nb::arg("weights"), nb::arg("upload"), nb::arg("masks"), nb::arg("positions"), nb::arg("batch") = 1)
        .def("__repr__", [](const Evaluator&) { return std::string("<RlweEvaluator>"); });
}

}  // namespace

void bind_rlwe(nb::module_& m) {
    bind_parameters(m);
    bind_secret_key(m);
    bind_evaluator(m);
    bind_slots(m);
}

}  // namespace mpc::bindings
