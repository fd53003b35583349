// Eight points at once with AVX-512 IFMA (52-bit multiply-add), radix 2^51 as in field25519.hpp, one lane a point.
//
// This file is compiled with its own instruction-set flags, and everything but the kernel table has internal linkage.
// Lanes never meet and selection is by mask, so it is constant time like the scalar code.
#include <immintrin.h>

#include "core/curve/edwards25519_lanes.hpp"

namespace mpc {
namespace {

// Limbs below 2^51 + 2^15 at all times: the multiplier reads 52 bits and no more, so there are no lazy sums here.
struct Field8 {
    __m512i limb[5];
};

MPC_INLINE __m512i mask51() { return _mm512_set1_epi64((std::int64_t{1} << 51) - 1); }
MPC_INLINE __m512i times19(__m512i x) {
    return _mm512_add_epi64(_mm512_add_epi64(_mm512_slli_epi64(x, 4), _mm512_slli_epi64(x, 1)), x);
}

// Limbs below 2^61 in; out below 2^51 + 19 * 2^10.
MPC_INLINE Field8 carried(const __m512i z[5]) {
    Field8 r;
    __m512i c[5];
    for (int i = 0; i < 5; ++i) c[i] = _mm512_srli_epi64(z[i], 51);
    r.limb[0] = _mm512_add_epi64(_mm512_and_si512(z[0], mask51()), times19(c[4]));
    for (int i = 1; i < 5; ++i) r.limb[i] = _mm512_add_epi64(_mm512_and_si512(z[i], mask51()), c[i - 1]);
    return r;
}

MPC_INLINE Field8 add(const Field8& a, const Field8& b) {
    __m512i z[5];
    for (int i = 0; i < 5; ++i) z[i] = _mm512_add_epi64(a.limb[i], b.limb[i]);
    return carried(z);
}
MPC_INLINE Field8 add_lazy(const Field8& a, const Field8& b) { return add(a, b); }

// a - b + 4p, limbs positive because b's are below 2^53 - 76.
MPC_INLINE Field8 sub(const Field8& a, const Field8& b) {
    const __m512i four_p0 = _mm512_set1_epi64(0x1fffffffffffb4), four_p = _mm512_set1_epi64(0x1ffffffffffffc);
    __m512i z[5];
    for (int i = 0; i < 5; ++i)
        z[i] = _mm512_sub_epi64(_mm512_add_epi64(a.limb[i], i == 0 ? four_p0 : four_p), b.limb[i]);
    return carried(z);
}

// Column k of the product is low[k] + 2 high[k - 1], because 2^52 = 2 * 2^51; at most 5 * 2^52 + 10 * 2^52 < 2^56, and
// 20 times that (column k + 19 column k + 5) below 2^61.
MPC_INLINE Field8 folded(const __m512i low[9], const __m512i high[9]) {
    __m512i z[5];
    for (int k = 0; k < 5; ++k) {
        const __m512i near = k == 0 ? low[0] : _mm512_add_epi64(low[k], _mm512_slli_epi64(high[k - 1], 1));
        const __m512i far_high = _mm512_slli_epi64(high[k + 4], 1);
        const __m512i far = k == 4 ? far_high : _mm512_add_epi64(low[k + 5], far_high);
        z[k] = _mm512_add_epi64(near, times19(far));
    }
    return carried(z);
}

MPC_INLINE Field8 mul(const Field8& a, const Field8& b) {
    __m512i low[9], high[9];
    for (int k = 0; k < 9; ++k) low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; ++i) {
        for (int j = 0; j < 5; ++j) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.limb[i], b.limb[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], a.limb[i], b.limb[j]);
        }
    }
    return folded(low, high);
}

// Cross products once, doubled afterwards: the 52-bit inputs leave no room for doubling before.
MPC_INLINE Field8 square(const Field8& a) {
    __m512i low[9], high[9];
    for (int k = 0; k < 9; ++k) low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; ++i) {
        for (int j = i + 1; j < 5; ++j) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.limb[i], a.limb[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], a.limb[i], a.limb[j]);
        }
    }
    for (int k = 1; k < 8; ++k) {
        low[k] = _mm512_slli_epi64(low[k], 1);
        high[k] = _mm512_slli_epi64(high[k], 1);
    }
    for (int i = 0; i < 5; ++i) {
        low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a.limb[i], a.limb[i]);
        high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], a.limb[i], a.limb[i]);
    }
    return folded(low, high);
}

MPC_INLINE Field8 constant(const Field& value) {
    Field8 r;
    for (int i = 0; i < 5; ++i) r.limb[i] = _mm512_set1_epi64(static_cast<std::int64_t>(value.limb[i]));
    return r;
}
MPC_INLINE Field8 small(std::int64_t value) {
    Field8 r;
    for (int i = 0; i < 5; ++i) r.limb[i] = _mm512_setzero_si512();
    r.limb[0] = _mm512_set1_epi64(value);
    return r;
}

MPC_INLINE void assign_if(Field8& r, const Field8& a, __mmask8 lanes) {
    for (int i = 0; i < 5; ++i) r.limb[i] = _mm512_mask_mov_epi64(r.limb[i], lanes, a.limb[i]);
}
MPC_INLINE void assign_constant_if(Field8& r, const Field& a, __mmask8 lanes) {
    for (int i = 0; i < 5; ++i)
        r.limb[i] = _mm512_mask_set1_epi64(r.limb[i], lanes, static_cast<std::int64_t>(a.limb[i]));
}
MPC_INLINE void swap_if(Field8& a, Field8& b, __mmask8 lanes) {
    const Field8 keep = a;
    assign_if(a, b, lanes);
    assign_if(b, keep, lanes);
}
MPC_INLINE Field8 negate(const Field8& a) { return sub(small(0), a); }

using Point8 = curve::Extended<Field8>;
using Cached8 = curve::Cached<Field8>;

// Lane l of a coordinate lies `stride` bytes behind lane l - 1.
MPC_INLINE Field8 gathered(const Field* first, std::size_t stride) {
    Field8 r;
    for (int i = 0; i < 5; ++i) {
        alignas(64) std::uint64_t lane[kLanes];
        for (std::size_t l = 0; l < kLanes; ++l)
            lane[l] = reinterpret_cast<const Field*>(reinterpret_cast<const char*>(first) + l * stride)->limb[i];
        r.limb[i] = _mm512_load_si512(lane);
    }
    return r;
}
MPC_INLINE void scatter(const Field8& a, Field* first, std::size_t stride) {
    for (int i = 0; i < 5; ++i) {
        alignas(64) std::uint64_t lane[kLanes];
        _mm512_store_si512(lane, a.limb[i]);
        for (std::size_t l = 0; l < kLanes; ++l)
            reinterpret_cast<Field*>(reinterpret_cast<char*>(first) + l * stride)->limb[i] = lane[l];
    }
}
MPC_INLINE void store(const Point8& p, Point* out) {
    scatter(p.x, &out->x, sizeof(Point));
    scatter(p.y, &out->y, sizeof(Point));
    scatter(p.z, &out->z, sizeof(Point));
    scatter(p.t, &out->t, sizeof(Point));
}

MPC_INLINE Point8 identity() { return Point8{small(0), small(1), small(1), small(0)}; }

// 2 d, as in edwards25519.cpp.
constexpr Field kTwoD{{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};

__mmask8 all_if(bool condition) { return static_cast<__mmask8>(-static_cast<int>(condition)); }

void multiply(const Digits digits, const Point* points, Point* out) {
    const Field8 two_d = constant(kTwoD);
    Point8 multiple{gathered(&points->x, sizeof(Point)), gathered(&points->y, sizeof(Point)),
                    gathered(&points->z, sizeof(Point)), gathered(&points->t, sizeof(Point))};
    Cached8 table[kEntries];
    table[0] = curve::cached(multiple, two_d);
    for (int k = 1; k < kEntries; ++k) {
        multiple = curve::add_cached(multiple, table[0]);
        table[k] = curve::cached(multiple, two_d);
    }
    Point8 sum = identity();
    for (int i = kWindows - 1; i >= 0; --i) {
        if (i != kWindows - 1)
            for (int k = 0; k < 4; ++k) sum = curve::doubled(sum, k == 3);
        // The digit is the same in all lanes but secret: whole-vector masks, no branch.
        const int digit = digits[i], sign = digit >> 31, magnitude = (digit ^ sign) - sign;
        Cached8 entry{small(1), small(1), small(1), small(0)};
        for (int k = 0; k < kEntries; ++k) {
            const __mmask8 hit = all_if(magnitude == k + 1);
            assign_if(entry.y_plus_x, table[k].y_plus_x, hit);
            assign_if(entry.y_minus_x, table[k].y_minus_x, hit);
            assign_if(entry.z, table[k].z, hit);
            assign_if(entry.t2d, table[k].t2d, hit);
        }
        const auto negative = static_cast<__mmask8>(sign);
        swap_if(entry.y_plus_x, entry.y_minus_x, negative);
        assign_if(entry.t2d, negate(entry.t2d), negative);
        sum = curve::add_cached(sum, entry);
    }
    store(sum, out);
}

void multiply_fixed(const AffinePoint* table, const Digits* digits, Point* out) {
    Point8 sum = identity();
    for (std::size_t i = 0; i < kWindows; ++i) {
        alignas(64) std::int64_t lane[kLanes];
        for (std::size_t l = 0; l < kLanes; ++l) lane[l] = digits[l][i];
        const __m512i digit = _mm512_load_si512(lane), magnitude = _mm512_abs_epi64(digit);
        const __mmask8 negative = _mm512_movepi64_mask(digit);
        Field8 y_plus_x = small(1), y_minus_x = small(1), xy2d = small(0);
        const AffinePoint* row = table + i * kEntries;
        for (std::size_t k = 0; k < kEntries; ++k) {
            const __m512i multiple = _mm512_set1_epi64(static_cast<std::int64_t>(k) + 1);
            const __mmask8 hit = _mm512_cmpeq_epi64_mask(magnitude, multiple);
            assign_constant_if(y_plus_x, row[k].y_plus_x, hit);
            assign_constant_if(y_minus_x, row[k].y_minus_x, hit);
            assign_constant_if(xy2d, row[k].xy2d, hit);
        }
        swap_if(y_plus_x, y_minus_x, negative);
        assign_if(xy2d, negate(xy2d), negative);
        sum = curve::complete(sum, y_plus_x, y_minus_x, xy2d, add_lazy(sum.z, sum.z));
    }
    store(sum, out);
}

void power_p58(const Field* in, Field* out) {
    scatter(curve::power_p58(gathered(in, sizeof(Field))), out, sizeof(Field));
}

}  // namespace

const LaneKernels lane_kernels_ifma = {multiply, multiply_fixed, power_p58};

}  // namespace mpc
