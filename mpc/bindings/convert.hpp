// Helpers between Python and the core. Buffers come in without a copy, arrays and bytes go out, and each state machine
// has one lock.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/garbling/garbling.hpp"

namespace mpc::bindings {

namespace nb = nanobind;

// A bytes-like argument, exported for as long as this object lives, so it may be read with the interpreter released.
class Buffer {
public:
    explicit Buffer(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
    }
    ~Buffer() { PyBuffer_Release(&view_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    const std::uint8_t* data() const { return static_cast<const std::uint8_t*>(view_.buf); }
    std::size_t size() const { return static_cast<std::size_t>(view_.len); }

private:
    Py_buffer view_;
};

// A bytes-like argument to be written to.
class WritableBuffer {
public:
    explicit WritableBuffer(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_WRITABLE) != 0) throw nb::python_error();
    }
    ~WritableBuffer() { PyBuffer_Release(&view_); }
    WritableBuffer(const WritableBuffer&) = delete;
    WritableBuffer& operator=(const WritableBuffer&) = delete;

    std::uint8_t* data() const { return static_cast<std::uint8_t*>(view_.buf); }
    std::size_t size() const { return static_cast<std::size_t>(view_.len); }

private:
    Py_buffer view_;
};

// A new bytes object that `fill(place)` writes, without a copy.
template <typename Fill>
nb::bytes filled_bytes(std::size_t size, Fill fill) {
    PyObject* raw = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
    if (raw == nullptr) throw nb::python_error();
    nb::bytes bytes = nb::steal<nb::bytes>(raw);
    fill(reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(raw)));
    return bytes;
}

inline nb::bytes to_bytes(const Bytes& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

using Words = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using WordsOut = nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<2>>;

// A C-contiguous uint64 array of shape (n, words). Throws ParameterError that says what was found instead.
inline Words words_of(nb::handle object, std::size_t n, std::size_t words, const char* what) {
    Words array;
    const std::string expected = std::string(what) + ": expected a C-contiguous uint64 array of shape (" +
                                 std::to_string(n) + ", " + std::to_string(words) + ")";
    if (!nb::try_cast(object, array, false)) throw ParameterError(expected + ", found another type or layout");
    if (array.shape(0) != n || array.shape(1) != words)
        throw ParameterError(expected + ", found (" + std::to_string(array.shape(0)) + ", " +
                                  std::to_string(array.shape(1)) + ")");
    return array;
}

// Hands the vector to numpy without a copy.
inline WordsOut to_array(std::vector<std::uint64_t> values, std::size_t n, std::size_t words) {
    auto* owned = new std::vector<std::uint64_t>(std::move(values));
    const nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<std::uint64_t>*>(p); });
    const std::size_t shape[2] = {n, words};
    return WordsOut(owned->data(), 2, shape, owner);
}

// The same in one dimension.
inline nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>> to_vector(std::vector<std::uint64_t> values) {
    auto* owned = new std::vector<std::uint64_t>(std::move(values));
    const nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<std::uint64_t>*>(p); });
    const std::size_t shape[1] = {owned->size()};
    return nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>(owned->data(), 1, shape, owner);
}

// Tests give 32 bytes; everybody else gives None and gets the operating system's randomness.
inline std::optional<Block> seed_of(nb::handle randomness) {
    constexpr std::size_t kSeedBytes = 32;
    if (randomness.is_none()) return std::nullopt;
    const Buffer bytes(randomness);
    if (bytes.size() != kSeedBytes)
        throw ParameterError("randomness: expected a seed of 32 bytes, found " + std::to_string(bytes.size()));
    return load_block(Sha256().update(bytes.data(), bytes.size()).digest().data());
}

inline TableFormat format_of(const std::string& tables) {
    if (tables == "half-gates") return TableFormat::half_gates;
    if (tables == "three-halves") return TableFormat::three_halves;
    throw ParameterError("tables: expected half-gates or three-halves, found " + tables);
}

// A state machine of the core for Python: every call runs with the interpreter released, one at a time.
template <typename T>
class Locked {
public:
    explicit Locked(T&& state) : state_(std::move(state)) {}              // batches
    Locked(const std::optional<Block>& seed, TableFormat format) : state_(seed, format) {}  // sessions
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

    template <typename F>
    auto run(F&& body) {
        const nb::gil_scoped_release released;
        const std::lock_guard<std::mutex> hold(mutex_);
        return body(state_);
    }
    // For attributes that never change.
    const T& peek() const { return state_; }

private:
    std::mutex mutex_;
    T state_;
};

void bind_circuit(nb::module_& m);
void bind_curve(nb::module_& m);
void bind_sessions(nb::module_& m);
void bind_rlwe(nb::module_& m);
void bind_ckks(nb::module_& m);
void bind_tensor(nb::module_& m);
void bind_tensor_words(nb::module_& m);
void bind_prio(nb::module_& m);

}  // namespace mpc::bindings
