// Encodes and decodes; see encoding.hpp.
#include "core/ckks/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/error.hpp"

namespace mpc::ckks {

using namespace lattice;

namespace {

constexpr double kTwo62 = 4611686018427387904.0, kTwo31 = 2147483648.0;
constexpr int kWidestBits = 110;  // of a coefficient; see `Integer`

// The nearest integer, for |x| < 2^51, without a call to a function that branches.
MPC_INLINE double nearest(double x) {
    constexpr double kMagic = 6755399441055744.0;  // 1.5 2^52
    return (x + kMagic) - kMagic;
}

// A coefficient below 2^110, rounded, as high 2^62 + low with |low| < 2^62.
struct Integer {
    std::int64_t high, low;

    explicit MPC_INLINE Integer(double x) {
        const double top = nearest(x / kTwo62), rest = x - top * kTwo62;  // exact, at most 2^61
        const double middle = nearest(rest / kTwo31), last = nearest(rest - middle * kTwo31);
        high = static_cast<std::int64_t>(top);
        low = static_cast<std::int64_t>(middle) * (std::int64_t{1} << 31) + static_cast<std::int64_t>(last);
    }
    MPC_INLINE std::uint64_t modulo(const Modulus& m, const Factor& two_to_62) const {
        const std::uint64_t above = multiply(reduce_signed(static_cast<std::uint64_t>(high), m), two_to_62, m.p);
        return add(above, reduce_signed(static_cast<std::uint64_t>(low), m), m.p);
    }
};

void check_range(const Parameters& parameters, double largest, std::size_t level, const Scale& scale) {
    if (!std::isfinite(largest)) throw ParameterError("expected finite values, found others");
    const double most = std::min(parameters.largest_value(level, scale), std::exp2(kWidestBits - scale.bits()));
    if (largest > most) {
        throw ParameterError("expected values of at most " + std::to_string(most) + " at level " +
                             std::to_string(level) + " and a scale of 2^" + std::to_string(scale.bits()) + ", found " +
                             std::to_string(largest));
    }
}

// NaN where one is, as comparisons would pass it over.
double largest_of(View<const double> values) {
    double largest = 0, poison = 0;
    for (const double value : values) {
        const double size = std::fabs(value);
        largest = size > largest ? size : largest;
        poison += value - value;  // 0, or NaN for what is not finite
    }
    return largest + poison;
}

}  // namespace

Encoder::Encoder(std::size_t degree) : slots_(degree / 2) {
    std::vector<std::size_t> power(slots_);  // of 5 modulo 2 N
    std::size_t value = 1;
    for (std::size_t& found : power) {
        found = value;
        value = value * 5 % (2 * degree);
    }
    const long double pi = std::acos(-1.0L);
    for (std::size_t length = 2; length <= slots_; length *= 2) {
        for (std::size_t j = 0; j < length / 2; ++j) {
            const auto angle = 2 * pi * static_cast<long double>(power[j] % (4 * length)) /
                               static_cast<long double>(4 * length);
            cosines_.push_back(static_cast<double>(std::cos(angle)));
            sines_.push_back(static_cast<double>(std::sin(angle)));
        }
    }
    reversed_.resize(slots_);
    for (std::size_t i = 0, j = 0; i < slots_; ++i) {
        reversed_[i] = static_cast<std::uint32_t>(j);
        std::size_t bit = slots_ / 2;
        for (; bit != 0 && (j & bit) != 0; bit /= 2) j ^= bit;
        j ^= bit;
    }
}

void Encoder::to_coefficients(View<const double> values, double* out) const {
    Reals parts(2 * slots_);
    double *const re = parts.data(), *const im = re + slots_;
    for (std::size_t i = 0; i < slots_; ++i) {
        re[i] = i < values.size() ? values[i] : 0;
        im[i] = 0;
    }
    std::size_t at = cosines_.size();
    for (std::size_t half = slots_ / 2; half >= 1; half /= 2) {
        at -= half;
        for (std::size_t i = 0; i < slots_; i += 2 * half) {
            for (std::size_t j = 0; j < half; ++j) {
                const std::size_t a = i + j, b = a + half;
                const double x = re[a] - re[b], y = im[a] - im[b], c = cosines_[at + j], s = sines_[at + j];
                re[a] += re[b];
                im[a] += im[b];
                re[b] = x * c + y * s;  // by the conjugate
                im[b] = y * c - x * s;
            }
        }
    }
    const double share = 1 / static_cast<double>(slots_);
    for (std::size_t i = 0; i < slots_; ++i) {
        out[reversed_[i]] = re[i] * share;
        out[slots_ + reversed_[i]] = im[i] * share;
    }
}

void Encoder::to_values(const double* coefficients, double* values) const {
    Reals parts(2 * slots_);
    double *const re = parts.data(), *const im = re + slots_;
    for (std::size_t i = 0; i < slots_; ++i) {
        re[i] = coefficients[reversed_[i]];
        im[i] = coefficients[slots_ + reversed_[i]];
    }
    std::size_t at = 0;
    for (std::size_t half = 1; half < slots_; half *= 2) {
        for (std::size_t i = 0; i < slots_; i += 2 * half) {
            for (std::size_t j = 0; j < half; ++j) {
                const std::size_t a = i + j, b = a + half;
                const double c = cosines_[at + j], s = sines_[at + j];
                const double x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
        }
        at += half;
    }
    for (std::size_t i = 0; i < slots_; ++i) values[i] = re[i];
}

const Encoder& encoder_of(std::size_t degree) {
    static std::mutex turn;
    static std::unique_ptr<const Encoder> made[16];
    const std::lock_guard<std::mutex> hold(turn);
    std::size_t place = 0;
    while (degree >> place != 1) ++place;
    if (!made[place]) made[place] = std::make_unique<const Encoder>(degree);
    return *made[place];
}

void encode(const Parameters& parameters, const Encoder& encoder, View<const double> values, std::size_t level,
            const Scale& scale, bool transformed, std::uint64_t* rows) {
    const std::size_t degree = parameters.degree();
    parameters.check_level(level);
    if (values.size() > degree / 2) {
        throw ParameterError("expected at most " + std::to_string(degree / 2) + " values, found " +
                             std::to_string(values.size()));
    }
    check_range(parameters, largest_of(values), level, scale);
    encode_unchecked(parameters, encoder, values, level, scale, transformed, rows);
}

void encode_unchecked(const Parameters& parameters, const Encoder& encoder, View<const double> values, std::size_t level,
                      const Scale& scale, bool transformed, std::uint64_t* rows) {
    const std::size_t degree = parameters.degree();
    const double factor = scale.value();
    Reals coefficients(degree);
    encoder.to_coefficients(values, coefficients.data());
    std::vector<Integer, LargeAllocator<Integer, true>> integers;
    integers.reserve(degree);
    for (const double coefficient : coefficients) integers.emplace_back(coefficient * factor);
    for (std::size_t i = 0; i <= level; ++i) {
        const Modulus& modulus = parameters.row(i).modulus();
        const Factor two_to_62 = modulus.factor((std::uint64_t{1} << 62) % modulus.p);
        std::uint64_t* const row = rows + i * degree;
        for (std::size_t n = 0; n < degree; ++n) row[n] = integers[n].modulo(modulus, two_to_62);
        if (transformed) parameters.row(i).forward(row);
    }
}

void encode_constant(const Parameters& parameters, double value, std::size_t level, const Scale& scale,
                     std::uint64_t* rows) {
    const std::size_t degree = parameters.degree();
    parameters.check_level(level);
    check_range(parameters, largest_of(View<const double>(&value, 1)), level, scale);
    const double scaled = value * scale.value();
    const Integer integer(scaled);
    const double rounded = static_cast<double>(integer.high) * kTwo62 + static_cast<double>(integer.low);
    if (std::fabs(rounded - scaled) > std::fabs(scaled) / 1024) {
        throw ParameterError("expected a scale at which rounding changes the number by at most 2^-10 of it, found 2^" +
                             std::to_string(scale.bits()));
    }
    for (std::size_t i = 0; i <= level; ++i) {
        const Modulus& modulus = parameters.row(i).modulus();
        const Factor two_to_62 = modulus.factor((std::uint64_t{1} << 62) % modulus.p);
        std::fill_n(rows + i * degree, degree, integer.modulo(modulus, two_to_62));
    }
}

// Mixed radix digits around zero, the lowest first: the digits above those of a small integer are all zero, so their
// sum in double precision has a relative error of a few 2^-53.
//     Digit k is u_k - h_k with h_k = floor(q_k / 2) and u_k in [0, q_k). With r_k = q_0 ... q_(k-1), modulo q_k,
// u_k = h_k + x_k / r_k + sum_(i<k) (h_i - u_i) r_i / r_k.
void decode(const Parameters& parameters, const Encoder& encoder, std::size_t level, const Scale& scale,
            std::uint64_t* rows, double* values) {
    const std::size_t degree = parameters.degree();
    const double factor = scale.value();
    Reals coefficients(degree);
    for (std::size_t n = 0; n < degree; ++n) coefficients[n] = 0;
    double radix = 1;
    for (std::size_t k = 0; k <= level; ++k) {
        const Ntt& row = parameters.row(k);
        const std::uint64_t p = row.p(), half = p / 2;
        std::uint64_t* const digits = rows + k * degree;
        std::vector<std::uint64_t> share(k + 1, 1);  // r_i / r_k
        for (std::size_t i = k; i-- > 0;) {
            share[i] = static_cast<std::uint64_t>(Wide{share[i + 1]} * parameters.inverse(i, k) % p);
        }
        std::uint64_t constant = half;
        for (std::size_t i = 0; i < k; ++i) {
            constant = static_cast<std::uint64_t>((constant + Wide{parameters.row(i).p() / 2} * share[i]) % p);
        }
        std::uint64_t own = share[0];
        for (std::size_t first = 0; first < k || first == 0; first += Ntt::kMaxCombined - 1) {
            const std::uint64_t* terms[Ntt::kMaxCombined] = {digits};
            std::uint64_t factors[Ntt::kMaxCombined] = {own};
            std::size_t count = 1;
            for (std::size_t i = first; i < k && count < Ntt::kMaxCombined; ++i, ++count) {
                terms[count] = rows + i * degree;
                factors[count] = p - share[i];
            }
            row.combine(terms, factors, count, digits);
            own = 1;
        }
        for (std::size_t n = 0; n < degree; ++n) {
            digits[n] = add(digits[n], constant, p);
            coefficients[n] += static_cast<double>(static_cast<std::int64_t>(digits[n] - half)) * radix;
        }
        radix *= static_cast<double>(p);
    }
    encoder.to_values(coefficients.data(), values);
    for (std::size_t i = 0; i < degree / 2; ++i) values[i] /= factor;
}

}  // namespace mpc::ckks
