// Products and sums modulo the group order; see scalar25519.hpp for the source and the timing claim.
#include "core/curve/scalar25519.hpp"

#include "core/curve/field25519.hpp"  // Wide

namespace mpc {
namespace {

struct Limbs {
    std::uint64_t limb[4];
};

constexpr Limbs kOrderLimbs{{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};
constexpr std::uint64_t kMinusInverse = 0xd2b51da312547e1b;  // -1/L mod 2^64
constexpr Limbs kOne{{1, 0, 0, 0}};
constexpr Limbs kR2{{0xa40611e3449c0f01, 0xd00e1ba768859347, 0xceec73d217f5be65, 0x0399411b7c309a3d}};  // 2^512 mod L
constexpr Limbs kR3{{0x2a9e49687b83a2db, 0x278324e6aef7f3ec, 0x8065dc6c04ec5b65, 0x0e530b773599cec7}};  // 2^768 mod L

Limbs load(const std::uint8_t* in) {
    Limbs r{};
    for (int i = 0; i < 32; ++i) r.limb[i / 8] |= static_cast<std::uint64_t>(in[i]) << (8 * (i % 8));
    return r;
}

Scalar store(const Limbs& a) {
    Scalar out;
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(a.limb[i / 8] >> (8 * (i % 8)));
    return out;
}

// r - L if r >= L, else r, for r < 2 L with `carry` above it (0 or 1).
Limbs subtract_order_once(const Limbs& r, std::uint64_t carry) {
    Limbs d;
    std::uint64_t borrow = 0;
    for (int i = 0; i < 4; ++i) {
        const Wide t = static_cast<Wide>(r.limb[i]) - kOrderLimbs.limb[i] - borrow;
        d.limb[i] = static_cast<std::uint64_t>(t);
        borrow = static_cast<std::uint64_t>(t >> 64) & 1;
    }
    const std::uint64_t keep = std::uint64_t{0} - (borrow & (carry ^ 1));  // all ones where r < L
    for (int i = 0; i < 4; ++i) d.limb[i] ^= keep & (d.limb[i] ^ r.limb[i]);
    return d;
}

// a b / 2^256 mod L, below L. For a < 2^256 and b < L the sum before the last subtraction is below 2 L.
Limbs montgomery(const Limbs& a, const Limbs& b) {
    std::uint64_t t[6] = {0, 0, 0, 0, 0, 0};
    for (int i = 0; i < 4; ++i) {
        std::uint64_t carry = 0;
        for (int j = 0; j < 4; ++j) {
            const Wide s = static_cast<Wide>(a.limb[i]) * b.limb[j] + t[j] + carry;
            t[j] = static_cast<std::uint64_t>(s);
            carry = static_cast<std::uint64_t>(s >> 64);
        }
        Wide s = static_cast<Wide>(t[4]) + carry;
        t[4] = static_cast<std::uint64_t>(s);
        t[5] = static_cast<std::uint64_t>(s >> 64);
        const std::uint64_t m = t[0] * kMinusInverse;
        s = static_cast<Wide>(m) * kOrderLimbs.limb[0] + t[0];
        carry = static_cast<std::uint64_t>(s >> 64);
        for (int j = 1; j < 4; ++j) {
            s = static_cast<Wide>(m) * kOrderLimbs.limb[j] + t[j] + carry;
            t[j - 1] = static_cast<std::uint64_t>(s);
            carry = static_cast<std::uint64_t>(s >> 64);
        }
        s = static_cast<Wide>(t[4]) + carry;
        t[3] = static_cast<std::uint64_t>(s);
        t[4] = t[5] + static_cast<std::uint64_t>(s >> 64);
    }
    return subtract_order_once(Limbs{{t[0], t[1], t[2], t[3]}}, t[4]);
}

Limbs add(const Limbs& a, const Limbs& b) {  // both below L
    Limbs r;
    std::uint64_t carry = 0;
    for (int i = 0; i < 4; ++i) {
        const Wide s = static_cast<Wide>(a.limb[i]) + b.limb[i] + carry;
        r.limb[i] = static_cast<std::uint64_t>(s);
        carry = static_cast<std::uint64_t>(s >> 64);
    }
    return subtract_order_once(r, carry);
}

}  // namespace

Scalar multiply_add(const Scalar& a, const Scalar& b, const Scalar& c) {
    // (a b / R) R^2 / R = a b, and (c R^2 / R) / R = c.
    const Limbs product = montgomery(montgomery(load(a.data()), load(b.data())), kR2);
    const Limbs summand = montgomery(montgomery(load(c.data()), kR2), kOne);
    return store(add(product, summand));
}

Scalar reduce_wide(const std::uint8_t in[64]) {
    const Limbs low = montgomery(montgomery(load(in), kR2), kOne);
    const Limbs high = montgomery(montgomery(load(in + 32), kR3), kOne);
    return store(add(low, high));
}

}  // namespace mpc
