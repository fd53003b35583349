// Python's arrays as arguments and results of the arithmetic on shares.
#pragma once

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bindings/convert.hpp"
#include "core/base/blocks.hpp"

namespace mpc::bindings {

template <class T>
using Strided = nb::ndarray<T, nb::device::cpu>;
template <class T>
using Contiguous = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Shape = std::vector<std::size_t>;

template <class T>
std::string type_name() {
    return sizeof(T) == 8 ? "uint64" : "uint32";
}

inline std::string text_of(const Shape& shape) {
    std::string text = "(";
    for (const std::size_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + (shape.size() == 1 ? ",)" : ")");
}

template <class Array>
Shape shape_of(const Array& array) {
    Shape shape;
    for (std::size_t i = 0; i < array.ndim(); ++i) shape.push_back(array.shape(i));
    return shape;
}

inline std::size_t entries_of(const Shape& shape) {
    std::size_t count = 1;
    for (const std::size_t size : shape) {
        if (size != 0 && count > (~std::size_t{0} >> 4) / size)
            throw ParameterError("expected an array that memory can hold, found the shape " + text_of(shape));
        count *= size;
    }
    return count;
}

// Throw ParameterError for arrays of another type or layout.
template <class Array>
Array cast_array(nb::handle object, const char* what, const std::string& expected) {
    Array array;
    if (!nb::try_cast(object, array, false))
        throw ParameterError(std::string(what) + ": expected " + expected + ", found another type or layout");
    return array;
}
inline Contiguous<const std::uint64_t> words_in(nb::handle object, const char* what) {
    return cast_array<Contiguous<const std::uint64_t>>(object, what, "a C-contiguous uint64 array");
}
template <class T>
Contiguous<T> words_out(nb::handle object, const char* what) {
    return cast_array<Contiguous<T>>(object, what, "a C-contiguous " + type_name<T>() + " array to write to");
}

// Memory for a result: from chunks that are kept (base/blocks.hpp), not zeroed, and not wiped, as is all of numpy's.
template <class T>
class Result {
public:
    // A new array, or `out`, which must have this shape.
    Result(const Shape& shape, nb::handle out) : object_(nb::borrow(out)) {
        if (out.is_none()) {
            using Memory = std::vector<T, LargeAllocator<T, false>>;
            auto* const memory = new Memory(entries_of(shape));
            const nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<Memory*>(p); });
            object_ = nb::cast(nb::ndarray<nb::numpy, T>(memory->data(), shape.size(), shape.data(), owner));
            data_ = memory->data();
        } else {
            const Contiguous<T> array = words_out<T>(out, "out");
            if (shape_of(array) != shape)
                throw ParameterError("out: expected shape " + text_of(shape) + ", found " + text_of(shape_of(array)));
            data_ = array.data();
        }
        end_ = data_ + entries_of(shape);
    }

    T* data() const { return data_; }
    nb::object object() const { return object_; }
    // Throws ParameterError if the entries from `first` to before `end` lie in this memory.
    void require_apart(const T* first, const T* end, const char* what) const {
        if (first < end_ && data_ < end)
            throw ParameterError("out: expected memory apart from that of " + std::string(what) + ", found an overlap");
    }

private:
    nb::object object_;
    T* data_;
    const T* end_;
};

// Throws ParameterError for another shape than that of a.
inline void require_same_shape(const Shape& expected, const Shape& found, const char* what) {
    if (expected != found)
        throw ParameterError(std::string(what) + ": expected shape " + text_of(expected) + " as that of a, found " +
                             text_of(found));
}

}  // namespace mpc::bindings
