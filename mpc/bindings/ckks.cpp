// Python's CKKS: CkksScale, CkksParameters, CkksPlaintext, CkksCiphertext, CkksSecretKey, CkksPublicKey, CkksEvaluator.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <list>
#include <memory>
#include <utility>

#include "bindings/ckks.hpp"
#include "bindings/convert.hpp"
#include "core/ckks/evaluate.hpp"
#include "core/ckks/keys.hpp"
#include "core/ckks/wire.hpp"

namespace mpc::bindings {

namespace {

using ckks::Ciphertext;
using ckks::Evaluator;
using ckks::Parameters;
using ckks::Plaintext;
using ckks::PublicKey;
using ckks::Scale;
using ckks::SecretKey;
using ckks::SharedParameters;

using Array = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Array array_of(nb::handle object) {
    Array array;
    if (!nb::try_cast(object, array, false)) {
        throw ParameterError("values: expected a C-contiguous float64 array of one dimension, found another type or layout");
    }
    return array;
}

using Integers = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Integers integers_of(nb::handle object) {
    Integers array;
    if (!nb::try_cast(object, array, false)) {
        throw ParameterError(
            "coefficients: expected a C-contiguous int64 array of one dimension, found another type or layout");
    }
    return array;
}

using Residues = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

Residues residues_of(nb::handle object, std::size_t rows, std::size_t degree) {
    Residues array;
    if (!nb::try_cast(object, array, false) || array.shape(0) != rows || array.shape(1) != degree) {
        throw ParameterError("residues: expected a C-contiguous uint64 array of shape (" + std::to_string(rows) + ", " +
                             std::to_string(degree) + "), found another type or shape");
    }
    return array;
}

View<const double> view_of(const Array& array) { return View<const double>(array.data(), array.shape(0)); }

std::string described(const char* what, std::size_t level, const Scale& scale) {
    return std::string("<") + what + " at level " + std::to_string(level) + ", scale 2^" + std::to_string(scale.bits()) +
           ">";
}

// None stands for the scale of the parameters.
Scale scale_or_usual(const std::optional<Scale>& scale, const Parameters& parameters) {
    return scale ? *scale : parameters.scale();
}

void bind_scale(nb::class_<Scale>& scale, nb::class_<PythonParameters>& parameters) {
    scale
        .def_static("power_of_two",
                    [](const PythonParameters& p, std::int64_t bits) {
                        return Scale::power_of_two(p.shared->primes(), bits);
                    },
                    nb::arg("parameters"), nb::arg("bits"))
        .def("__mul__", [](const Scale& a, const Scale& b) { return a.times(b); }, nb::is_operator())
        .def("__truediv__", [](const Scale& a, const Scale& b) { return a.over(b); }, nb::is_operator())
        .def("__eq__", [](const Scale& a, const Scale& b) { return a == b; }, nb::is_operator())
        .def("__hash__",
             [](const Scale& a) {
                 std::uint64_t hash = 0;
                 for (const std::int64_t e : a.exponents()) hash = (hash ^ static_cast<std::uint64_t>(e)) * 0x9e3779b97f4a7c15;
                 return static_cast<std::int64_t>(hash >> 1);
             })
        .def("__float__", &Scale::value)
        .def_prop_ro("bits", &Scale::bits)
        .def("__repr__", [](const Scale& a) { return "<CkksScale 2^" + std::to_string(a.bits()) + ">"; });

    const auto level_of = nb::arg("level");
    parameters
        .def("__init__",
             [](PythonParameters* self, std::size_t degree, const std::vector<int>& prime_bits,
                const std::vector<int>& special_bits, int scale_bits, bool insecure) {
                 new (self) PythonParameters{
                     std::make_shared<const Parameters>(degree, prime_bits, special_bits, scale_bits, insecure)};
             },
             nb::arg("degree"), nb::arg("prime_bits"), nb::arg("special_bits"), nb::arg("scale_bits"),
             nb::arg("insecure") = false)
        .def_static("small", [] { return PythonParameters{released(Parameters::small)}; })
        .def_static("large", [] { return PythonParameters{released(Parameters::large)}; })
        .def_static("small_shallow", [] { return PythonParameters{released(Parameters::small_shallow)}; })
        .def_static("large_shallow", [] { return PythonParameters{released(Parameters::large_shallow)}; })
        .def_prop_ro("degree", [](const PythonParameters& p) { return p.shared->degree(); })
        .def_prop_ro("slots", [](const PythonParameters& p) { return p.shared->slots(); })
        .def_prop_ro("depth", [](const PythonParameters& p) { return p.shared->depth(); })
        .def_prop_ro("primes", [](const PythonParameters& p) { return *p.shared->primes(); })
        .def_prop_ro("special_primes",
                     [](const PythonParameters& p) {
                         std::vector<std::uint64_t> primes;
                         for (std::size_t i = p.shared->depth() + 1; i < p.shared->rows().size(); ++i) {
                             primes.push_back(p.shared->row(i).p());
                         }
                         return primes;
                     })
        .def_prop_ro("modulus_bits", [](const PythonParameters& p) { return p.shared->modulus_bits(); })
        .def_prop_ro("scale", [](const PythonParameters& p) { return p.shared->scale(); })
        .def("prime_scale",
             [](const PythonParameters& p, std::size_t level) {
                 p.shared->check_level(level);
                 return Scale::prime(p.shared->primes(), level);
             },
             level_of)
        .def_prop_ro("digest",
                     [](const PythonParameters& p) {
                         return nb::bytes(p.shared->digest().data(), p.shared->digest().size());
                     })
        .def("largest_value",
             [](const PythonParameters& p, std::size_t level, const Scale& s) {
                 return p.shared->largest_value(level, s);
             },
             level_of, nb::arg("scale"))
        .def("fresh_noise", [](const PythonParameters& p, bool symmetric) { return p.shared->fresh_noise(symmetric); },
             nb::arg("symmetric"))
        .def_prop_ro("encoding_noise", [](const PythonParameters& p) { return p.shared->encoding_noise(); })
        .def_prop_ro("rescale_noise", [](const PythonParameters& p) { return p.shared->rescale_noise(); })
        .def("switch_noise", [](const PythonParameters& p, std::size_t level) { return p.shared->switch_noise(level); },
             level_of)
        .def("ciphertext_bytes",
             [](const PythonParameters& p, std::size_t level) {
                 return ckks::message_bytes(*p.shared, ckks::Kind::ciphertext, level);
             },
             level_of)
        .def("seeded_bytes",
             [](const PythonParameters& p, std::size_t level) {
                 return ckks::message_bytes(*p.shared, ckks::Kind::seeded, level);
             },
             level_of)
        .def("public_key_bytes",
             [](const PythonParameters& p) {
                 return ckks::message_bytes(*p.shared, ckks::Kind::public_key, p.shared->depth());
             })
        .def("switching_key_bytes",
             [](const PythonParameters& p, std::size_t level) {
                 return ckks::message_bytes(*p.shared, ckks::Kind::rotation_key, level);
             },
             level_of)
        .def("__repr__", [](const PythonParameters& p) {
            return "CkksParameters(degree=" + std::to_string(p.shared->degree()) + ", depth=" +
                   std::to_string(p.shared->depth()) + ", modulus_bits=" + std::to_string(p.shared->modulus_bits()) + ")";
        });
}

void bind_texts(nb::module_& m) {
    nb::class_<Plaintext>(m, "CkksPlaintext", "Values encoded for products.")
        .def_ro("level", &Plaintext::level)
        .def_prop_ro("scale", [](const Plaintext& p) { return p.scale; })
        .def("__repr__", [](const Plaintext& p) { return described("CkksPlaintext", p.level, p.scale); });

    nb::class_<Ciphertext>(m, "CkksCiphertext", "An encryption of N/2 real numbers.")
        .def_static("from_bytes",
                    [](const PythonParameters& p, nb::handle message) {
                        const Buffer in(message);
                        return released([&] { return ckks::read_ciphertext(p.shared, in); });
                    },
                    nb::arg("parameters"), nb::arg("message"))
        .def("to_bytes", [](const Ciphertext& c) { return to_bytes(released([&] { return ckks::write(c); })); })
        .def_ro("level", &Ciphertext::level)
        .def_prop_ro("scale", [](const Ciphertext& c) { return c.scale; })
        .def_prop_ro("key_id", [](const Ciphertext& c) { return bytes_of(c.key_id); })
        .def("__repr__", [](const Ciphertext& c) { return described("CkksCiphertext", c.level, c.scale); });
}

void bind_keys(nb::module_& m) {
    const auto scale_or_none = nb::arg("scale").none() = nb::none();
    nb::class_<SecretKey>(m, "CkksSecretKey", "The key holder's side.")
        .def("__init__",
             [](SecretKey* self, const PythonParameters& p, nb::handle seed) {
                 const Buffer in(seed);
                 new (self) SecretKey(p.shared, in);
             },
             nb::arg("parameters"), nb::arg("seed"))
        .def_prop_ro("key_id", [](const SecretKey& key) { return bytes_of(key.key_id()); })
        .def("public_key", [](const SecretKey& key) { return to_bytes(released([&] { return key.public_key(); })); })
        .def("relinearisation_key",
             [](const SecretKey& key, std::size_t level) {
                 return to_bytes(released([&] { return key.relinearisation_key(level); }));
             },
             nb::arg("level"))
        .def("rotation_key",
             [](const SecretKey& key, std::int64_t steps, std::size_t level) {
                 return to_bytes(released([&] { return key.rotation_key(steps, level); }));
             },
             nb::arg("steps"), nb::arg("level"))
        .def("encrypt",
             [](const SecretKey& key, nb::handle values, std::size_t level, const std::optional<Scale>& scale) {
                 const Array array = array_of(values);
                 const Scale wanted = scale_or_usual(scale, key.parameters());
                 return to_bytes(released([&] { return key.encrypt(view_of(array), level, wanted); }));
             },
             nb::arg("values"), nb::arg("level"), scale_or_none)
        .def("decrypt",
             [](const SecretKey& key, const Ciphertext& c) {
                 return numbers_of(released([&] { return key.decrypt(c); }));
             },
             nb::arg("ciphertext"))
        .def("decrypt_residues",
             [](const SecretKey& key, const Ciphertext& c) {
                 const auto rows = released([&] { return key.decrypt_residues(c); });
                 return to_array(std::vector<std::uint64_t>(rows.begin(), rows.end()), c.level + 1,
                                 key.parameters().degree());
             },
             nb::arg("ciphertext"))
        .def("__repr__", [](const SecretKey&) { return std::string("<CkksSecretKey>"); });

    nb::class_<PublicKey>(m, "CkksPublicKey", "Encrypts without the secret.")
        .def("__init__",
             [](PublicKey* self, const PythonParameters& p, nb::handle message) {
                 const Buffer in(message);
                 const nb::gil_scoped_release hold;
                 new (self) PublicKey(p.shared, in);
             },
             nb::arg("parameters"), nb::arg("message"))
        .def_prop_ro("key_id", [](const PublicKey& key) { return bytes_of(key.key_id()); })
        .def("encrypt",
             [](const PublicKey& key, nb::handle values, std::size_t level, const std::optional<Scale>& scale) {
                 const Array array = array_of(values);
                 const Scale wanted = scale_or_usual(scale, key.parameters());
                 return released([&] { return key.encrypt(view_of(array), level, wanted); });
             },
             nb::arg("values"), nb::arg("level"), scale_or_none)
        .def("encrypt_integers",
             [](const PublicKey& key, nb::handle coefficients, std::size_t level, const std::optional<Scale>& scale,
                int shift) {
                 const Integers array = integers_of(coefficients);
                 const Scale wanted = scale_or_usual(scale, key.parameters());
                 return released([&] {
                     const View<const std::int64_t> view(array.data(), array.shape(0));
                     return key.encrypt_integers(view, level, wanted, shift);
                 });
             },
             nb::arg("coefficients"), nb::arg("level"), scale_or_none, nb::arg("shift") = 0)
        .def("encrypt_residues",
             [](const PublicKey& key, nb::handle residues, std::size_t level, const std::optional<Scale>& scale) {
                 key.parameters().check_level(level);
                 const Residues array = residues_of(residues, level + 1, key.parameters().degree());
                 const Scale wanted = scale_or_usual(scale, key.parameters());
                 return released([&] {
                     const View<const std::uint64_t> view(array.data(), array.size());
                     return key.encrypt_residues(view, level, wanted);
                 });
             },
             nb::arg("residues"), nb::arg("level"), scale_or_none)
        .def("__repr__", [](const PublicKey&) { return std::string("<CkksPublicKey>"); });
}

using Terms = Evaluator::Terms;

// The same Python object is the same term.
Terms terms_of(const std::vector<const Ciphertext*>& list) {
    for (const Ciphertext* term : list) {
        if (term == nullptr) throw ParameterError("expected a list of ciphertexts, found None in it");
    }
    return list;
}

void bind_evaluator(nb::module_& m) {
    const auto rescaled = nb::arg("rescale") = false;
    nb::class_<Evaluator>(m, "CkksEvaluator", "Computes on ciphertexts of one key.")
        .def("__init__",
             [](Evaluator* self, const PythonParameters& p, nb::handle relinearisation, nb::list rotations) {
                 std::list<Buffer> buffers;
                 std::optional<ByteView> products;
                 if (!relinearisation.is_none()) products = ByteView(buffers.emplace_back(relinearisation));
                 std::vector<ByteView> messages;
                 for (const nb::handle message : rotations) messages.emplace_back(buffers.emplace_back(message));
                 const nb::gil_scoped_release hold;
                 new (self) Evaluator(p.shared, products, messages);
             },
             nb::arg("parameters"), nb::arg("relinearisation").none(), nb::arg("rotations"))
        .def_prop_ro("rotations",
                     [](const Evaluator& e) {
                         std::map<std::size_t, std::size_t> found;
                         for (const auto& [steps, rotation] : e.rotations()) found[steps] = rotation.key.level;
                         return found;
                     })
        .def("encode",
             [](const Evaluator& e, nb::handle values, std::size_t level, const Scale& scale) {
                 double number = 0;
                 if (nb::try_cast(values, number, true)) {
                     return released([&] { return e.encode(number, level, scale); });
                 }
                 const Array array = array_of(values);
                 return released([&] { return e.encode(view_of(array), level, scale); });
             },
             nb::arg("values"), nb::arg("level"), nb::arg("scale"))
        .def("add", &Evaluator::add, nb::arg("a"), nb::arg("b"), nb::call_guard<nb::gil_scoped_release>())
        .def("subtract", &Evaluator::subtract, nb::arg("a"), nb::arg("b"), nb::call_guard<nb::gil_scoped_release>())
        .def("negate", &Evaluator::negate, nb::arg("a"), nb::call_guard<nb::gil_scoped_release>())
        .def("add_plain", &Evaluator::add_plain, nb::arg("a"), nb::arg("b"), nb::call_guard<nb::gil_scoped_release>())
        .def("multiply_plain", &Evaluator::multiply_plain, nb::arg("a"), nb::arg("b"), rescaled,
             nb::call_guard<nb::gil_scoped_release>())
        .def("multiply",
             [](const Evaluator& e, const Ciphertext& a, const Ciphertext& b, bool rescale) {
                 return e.dot({&a}, {&b}, rescale);
             },
             nb::arg("a"), nb::arg("b"), rescaled, nb::call_guard<nb::gil_scoped_release>())
        .def("dot",
             [](const Evaluator& e, const std::vector<const Ciphertext*>& a, const std::vector<const Ciphertext*>& b,
                bool rescale) { return e.dot(terms_of(a), terms_of(b), rescale); },
             nb::arg("a"), nb::arg("b"), rescaled, nb::call_guard<nb::gil_scoped_release>())
        .def("rescale", &Evaluator::rescale, nb::arg("a"), nb::call_guard<nb::gil_scoped_release>())
        .def("drop", &Evaluator::drop, nb::arg("a"), nb::arg("level"), nb::call_guard<nb::gil_scoped_release>())
        .def("rotate",
             [](const Evaluator& e, const Ciphertext& a, std::int64_t steps) {
                 return std::move(e.rotate_each(a, {steps}).front());
             },
             nb::arg("a"), nb::arg("steps"), nb::call_guard<nb::gil_scoped_release>())
        .def("rotate_each", &Evaluator::rotate_each, nb::arg("a"), nb::arg("steps"),
             nb::call_guard<nb::gil_scoped_release>())
        .def("rotate_sum",
             [](const Evaluator& e, const std::vector<const Ciphertext*>& terms, const std::vector<std::int64_t>& steps) {
                 return e.rotate_sum(terms_of(terms), steps);
             },
             nb::arg("terms"), nb::arg("steps"), nb::call_guard<nb::gil_scoped_release>())
        .def("inner_sum", &Evaluator::inner_sum, nb::arg("a"), nb::arg("count"), nb::arg("stride"),
             nb::call_guard<nb::gil_scoped_release>())
        .def("__repr__", [](const Evaluator&) { return std::string("<CkksEvaluator>"); });
}

}  // namespace

void bind_ckks(nb::module_& m) {
    // Both names are there before either is used in a signature.
    nb::class_<Scale> scale(m, "CkksScale", "An exact factor by which values are held.");
    nb::class_<PythonParameters> parameters(m, "CkksParameters", "Public parameters of RNS-CKKS.");
    bind_scale(scale, parameters);
    bind_texts(m);
    bind_keys(m);
    bind_evaluator(m);
    bind_shares_of_ckks(m);
}

}  // namespace mpc::bindings
