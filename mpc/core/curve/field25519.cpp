// Inversion, square-root power and canonical encoding in GF(2^255 - 19); see field25519.hpp.
#include "core/curve/field25519.hpp"

#include "core/curve/edwards_formulas.hpp"

namespace mpc::field25519 {
namespace {

std::uint64_t load64(const std::uint8_t* in) {
    std::uint64_t v = 0;
    for (int i = 0; i < 8; ++i) v |= static_cast<std::uint64_t>(in[i]) << (8 * i);
    return v;
}

void store64(std::uint8_t* out, std::uint64_t v) {
    for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(v >> (8 * i));
}

}  // namespace

Field invert(const Field& a) {
    const curve::Chain<Field> c = curve::chain(a);
    return mul(curve::square_times(c.x250, 5), c.x11);
}

Field power_p58(const Field& a) { return curve::power_p58(a); }

Field from_bytes(const std::uint8_t in[32]) {
    const std::uint64_t w0 = load64(in), w1 = load64(in + 8), w2 = load64(in + 16), w3 = load64(in + 24);
    return Field{{w0 & kMask51, ((w0 >> 51) | (w1 << 13)) & kMask51, ((w1 >> 38) | (w2 << 26)) & kMask51,
                  ((w2 >> 25) | (w3 << 39)) & kMask51, (w3 >> 12) & kMask51}};
}

void to_bytes(const Field& a, std::uint8_t out[32]) {
    // Two carries bring the value below 2^255 + 19 * small; then q = floor((v + 19) / 2^255) is 1 exactly when
    // v >= p, and v - q p = v + 19 q - q 2^255.
    Field t = carry(carry(a));
    std::uint64_t q = (t.limb[0] + 19) >> 51;
    for (int i = 1; i < 5; ++i) q = (t.limb[i] + q) >> 51;
    t.limb[0] += 19 * q;
    for (int i = 0; i < 4; ++i) {
        t.limb[i + 1] += t.limb[i] >> 51;
        t.limb[i] &= kMask51;
    }
    t.limb[4] &= kMask51;
    store64(out, t.limb[0] | (t.limb[1] << 51));
    store64(out + 8, (t.limb[1] >> 13) | (t.limb[2] << 38));
    store64(out + 16, (t.limb[2] >> 26) | (t.limb[3] << 25));
    store64(out + 24, (t.limb[3] >> 39) | (t.limb[4] << 12));
}

std::uint64_t equal(const Field& a, const Field& b) {
    std::uint8_t left[32], right[32];
    to_bytes(a, left);
    to_bytes(b, right);
    std::uint64_t difference = 0;
    for (int i = 0; i < 32; ++i) difference |= static_cast<std::uint64_t>(left[i] ^ right[i]);
    return ((difference - 1) >> 63) & 1;
}

std::uint64_t is_odd(const Field& a) {
    std::uint8_t bytes[32];
    to_bytes(a, bytes);
    return bytes[0] & 1;
}

void invert_all(const Field* in, Field* out, std::size_t n) {
    if (n == 0) return;
    Field product = Field::one();
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = product;
        product = mul(product, in[i]);
    }
    Field inverse = invert(product);
    for (std::size_t i = n; i-- > 0;) {
        out[i] = mul(out[i], inverse);
        inverse = mul(inverse, in[i]);
    }
}

}  // namespace mpc::field25519
