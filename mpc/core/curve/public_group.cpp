// Sums of multiples of public points, and hashing to the curve; see public_group.hpp for sources.
#include "core/curve/public_group.hpp"

#include <algorithm>
#include <vector>

namespace mpc {
namespace {

using namespace field25519;

constexpr std::size_t kScalarBits = 253;

// Of the Montgomery form of the curve, v^2 = u^3 + J u^2 + u, and of the map from it (RFC 9380, appendix G.2).
constexpr Field kJ{{486662, 0, 0, 0, 0}};
constexpr Field kRootOfMinusOne{{0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
constexpr Field kScale{{0x604aaff457e06, 0x2296fa350598d, 0x7f13dfb16874f, 0x35de93d846e01, 0xf26edf460a00}};  // sqrt(-J - 2)

// The number in bits [at, at + width) of a scalar.
std::size_t bits_of(const Scalar& scalar, std::size_t at, std::size_t width) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < width && at + i < 256; ++i)
        value |= static_cast<std::size_t>((scalar[(at + i) / 8] >> ((at + i) % 8)) & 1) << i;
    return value;
}

std::size_t highest_bit(const Scalar* scalars, std::size_t n) {
    std::size_t bits = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t bit = kScalarBits; bit > bits; --bit)
            if (bits_of(scalars[i], bit - 1, 1) != 0) bits = bit;
    return bits;
}

std::size_t window_for(std::size_t n) {
    std::size_t width = 2;
    while (width < 10 && (std::size_t{1} << (width + 2)) < n) ++width;
    return width;
}

// True, and `root` with root^2 = a, if there is one.
bool square_root(const Field& a, Field& root) {
    root = mul(a, power_p58(a));
    if (equal(square(root), a)) return true;
    root = mul(root, kRootOfMinusOne);
    return equal(square(root), a) != 0;
}

Field right_side(const Field& u) { return mul(u, add(add(square(u), mul(kJ, u)), Field::one())); }

// RFC 9380, 6.7.1 with Z = 2, and the rational map of appendix G.2.2.
Point map_to_curve(const Field& element) {
    const Field twice = add(square(element), square(element));
    Field u = mul(negate(kJ), invert(add(Field::one(), twice)));  // 1 + 2 u^2 is never 0, because -1/2 is no square
    Field v;
    const bool first = square_root(right_side(u), v);
    if (!first) {
        u = sub(negate(u), kJ);
        square_root(right_side(u), v);
    }
    if (is_odd(v) != (first ? 1u : 0u)) v = negate(v);
    const Field x_bottom = v, y_bottom = add(u, Field::one());
    if (equal(mul(x_bottom, y_bottom), Field::zero())) return identity_point();
    const Field x = mul(mul(kScale, u), invert(x_bottom)), y = mul(sub(u, Field::one()), invert(y_bottom));
    return Point{x, y, Field::one(), mul(x, y)};
}

}  // namespace

Point combine_public(const Scalar* scalars, const Point* points, std::size_t n) {
    const std::size_t width = window_for(n), windows = (highest_bit(scalars, n) + width - 1) / width;
    std::vector<Point> buckets((std::size_t{1} << width) - 1);
    Point sum = identity_point();
    for (std::size_t window = windows; window-- > 0;) {
        for (std::size_t i = 0; i < width; ++i) sum = doubled(sum);
        std::fill(buckets.begin(), buckets.end(), identity_point());
        for (std::size_t i = 0; i < n; ++i)
            if (const std::size_t digit = bits_of(scalars[i], window * width, width)) {
                Point& bucket = buckets[digit - 1];
                bucket = bucket + points[i];
            }
        Point running = identity_point(), total = identity_point();
        for (std::size_t i = buckets.size(); i-- > 0;) {
            running = running + buckets[i];
            total = total + running;
        }
        sum = sum + total;
    }
    return sum;
}

Point point_of_hash(const std::uint8_t u0[32], const std::uint8_t u1[32]) {
    return times_eight(map_to_curve(from_bytes(u0)) + map_to_curve(from_bytes(u1)));
}

}  // namespace mpc
