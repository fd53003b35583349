// The group of edwards25519 in constant time, for the base OTs, and for keys that several hold together.
//
// Extended coordinates with a = -1 are those of Hisil, Wong, Carter, Dawson, "Twisted Edwards curves revisited"
// (ASIACRYPT 2008), sections 3.1-3.3. Parameters, encoding and decoding are those of RFC 8032, section 5.1. Signed
// radix-16 tables are used as in Bernstein et al., "High-speed high-security signatures" (CHES 2011), section 4.
//
// This is own code for two reasons. The library must build on any user's machine, where no crypto library's headers may
// be assumed. The base OTs want what the common interfaces do not offer, which is a table for a received point and one
// inversion for 128 encodings. It is held against RFC 8032's vectors here. The Python tests hold the messages of the
// base OTs against libsodium.
//
// Where the processor multiplies 52-bit integers in vectors (AVX-512 IFMA), many points go eight at a time. The results
// are the same group elements, and encodings are canonical, so the wire does not depend on it.
//
// Timing: no branch and no address depends on a scalar or on a point that results from one. Decoding branches on
// validity only, which is public.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/curve/edwards_formulas.hpp"
#include "core/curve/field25519.hpp"

namespace mpc {

constexpr std::size_t kPointBytes = 32;

// Little-endian integer, below 2^253 wherever it multiplies a point.
using Scalar = std::array<std::uint8_t, 32>;

namespace curve {

// 2d = -2 * 121665/121666 and sqrt(-1), as radix-2^51 limbs.
inline constexpr Field kTwoD{{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
inline constexpr Field kRootOfMinusOne{{0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};

}  // namespace curve

// (X : Y : Z : T), x = X/Z, y = Y/Z, x y = T/Z.
using Point = curve::Extended<Field>;

Point identity_point();
Point base_point();  // RFC 8032's generator, of prime order

Point operator+(const Point& a, const Point& b);
Point operator-(const Point& a, const Point& b);
Point doubled(const Point& a);
Point times_eight(const Point& a);  // clears the cofactor: the result lies in the prime-order subgroup

// r = condition ? a : r, for condition 0 or 1.
void assign_if(Point& r, const Point& a, std::uint64_t condition);

// out[i] = scalar points[i]. Constant time in scalar and points.
void multiply_all(const Scalar& scalar, const Point* points, std::size_t n, Point* out);
Point multiply(const Scalar& scalar, const Point& point);

// A point in affine form, prepared for addition.
struct AffinePoint {
    Field y_plus_x, y_minus_x, xy2d;
};

// A table of [1..8] 16^i P, i = 0..63 (60 KiB): one multiplication is 64 mixed additions. Constant time in the scalars.
class FixedBase {
public:
    explicit FixedBase(const Point& point);
    FixedBase(const FixedBase&) = delete;
    FixedBase& operator=(const FixedBase&) = delete;

    void multiply_all(const Scalar* scalars, std::size_t n, Point* out) const;  // out[i] = scalars[i] P
    Point multiply(const Scalar& scalar) const;

    static const FixedBase& generator();  // built once a process

private:
    std::vector<AffinePoint> table_;
};

// Decodes n points. An encoding is valid when it is canonical, on the curve and not of small order (RFC 8032, 5.1.3,
// and a check of [8]P). Returns how many were valid before the first that is not; only those are written.
std::size_t decode_points(const std::uint8_t* in, std::size_t n, Point* out);
bool decode_point(const std::uint8_t in[kPointBytes], Point& out);

// True when [L]P is the identity: no small-order component. For public points; one multiplication.
bool in_prime_order_subgroup(const Point& point);

// n canonical encodings, 32 bytes each, with one field inversion in all.
void encode_points(const Point* points, std::size_t n, std::uint8_t* out);

// True when the integer is below the group order; the test does not leak the value of an accepted candidate.
bool below_group_order(const Scalar& scalar);

}  // namespace mpc
