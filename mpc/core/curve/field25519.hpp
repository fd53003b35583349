// Arithmetic in GF(2^255 - 19) in constant time, radix 2^51 (five 64-bit limbs).
//
// The field is that of Bernstein, "Curve25519: new Diffie-Hellman speed records" (PKC 2006). The radix-2^51
// representation is that of Bernstein, Duif, Lange, Schwabe and Yang, "High-speed high-security signatures" (CHES
// 2011), section 3.
//
// Invariant: every Field that leaves a function here, add_lazy apart, has limbs below 2^51 + 2^15 ("loose"). A sum of
// two loose elements may enter mul, square and sub. The column sums of a product then stay below 77 * 2^104.1 < 2^111.
// No branch and no memory address depends on a limb.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc {

__extension__ typedef unsigned __int128 Wide;

namespace field25519 {

struct Field {
    std::uint64_t limb[5];

    static Field zero() { return Field{{0, 0, 0, 0, 0}}; }
    static Field one() { return Field{{1, 0, 0, 0, 0}}; }
};

constexpr std::uint64_t kMask51 = (std::uint64_t{1} << 51) - 1;

inline Field carry(const Field& a) {
    Field r;
    const std::uint64_t c0 = a.limb[0] >> 51, c1 = a.limb[1] >> 51, c2 = a.limb[2] >> 51, c3 = a.limb[3] >> 51,
                        c4 = a.limb[4] >> 51;
    r.limb[0] = (a.limb[0] & kMask51) + 19 * c4;
    r.limb[1] = (a.limb[1] & kMask51) + c0;
    r.limb[2] = (a.limb[2] & kMask51) + c1;
    r.limb[3] = (a.limb[3] & kMask51) + c2;
    r.limb[4] = (a.limb[4] & kMask51) + c3;
    return r;
}

// Unreduced sum of two loose elements: limbs below 2^52 + 2^16. May enter mul, square and sub, not another add_lazy.
inline Field add_lazy(const Field& a, const Field& b) {
    Field r;
    for (int i = 0; i < 5; ++i) r.limb[i] = a.limb[i] + b.limb[i];
    return r;
}

inline Field add(const Field& a, const Field& b) { return carry(add_lazy(a, b)); }

// a - b + 4p: no limb goes below zero, because limbs of b (loose or lazy) are below 2^53 - 76. The result is loose.
inline Field sub(const Field& a, const Field& b) {
    constexpr std::uint64_t kFourP0 = 0x1fffffffffffb4, kFourP = 0x1ffffffffffffc;
    Field r;
    r.limb[0] = a.limb[0] + kFourP0 - b.limb[0];
    for (int i = 1; i < 5; ++i) r.limb[i] = a.limb[i] + kFourP - b.limb[i];
    return carry(r);
}

inline Field negate(const Field& a) { return sub(Field::zero(), a); }

inline Field reduce_columns(Wide r0, Wide r1, Wide r2, Wide r3, Wide r4) {
    Field r;
    r1 += static_cast<std::uint64_t>(r0 >> 51);
    r2 += static_cast<std::uint64_t>(r1 >> 51);
    r3 += static_cast<std::uint64_t>(r2 >> 51);
    r4 += static_cast<std::uint64_t>(r3 >> 51);
    // The top column has no factor 19: r4 < 2^107, so 19 times its carry stays below 2^61.
    r.limb[0] = (static_cast<std::uint64_t>(r0) & kMask51) + 19 * static_cast<std::uint64_t>(r4 >> 51);
    r.limb[1] = (static_cast<std::uint64_t>(r1) & kMask51) + (r.limb[0] >> 51);
    r.limb[0] &= kMask51;
    r.limb[2] = static_cast<std::uint64_t>(r2) & kMask51;
    r.limb[3] = static_cast<std::uint64_t>(r3) & kMask51;
    r.limb[4] = static_cast<std::uint64_t>(r4) & kMask51;
    return r;
}

inline Field mul(const Field& f, const Field& g) {
    const std::uint64_t f0 = f.limb[0], f1 = f.limb[1], f2 = f.limb[2], f3 = f.limb[3], f4 = f.limb[4];
    const std::uint64_t g0 = g.limb[0], g1 = g.limb[1], g2 = g.limb[2], g3 = g.limb[3], g4 = g.limb[4];
    const std::uint64_t h1 = 19 * g1, h2 = 19 * g2, h3 = 19 * g3, h4 = 19 * g4;
    const auto x = [](std::uint64_t a, std::uint64_t b) { return static_cast<Wide>(a) * b; };
    return reduce_columns(x(f0, g0) + x(f1, h4) + x(f2, h3) + x(f3, h2) + x(f4, h1),
                          x(f0, g1) + x(f1, g0) + x(f2, h4) + x(f3, h3) + x(f4, h2),
                          x(f0, g2) + x(f1, g1) + x(f2, g0) + x(f3, h4) + x(f4, h3),
                          x(f0, g3) + x(f1, g2) + x(f2, g1) + x(f3, g0) + x(f4, h4),
                          x(f0, g4) + x(f1, g3) + x(f2, g2) + x(f3, g1) + x(f4, g0));
}

inline Field square(const Field& f) {
    const std::uint64_t f0 = f.limb[0], f1 = f.limb[1], f2 = f.limb[2], f3 = f.limb[3], f4 = f.limb[4];
    const std::uint64_t d0 = 2 * f0, d1 = 2 * f1, d2 = 2 * f2;
    const std::uint64_t h3 = 19 * f3, h4 = 19 * f4;
    const auto x = [](std::uint64_t a, std::uint64_t b) { return static_cast<Wide>(a) * b; };
    return reduce_columns(x(f0, f0) + x(d1, h4) + x(d2, h3),
                          x(d0, f1) + x(d2, h4) + x(f3, h3),
                          x(d0, f2) + x(f1, f1) + x(2 * f3, h4),
                          x(d0, f3) + x(d1, f2) + x(f4, h4),
                          x(d0, f4) + x(d1, f3) + x(f2, f2));
}

// r = condition ? a : r, for condition 0 or 1.
inline void assign_if(Field& r, const Field& a, std::uint64_t condition) {
    const std::uint64_t mask = std::uint64_t{0} - condition;
    for (int i = 0; i < 5; ++i) r.limb[i] ^= mask & (r.limb[i] ^ a.limb[i]);
}

Field invert(const Field& a);                 // a^(p-2); 0 for 0
Field power_p58(const Field& a);              // a^((p-5)/8), the core of the square root (RFC 8032, 5.1.3)
Field from_bytes(const std::uint8_t in[32]);  // little endian, bit 255 ignored; values p..2^255-1 are taken mod p
void to_bytes(const Field& a, std::uint8_t out[32]);  // canonical
std::uint64_t equal(const Field& a, const Field& b);  // 1 or 0
std::uint64_t is_odd(const Field& a);                 // parity of the canonical value: the "sign" of RFC 8032

// out[i] = 1 / in[i] for nonzero inputs: Montgomery's trick, one inversion and 3 (n - 1) multiplications.
void invert_all(const Field* in, Field* out, std::size_t n);

}  // namespace field25519

using field25519::Field;

}  // namespace mpc
