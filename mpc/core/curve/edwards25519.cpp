// The group of edwards25519; see edwards25519.hpp for sources and the timing claim.
#include "core/curve/edwards25519.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/cpu.hpp"
#include "core/curve/edwards25519_lanes.hpp"

namespace mpc {
namespace {

using namespace field25519;
using curve::kRootOfMinusOne;
using curve::kTwoD;

// d = -121665/121666 and the generator of RFC 8032, section 5.1, as radix-2^51 limbs.
constexpr Field kD{{0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
constexpr Field kBaseX{{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}};
constexpr Field kBaseY{{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}};
constexpr Field kBaseT{{0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}};

// L = 2^252 + 27742317777372353535851937790883648493, little endian.
constexpr Scalar kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                           0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                           0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

// Digits in [-8, 8): the last takes the final carry, and scalar < 2^253 keeps it below 3.
void signed_radix16(const Scalar& scalar, Digits digit) {
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

Point multiply_digits(const Digits digit, const Point& point) {
    curve::Cached<Field> table[kEntries];
    Point multiple = point;
    table[0] = curve::cached(point, kTwoD);
    for (int k = 1; k < kEntries; ++k) {
        multiple = curve::add_cached(multiple, table[0]);
        table[k] = curve::cached(multiple, kTwoD);
    }
    Point sum = identity_point();
    for (int i = kWindows - 1; i >= 0; --i) {
        if (i != kWindows - 1)
            for (int k = 0; k < 4; ++k) sum = curve::doubled(sum, k == 3);
        const Digit d = split(digit[i]);
        curve::Cached<Field> entry{Field::one(), Field::one(), Field::one(), Field::zero()};
        for (int k = 0; k < kEntries; ++k) {
            const std::uint64_t hit = is_equal(d.magnitude, static_cast<std::uint64_t>(k) + 1);
            assign_if(entry.y_plus_x, table[k].y_plus_x, hit);
            assign_if(entry.y_minus_x, table[k].y_minus_x, hit);
            assign_if(entry.z, table[k].z, hit);
            assign_if(entry.t2d, table[k].t2d, hit);
        }
        swap_if(entry.y_plus_x, entry.y_minus_x, d.negative);
        assign_if(entry.t2d, negate(entry.t2d), d.negative);
        sum = curve::add_cached(sum, entry);
    }
    return sum;
}

Point multiply_fixed_digits(const AffinePoint* table, const Digits digit) {
    Point sum = identity_point();
    for (std::size_t i = 0; i < kWindows; ++i) {
        const Digit d = split(digit[i]);
        AffinePoint entry{Field::one(), Field::one(), Field::zero()};
        const AffinePoint* row = table + i * kEntries;
        for (std::size_t k = 0; k < kEntries; ++k) {
            const std::uint64_t hit = is_equal(d.magnitude, k + 1);
            assign_if(entry.y_plus_x, row[k].y_plus_x, hit);
            assign_if(entry.y_minus_x, row[k].y_minus_x, hit);
            assign_if(entry.xy2d, row[k].xy2d, hit);
        }
        swap_if(entry.y_plus_x, entry.y_minus_x, d.negative);
        assign_if(entry.xy2d, negate(entry.xy2d), d.negative);
        sum = curve::complete(sum, entry.y_plus_x, entry.y_minus_x, entry.xy2d, add_lazy(sum.z, sum.z));
    }
    return sum;
}

// The fraction whose square root is x: x^2 = (y^2 - 1) / (d y^2 + 1).
struct Root {
    Field u, v, uv3, uv7;
};

Root root_of(const Field& y) {
    const Field yy = square(y), u = sub(yy, Field::one()), v = add(mul(kD, yy), Field::one());
    const Field v3 = mul(square(v), v), uv3 = mul(u, v3);
    return Root{u, v, uv3, mul(uv3, mul(square(v), square(v)))};
}

// RFC 8032, 5.1.3, given power = (u v^7)^((p-5)/8): the candidate root u v^3 power is right up to a factor sqrt(-1).
bool finish_decoding(const std::uint8_t in[kPointBytes], const Field& y, const Root& r, const Field& power,
                     Point& out) {
    std::uint8_t canonical[32];
    to_bytes(y, canonical);
    const std::uint8_t sign = in[31] >> 7;
    canonical[31] = static_cast<std::uint8_t>(canonical[31] | (sign << 7));
    if (std::memcmp(canonical, in, kPointBytes) != 0) return false;
    Field x = mul(r.uv3, power);
    const Field vxx = mul(r.v, square(x));
    if (!equal(vxx, r.u)) {
        if (!equal(vxx, negate(r.u))) return false;
        x = mul(x, kRootOfMinusOne);
    }
    if (equal(x, Field::zero()) && sign) return false;
    if (is_odd(x) != sign) x = negate(x);
    const Point point{x, y, Field::one(), mul(x, y)};
    if (equal(times_eight(point).x, Field::zero())) return false;  // x = 0 on the subgroup of odd order: the identity
    out = point;
    return true;
}

}  // namespace

const LaneKernels* lane_kernels() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() == cpu::Level::vaes512 && __builtin_cpu_supports("avx512ifma")) return &lane_kernels_ifma;
#endif
    return nullptr;
}

Point identity_point() { return Point{Field::zero(), Field::one(), Field::one(), Field::zero()}; }
Point base_point() { return Point{kBaseX, kBaseY, Field::one(), kBaseT}; }

Point operator+(const Point& a, const Point& b) { return curve::add_cached(a, curve::cached(b, kTwoD)); }

Point operator-(const Point& a, const Point& b) {
    return a + Point{negate(b.x), b.y, b.z, negate(b.t)};
}

Point doubled(const Point& a) { return curve::doubled(a, true); }

Point times_eight(const Point& a) {
    return curve::doubled(curve::doubled(curve::doubled(a, false), false), true);
}

void assign_if(Point& r, const Point& a, std::uint64_t condition) {
    assign_if(r.x, a.x, condition);
    assign_if(r.y, a.y, condition);
    assign_if(r.z, a.z, condition);
    assign_if(r.t, a.t, condition);
}

void multiply_all(const Scalar& scalar, const Point* points, std::size_t n, Point* out) {
    Digits digits;
    signed_radix16(scalar, digits);
    std::size_t i = 0;
    if (const LaneKernels* lanes = lane_kernels())
        for (; i + kLanes <= n; i += kLanes) lanes->multiply(digits, points + i, out + i);
    for (; i < n; ++i) out[i] = multiply_digits(digits, points[i]);
    wipe(digits, sizeof digits);
}

Point multiply(const Scalar& scalar, const Point& point) {
    Point out;
    multiply_all(scalar, &point, 1, &out);
    return out;
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
        table_[i] = AffinePoint{add(y, x), sub(y, x), mul(mul(x, y), kTwoD)};
    }
}

void FixedBase::multiply_all(const Scalar* scalars, std::size_t n, Point* out) const {
    Digits digits[kLanes];
    const LaneKernels* lanes = lane_kernels();
    for (std::size_t i = 0; i < n; i += kLanes) {
        const std::size_t count = std::min(kLanes, n - i);
        for (std::size_t l = 0; l < count; ++l) signed_radix16(scalars[i + l], digits[l]);
        if (lanes != nullptr && count == kLanes) {
            lanes->multiply_fixed(table_.data(), digits, out + i);
        } else {
            for (std::size_t l = 0; l < count; ++l) out[i + l] = multiply_fixed_digits(table_.data(), digits[l]);
        }
    }
    wipe(digits, sizeof digits);
}

Point FixedBase::multiply(const Scalar& scalar) const {
    Point out;
    multiply_all(&scalar, 1, &out);
    return out;
}

const FixedBase& FixedBase::generator() {
    static const FixedBase table(base_point());
    return table;
}

std::size_t decode_points(const std::uint8_t* in, std::size_t n, Point* out) {
    const LaneKernels* lanes = lane_kernels();
    Field y[kLanes], radicand[kLanes], power[kLanes];
    Root root[kLanes];
    for (std::size_t i = 0; i < n; i += kLanes) {
        const std::size_t count = std::min(kLanes, n - i);
        for (std::size_t l = 0; l < kLanes; ++l) {
            y[l] = from_bytes(in + kPointBytes * (i + std::min(l, count - 1)));
            root[l] = root_of(y[l]);
            radicand[l] = root[l].uv7;
        }
        if (lanes != nullptr && count > 1) {
            lanes->power_p58(radicand, power);
        } else {
            for (std::size_t l = 0; l < count; ++l) power[l] = power_p58(radicand[l]);
        }
        for (std::size_t l = 0; l < count; ++l)
            if (!finish_decoding(in + kPointBytes * (i + l), y[l], root[l], power[l], out[i + l])) return i + l;
    }
    return n;
}

bool decode_point(const std::uint8_t in[kPointBytes], Point& out) { return decode_points(in, 1, &out) == 1; }

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

}  // namespace mpc
