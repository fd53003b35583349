// Python's group of prime order in edwards25519: batches of points, tables for one point, and integers modulo its order.
#include <algorithm>
#include <cstring>

#include "bindings/convert.hpp"
#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/curve/edwards25519.hpp"
#include "core/curve/public_group.hpp"
#include "core/curve/scalar25519.hpp"

namespace mpc::bindings {

namespace {

constexpr std::size_t kScalarBytes = 32;

// Secret scalars, which leave nothing behind.
class Scalars {
public:
    Scalars(nb::handle object, const char* what) {
        const Buffer bytes(object);
        if (bytes.size() % kScalarBytes != 0)
            throw ParameterError(std::string(what) + ": expected 32 bytes a scalar, found " + std::to_string(bytes.size()));
        values_.resize(bytes.size() / kScalarBytes);
        if (!values_.empty()) std::memcpy(values_.data(), bytes.data(), bytes.size());
        for (std::size_t i = 0; i < values_.size(); ++i)
            if (!below_group_order(values_[i]))
                throw ParameterError(std::string(what) + ": expected scalars below the group order, found another at " +
                                     std::to_string(i));
    }
    ~Scalars() { wipe(values_.data(), values_.size() * kScalarBytes); }
    Scalars(const Scalars&) = delete;
    Scalars& operator=(const Scalars&) = delete;

    std::size_t size() const { return values_.size(); }
    const Scalar* data() const { return values_.data(); }
    const Scalar& operator[](std::size_t i) const { return values_[values_.size() == 1 ? 0 : i]; }

private:
    std::vector<Scalar> values_;
};

// The length of two batches of which one may be a single element for all of the other.
std::size_t common_length(std::size_t a, std::size_t b, const char* what) {
    if (a != b && a != 1 && b != 1)
        throw ParameterError(std::string(what) + ": expected batches of one length, or of one element, found " +
                             std::to_string(a) + " and " + std::to_string(b));
    return a == 1 ? b : a;
}

struct Points {
    std::vector<Point> values;

    const Point& at(std::size_t i) const { return values[values.size() == 1 ? 0 : i]; }
};

// Decodes all points. What is none becomes the identity, and a 0 among `valid`.
Points decode_each(const Buffer& bytes, std::vector<std::uint8_t>& valid) {
    if (bytes.size() % kPointBytes != 0)
        throw MalformedError("expected 32 bytes a point, found " + std::to_string(bytes.size()) + " bytes");
    const nb::gil_scoped_release released;
    Points points;
    const std::size_t n = bytes.size() / kPointBytes;
    points.values.assign(n, identity_point());
    valid.assign(n, 0);
    for (std::size_t at = 0; at < n; ++at) {
        const std::size_t end = at + decode_points(bytes.data() + at * kPointBytes, n - at, &points.values[at]);
        for (; at < end; ++at) valid[at] = in_prime_order_subgroup(points.values[at]);
    }
    for (std::size_t i = 0; i < n; ++i)
        if (valid[i] == 0) points.values[i] = identity_point();
    return points;
}

Points decode(nb::handle object) {
    std::vector<std::uint8_t> valid;
    Points points = decode_each(Buffer(object), valid);
    const auto wrong = std::find(valid.begin(), valid.end(), std::uint8_t{0});
    if (wrong != valid.end())
        throw MalformedError("expected the canonical encoding of a point of prime order, found another at " +
                             std::to_string(wrong - valid.begin()));
    return points;
}

nb::tuple decode_valid(nb::handle object) {
    std::vector<std::uint8_t> valid;
    Points points = decode_each(Buffer(object), valid);
    return nb::make_tuple(nb::cast(std::move(points)), nb::bytes(valid.data(), valid.size()));
}

Points of_hashes(nb::handle object) {
    const Buffer bytes(object);
    if (bytes.size() % (2 * kPointBytes) != 0)
        throw ParameterError("expected two field elements of 32 bytes a point, found " + std::to_string(bytes.size()));
    const nb::gil_scoped_release released;
    Points points;
    for (std::size_t at = 0; at < bytes.size(); at += 2 * kPointBytes)
        points.values.push_back(point_of_hash(bytes.data() + at, bytes.data() + at + kPointBytes));
    return points;
}

nb::bytes encode(const Points& points) {
    return filled_bytes(points.values.size() * kPointBytes, [&](std::uint8_t* out) {
        const nb::gil_scoped_release released;
        encode_points(points.values.data(), points.values.size(), out);
    });
}

template <typename Operation>
Points each(const Points& a, const Points& b, const char* what, Operation operation) {
    const nb::gil_scoped_release released;
    Points out;
    const std::size_t n = common_length(a.values.size(), b.values.size(), what);
    out.values.reserve(n);
    for (std::size_t i = 0; i < n; ++i) out.values.push_back(operation(a.at(i), b.at(i)));
    return out;
}

Points multiplied(const Points& points, nb::handle object) {
    const Scalars scalars(object, "scalars");
    const nb::gil_scoped_release released;
    Points out;
    const std::size_t n = common_length(points.values.size(), scalars.size(), "scalars");
    out.values.resize(n);
    if (scalars.size() == 1) {
        multiply_all(scalars[0], points.values.data(), n, out.values.data());
    } else {
        for (std::size_t i = 0; i < n; ++i) out.values[i] = multiply(scalars[i], points.at(i));
    }
    return out;
}

Points combined(const Points& points, nb::handle object) {
    const Scalars scalars(object, "scalars");
    if (scalars.size() != points.values.size())
        throw ParameterError("expected " + std::to_string(points.values.size()) + " scalars, found " +
                             std::to_string(scalars.size()));
    const nb::gil_scoped_release released;
    return Points{{combine_public(scalars.data(), points.values.data(), scalars.size())}};
}

Points part(const Points& points, std::size_t start, std::size_t end) {
    if (start > end || end > points.values.size())
        throw ParameterError("expected a part of " + std::to_string(points.values.size()) + " points, found " +
                             std::to_string(start) + " to " + std::to_string(end));
    const auto first = points.values.begin();
    return Points{{first + static_cast<std::ptrdiff_t>(start), first + static_cast<std::ptrdiff_t>(end)}};
}

Points joined(const Points& a, const Points& b) {
    Points out = a;
    out.values.insert(out.values.end(), b.values.begin(), b.values.end());
    return out;
}

const Point& only(const Points& points) {
    if (points.values.size() != 1)
        throw ParameterError("expected one point, found " + std::to_string(points.values.size()));
    return points.values[0];
}

struct Table {
    explicit Table(const Points& points) : base(only(points)) {}
    FixedBase base;
};

Points multiples(const Table& table, nb::handle object) {
    const Scalars scalars(object, "scalars");
    const nb::gil_scoped_release released;
    Points out;
    out.values.resize(scalars.size());
    table.base.multiply_all(scalars.data(), scalars.size(), out.values.data());
    return out;
}

nb::bytes scalars_multiply_add(nb::handle first, nb::handle second, nb::handle third) {
    const Scalars a(first, "a"), b(second, "b"), c(third, "c");
    const std::size_t n = common_length(common_length(a.size(), b.size(), "a and b"), c.size(), "c");
    return filled_bytes(n * kScalarBytes, [&](std::uint8_t* out) {
        for (std::size_t i = 0; i < n; ++i) {
            Scalar value = multiply_add(a[i], b[i], c[i]);
            std::memcpy(out + i * kScalarBytes, value.data(), kScalarBytes);
            wipe(value.data(), kScalarBytes);
        }
    });
}

nb::bytes scalars_reduce(nb::handle object) {
    const Buffer bytes(object);
    if (bytes.size() % (2 * kScalarBytes) != 0)
        throw ParameterError("expected 64 bytes an integer, found " + std::to_string(bytes.size()));
    return filled_bytes(bytes.size() / 2, [&](std::uint8_t* out) {
        for (std::size_t i = 0; i < bytes.size() / (2 * kScalarBytes); ++i) {
            Scalar value = reduce_wide(bytes.data() + 2 * kScalarBytes * i);
            std::memcpy(out + i * kScalarBytes, value.data(), kScalarBytes);
            wipe(value.data(), kScalarBytes);
        }
    });
}

}  // namespace

void bind_group(nb::module_& m) {
    nb::class_<Points>(m, "GroupPoints")
        .def_static("decode", &decode, nb::arg("encoded"))
        .def_static("decode_valid", &decode_valid, nb::arg("encoded"))
        .def_static("of_hashes", &of_hashes, nb::arg("elements"))
        .def_static("generator", [] { return Points{{base_point()}}; })
        .def("encode", &encode)
        .def("multiply", &multiplied, nb::arg("scalars"))
        .def("combine_public", &combined, nb::arg("scalars"))
        .def("part", &part, nb::arg("start"), nb::arg("end"))
        .def("joined", &joined, nb::arg("other"))
        .def("__add__", [](const Points& a, const Points& b) {
            return each(a, b, "sum", [](const Point& x, const Point& y) { return x + y; });
        })
        .def("__sub__", [](const Points& a, const Points& b) {
            return each(a, b, "difference", [](const Point& x, const Point& y) { return x - y; });
        })
        .def("__len__", [](const Points& points) { return points.values.size(); })
        .def("__repr__", [](const Points& points) {
            const std::string text = "GroupPoints(" + std::to_string(points.values.size()) + ")";
            return nb::str(text.c_str(), text.size());
        });
    nb::class_<Table>(m, "GroupTable")
        .def(nb::init<const Points&>(), nb::arg("point"))
        .def("multiples", &multiples, nb::arg("scalars"));
    m.def("scalars_multiply_add", &scalars_multiply_add, nb::arg("a"), nb::arg("b"), nb::arg("c"));
    m.def("scalars_reduce", &scalars_reduce, nb::arg("wide"));
}

}  // namespace mpc::bindings
