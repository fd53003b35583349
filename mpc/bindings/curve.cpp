// Python's group: CurvePoints, CurveBase, and scalars modulo the group order.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/convert.hpp"
#include "core/curve/combine.hpp"
#include "core/curve/elligator.hpp"
#include "core/curve/scalar.hpp"

namespace mpc::bindings {

namespace {

constexpr std::size_t kScalarBytes = 32;

// Elements of the prime-order subgroup. They may be secret.
struct CurvePoints {
    explicit CurvePoints(std::size_t n) : points(n) {}
    ~CurvePoints() { wipe(points.data(), points.size() * sizeof(Point)); }
    CurvePoints(const CurvePoints&) = delete;
    CurvePoints& operator=(const CurvePoints&) = delete;

    std::size_t size() const { return points.size(); }
    std::vector<Point> points;
};

using Shared = std::shared_ptr<CurvePoints>;

// Scalars of the caller, each below the order. They may be secret.
class Scalars {
public:
    Scalars(nb::handle object, const char* what) {
        const Buffer in(object);
        if (in.size() % kScalarBytes != 0)
            throw ParameterError(std::string(what) + ": expected scalars of 32 bytes, found " +
                                 std::to_string(in.size()) + " bytes");
        values_.resize(in.size() / kScalarBytes);
        for (std::size_t i = 0; i < values_.size(); ++i) {
            std::copy_n(in.data() + kScalarBytes * i, kScalarBytes, values_[i].begin());
            if (!below_group_order(values_[i]))
                throw ParameterError(std::string(what) + ": expected scalars below the group order, found a larger one "
                                     "at " + std::to_string(i));
        }
    }
    ~Scalars() { wipe(values_.data(), values_.size() * sizeof(Scalar)); }
    Scalars(const Scalars&) = delete;
    Scalars& operator=(const Scalars&) = delete;

    std::size_t size() const { return values_.size(); }
    const Scalar* data() const { return values_.data(); }
    const Scalar& at(std::size_t i) const { return values_[values_.size() == 1 ? 0 : i]; }

private:
    std::vector<Scalar> values_;
};

// As numpy: a length of one goes with any other.
std::size_t common_size(std::size_t a, std::size_t b, const char* what) {
    if (a != b && a != 1 && b != 1)
        throw ParameterError(std::string(what) + ": expected equal numbers or one, found " + std::to_string(a) +
                             " and " + std::to_string(b));
    return a == 1 ? b : a;
}

Shared decode(nb::handle data) {
    const Buffer in(data);
    if (in.size() % kPointBytes != 0)
        throw LengthError("points of 32 bytes", in.size() / kPointBytes * kPointBytes, in.size());
    auto found = std::make_shared<CurvePoints>(in.size() / kPointBytes);
    const nb::gil_scoped_release released;
    std::size_t good = decode_points(in.data(), found->size(), found->points.data());
    for (std::size_t i = 0; i < good; ++i)
        if (!in_prime_order_subgroup(found->points[i])) good = i;
    if (good != found->size())
        throw MalformedError("expected an element of edwards25519's prime-order subgroup other than the identity, in its "
                             "one encoding, found none at place " + std::to_string(good));
    return found;
}

Shared from_seeds(nb::handle seeds) {
    const Buffer in(seeds);
    if (in.size() % kPointSeedBytes != 0)
        throw ParameterError("seeds: expected 96 bytes a point, found " + std::to_string(in.size()) + " bytes");
    auto found = std::make_shared<CurvePoints>(in.size() / kPointSeedBytes);
    for (std::size_t i = 0; i < found->size(); ++i) found->points[i] = point_from_seed(in.data() + kPointSeedBytes * i);
    return found;
}

template <typename Operation>
Shared elementwise(const CurvePoints& a, const CurvePoints& b, const char* what, Operation operation) {
    auto result = std::make_shared<CurvePoints>(common_size(a.size(), b.size(), what));
    for (std::size_t i = 0; i < result->size(); ++i)
        result->points[i] = operation(a.points[a.size() == 1 ? 0 : i], b.points[b.size() == 1 ? 0 : i]);
    return result;
}

Shared multiply_points(const CurvePoints& points, nb::handle scalars) {
    const Scalars factors(scalars, "scalars");
    auto result = std::make_shared<CurvePoints>(common_size(points.size(), factors.size(), "points and scalars"));
    const nb::gil_scoped_release released;
    if (factors.size() == 1) {
        multiply_all(factors.at(0), points.points.data(), points.size(), result->points.data());
    } else {
        for (std::size_t i = 0; i < result->size(); ++i)
            result->points[i] = multiply(factors.at(i), points.points[points.size() == 1 ? 0 : i]);
    }
    return result;
}

Shared combine_columns(const nb::list& scalars, const std::vector<Shared>& points) {
    if (scalars.size() != points.size() || points.empty())
        throw ParameterError("columns: expected as many of scalars as of points and one at least, found " +
                             std::to_string(scalars.size()) + " and " + std::to_string(points.size()));
    std::vector<std::unique_ptr<Scalars>> factors;
    std::vector<Column> columns;
    for (std::size_t j = 0; j < points.size(); ++j) {
        factors.push_back(std::make_unique<Scalars>(scalars[j], "scalars"));
        const std::size_t rows = factors[0]->size();
        if (factors[j]->size() != rows || (points[j]->size() != rows && points[j]->size() != 1))
            throw ParameterError("columns: expected " + std::to_string(rows) + " scalars and as many points or one, found " +
                                 std::to_string(factors[j]->size()) + " and " + std::to_string(points[j]->size()));
        columns.push_back({factors[j]->data(), points[j]->points.data(), points[j]->size() == 1});
    }
    auto result = std::make_shared<CurvePoints>(factors[0]->size());
    const nb::gil_scoped_release released;
    combine_rows(columns.data(), columns.size(), result->size(), result->points.data());
    return result;
}

nb::bytes scalars_out(const std::vector<Scalar>& values) {
    return filled_bytes(values.size() * kScalarBytes, [&](std::uint8_t* out) {
        for (std::size_t i = 0; i < values.size(); ++i) std::copy_n(values[i].begin(), kScalarBytes, out + kScalarBytes * i);
    });
}

void bind_points(nb::module_& m) {
    nb::class_<CurvePoints>(m, "CurvePoints", "Elements of edwards25519's prime-order subgroup.")
        .def_static("decode", &decode, nb::arg("data"))
        .def_static("from_seeds", &from_seeds, nb::arg("seeds"))
        .def_static("generator", [] {
            auto found = std::make_shared<CurvePoints>(1);
            found->points[0] = base_point();
            return found;
        })
        .def_static("join", [](const std::vector<Shared>& parts) {
            std::size_t size = 0;
            for (const Shared& part : parts) size += part->size();
            auto all = std::make_shared<CurvePoints>(size);
            auto place = all->points.begin();
            for (const Shared& part : parts) place = std::copy(part->points.begin(), part->points.end(), place);
            return all;
        }, nb::arg("parts"))
        .def("__len__", &CurvePoints::size)
        .def("__getitem__", [](const CurvePoints& all, nb::slice slice) {
            const auto [start, stop, step, length] = slice.compute(all.size());
            auto part = std::make_shared<CurvePoints>(length);
            Py_ssize_t from = start;
            for (std::size_t i = 0; i < length; ++i, from += step) part->points[i] = all.points[static_cast<std::size_t>(from)];
            return part;
        }, nb::arg("places"))
        .def("__add__", [](const CurvePoints& a, const CurvePoints& b) {
            return elementwise(a, b, "points", [](const Point& p, const Point& q) { return p + q; });
        }, nb::arg("other"))
        .def("__sub__", [](const CurvePoints& a, const CurvePoints& b) {
            return elementwise(a, b, "points", [](const Point& p, const Point& q) { return p - q; });
        }, nb::arg("other"))
        .def("multiply", &multiply_points, nb::arg("scalars"))
        .def_static("combine", &combine_columns, nb::arg("scalars"), nb::arg("points"))
        .def("sum_of_multiples", [](const CurvePoints& all, nb::handle scalars) {
            const Scalars factors(scalars, "scalars");
            if (factors.size() != all.size())
                throw ParameterError("scalars: expected " + std::to_string(all.size()) + ", found " +
                                     std::to_string(factors.size()));
            auto sum = std::make_shared<CurvePoints>(1);
            const nb::gil_scoped_release released;
            sum->points[0] = combine(factors.data(), all.points.data(), all.size());
            return sum;
        }, nb::arg("scalars"))
        .def("encode", [](const CurvePoints& all) {
            return filled_bytes(all.size() * kPointBytes, [&](std::uint8_t* out) {
                const nb::gil_scoped_release released;
                encode_points(all.points.data(), all.size(), out);
            });
        })
        .def("__repr__", [](const CurvePoints& all) {
            return "<CurvePoints, " + std::to_string(all.size()) + ">";
        });

    nb::class_<FixedBase>(m, "CurveBase", "A table of one element, for many multiples of it.")
        .def("__init__", [](FixedBase* self, const CurvePoints& point) {
            if (point.size() != 1)
                throw ParameterError("base: expected one element, found " + std::to_string(point.size()));
            new (self) FixedBase(point.points[0]);
        }, nb::arg("point"))
        .def("multiply", [](const FixedBase& base, nb::handle scalars) {
            const Scalars factors(scalars, "scalars");
            auto result = std::make_shared<CurvePoints>(factors.size());
            const nb::gil_scoped_release released;
            base.multiply_all(factors.data(), factors.size(), result->points.data());
            return result;
        }, nb::arg("scalars"))
        .def("__repr__", [](const FixedBase&) { return std::string("<CurveBase>"); });
}

}  // namespace

void bind_curve(nb::module_& m) {
    bind_points(m);
    m.def("curve_reduce", [](nb::handle wide) {
        const Buffer in(wide);
        if (in.size() % kWideScalarBytes != 0)
            throw ParameterError("integers to reduce: expected 64 bytes each, found " + std::to_string(in.size()) + " bytes");
        std::vector<Scalar> found(in.size() / kWideScalarBytes);
        for (std::size_t i = 0; i < found.size(); ++i) found[i] = reduce_scalar(in.data() + kWideScalarBytes * i);
        const nb::bytes out = scalars_out(found);
        wipe(found.data(), found.size() * sizeof(Scalar));
        return out;
    }, nb::arg("wide"));
    m.def("curve_multiply_add", [](nb::handle a, nb::handle b, nb::handle c) {
        const Scalars first(a, "a"), second(b, "b"), third(c, "c");
        const std::size_t n = common_size(common_size(first.size(), second.size(), "a and b"), third.size(), "a b and c");
        std::vector<Scalar> found(n);
        for (std::size_t i = 0; i < n; ++i) found[i] = multiply_add(first.at(i), second.at(i), third.at(i));
        const nb::bytes out = scalars_out(found);
        wipe(found.data(), found.size() * sizeof(Scalar));
        return out;
    }, nb::arg("a"), nb::arg("b"), nb::arg("c"));
}

}  // namespace mpc::bindings
