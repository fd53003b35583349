// Sums of multiples for public scalars; see combine.hpp.
#include "core/curve/combine.hpp"

#include <algorithm>
#include <vector>

namespace mpc {
namespace {

using curve::kTwoD;
using field25519::negate;
using Summand = curve::Cached<Field>;

constexpr int kWidth = 5;                    // digits are odd and below 2^(kWidth - 1)
constexpr int kOdd = 1 << (kWidth - 2);      // multiples in a table: 1, 3, .., 2 kOdd - 1
constexpr int kDigits = 256;
constexpr std::size_t kFewPoints = 100;      // from so many on buckets are faster

Summand negated(const Summand& a) { return Summand{a.y_minus_x, a.y_plus_x, a.z, negate(a.t2d)}; }

struct Table {
    Summand odd[kOdd];
};

Table table_of(const Point& point) {
    Table table;
    const Summand twice = curve::cached(doubled(point), kTwoD);
    Point multiple = point;
    table.odd[0] = curve::cached(multiple, kTwoD);
    for (int k = 1; k < kOdd; ++k) {
        multiple = curve::add_cached(multiple, twice);
        table.odd[k] = curve::cached(multiple, kTwoD);
    }
    return table;
}

struct Naf {
    std::int8_t digit[kDigits];
    int length;  // digits from here on are zero
};

// `bits` from `position` on.
unsigned window(const Scalar& scalar, int position, int bits) {
    unsigned value = 0;
    for (int i = 0; i < bits && position + i < 256; ++i)
        value |= static_cast<unsigned>((scalar[static_cast<std::size_t>((position + i) / 8)] >> ((position + i) % 8)) & 1)
                 << i;
    return value;
}

Naf naf_of(const Scalar& scalar) {
    Naf naf{};
    unsigned carry = 0;
    for (int i = 0; i < kDigits;) {
        if (((window(scalar, i, 1) + carry) & 1) == 0) {
            ++i;  // a carry and a bit of one give the next carry
            continue;
        }
        const int value = static_cast<int>(window(scalar, i, kWidth) + carry);
        carry = value >= 1 << (kWidth - 1) ? 1 : 0;
        naf.digit[i] = static_cast<std::int8_t>(value - static_cast<int>(carry << kWidth));
        naf.length = i + 1;
        i += kWidth;
    }
    return naf;
}

void add_digit(Point& sum, const Table& table, int digit) {
    const Summand& entry = table.odd[(digit < 0 ? -digit : digit) / 2];
    sum = curve::add_cached(sum, digit < 0 ? negated(entry) : entry);
}

Point straus(const Naf* nafs, const Table* const* tables, std::size_t n) {
    int length = 0;
    for (std::size_t j = 0; j < n; ++j) length = std::max(length, nafs[j].length);
    Point sum = identity_point();
    for (int i = length; i-- > 0;) {
        const bool adds = i == 0 || std::any_of(nafs, nafs + n, [i](const Naf& naf) { return naf.digit[i] != 0; });
        sum = curve::doubled(sum, adds);
        for (std::size_t j = 0; j < n; ++j)
            if (nafs[j].digit[i] != 0) add_digit(sum, *tables[j], nafs[j].digit[i]);
    }
    return sum;
}

// Windows of `bits` bits from the top down: each digit's point goes into the bucket of its magnitude.
Point buckets(const Scalar* scalars, const Point* points, std::size_t n, int bits) {
    const int windows = (254 + bits - 1) / bits + 1, half = 1 << (bits - 1);
    std::vector<Summand> summands(n);
    std::vector<int> digits(n * static_cast<std::size_t>(windows));
    for (std::size_t i = 0; i < n; ++i) {
        summands[i] = curve::cached(points[i], kTwoD);
        int carry = 0;
        for (int w = 0; w < windows; ++w) {
            const int value = static_cast<int>(window(scalars[i], w * bits, bits)) + carry;
            carry = value > half ? 1 : 0;
            digits[i * static_cast<std::size_t>(windows) + static_cast<std::size_t>(w)] = value - (carry << bits);
        }
    }
    std::vector<Point> bucket(static_cast<std::size_t>(half));
    Point total = identity_point();
    for (int w = windows; w-- > 0;) {
        for (int k = 0; k < bits; ++k) total = curve::doubled(total, k == bits - 1);
        std::fill(bucket.begin(), bucket.end(), identity_point());
        for (std::size_t i = 0; i < n; ++i) {
            const int digit = digits[i * static_cast<std::size_t>(windows) + static_cast<std::size_t>(w)];
            if (digit == 0) continue;
            Point& place = bucket[static_cast<std::size_t>((digit < 0 ? -digit : digit) - 1)];
            place = curve::add_cached(place, digit < 0 ? negated(summands[i]) : summands[i]);
        }
        // Sum of k times bucket k: running sums from the largest down.
        Point running = identity_point(), sum = identity_point();
        for (std::size_t k = bucket.size(); k-- > 0;) {
            running = running + bucket[k];
            sum = sum + running;
        }
        total = total + sum;
    }
    return total;
}

}  // namespace

void combine_rows(const Column* columns, std::size_t n_columns, std::size_t rows, Point* out) {
    if (rows == 0) return;
    std::vector<Table> tables(n_columns);
    std::vector<const Table*> places(n_columns);
    std::vector<Naf> nafs(n_columns);
    for (std::size_t j = 0; j < n_columns; ++j) {
        places[j] = &tables[j];
        if (columns[j].one_point) tables[j] = table_of(columns[j].points[0]);
    }
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < n_columns; ++j) {
            nafs[j] = naf_of(columns[j].scalars[i]);
            if (!columns[j].one_point) tables[j] = table_of(columns[j].points[i]);
        }
        out[i] = straus(nafs.data(), places.data(), n_columns);
    }
}

Point combine(const Scalar* scalars, const Point* points, std::size_t n) {
    if (n < kFewPoints) {
        std::vector<Table> tables(n);
        std::vector<const Table*> places(n);
        std::vector<Naf> nafs(n);
        for (std::size_t i = 0; i < n; ++i) {
            tables[i] = table_of(points[i]);
            places[i] = &tables[i];
            nafs[i] = naf_of(scalars[i]);
        }
        return straus(nafs.data(), places.data(), n);
    }
    int bits = 6;
    while (bits < 12 && n >> bits > 6) ++bits;
    return buckets(scalars, points, n, bits);
}

}  // namespace mpc
