// The group of edwards25519. See edwards25519.hpp for sources and the timing claim.
#include "core/edwards25519.hpp"

#include <cstring>

namespace capc::mpc {
namespace {

using namespace field25519;

// d = -121665/121666, 2d, sqrt(-1) and the generator of RFC 8032, section 5.1, as radix-2^51 limbs.
constexpr Field kD{{0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
constexpr Field kTwoD{{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
constexpr Field kRootOfMinusOne{{0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
constexpr Field kBaseX{{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}};
constexpr Field kBaseY{{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}};
constexpr Field kBaseT{{0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}};

// L = 2^252 + 27742317777372353535851937790883648493, little endian.
constexpr Scalar kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                           0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

constexpr int kWindows = 64;
constexpr int kEntries = 8;

// A summand prepared for addition: (Y + X, Y - X, Z, 2 d T).
struct Cached {
    Field y_plus_x, y_minus_x, z, t2d;
};

Cached cached(const Point& p) { return Cached{add(p.y, p.x), sub(p.y, p.x), p.z, mul(p.t, kTwoD)}; }

// Hisil et al., 3.1 (unified, complete for a = -1 and nonsquare d): d2 is 2 Z1 Z2, loose or lazy.
Point complete(const Point& p, const Field& y_plus_x, const Field& y_minus_x, const Field& t2d, const Field& d2) {
    const Field a = mul(sub(p.y, p.x), y_minus_x);
    const Field b = mul(add_lazy(p.y, p.x), y_plus_x);
    const Field c = mul(p.t, t2d);
    const Field e = sub(b, a), f = sub(d2, c), g = add(d2, c), h = add_lazy(b, a);
    return Point{mul(e, f), mul(g, h), mul(f, g), mul(e, h)};
}

Point add_cached(const Point& p, const Cached& q) {
    const Field zz = mul(p.z, q.z);
    return complete(p, q.y_plus_x, q.y_minus_x, q.t2d, add_lazy(zz, zz));
}

// Hisil et al., 3.3. A doubling does not read T, so a run of doublings leaves it out (undefined) until the last.
Point doubled_maybe_t(const Point& p, bool with_t) {
    const Field a = square(p.x), b = square(p.y), zz = square(p.z);
    const Field h = add(a, b), e = sub(h, square(add_lazy(p.x, p.y))), g = sub(a, b);
    const Field f = add(add_lazy(zz, zz), g);
    return Point{mul(e, f), mul(g, h), mul(f, g), with_t ? mul(e, h) : Field::zero()};
}

Point doubled_four_times(Point p) {
    for (int i = 0; i < 3; ++i) p = doubled_maybe_t(p, false);
    return doubled_maybe_t(p, true);
}

// scalar = sum of digit[i] 16^i with digits in [-8, 8). The last digit takes the final carry: scalar < 2^253 keeps it
// below 3.
void signed_radix16(const Scalar& scalar, std::int8_t digit[kWindows]) {
    int carry_in = 0;
    for (int i = 0; i < kWindows; ++i) {
        const int nibble = ((scalar[static_cast<std::size_t>(i / 2)] >> (4 * (i & 1))) & 15) + carry_in;
        carry_in = (nibble + 8) >> 4;
        digit[i] = static_cast<std::int8_t>(nibble - (carry_in << 4));
    }
}

std::uint64_t is_equal(std::uint64_t a, std::uint64_t b) { return (((a ^ b) - 1) >> 63) & 1; }

struct Digit {
    std::uint64_t magnitude, negative;  // 0..8, 0 or 1
};

Digit split(std::int8_t digit) {
    const int value = digit, sign = value >> 31;  // 0 or -1
    return Digit{static_cast<std::uint64_t>((value ^ sign) - sign), static_cast<std::uint64_t>(sign & 1)};
}

void swap_if(Field& a, Field& b, std::uint64_t condition) {
    const Field keep = a;
    assign_if(a, b, condition);
    assign_if(b, keep, condition);
}

}  // namespace

Point Point::identity() { return Point{Field::zero(), Field::one(), Field::one(), Field::zero()}; }
Point Point::base() { return Point{kBaseX, kBaseY, Field::one(), kBaseT}; }

Point operator+(const Point& a, const Point& b) { return add_cached(a, cached(b)); }

Point operator-(const Point& a, const Point& b) {
    return a + Point{negate(b.x), b.y, b.z, negate(b.t)};
}

Point doubled(const Point& a) { return doubled_maybe_t(a, true); }

Point times_eight(const Point& a) { return doubled(doubled_maybe_t(doubled_maybe_t(a, false), false)); }

void assign_if(Point& r, const Point& a, std::uint64_t condition) {
    assign_if(r.x, a.x, condition);
    assign_if(r.y, a.y, condition);
    assign_if(r.z, a.z, condition);
    assign_if(r.t, a.t, condition);
}

Point multiply(const Scalar& scalar, const Point& point) {
    Cached table[kEntries];
    Point multiple = point;
    table[0] = cached(point);
    for (int k = 1; k < kEntries; ++k) {
        multiple = add_cached(multiple, table[0]);
        table[k] = cached(multiple);
    }
    std::int8_t digit[kWindows];
    signed_radix16(scalar, digit);
    Point sum = Point::identity();
    for (int i = kWindows - 1; i >= 0; --i) {
        if (i != kWindows - 1) sum = doubled_four_times(sum);
        const Digit d = split(digit[i]);
        Cached entry{Field::one(), Field::one(), Field::one(), Field::zero()};
        for (int k = 0; k < kEntries; ++k) {
            const std::uint64_t hit = is_equal(d.magnitude, static_cast<std::uint64_t>(k) + 1);
            assign_if(entry.y_plus_x, table[k].y_plus_x, hit);
            assign_if(entry.y_minus_x, table[k].y_minus_x, hit);
            assign_if(entry.z, table[k].z, hit);
            assign_if(entry.t2d, table[k].t2d, hit);
        }
        swap_if(entry.y_plus_x, entry.y_minus_x, d.negative);
        assign_if(entry.t2d, negate(entry.t2d), d.negative);
        sum = add_cached(sum, entry);
    }
    return sum;
}

FixedBase::FixedBase(const Point& point) {
    std::vector<Point> multiples(kWindows * kEntries);
    Point first = point;
    for (std::size_t i = 0; i < kWindows; ++i) {
        Point* m = &multiples[i * kEntries];
        m[0] = first;
        m[1] = doubled(m[0]);
        m[2] = m[1] + m[0];
        m[3] = doubled(m[1]);
        m[4] = m[3] + m[0];
        m[5] = doubled(m[2]);
        m[6] = m[5] + m[0];
        m[7] = doubled(m[3]);
        first = doubled(m[7]);
    }
    std::vector<Field> z(multiples.size()), inverse(multiples.size());
    for (std::size_t i = 0; i < multiples.size(); ++i) z[i] = multiples[i].z;
    invert_all(z.data(), inverse.data(), z.size());
    table_.resize(multiples.size());
    for (std::size_t i = 0; i < multiples.size(); ++i) {
        const Field x = mul(multiples[i].x, inverse[i]), y = mul(multiples[i].y, inverse[i]);
        table_[i] = Affine{add(y, x), sub(y, x), mul(mul(x, y), kTwoD)};
    }
}

Point FixedBase::multiply(const Scalar& scalar) const {
    std::int8_t digit[kWindows];
    signed_radix16(scalar, digit);
    Point sum = Point::identity();
    for (std::size_t i = 0; i < kWindows; ++i) {
        const Digit d = split(digit[i]);
        Affine entry{Field::one(), Field::one(), Field::zero()};
        const Affine* row = &table_[i * kEntries];
        for (std::size_t k = 0; k < kEntries; ++k) {
            const std::uint64_t hit = is_equal(d.magnitude, k + 1);
            assign_if(entry.y_plus_x, row[k].y_plus_x, hit);
            assign_if(entry.y_minus_x, row[k].y_minus_x, hit);
            assign_if(entry.xy2d, row[k].xy2d, hit);
        }
        swap_if(entry.y_plus_x, entry.y_minus_x, d.negative);
        assign_if(entry.xy2d, negate(entry.xy2d), d.negative);
        sum = complete(sum, entry.y_plus_x, entry.y_minus_x, entry.xy2d, add_lazy(sum.z, sum.z));
    }
    return sum;
}

const FixedBase& FixedBase::generator() {
    static const FixedBase table(Point::base());
    return table;
}

bool decode_point(const std::uint8_t in[kPointBytes], Point& out) {
    const Field y = from_bytes(in);
    std::uint8_t canonical[32];
    to_bytes(y, canonical);
    const std::uint8_t sign = in[31] >> 7;
    canonical[31] = static_cast<std::uint8_t>(canonical[31] | (sign << 7));
    if (std::memcmp(canonical, in, kPointBytes) != 0) return false;

    // x^2 = u / v; candidate x = u v^3 (u v^7)^((p-5)/8), right up to a factor sqrt(-1).
    const Field yy = square(y), u = sub(yy, Field::one()), v = add(mul(kD, yy), Field::one());
    const Field v3 = mul(square(v), v), uv7 = mul(u, mul(square(v3), v));
    Field x = mul(mul(u, v3), power_p58(uv7));
    const Field vxx = mul(v, square(x));
    if (!equal(vxx, u)) {
        if (!equal(vxx, negate(u))) return false;
        x = mul(x, kRootOfMinusOne);
    }
    if (equal(x, Field::zero()) && sign) return false;
    if (is_odd(x) != sign) x = negate(x);

    const Point point{x, y, Field::one(), mul(x, y)};
    const Point cleared = times_eight(point);
    if (equal(cleared.x, Field::zero())) return false;  // [8]P has order 1: x = 0 and y = 1 there
    out = point;
    return true;
}

bool in_prime_order_subgroup(const Point& point) {
    const Point p = multiply(kOrder, point);
    return equal(p.x, Field::zero()) && equal(p.y, p.z);
}

void encode_points(const Point* points, std::size_t n, std::uint8_t* out) {
    std::vector<Field> z(n), inverse(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = points[i].z;
    invert_all(z.data(), inverse.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
        std::uint8_t* bytes = out + kPointBytes * i;
        to_bytes(mul(points[i].y, inverse[i]), bytes);
        const std::uint64_t odd = is_odd(mul(points[i].x, inverse[i]));
        bytes[31] = static_cast<std::uint8_t>(bytes[31] | (odd << 7));
    }
}

bool below_group_order(const Scalar& scalar) {
    // The borrow of scalar - L decides.
    int borrow = 0;
    for (std::size_t i = 0; i < 32; ++i) borrow = (scalar[i] - kOrder[i] + borrow) >> 8;
    return borrow != 0;
}

}  // namespace capc::mpc
