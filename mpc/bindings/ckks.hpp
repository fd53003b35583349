// What Python's CKKS in ckks.cpp and its shares of several owners in ckks_shares.cpp have in common.
#pragma once

#include <utility>
#include <vector>

#include "bindings/convert.hpp"
#include "core/ckks/ciphertext.hpp"

namespace mpc::bindings {

// Parameters are made shared; nanobind would delete what it made itself.
struct PythonParameters {
    ckks::SharedParameters shared;
};

template <typename Made>
auto released(Made&& body) {
    const nb::gil_scoped_release hold;
    return body();
}

inline nb::bytes bytes_of(const ckks::KeyId& id) { return nb::bytes(id.data(), id.size()); }

template <typename Number>
nb::ndarray<nb::numpy, Number, nb::ndim<1>> numbers_of(std::vector<Number> values) {
    auto* owned = new std::vector<Number>(std::move(values));
    const nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<Number>*>(p); });
    const std::size_t shape[1] = {owned->size()};
    return nb::ndarray<nb::numpy, Number, nb::ndim<1>>(owned->data(), 1, shape, owner);
}

void bind_shares_of_ckks(nb::module_& m);

}  // namespace mpc::bindings
