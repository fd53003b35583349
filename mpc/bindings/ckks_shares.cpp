// Python's CKKS of several owners: CkksSecretShare, and the functions that add shares up.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <list>
#include <utility>
#include <vector>

#include "bindings/ckks.hpp"
#include "core/ckks/threshold.hpp"

namespace mpc::bindings {

namespace {

using ckks::Ciphertext;

ckks::KeyId key_id_of(nb::handle object) {
    const Buffer in(object);
    ckks::KeyId id{};
    if (in.size() != id.size()) {
        throw ParameterError("key id: expected " + std::to_string(id.size()) + " bytes, found " + std::to_string(in.size()));
    }
    std::copy_n(in.data(), id.size(), id.begin());
    return id;
}

Block common_of(nb::handle object) {
    const Buffer in(object);
    if (in.size() != sizeof(Block)) {
        throw ParameterError("common seed: expected 16 bytes, found " + std::to_string(in.size()));
    }
    return load_block(in.data());
}

// Messages, exported for as long as this object lives.
class Messages {
public:
    explicit Messages(const nb::list& list) {
        for (const nb::handle message : list) views_.emplace_back(buffers_.emplace_back(message));
    }
    const std::vector<ByteView>& views() const { return views_; }

private:
    std::list<Buffer> buffers_;
    std::vector<ByteView> views_;
};

// The lower 64 bits and the upper ones.
nb::tuple halves_of(const ckks::Integers& integers) {
    std::vector<std::uint64_t> low;
    std::vector<std::int64_t> high;
    for (const lattice::Wide integer : integers) {
        low.push_back(static_cast<std::uint64_t>(integer));
        high.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(integer >> 64)));
    }
    return nb::make_tuple(numbers_of(std::move(low)), numbers_of(std::move(high)));
}

}  // namespace

void bind_shares_of_ckks(nb::module_& m) {
    using ckks::SecretShare;
    const auto ciphertext = nb::arg("ciphertext"), bits = nb::arg("mask_bits"), common = nb::arg("common");
    nb::class_<SecretShare>(m, "CkksSecretShare", "One of several owners' share of a secret key.")
        .def("__init__",
             [](SecretShare* self, const PythonParameters& p, nb::handle seed, nb::handle key_id) {
                 const Buffer in(seed);
                 new (self) SecretShare(p.shared, in, key_id_of(key_id));
             },
             nb::arg("parameters"), nb::arg("seed"), nb::arg("key_id"))
        .def_prop_ro("key_id", [](const SecretShare& s) { return bytes_of(s.key_id()); })
        .def("public_key",
             [](const SecretShare& s, nb::handle seed) {
                 const Block block = common_of(seed);
                 return to_bytes(released([&] { return s.public_key(block); }));
             },
             common)
        .def("rotation_key",
             [](const SecretShare& s, nb::handle seed, std::int64_t steps, std::size_t level) {
                 const Block block = common_of(seed);
                 return to_bytes(released([&] { return s.rotation_key(block, steps, level); }));
             },
             common, nb::arg("steps"), nb::arg("level"))
        .def("first_relinearisation",
             [](const SecretShare& s, nb::handle seed, std::size_t level) {
                 const Block block = common_of(seed);
                 return to_bytes(released([&] { return s.first_relinearisation(block, level); }));
             },
             common, nb::arg("level"))
        .def("second_relinearisation",
             [](const SecretShare& s, nb::handle seed, nb::handle sum) {
                 const Block block = common_of(seed);
                 const Buffer in(sum);
                 return to_bytes(released([&] { return s.second_relinearisation(block, in); }));
             },
             common, nb::arg("sum"))
        .def("decryption",
             [](const SecretShare& s, const Ciphertext& c, int k) {
                 return to_bytes(released([&] { return s.decryption(c, k); }));
             },
             ciphertext, bits)
        .def("refresh_opening",
             [](const SecretShare& s, const Ciphertext& c, int k) {
                 return to_bytes(released([&] { return s.refresh_opening(c, k); }));
             },
             ciphertext, bits)
        .def("refresh",
             [](const SecretShare& s, const Ciphertext& c, int k, nb::handle seed, std::size_t level) {
                 const Block block = common_of(seed);
                 return to_bytes(released([&] { return s.refresh(c, k, block, level); }));
             },
             ciphertext, bits, common, nb::arg("level"))
        .def("mask",
             [](const SecretShare& s, const Ciphertext& c, int k) {
                 return halves_of(released([&] { return s.mask(c, k); }));
             },
             ciphertext, bits)
        .def("__repr__", [](const SecretShare&) { return std::string("<CkksSecretShare>"); });

    m.def("ckks_add_key_shares",
          [](const PythonParameters& p, const nb::list& shares) {
              const Messages in(shares);
              return to_bytes(released([&] { return ckks::add_key_shares(*p.shared, in.views()); }));
          },
          nb::arg("parameters"), nb::arg("shares"));
    m.def("ckks_add_second_shares",
          [](const PythonParameters& p, nb::handle sum, const nb::list& shares) {
              const Messages in(shares);
              const Buffer first(sum);
              return to_bytes(released([&] { return ckks::add_second_shares(*p.shared, first, in.views()); }));
          },
          nb::arg("parameters"), nb::arg("sum"), nb::arg("shares"));
    m.def("ckks_open_values",
          [](const Ciphertext& c, const nb::list& shares) {
              const Messages in(shares);
              return numbers_of(released([&] { return ckks::open_values(c, in.views()); }));
          },
          ciphertext, nb::arg("shares"));
    m.def("ckks_open_residues",
          [](const Ciphertext& c, const nb::list& shares) {
              const Messages in(shares);
              return numbers_of(released([&] { return ckks::open_residues(c, in.views()); }));
          },
          ciphertext, nb::arg("shares"));
    m.def("ckks_open_integers",
          [](const Ciphertext& c, const nb::list& shares, int opened_bits) {
              const Messages in(shares);
              return halves_of(released([&] { return ckks::open_integers(c, in.views(), opened_bits); }));
          },
          ciphertext, nb::arg("shares"), nb::arg("opened_bits"));
    m.def("ckks_refreshed",
          [](const Ciphertext& c, const nb::list& shares, const nb::list& fresh, int opened_bits) {
              const Messages in(shares), above(fresh);
              return to_bytes(released([&] { return ckks::refreshed(c, in.views(), above.views(), opened_bits); }));
          },
          ciphertext, nb::arg("shares"), nb::arg("fresh"), nb::arg("opened_bits"));
}

}  // namespace mpc::bindings
