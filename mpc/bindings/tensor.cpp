// Python's arithmetic on arrays of shares: matrix products, KeyStream, bit planes, words without gaps, patches.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>
#include <utility>

#include "bindings/convert.hpp"
#include "core/base/blocks.hpp"
#include "core/tensor/binary_field.hpp"
#include "core/tensor/bit_words.hpp"
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

template <class T>
using Strided = nb::ndarray<T, nb::device::cpu>;
template <class T>
using Contiguous = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Shape = std::vector<std::size_t>;

template <class T>
std::string type_name() {
    return sizeof(T) == 8 ? "uint64" : "uint32";
}

std::string text_of(const Shape& shape) {
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

std::size_t entries_of(const Shape& shape) {
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
Contiguous<const std::uint64_t> words_in(nb::handle object, const char* what) {
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

void require_same_shape(const Shape& expected, const Shape& found, const char* what) {
    if (expected != found)
        throw ParameterError(std::string(what) + ": expected shape " + text_of(expected) + " as that of a, found " +
                             text_of(found));
}

nb::object wide_products(nb::handle a, nb::handle b) {
    const auto left = words_in(a, "a"), right = words_in(b, "b");
    require_same_shape(shape_of(left), shape_of(right), "b");
    Shape both{2};
    for (const std::size_t size : shape_of(left)) both.push_back(size);
    const Result<std::uint64_t> result(both, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::wide_products(left.data(), right.data(), left.size(), result.data(), result.data() + left.size());
    }
    return result.object();
}

nb::object carryless_sum(nb::handle a, nb::handle b) {
    const auto left = words_in(a, "a"), right = words_in(b, "b");
    require_same_shape(shape_of(left), shape_of(right), "b");
    const Result<std::uint64_t> result({2}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::carryless_sum(left.data(), right.data(), left.size(), result.data());
    }
    return result.object();
}

template <class Work>
nb::object wide_result(nb::handle x_low, nb::handle x_high, Work work) {
    const auto low = words_in(x_low, "low"), high = words_in(x_high, "high");
    require_same_shape(shape_of(low), shape_of(high), "high");
    Shape both{2};
    for (const std::size_t size : shape_of(low)) both.push_back(size);
    const Result<std::uint64_t> result(both, nb::none());
    work(tensor::WideWords{low.data(), high.data()}, shape_of(low), low.size(), result.data());
    return result.object();
}

template <void (*Sum)(const tensor::WideWords&, const tensor::WideWords&, std::size_t, std::uint64_t*, std::uint64_t*)>
nb::object wide_added(nb::handle low, nb::handle high, nb::handle other_low, nb::handle other_high) {
    return wide_result(low, high, [&](const auto& x, const Shape& shape, std::size_t n, std::uint64_t* out) {
        const auto y_low = words_in(other_low, "other_low"), y_high = words_in(other_high, "other_high");
        require_same_shape(shape, shape_of(y_low), "other_low");
        require_same_shape(shape, shape_of(y_high), "other_high");
        const nb::gil_scoped_release released;
        Sum(x, {y_low.data(), y_high.data()}, n, out, out + n);
    });
}

nb::object wide_times(nb::handle low, nb::handle high, nb::handle factors) {
    return wide_result(low, high, [&](const auto& x, const Shape& shape, std::size_t n, std::uint64_t* out) {
        const auto c = words_in(factors, "factors");
        const Shape last = shape_of(c);
        if (last.size() > shape.size() || !std::equal(last.rbegin(), last.rend(), shape.rbegin()))
            throw ParameterError("factors: expected the last dimensions of shape " + text_of(shape) + ", found shape " +
                                 text_of(last));
        const nb::gil_scoped_release released;
        tensor::wide_times(x, c.data(), std::max<std::size_t>(c.size(), 1), n, out, out + n);
    });
}

// The numbers of two words whose halves these are, each of this shape.
struct Halves {
    Contiguous<const std::uint64_t> low, high;
    Halves(nb::handle low_words, nb::handle high_words, const Shape& shape)
        : low(words_in(low_words, "low")), high(words_in(high_words, "high")) {
        require_same_shape(shape, shape_of(low), "low");
        require_same_shape(shape, shape_of(high), "high");
    }
    tensor::WideWords words() const { return {low.data(), high.data()}; }
};

nb::object wide_sum_of_products(nb::handle low, nb::handle high, nb::handle factors, nb::handle other_low,
                                nb::handle other_high, nb::handle other_factors, nb::handle more_low,
                                nb::handle more_high) {
    return wide_result(low, high, [&](const auto& one, const Shape& shape, std::size_t n, std::uint64_t* out) {
        const auto c = words_in(factors, "factors"), d = words_in(other_factors, "other_factors");
        const Shape last = shape_of(c);
        if (last.size() > shape.size() || !std::equal(last.rbegin(), last.rend(), shape.rbegin()))
            throw ParameterError("factors: expected the last dimensions of shape " + text_of(shape) + ", found shape " +
                                 text_of(last));
        require_same_shape(last, shape_of(d), "other_factors");
        const Halves other(other_low, other_high, shape), rest(more_low, more_high, shape);
        const nb::gil_scoped_release released;
        tensor::wide_sum_of_products(one, c.data(), other.words(), d.data(), rest.words(),
                                     std::max<std::size_t>(c.size(), 1), n, out, out + n);
    });
}

nb::object wide_macs(nb::handle low, nb::handle high, std::uint64_t key_low, std::uint64_t key_high,
                     nb::handle less_low, nb::handle less_high) {
    return wide_result(low, high, [&](const auto& x, const Shape& shape, std::size_t n, std::uint64_t* out) {
        const Halves less(less_low, less_high, shape);
        const std::uint64_t key[2] = {key_low, key_high};
        const nb::gil_scoped_release released;
        tensor::wide_macs(x, key, less.words(), n, out, out + n);
    });
}

nb::object wide_public(nb::handle words, std::uint64_t key, bool first) {
    const auto in = words_in(words, "words");
    Shape all{2, 2};
    for (const std::size_t size : shape_of(in)) all.push_back(size);
    const Result<std::uint64_t> result(all, nb::none());
    {
        const nb::gil_scoped_release released;
        const std::size_t n = in.size();
        std::uint64_t *const low = result.data(), *const high = low + 2 * n;
        if (first) {
            std::copy_n(in.data(), n, low);
        } else {
            std::fill_n(low, n, std::uint64_t{0});
        }
        std::fill_n(high, n, std::uint64_t{0});
        tensor::wide_keyed(in.data(), key, n, low + n, high + n);
    }
    return result.object();
}

nb::object wide_sum(nb::handle factors, nb::handle low, nb::handle high) {
    const auto c = words_in(factors, "factors"), lower = words_in(low, "low"), upper = words_in(high, "high");
    require_same_shape(shape_of(c), shape_of(lower), "low");
    require_same_shape(shape_of(c), shape_of(upper), "high");
    const Result<std::uint64_t> result({2}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::wide_sum(c.data(), lower.data(), upper.data(), c.size(), result.data());
    }
    return result.object();
}

// ---- comparisons on shared bits --------------------------------------------------------------------------------------

nb::object chosen_words(nb::handle table, nb::handle number, std::uint64_t one) {
    const auto rows = words_in(table, "table"), chosen = words_in(number, "number");
    if (rows.ndim() != 2 || chosen.ndim() != 1 || rows.shape(1) != chosen.shape(0))
        throw ParameterError("table: expected rows as long as number, found shape " + text_of(shape_of(rows)) +
                             " beside " + text_of(shape_of(chosen)));
    const std::size_t n = chosen.size(), count = rows.shape(0);
    if (std::any_of(chosen.data(), chosen.data() + n, [&](std::uint64_t c) { return c > count; }))
        throw ParameterError("number: expected none above " + std::to_string(count) + ", found a larger one");
    const Result<std::uint64_t> result({2, n}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::chosen_words(rows.data(), count, n, chosen.data(), one, result.data(), result.data() + n);
    }
    return result.object();
}

nb::object number_planes(nb::handle number, std::size_t rows) {
    const auto numbers = words_in(number, "number");
    const std::size_t n = numbers.size();
    const Result<std::uint64_t> result({rows, n}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::number_planes(numbers.data(), n, rows, result.data());
    }
    return result.object();
}

void require_planes(const Contiguous<const std::uint64_t>& planes, unsigned bits) {
    if (bits > 64 || planes.ndim() != 2 || planes.shape(0) < bits)
        throw ParameterError("planes: expected rows for " + std::to_string(bits) + " of at most 64 bits, found shape " +
                             text_of(shape_of(planes)));
}

// A block is where it begins in the rows of the table, where in those of the planes, and how many words it has.
using PlaneBlock = std::tuple<std::size_t, std::size_t, std::size_t>;

nb::object chosen_planes(nb::handle table, nb::handle planes, unsigned bits, std::uint64_t one,
                         const std::vector<PlaneBlock>& blocks) {
    const auto dealt = words_in(table, "table"), open = words_in(planes, "planes");
    require_planes(open, bits);
    if (dealt.ndim() != 2 || dealt.shape(0) < tensor::table_rows(bits))
        throw ParameterError("table: expected " + std::to_string(tensor::table_rows(bits)) + " rows, found shape " +
                             text_of(shape_of(dealt)));
    const std::size_t secrets = dealt.shape(1), values = open.shape(1), groups = (bits + 3) / 4;
    std::size_t end = 0;
    for (const auto& [from, to, words] : blocks) {
        if (words > secrets || from > secrets - words || to != end || words > values - end)
            throw ParameterError("blocks: expected words of rows of " + std::to_string(secrets) + ", side by side in " +
                                 std::to_string(values) + ", found others");
        end += words;
    }
    if (end != values)
        throw ParameterError("blocks: expected " + std::to_string(values) + " words in all, found " +
                             std::to_string(end));
    const Result<std::uint64_t> result({2, groups, values}, nb::none());
    {
        const nb::gil_scoped_release released;
        for (const auto& [from, to, words] : blocks)
            tensor::chosen_planes({dealt.data() + from, secrets}, {open.data() + to, values}, bits, words, one,
                                  {result.data() + to, values}, {result.data() + groups * values + to, values});
    }
    return result.object();
}

nb::object bit_planes(nb::handle words, nb::handle bits) {
    const auto in = words_in(words, "words");
    const auto flags = cast_array<Contiguous<const std::uint8_t>>(bits, "bits", "a C-contiguous uint8 array");
    if (flags.size() != in.size()) throw LengthError("bits", in.size(), flags.size());
    const Result<std::uint64_t> result(shape_of(in), nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::bit_planes(in.data(), flags.data(), in.size(), result.data());
    }
    return result.object();
}

nb::bytes pack_bit_words(nb::handle planes, nb::handle words, std::uint64_t key, std::size_t bytes) {
    const auto in = words_in(planes, "planes"), others = words_in(words, "words");
    if (others.size() != in.size()) throw LengthError("words", in.size(), others.size());
    if (bytes < 1 || bytes > 8)  // before any memory is taken
        throw ParameterError("packed bits: expected words of 1 to 8 bytes, found " + std::to_string(bytes));
    return filled_bytes(bytes * in.size(), [&](std::uint8_t* packed) {
        const nb::gil_scoped_release released;
        tensor::pack_bit_words(in.data(), others.data(), key, in.size(), bytes, packed);
    });
}

nb::object open_words(nb::handle plane, nb::handle words, std::uint64_t one) {
    const auto held = words_in(plane, "plane"), in = words_in(words, "words");
    const std::size_t n = in.size();
    if (held.size() != tensor::plane_words(n)) throw LengthError("words of the plane", tensor::plane_words(n), held.size());
    const Result<std::uint64_t> result({2, n}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::open_words(held.data(), in.data(), one, n, result.data(), result.data() + n);
    }
    return result.object();
}

nb::object tables_of_planes(nb::handle planes, unsigned bits) {
    const auto known = words_in(planes, "planes");
    require_planes(known, bits);
    const std::size_t words = known.shape(1), more = known.shape(0) - bits, rows = tensor::table_rows(bits);
    const Result<std::uint64_t> result({rows + more, words}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::tables_of_planes({known.data(), words}, bits, words, {result.data(), words});
        std::copy_n(known.data() + bits * words, more * words, result.data() + rows * words);
    }
    return result.object();
}

using Term = std::tuple<std::size_t, std::vector<std::size_t>, std::vector<std::size_t>>;

std::vector<tensor::BitTerm> checked_terms(const std::vector<Term>& terms, std::size_t opened, std::size_t shares,
                                           std::size_t outs) {
    std::vector<tensor::BitTerm> found;
    for (const auto& [out, factors, rows] : terms) {
        const bool fits = !factors.empty() && factors.size() <= tensor::kMostFactors &&
                          rows.size() == std::size_t{1} << factors.size() && out < outs;
        const auto below = [](std::size_t most) { return [most](std::size_t place) { return place < most; }; };
        if (!fits || !std::all_of(factors.begin(), factors.end(), below(opened)) ||
            !std::all_of(rows.begin(), rows.end(), below(shares)))
            throw ParameterError("terms: expected rows that there are and 2^k of them for k factors, found others");
        found.push_back({out, factors, rows});
    }
    return found;
}

nb::object bit_products(nb::handle opened, nb::handle masks, nb::handle dealt, std::uint64_t one,
                        const std::vector<Term>& terms, std::size_t outs) {
    const auto open = words_in(opened, "opened"), mine = words_in(masks, "masks"), given = words_in(dealt, "dealt");
    require_same_shape(shape_of(mine), shape_of(open), "opened");
    const Shape shape = shape_of(mine), more = shape_of(given);
    if (shape.empty() || more.size() != shape.size() || !std::equal(shape.begin() + 1, shape.end(), more.begin() + 1))
        throw ParameterError("dealt: expected rows as those of masks, found shapes " + text_of(more) + " and " +
                             text_of(shape));
    const auto checked = checked_terms(terms, shape[0], 1 + shape[0] + more[0], outs);
    Shape result_shape = shape;
    result_shape[0] = outs;
    const Result<std::uint64_t> result(result_shape, nb::none());
    {
        const nb::gil_scoped_release released;
        const std::size_t n = entries_of(Shape(shape.begin() + 1, shape.end()));
        tensor::bit_products({open.data(), mine.data(), shape[0], given.data(), one}, checked, n, outs, result.data());
    }
    return result.object();
}

// ---- the field of 2^64 elements -------------------------------------------------------------------------------------

nb::object field_products(nb::handle a, nb::handle b) {
    const auto left = words_in(a, "a"), right = words_in(b, "b");
    require_same_shape(shape_of(left), shape_of(right), "b");
    const Result<std::uint64_t> result(shape_of(left), nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::field_products(left.data(), right.data(), left.size(), result.data());
    }
    return result.object();
}

void require_row(std::size_t expected, const Shape& found, const char* what) {
    if (found != Shape{expected})
        throw ParameterError(std::string(what) + ": expected shape " + text_of({expected}) + ", found " +
                             text_of(found));
}

nb::object field_chosen(nb::handle bits, nb::handle elements) {
    const auto words = words_in(bits, "bits"), chosen = words_in(elements, "elements");
    require_row(words.size(), shape_of(words), "bits");
    require_row(words.size() * tensor::kFieldColumns, shape_of(chosen), "elements");
    const Result<std::uint64_t> result({tensor::kFieldRows}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::field_chosen(words.data(), chosen.data(), words.size(), result.data());
    }
    return result.object();
}

nb::object field_gram(nb::handle u, nb::handle v, nb::handle elements) {
    const auto left = words_in(u, "u"), right = words_in(v, "v"), chosen = words_in(elements, "elements");
    require_row(left.size(), shape_of(left), "u");
    require_row(left.size(), shape_of(right), "v");
    require_row(left.size() * tensor::kFieldColumns, shape_of(chosen), "elements");
    const Result<std::uint64_t> result({tensor::kFieldRows, tensor::kFieldRows}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::field_gram(left.data(), right.data(), chosen.data(), left.size(), result.data());
    }
    return result.object();
}

nb::object field_combined(nb::handle bits, nb::handle table) {
    const auto words = words_in(bits, "bits"), row = words_in(table, "table");
    require_row(words.size(), shape_of(words), "bits");
    require_row(tensor::kFieldRows, shape_of(row), "table");
    const Result<std::uint64_t> result({words.size() * tensor::kFieldColumns}, nb::none());
    {
        const nb::gil_scoped_release released;
        tensor::field_combined(words.data(), row.data(), words.size(), result.data());
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
    m.def("wide_products", &wide_products, nb::arg("a"), nb::arg("b"));
    m.def("carryless_sum", &carryless_sum, nb::arg("a"), nb::arg("b"));
    m.def("wide_add", &wide_added<tensor::wide_add>, nb::arg("low"), nb::arg("high"), nb::arg("other_low"),
          nb::arg("other_high"));
    m.def("wide_subtract", &wide_added<tensor::wide_subtract>, nb::arg("low"), nb::arg("high"), nb::arg("other_low"),
          nb::arg("other_high"));
    m.def("wide_times", &wide_times, nb::arg("low"), nb::arg("high"), nb::arg("factors"));
    m.def("wide_sum_of_products", &wide_sum_of_products, nb::arg("low"), nb::arg("high"), nb::arg("factors"),
          nb::arg("other_low"), nb::arg("other_high"), nb::arg("other_factors"), nb::arg("more_low"),
          nb::arg("more_high"));
    m.def("wide_macs", &wide_macs, nb::arg("low"), nb::arg("high"), nb::arg("key_low"), nb::arg("key_high"),
          nb::arg("less_low"), nb::arg("less_high"));
    m.def("wide_public", &wide_public, nb::arg("words"), nb::arg("key"), nb::arg("first"));
    m.def("wide_sum", &wide_sum, nb::arg("factors"), nb::arg("low"), nb::arg("high"));
    m.def("chosen_words", &chosen_words, nb::arg("table"), nb::arg("number"), nb::arg("one"));
    m.def("number_planes", &number_planes, nb::arg("number"), nb::arg("rows"));
    m.def("bit_planes", &bit_planes, nb::arg("words"), nb::arg("bits"));
    m.def("pack_bit_words", &pack_bit_words, nb::arg("planes"), nb::arg("words"), nb::arg("key"), nb::arg("bytes"));
    m.def("open_words", &open_words, nb::arg("plane"), nb::arg("words"), nb::arg("one"));
    m.def("chosen_planes", &chosen_planes, nb::arg("table"), nb::arg("planes"), nb::arg("bits"), nb::arg("one"),
          nb::arg("blocks"));
    m.def("tables_of_planes", &tables_of_planes, nb::arg("planes"), nb::arg("bits"));
    m.def("bit_products", &bit_products, nb::arg("opened"), nb::arg("masks"), nb::arg("dealt"), nb::arg("one"),
          nb::arg("terms"), nb::arg("outs"));
    m.def("field_products", &field_products, nb::arg("a"), nb::arg("b"));
    m.def("field_chosen", &field_chosen, nb::arg("bits"), nb::arg("elements"));
    m.def("field_gram", &field_gram, nb::arg("u"), nb::arg("v"), nb::arg("elements"));
    m.def("field_combined", &field_combined, nb::arg("bits"), nb::arg("table"));
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
