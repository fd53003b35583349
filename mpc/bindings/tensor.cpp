// Python's arithmetic on arrays of shares: matrix products, KeyStream, bit planes, words without gaps, patches.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "bindings/arrays.hpp"
#include "core/tensor/cuts.hpp"
#include "core/tensor/key_stream.hpp"
#include "core/tensor/matmul.hpp"
#include "core/tensor/patches.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/wide.hpp"
#include "core/tensor/words.hpp"

namespace mpc::bindings {

namespace {

using tensor::KeyStream;
using tensor::Matrix;

// ---- matrix products ------------------------------------------------------------------------------------------------

// A stack of matrices as numpy has it: the last two dimensions are those of a matrix.
template <class T>
struct Stack {
    Strided<const T> array;

    std::size_t depth() const { return array.ndim() - 2; }
    std::size_t rows() const { return array.shape(depth()); }
    std::size_t columns() const { return array.shape(depth() + 1); }
    std::ptrdiff_t step(std::size_t i) const { return static_cast<std::ptrdiff_t>(array.stride(i)); }
    // Of `all` leading dimensions of the result, which this one may lack or have as 1, number i.
    std::size_t missing(std::size_t all) const { return all - depth(); }
    std::size_t size_at(std::size_t i, std::size_t all) const {
        return i < missing(all) ? 1 : array.shape(i - missing(all));
    }
    std::ptrdiff_t step_at(std::size_t i, std::size_t all) const {
        return size_at(i, all) == 1 ? 0 : step(i - missing(all));
    }
    Matrix<const T> matrix() const { return {array.data(), rows(), columns(), step(depth()), step(depth() + 1)}; }

    // Whether all rows of all matrices are equally far apart, so that the stack is one high matrix.
    bool is_one_matrix() const {
        std::ptrdiff_t expected = step(depth());
        for (std::size_t i = depth() + 1; i-- > 0;) {
            if (array.shape(i) != 1 && step(i) != expected) return false;
            expected *= static_cast<std::ptrdiff_t>(array.shape(i));
        }
        return true;
    }

    // The first entry in memory, and the place behind the last one.
    std::pair<const T*, const T*> extent() const {
        const T *first = array.data(), *last = array.data();
        for (std::size_t i = 0; i < array.ndim(); ++i) {
            if (array.shape(i) == 0) return {first, first};
            const std::ptrdiff_t way = step(i) * static_cast<std::ptrdiff_t>(array.shape(i) - 1);
            (way < 0 ? first : last) += way;
        }
        return {first, last + 1};
    }
};

template <class T>
Stack<T> stack_of(nb::handle object, const char* what) {
    const std::string expected = "a " + type_name<T>() + " array of at least two dimensions";
    Stack<T> stack{cast_array<Strided<const T>>(object, what, expected)};
    if (stack.array.ndim() < 2)
        throw ParameterError(std::string(what) + ": expected " + expected + ", found shape " +
                             text_of(shape_of(stack.array)));
    return stack;
}

template <class T>
Shape shape_of_product(const Stack<T>& a, const Stack<T>& b) {
    const std::size_t all = std::max(a.depth(), b.depth());
    bool fits = a.columns() == b.rows();
    Shape shape;
    for (std::size_t i = 0; i < all; ++i) {
        const std::size_t one = a.size_at(i, all), other = b.size_at(i, all);
        fits = fits && (one == other || one == 1 || other == 1);
        shape.push_back(one == 1 ? other : one);
    }
    if (!fits)
        throw ParameterError("matrix product: expected shapes (..., m, k) and (..., k, n) that broadcast, found " +
                             text_of(shape_of(a.array)) + " and " + text_of(shape_of(b.array)));
    shape.push_back(a.rows());
    shape.push_back(b.columns());
    return shape;
}

// Calls product(left, right, start) for each product of two matrices, `start` its first entry in the result.
template <class T, class Product>
void for_each_product(const Stack<T>& a, const Stack<T>& b, const Shape& shape, Product product) {
    Matrix<const T> left = a.matrix(), right = b.matrix();
    if (b.depth() == 0 && a.is_one_matrix()) {
        for (std::size_t i = 0; i < a.depth(); ++i) left.rows *= a.array.shape(i);
        product(left, right, 0);
        return;
    }
    const std::size_t all = shape.size() - 2;
    std::size_t products = 1;
    for (std::size_t i = 0; i < all; ++i) products *= shape[i];
    for (std::size_t number = 0; number < products; ++number) {
        left.data = a.array.data();
        right.data = b.array.data();
        std::size_t rest = number;
        for (std::size_t i = all; i-- > 0; rest /= shape[i]) {
            left.data += static_cast<std::ptrdiff_t>(rest % shape[i]) * a.step_at(i, all);
            right.data += static_cast<std::ptrdiff_t>(rest % shape[i]) * b.step_at(i, all);
        }
        product(left, right, number * left.rows * right.columns);
    }
}

template <class T>
nb::object matmul(nb::handle a, nb::handle b, nb::handle out, bool adds) {
    if (adds && out.is_none()) throw ParameterError("out: expected an array to add the product to, found none");
    const Stack<T> left = stack_of<T>(a, "a"), right = stack_of<T>(b, "b");
    const Shape shape = shape_of_product(left, right);
    const Result<T> result(shape, out);
    result.require_apart(left.extent().first, left.extent().second, "a");
    result.require_apart(right.extent().first, right.extent().second, "b");
    {
        const nb::gil_scoped_release released;
        for_each_product(left, right, shape,
                         [&](const Matrix<const T>& x, const Matrix<const T>& y, std::size_t start) {
                             const auto n = static_cast<std::ptrdiff_t>(y.columns);
                             tensor::matmul(x, y, {result.data() + start, x.rows, y.columns, n, 1}, adds);
                         });
    }
    return result.object();
}

// ---- products with their upper words --------------------------------------------------------------------------------

nb::object matmul_wide(nb::handle a, nb::handle b, nb::handle out) {
    using Word = std::uint64_t;
    const Stack<Word> left = stack_of<Word>(a, "a"), right = stack_of<Word>(b, "b");
    const Shape shape = shape_of_product(left, right);
    Shape both{2};
    both.insert(both.end(), shape.begin(), shape.end());
    const Result<Word> result(both, out);
    const bool adds = !out.is_none();
    if (adds) {
        result.require_apart(left.extent().first, left.extent().second, "a");
        result.require_apart(right.extent().first, right.extent().second, "b");
    }
    {
        const nb::gil_scoped_release released;
        Word* const high = result.data() + entries_of(shape);
        for_each_product(left, right, shape,
                         [&](const Matrix<const Word>& x, const Matrix<const Word>& y, std::size_t start) {
                             tensor::matmul_wide(x, y, result.data() + start, high + start, adds);
                         });
    }
    return result.object();
}

// ---- layers of multiplications --------------------------------------------------------------------------------------

using Layer = void (*)(const tensor::Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z);

template <Layer layer, bool may_lack_c>
nb::object run_layer(nb::handle d, nb::handle e, nb::handle a, nb::handle b, nb::handle c, bool adds_product,
                     nb::handle out) {
    std::vector<Contiguous<const std::uint64_t>> arrays = {words_in(d, "d"), words_in(e, "e"), words_in(a, "a"),
                                                           words_in(b, "b")};
    if (!may_lack_c || !c.is_none()) arrays.push_back(words_in(c, "c"));
    const Shape shape = shape_of(arrays[0]);
    const std::size_t words = entries_of(shape);
    const Result<std::uint64_t> result(shape, out);
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        const std::string name(1, "deabc"[i]);
        if (shape_of(arrays[i]) != shape)
            throw ParameterError(name + ": expected shape " + text_of(shape) + " as that of d, found " +
                                 text_of(shape_of(arrays[i])));
        const std::uint64_t* const first = arrays[i].data();
        if (first != result.data()) result.require_apart(first, first + words, name.c_str());
    }
    const tensor::Triple triple{arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data(),
                                arrays.size() > 4 ? arrays[4].data() : nullptr};
    {
        const nb::gil_scoped_release released;
        layer(triple, adds_product, words, result.data());
    }
    return result.object();
}

// ---- cuts -----------------------------------------------------------------------------------------------------------

nb::tuple cut_masks(nb::handle a, unsigned ring_bits, unsigned bits) {
    const auto in = words_in(a, "a");
    const tensor::Cut cut{ring_bits, bits};
    tensor::check_cut(cut);
    const Shape shape = shape_of(in);
    const Result<std::uint64_t> u(shape, nb::none()), top(shape, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::cut_masks(cut, in.data(), entries_of(shape), u.data(), top.data());
    }
    return nb::make_tuple(u.object(), top.object());
}

nb::object cut_shares(nb::handle opened, std::uint64_t offset, nb::handle u, nb::handle top, unsigned ring_bits,
                      unsigned bits, bool adds_public) {
    const std::array<Contiguous<const std::uint64_t>, 3> arrays = {words_in(opened, "opened"), words_in(u, "u"),
                                                                   words_in(top, "top")};
    const tensor::Cut cut{ring_bits, bits};
    tensor::check_cut(cut);
    const Shape shape = shape_of(arrays[0]);
    for (std::size_t i = 1; i < arrays.size(); ++i) {
        if (shape_of(arrays[i]) != shape)
            throw ParameterError(std::string(i == 1 ? "u" : "top") + ": expected shape " + text_of(shape) +
                                 " as that of opened, found " + text_of(shape_of(arrays[i])));
    }
    const Result<std::uint64_t> result(shape, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::cut_shares(cut, arrays[0].data(), offset, arrays[1].data(), arrays[2].data(), adds_public,
                           entries_of(shape), result.data());
    }
    return result.object();
}

// ---- planes and packed words ----------------------------------------------------------------------------------------

nb::object planes_of_words(nb::handle words, unsigned bits) {
    const auto in = words_in(words, "words");
    tensor::check_plane_bits(bits);
    const Result<std::uint64_t> planes({bits, tensor::plane_words(in.size())}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::planes_of_words(in.data(), in.size(), bits, planes.data());
    }
    return planes.object();
}

nb::object words_of_planes(nb::handle planes, std::size_t count) {
    const auto in = words_in(planes, "planes");
    const Shape found = shape_of(in);
    if (found.size() != 2 || found[1] != tensor::plane_words(count))
        throw ParameterError("planes: expected shape (bits, " + std::to_string(tensor::plane_words(count)) +
                             ") of planes of " + std::to_string(count) + " words, found " + text_of(found));
    tensor::check_plane_bits(found[0]);
    const Result<std::uint64_t> words({count}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::words_of_planes(in.data(), count, static_cast<unsigned>(found[0]), words.data());
    }
    return words.object();
}

nb::bytes pack_words(nb::handle words, unsigned bits) {
    const auto in = words_in(words, "words");
    return filled_bytes(tensor::packed_bytes(in.size(), bits), [&](std::uint8_t* packed) {
        const nb::gil_scoped_release released;
        tensor::pack_words(in.data(), in.size(), bits, packed);
    });
}

nb::object unpack_words(nb::handle packed, std::size_t count, unsigned bits) {
    const Buffer in(packed);
    const std::size_t size = tensor::packed_bytes(count, bits);  // before any memory is taken
    if (in.size() != size) throw LengthError("bytes of packed words", size, in.size());
    const Result<std::uint64_t> words({count}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::unpack_words(in, count, bits, words.data());
    }
    return words.object();
}

// ---- patches of images ----------------------------------------------------------------------------------------------

constexpr char kImages[] = "(images, channels, height, width)";

nb::object patches_of_images(nb::handle images, std::size_t window_height, std::size_t window_width, std::size_t stride,
                             std::size_t padding) {
    const auto in = words_in(images, "images");
    const Shape shape = shape_of(in);
    if (shape.size() != 4)
        throw ParameterError("images: expected a shape " + std::string(kImages) + ", found " + text_of(shape));
    const tensor::Patches patches{shape[0],      shape[1],     shape[2], shape[3],
                                  window_height, window_width, stride,   padding};
    tensor::check_patches(patches);
    const Result<std::uint64_t> out({patches.patches(), patches.words()}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::patches_of_images(patches, in.data(), out.data());
    }
    return out.object();
}

nb::object images_of_patches(nb::handle words, const Shape& shape, std::size_t window_height, std::size_t window_width,
                             std::size_t stride, std::size_t padding) {
    if (shape.size() != 4)
        throw ParameterError("shape: expected " + std::string(kImages) + ", found " + text_of(shape));
    const auto in = words_in(words, "patches");
    const tensor::Patches patches{shape[0],      shape[1],     shape[2], shape[3],
                                  window_height, window_width, stride,   padding};
    tensor::check_patches(patches);
    const Shape expected{patches.patches(), patches.words()};
    if (shape_of(in) != expected)
        throw ParameterError("patches: expected shape " + text_of(expected) + ", found " + text_of(shape_of(in)));
    const Result<std::uint64_t> out(shape, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::images_of_patches(patches, in.data(), out.data());
    }
    return out.object();
}

// ---- key streams ----------------------------------------------------------------------------------------------------

Shape wanted_shape(nb::handle object) {
    std::size_t count = 0;
    if (nb::try_cast(object, count, false)) return {count};
    Shape shape;
    if (!nb::try_cast(object, shape, false))
        throw ParameterError("shape: expected a number of words or a tuple of sizes, found something else");
    return shape;
}

void bind_key_stream(nb::module_& m) {
    using Self = Locked<KeyStream>;
    using Step = void (KeyStream::*)(std::uint64_t*, std::size_t);
    const auto into = [](Step step) {
        return [step](Self& self, nb::handle out) {
            const Contiguous<std::uint64_t> array = words_out<std::uint64_t>(out, "out");
            self.run([&](KeyStream& stream) { (stream.*step)(array.data(), array.size()); });
        };
    };
    nb::class_<Self>(m, "KeyStream", "A stream of uniform words from a shared seed.")
        .def("__init__",
             [](Self* self, nb::handle seed) {
                 const Buffer in(seed);
                 new (self) Self(KeyStream(ByteView(in.data(), in.size())));
             },
             nb::arg("seed"))
        .def("words",
             [](Self& self, nb::handle shape) {
                 const Shape wanted = wanted_shape(shape);
                 const Result<std::uint64_t> result(wanted, nb::none());
                 self.run([&](KeyStream& stream) { stream.fill(result.data(), entries_of(wanted)); });
                 return result.object();
             },
             nb::arg("shape"))
        .def("fill", into(&KeyStream::fill), nb::arg("out"))
        .def("add_to", into(&KeyStream::add_to), nb::arg("out"))
        .def("subtract_from", into(&KeyStream::subtract_from), nb::arg("out"))
        .def("subtracted",
             [](Self& self, nb::handle words) {
                 const auto in = words_in(words, "words");
                 const Shape shape = shape_of(in);
                 const Result<std::uint64_t> result(shape, nb::none());
                 self.run([&](KeyStream& stream) { stream.subtract(in.data(), result.data(), entries_of(shape)); });
                 return result.object();
             },
             nb::arg("words"))
        .def("exclusive_or_into", into(&KeyStream::exclusive_or_into), nb::arg("out"))
        .def("skip",
             [](Self& self, std::uint64_t count) { self.run([&](KeyStream& stream) { stream.skip(count); }); },
             nb::arg("count"))
        .def_prop_ro("position",
                     [](Self& self) { return self.run([](KeyStream& stream) { return stream.position(); }); })
        .def("__repr__", [](Self& self) {
            const std::uint64_t position = self.run([](KeyStream& stream) { return stream.position(); });
            return "<KeyStream at block " + std::to_string(position) + ">";
        });
}

}  // namespace

void bind_tensor(nb::module_& m) {
    m.def("matmul_u64", &matmul<std::uint64_t>, nb::arg("a"), nb::arg("b"), nb::arg("out") = nb::none(),
          nb::arg("adds") = false);
    m.def("matmul_u32", &matmul<std::uint32_t>, nb::arg("a"), nb::arg("b"), nb::arg("out") = nb::none(),
          nb::arg("adds") = false);
    m.def("matmul_wide", &matmul_wide, nb::arg("a"), nb::arg("b"), nb::arg("out") = nb::none());
    m.def("and_layer", &run_layer<tensor::and_layer, false>, nb::arg("d"), nb::arg("e"), nb::arg("a"), nb::arg("b"),
          nb::arg("c"), nb::arg("adds_product"), nb::arg("out") = nb::none());
    m.def("multiply_layer", &run_layer<tensor::multiply_layer, true>, nb::arg("d"), nb::arg("e"), nb::arg("a"), nb::arg("b"),
          nb::arg("c").none(), nb::arg("adds_product"), nb::arg("out") = nb::none());
    m.def("cut_masks", &cut_masks, nb::arg("a"), nb::arg("ring_bits"), nb::arg("bits"));
    m.def("cut_shares", &cut_shares, nb::arg("opened"), nb::arg("offset"), nb::arg("u"), nb::arg("top"),
          nb::arg("ring_bits"), nb::arg("bits"), nb::arg("adds_public"));
    m.def("planes_of_words", &planes_of_words, nb::arg("words"), nb::arg("bits"));
    m.def("words_of_planes", &words_of_planes, nb::arg("planes"), nb::arg("count"));
    m.def("pack_words", &pack_words, nb::arg("words"), nb::arg("bits"));
    m.def("unpack_words", &unpack_words, nb::arg("packed"), nb::arg("count"), nb::arg("bits"));
    m.def("patches_of_images", &patches_of_images, nb::arg("images"), nb::arg("window_height"), nb::arg("window_width"),
          nb::arg("stride") = 1, nb::arg("padding") = 0);
    m.def("images_of_patches", &images_of_patches, nb::arg("patches"), nb::arg("shape"), nb::arg("window_height"),
          nb::arg("window_width"), nb::arg("stride") = 1, nb::arg("padding") = 0);
    bind_key_stream(m);
}

}  // namespace mpc::bindings
