// RFC 9380's map to edwards25519; see elligator.hpp. The names of steps follow its appendices G.2.1 and G.2.2.
#include "core/curve/elligator.hpp"

#include <algorithm>

namespace mpc {
namespace {

using namespace field25519;
using curve::kRootOfMinusOne;

// 2^((p + 3) / 8) and the even square root of -486664, as radix-2^51 limbs.
constexpr Field kPowerOfTwo{{0x61b274a0ea0b1, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
constexpr Field kRootOfScale{{0x604aaff457e06, 0x2296fa350598d, 0x7f13dfb16874f, 0x35de93d846e01, 0xf26edf460a00}};
constexpr Field kJ{{486662, 0, 0, 0, 0}};

}  // namespace

Field field_from_seed(const std::uint8_t seed[kFieldSeedBytes]) {
    std::uint8_t low[32], high[32] = {};
    std::reverse_copy(seed + 16, seed + 48, low);
    std::reverse_copy(seed, seed + 16, high);
    // low = low' + 2^255 b with 2^255 = 19, and 2^256 = 38.
    const Field top{{std::uint64_t{19} * (low[31] >> 7), 0, 0, 0, 0}};
    return add(add(from_bytes(low), top), mul(from_bytes(high), Field{{38, 0, 0, 0, 0}}));
}

Point map_to_curve(const Field& u) {
    // Curve25519: x = xn / xd, y = y / 1.
    const Field t = add(square(u), square(u)), xd = add(t, Field::one()), x1n = negate(kJ);
    const Field xd2 = square(xd), gxd = mul(xd2, xd);
    const Field gx1 = mul(add(mul(mul(kJ, t), x1n), xd2), x1n);  // x1n^3 + J x1n^2 xd + x1n xd^2
    const Field gxd2 = square(gxd), tv3 = mul(mul(gxd2, gxd), gx1);
    const Field y11 = mul(power_p58(mul(square(gxd2), tv3)), tv3), y12 = mul(y11, kRootOfMinusOne);
    Field y1 = y12;
    assign_if(y1, y11, equal(mul(square(y11), gxd), gx1));
    const Field x2n = mul(x1n, t), y21 = mul(mul(y11, u), kPowerOfTwo), y22 = mul(y21, kRootOfMinusOne);
    Field y = y22;
    assign_if(y, y21, equal(mul(square(y21), gxd), mul(gx1, t)));
    const std::uint64_t e3 = equal(mul(square(y1), gxd), gx1);
    Field xn = x2n;
    assign_if(xn, x1n, e3);
    assign_if(y, y1, e3);
    assign_if(y, negate(y), e3 ^ is_odd(y));

    // The birational map: (c1 xn / (xd y), (xn - xd) / (xn + xd)), and the identity where a denominator is zero.
    Field en = mul(xn, kRootOfScale), ed = mul(xd, y), yn = sub(xn, xd), yd = add(xn, xd);
    const std::uint64_t exceptional = equal(mul(ed, yd), Field::zero());
    assign_if(en, Field::zero(), exceptional);
    assign_if(ed, Field::one(), exceptional);
    assign_if(yn, Field::one(), exceptional);
    assign_if(yd, Field::one(), exceptional);
    return Point{mul(en, yd), mul(yn, ed), mul(ed, yd), mul(en, yn)};
}

Point point_from_seed(const std::uint8_t seed[kPointSeedBytes]) {
    return times_eight(map_to_curve(field_from_seed(seed)) + map_to_curve(field_from_seed(seed + kFieldSeedBytes)));
}

}  // namespace mpc
