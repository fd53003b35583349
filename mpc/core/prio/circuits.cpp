// The circuits of draft-20, section 7.4, linear regression, and the test-only circuit of degree 3.
#include "core/prio/circuit.hpp"

#include "core/prio/encodings.hpp"
#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"

namespace mpc::prio {
namespace {

std::uint64_t checked(const char* name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value < least || value > most)
        throw ParameterError(std::string(name) + ": expected " + std::to_string(least) + " to " + std::to_string(most) +
                             ", found " + std::to_string(value));
    return value;
}

// The sentence names the place and the range. The value is a secret.
void require_range(bool inside, const std::string& what, std::uint64_t most) {
    if (!inside)
        throw ParameterError(what + ": expected an integer from 0 to " + std::to_string(most) +
                             ", found another value");
}

void require_range_all(const std::uint64_t* words, std::size_t count, std::uint64_t most, const char* what) {
    bool inside = true;
    for (std::size_t i = 0; i < count; ++i) inside &= words[i] <= most;
    require_range(inside, what, most);
}

template <class F>
typename F::Element sum_of(const typename F::Element* elements, std::size_t count) {
    typename F::Element sum = F::element(0);
    for (std::size_t i = 0; i < count; ++i) sum = F::add(sum, elements[i]);
    return sum;
}

// ---- Count: b b - b = 0 ---------------------------------------------------------------------------------------------

template <class F>
class Count final : public Circuit<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    Count() : Circuit<F>(shape_of()) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        require_range(words[0] <= 1, "a measurement", 1);
        measurement[0] = F::element(words[0]);
    }
    void truncate(const Element* measurement, Element* output) const override { output[0] = measurement[0]; }
    void fill_wires(const Element* measurement, const Factor*, Element, Element* wires, std::size_t stride,
                    Factor*) const override {
        wires[0] = wires[stride] = measurement[0];
    }
    Element gadget(const Element* inputs, std::size_t stride) const override {
        return F::multiply(F::to_factor(inputs[0]), inputs[stride]);
    }
    void finish(const Element* measurement, const Element* called, const Factor*, Element,
                Element* results) const override {
        results[0] = F::subtract(called[0], measurement[0]);
    }

private:
    static Shape shape_of() {
        Shape shape;
        shape.arity = 2;
        return shape;
    }
};

// ---- circuits whose gadget is a polynomial of each bit --------------------------------------------------------------

// Sum: b^2 - b = 0 for each bit b.
template <class F>
class Sum final : public Circuit<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    // Below 2^63, so that the bits' largest sum is below either modulus.
    explicit Sum(std::uint64_t largest)
        : Circuit<F>(shape_of(RangeCheckedInteger<F>(checked("max_measurement", largest, 1, kMost)).bits())),
          largest_(largest),
          integer_(largest) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        require_range(words[0] <= largest_, "a measurement", largest_);
        integer_.encode(words[0], measurement);
    }
    void truncate(const Element* measurement, Element* output) const override {
        output[0] = integer_.decode(measurement);
    }
    void fill_wires(const Element* measurement, const Factor*, Element, Element* wires, std::size_t,
                    Factor*) const override {
        for (std::size_t k = 0; k < integer_.bits(); ++k) wires[k] = measurement[k];
    }
    Element gadget(const Element* inputs, std::size_t) const override {
        return F::subtract(F::multiply(F::to_factor(inputs[0]), inputs[0]), inputs[0]);
    }
    void finish(const Element*, const Element* called, const Factor*, Element, Element* results) const override {
        for (std::size_t k = 0; k < integer_.bits(); ++k) results[k] = called[k];
    }

private:
    static constexpr std::uint64_t kMost = (std::uint64_t{1} << 63) - 1;
    static Shape shape_of(std::size_t bits) {
        Shape shape;
        shape.measurement = shape.calls = shape.results = bits;
        return shape;
    }
    std::uint64_t largest_;
    RangeCheckedInteger<F> integer_;
};

// Test only: x (x - 1) (x - 2) = 0.
template <class F>
class HigherDegree final : public Circuit<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    HigherDegree() : Circuit<F>(shape_of()) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        require_range(words[0] <= 2, "a measurement", 2);
        measurement[0] = F::element(words[0]);
    }
    void truncate(const Element* measurement, Element* output) const override { output[0] = measurement[0]; }
    void fill_wires(const Element* measurement, const Factor*, Element, Element* wires, std::size_t,
                    Factor*) const override {
        wires[0] = measurement[0];
    }
    Element gadget(const Element* inputs, std::size_t) const override {
        const Element x = inputs[0], one = F::element(1);
        const Element lower = F::subtract(x, one);
        const Element pair = F::multiply(F::to_factor(x), lower);
        return F::multiply(F::to_factor(pair), F::subtract(lower, one));
    }
    void finish(const Element*, const Element* called, const Factor*, Element, Element* results) const override {
        results[0] = called[0];
    }

private:
    static Shape shape_of() {
        Shape shape;
        shape.degree = 3;
        return shape;
    }
};

// ---- circuits whose gadget adds up products -------------------------------------------------------------------------

// Products left times right, `chunk` of them a call. Product j of call k is weighted with r_k^(j + 1), r_k the joint
// randomness. A bit b gives b (b - 1), which is zero. Behind the last product the left side is zero.
template <class F>
class Chunked : public Circuit<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    Chunked(Shape shape, std::size_t products, std::uint64_t chunk)
        : Circuit<F>(complete(shape, products, chunk)), chunk_(chunk) {}

    void fill_wires(const Element* measurement, const Factor* joint, Element one, Element* wires, std::size_t stride,
                    Factor* scratch) const override {
        const std::size_t bits = this->shape().measurement;
        fill_pairs(
            joint, [=](std::size_t q) { return q < bits ? measurement[q] : F::element(0); },
            [=](std::size_t, Element left) { return F::subtract(left, one); }, wires, stride, scratch);
    }
    Element gadget(const Element* inputs, std::size_t stride) const override {
        typename F::Sum sum;
        for (std::size_t j = 0; j < chunk_; ++j) sum.add_elements(inputs[2 * j * stride], inputs[(2 * j + 1) * stride]);
        return sum.value_of_elements();
    }

protected:
    template <class Left, class Right>
    void fill_pairs(const Factor* joint, Left left, Right right, Element* wires, std::size_t stride,
                    Factor* powers) const {
        const std::size_t calls = this->shape().calls;
        for (std::size_t k = 0; k < calls; ++k) powers[k] = joint[k];
        for (std::size_t j = 0; j < chunk_; ++j) {
            Element *const lefts = wires + 2 * j * stride, *const rights = lefts + stride;
            for (std::size_t k = 0; k < calls; ++k) {
                const std::size_t q = k * chunk_ + j;
                const Element value = left(q);
                lefts[k] = F::multiply(powers[k], value);
                rights[k] = right(q, value);
                powers[k] = F::multiply(powers[k], joint[k]);
            }
        }
    }
    Element sum_of_calls(const Element* called) const { return sum_of<F>(called, this->shape().calls); }

    std::size_t chunk_;

private:
    static Shape complete(Shape shape, std::size_t products, std::uint64_t chunk) {
        checked("chunk_length", chunk, 1, kMostElements);
        shape.arity = 2 * chunk;
        shape.calls = shape.joint_randomness = (products + chunk - 1) / chunk;
        return shape;
    }
};

template <class F>
class SumVec final : public Chunked<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    SumVec(std::uint64_t length, std::uint64_t largest, std::uint64_t chunk)
        : SumVec(length, RangeCheckedInteger<F>(checked("max_measurement", largest, 1, most())), largest, chunk) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        require_range_all(words, this->shape().words, largest_, "an entry of a measurement");
        for (std::size_t i = 0; i < this->shape().words; ++i)
            integer_.encode(words[i], measurement + i * integer_.bits());
    }
    void truncate(const Element* measurement, Element* output) const override {
        const std::size_t length = this->shape().output, bits = integer_.bits();
        for (std::size_t i = 0; i < length; ++i)
            output[i] = bits == 1 ? measurement[i] : integer_.decode(measurement + i * bits);
    }
    void finish(const Element*, const Element* called, const Factor*, Element, Element* results) const override {
        results[0] = this->sum_of_calls(called);
    }

private:
    SumVec(std::uint64_t length, RangeCheckedInteger<F> integer, std::uint64_t largest, std::uint64_t chunk)
        : Chunked<F>(shape_of(length, integer.bits()), length * integer.bits(), chunk),
          largest_(largest),
          integer_(integer) {}
    static constexpr std::uint64_t most() { return F::kBytes == 8 ? ~std::uint64_t{0} >> 1 : ~std::uint64_t{0}; }
    static Shape shape_of(std::uint64_t length, std::size_t bits) {
        Shape shape;
        shape.words = shape.output = checked("length", length, 1, kMostElements / bits);
        shape.measurement = length * bits;
        return shape;
    }
    std::uint64_t largest_;
    RangeCheckedInteger<F> integer_;
};

// Bits of which exactly one is set. The measurement is its place.
template <class F>
class Histogram final : public Chunked<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    Histogram(std::uint64_t length, std::uint64_t chunk) : Chunked<F>(shape_of(length), length, chunk) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        const std::size_t length = this->shape().measurement;
        require_range(words[0] < length, "a measurement", length - 1);
        for (std::size_t i = 0; i < length; ++i) measurement[i] = F::element(static_cast<std::uint64_t>(words[0] == i));
    }
    void truncate(const Element* measurement, Element* output) const override {
        for (std::size_t i = 0; i < this->shape().output; ++i) output[i] = measurement[i];
    }
    void finish(const Element* measurement, const Element* called, const Factor*, Element one,
                Element* results) const override {
        results[0] = this->sum_of_calls(called);
        results[1] = F::subtract(sum_of<F>(measurement, this->shape().measurement), one);
    }

private:
    static Shape shape_of(std::uint64_t length) {
        Shape shape;
        shape.measurement = shape.output = checked("length", length, 1, kMostElements);
        shape.results = 2;
        return shape;
    }
};

// Bits of which at most `max_weight` are set, and their number, which is compared with their sum.
template <class F>
class MultihotCountVec final : public Chunked<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    MultihotCountVec(std::uint64_t length, std::uint64_t most, std::uint64_t chunk)
        : MultihotCountVec(checked("length", length, 1, kMostElements / 2),
                           RangeCheckedInteger<F>(checked("max_weight", most, 1, length)), most, chunk) {}
    void encode(const std::uint64_t* words, Element* measurement) const override {
        const std::size_t length = this->shape().output;
        require_range_all(words, length, 1, "an entry of a measurement");
        std::uint64_t weight = 0;
        for (std::size_t i = 0; i < length; ++i) {
            measurement[i] = F::element(words[i]);
            weight += words[i];
        }
        require_range(weight <= most_, "the number of entries of a measurement that are 1", most_);
        weight_.encode(weight, measurement + length);
    }
    void truncate(const Element* measurement, Element* output) const override {
        for (std::size_t i = 0; i < this->shape().output; ++i) output[i] = measurement[i];
    }
    void finish(const Element* measurement, const Element* called, const Factor*, Element,
                Element* results) const override {
        const std::size_t length = this->shape().output;
        results[0] = this->sum_of_calls(called);
        results[1] = F::subtract(sum_of<F>(measurement, length), weight_.decode(measurement + length));
    }

private:
    MultihotCountVec(std::uint64_t length, RangeCheckedInteger<F> weight, std::uint64_t most, std::uint64_t chunk)
        : Chunked<F>(shape_of(length, weight.bits()), length + weight.bits(), chunk), most_(most), weight_(weight) {}
    static Shape shape_of(std::uint64_t length, std::size_t bits) {
        Shape shape;
        shape.words = shape.output = length;
        shape.measurement = length + bits;
        shape.results = 2;
        return shape;
    }
    std::uint64_t most_;
    RangeCheckedInteger<F> weight_;
};

// Features x_1 to x_d and a label y, all of `bits` bits, for least squares. After the bits of the d + 1 numbers stand
// the products x_i x_j for i <= j, and then x_i y (Corrigan-Gibbs and Boneh, NSDI 2017, section 5.3).
// Behind the bits' products b (b - 1) the gadget computes x_i x_j and x_i y, of which `finish` subtracts what the
// client said, with the same weights. The output is x, y and the products.
template <class F>
class LinearRegression final : public Chunked<F> {
public:
    using typename Circuit<F>::Element;
    using typename Circuit<F>::Factor;

    LinearRegression(std::uint64_t features, std::uint64_t bits, std::uint64_t chunk)
        : Chunked<F>(shape_of(checked("features", features, 1, 1000), checked("bits", bits, 1, 32)),
                     (features + 1) * bits + products(features), chunk),
          numbers_(features + 1),
          bits_(bits),
          integer_((std::uint64_t{1} << bits) - 1) {
        for (std::size_t i = 0; i < features; ++i)
            for (std::size_t j = i; j < features; ++j) pairs_.push_back({i, j});
        for (std::size_t i = 0; i < features; ++i) pairs_.push_back({i, features});
    }
    void encode(const std::uint64_t* words, Element* measurement) const override {
        require_range_all(words, numbers_, (std::uint64_t{1} << bits_) - 1, "a feature or the label");
        for (std::size_t i = 0; i < numbers_; ++i) integer_.encode(words[i], measurement + i * bits_);
        Element* const said = measurement + numbers_ * bits_;
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            said[i] = F::element(words[pairs_[i].left] * words[pairs_[i].right]);
    }
    void truncate(const Element* measurement, Element* output) const override {
        decode(measurement, output);
        for (std::size_t i = 0; i < pairs_.size(); ++i) output[numbers_ + i] = measurement[numbers_ * bits_ + i];
    }
    void fill_wires(const Element* measurement, const Factor* joint, Element one, Element* wires, std::size_t stride,
                    Factor* scratch) const override {
        const std::size_t bits = numbers_ * bits_;
        Secrets<Element> number(numbers_);
        decode(measurement, number.data());
        this->fill_pairs(
            joint,
            [&](std::size_t q) {
                if (q < bits) return measurement[q];
                return q - bits < pairs_.size() ? number[pairs_[q - bits].left] : F::element(0);
            },
            [&](std::size_t q, Element left) {
                if (q < bits) return F::subtract(left, one);
                return q - bits < pairs_.size() ? number[pairs_[q - bits].right] : F::element(0);
            },
            wires, stride, scratch);
    }
    void finish(const Element* measurement, const Element* called, const Factor* joint, Element,
                Element* results) const override {
        const std::size_t bits = numbers_ * bits_;
        typename F::Sum said;
        Factor power = joint[0];
        for (std::size_t i = 0; i < pairs_.size(); ++i) {
            const std::size_t call = (bits + i) / this->chunk_, place = (bits + i) % this->chunk_;
            if (i == 0 || place == 0) {  // r_k^(place + 1)
                power = joint[call];
                for (std::size_t j = 0; j < place; ++j) power = F::multiply(power, joint[call]);
            } else {
                power = F::multiply(power, joint[call]);
            }
            said.add_product(power, measurement[bits + i]);
        }
        results[0] = F::subtract(this->sum_of_calls(called), said.value());
    }

private:
    struct Pair {
        std::size_t left, right;
    };
    static std::size_t products(std::uint64_t features) { return features * (features + 1) / 2 + features; }
    static Shape shape_of(std::uint64_t features, std::uint64_t bits) {
        Shape shape;
        shape.words = features + 1;
        shape.measurement = (features + 1) * bits + products(features);
        shape.output = features + 1 + products(features);
        return shape;
    }
    void decode(const Element* measurement, Element* numbers) const {
        for (std::size_t i = 0; i < numbers_; ++i) numbers[i] = integer_.decode(measurement + i * bits_);
    }
    std::size_t numbers_, bits_;
    RangeCheckedInteger<F> integer_;
    std::vector<Pair> pairs_;
};

}  // namespace

template <class F>
std::unique_ptr<Circuit<F>> make_circuit(const CircuitOptions& o) {
    switch (o.kind) {
        case Kind::count: return std::make_unique<Count<F>>();
        case Kind::sum: return std::make_unique<Sum<F>>(o.max_measurement);
        case Kind::sum_vec: return std::make_unique<SumVec<F>>(o.length, o.max_measurement, o.chunk_length);
        case Kind::histogram: return std::make_unique<Histogram<F>>(o.length, o.chunk_length);
        case Kind::multihot_count_vec:
            return std::make_unique<MultihotCountVec<F>>(o.length, o.max_weight, o.chunk_length);
        case Kind::linear_regression: return std::make_unique<LinearRegression<F>>(o.length, o.bits, o.chunk_length);
        case Kind::higher_degree: return std::make_unique<HigherDegree<F>>();
    }
    throw ParameterError("a circuit: expected one of those that exist, found another");
}

template std::unique_ptr<Circuit<Field64>> make_circuit<Field64>(const CircuitOptions&);
template std::unique_ptr<Circuit<Field128>> make_circuit<Field128>(const CircuitOptions&);

}  // namespace mpc::prio
