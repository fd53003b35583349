// Python's arithmetic on words of shares: numbers of two words, comparisons on shared bits, the field of 2^64 elements.
#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "bindings/arrays.hpp"
#include "core/tensor/binary_field.hpp"
#include "core/tensor/bit_words.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/wide.hpp"

namespace mpc::bindings {

namespace {

// ---- numbers of two words -------------------------------------------------------------------------------------------

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

}  // namespace

void bind_tensor_words(nb::module_& m) {
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
}

}  // namespace mpc::bindings
