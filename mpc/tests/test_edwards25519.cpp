// edwards25519: RFC 8032 keys, group laws, encodings that must be refused.
#include "core/aes/prg.hpp"
#include "core/curve/edwards25519.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

Scalar scalar(const std::string& hex) {
    Scalar s{};
    const std::vector<std::uint8_t> bytes = check::unhex(hex);
    std::copy(bytes.begin(), bytes.end(), s.begin());
    return s;
}

std::string encoded(const Point& p) {
    std::uint8_t bytes[kPointBytes];
    encode_points(&p, 1, bytes);
    return check::hex(bytes, sizeof bytes);
}

Scalar random_scalar(Prg& prg) {
    Scalar s;
    do {
        prg.fill(s.data(), s.size());
        s[31] &= 0x1f;
    } while (!below_group_order(s));
    return s;
}

bool decodes(const std::string& hex) {
    Point p;
    return decode_point(check::unhex(hex).data(), p);
}

// RFC 8032, 7.1, tests 1-3: the secret scalars (clamped half of SHA-512, reduced mod L) and the public keys.
void published_keys() {
    const std::string vectors[][2] = {
        {"7c2cac12e69be96ae9065065462385e8fcff2768d980c0a3a520f006904de90f",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
        {"c799d106d5927970e5989f5671131fa27e6c6b3b7f821c5e259a24b02e502e01",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
        {"ef76bea4dae9a6cb6013cf2cbce0e2a8b94d7f4ec5c2f51b1325a181991ea90c",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
    };
    for (const auto& v : vectors) {
        CHECK(encoded(multiply(scalar(v[0]), base_point())) == v[1]);
        CHECK(encoded(FixedBase::generator().multiply(scalar(v[0]))) == v[1]);
    }
    CHECK(encoded(base_point()) == "5866666666666666666666666666666666666666666666666666666666666666");
    // (L - 1) G = -G, and [L]G is the identity.
    CHECK(encoded(multiply(scalar("ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"), base_point())) ==
          "58666666666666666666666666666666666666666666666666666666666666e6");
    CHECK(in_prime_order_subgroup(base_point()));
}

void group_laws() {
    Prg prg(Block{5, 6});
    for (int round = 0; round < 20; ++round) {
        const Scalar a = random_scalar(prg), b = random_scalar(prg);
        const Point p = FixedBase::generator().multiply(a), q = multiply(b, base_point());
        CHECK(encoded(p + q) == encoded(q + p));
        CHECK(encoded((p + q) - q) == encoded(p));
        CHECK(encoded(p + p) == encoded(doubled(p)));
        CHECK(encoded(p - p) == encoded(identity_point()));
        CHECK(encoded(p + identity_point()) == encoded(p));
        CHECK(encoded(times_eight(p)) == encoded(doubled(doubled(doubled(p)))));
        CHECK(encoded(multiply(b, p)) == encoded(multiply(a, q)));
        CHECK(encoded(FixedBase(p).multiply(b)) == encoded(multiply(b, p)));
        Point decoded;
        CHECK(decode_point(check::unhex(encoded(p)).data(), decoded) && encoded(decoded) == encoded(p));
        CHECK(in_prime_order_subgroup(p));
    }
}

// Scalars at the edges of the signed windows, against repeated addition.
void small_and_extreme_scalars() {
    Point sum = identity_point();
    for (unsigned k = 0; k < 300; ++k) {
        Scalar s{};
        s[0] = static_cast<std::uint8_t>(k);
        s[1] = static_cast<std::uint8_t>(k >> 8);
        CHECK(encoded(multiply(s, base_point())) == encoded(sum));
        CHECK(encoded(FixedBase::generator().multiply(s)) == encoded(sum));
        sum = sum + base_point();
    }
    Scalar ones;  // 2^253 - 1, the largest scalar that the windows take
    ones.fill(0xff);
    ones[31] = 0x1f;
    Point power = base_point();
    for (int i = 0; i < 253; ++i) power = doubled(power);
    CHECK(encoded(multiply(ones, base_point())) == encoded(power - base_point()));
    CHECK(encoded(FixedBase::generator().multiply(ones)) == encoded(power - base_point()));
}

void refused_encodings() {
    // The eight points of small order (order 1, 2, 4, 4, 8, 8, 8, 8).
    for (const char* small : {"0100000000000000000000000000000000000000000000000000000000000000",
                              "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "0000000000000000000000000000000000000000000000000000000000000000",
                              "0000000000000000000000000000000000000000000000000000000000000080",
                              "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                              "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"})
        CHECK(!decodes(small));
    // y = p + 3 (not canonical; y = 3 is on the curve), y = 2 (not on the curve), x = 0 with the sign bit set.
    CHECK(decodes("0300000000000000000000000000000000000000000000000000000000000000"));
    CHECK(!decodes("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
    CHECK(!decodes("0200000000000000000000000000000000000000000000000000000000000000"));
    CHECK(!decodes("0100000000000000000000000000000000000000000000000000000000000080"));
    // G plus the point of order 2 decodes but lies outside the prime-order subgroup.
    const Point order2{Field::zero(), field25519::negate(Field::one()), Field::one(), Field::zero()};
    const Point mixed = base_point() + order2;
    CHECK(decodes(encoded(mixed)));
    CHECK(!in_prime_order_subgroup(mixed));
    CHECK(encoded(times_eight(mixed)) == encoded(times_eight(base_point())));
}

void order_bound() {
    CHECK(below_group_order(scalar("ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")));
    CHECK(!below_group_order(scalar("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")));
    CHECK(!below_group_order(scalar("0000000000000000000000000000000000000000000000000000000000000020")));
    CHECK(below_group_order(Scalar{}));
}

void field_edges() {
    using namespace field25519;
    // p - 1, p, p + 1 and 2^255 - 1 in, canonical out.
    const std::string values[][2] = {
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0100000000000000000000000000000000000000000000000000000000000000"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "1200000000000000000000000000000000000000000000000000000000000000"},
    };
    for (const auto& v : values) {
        std::uint8_t out[32];
        to_bytes(from_bytes(check::unhex(v[0]).data()), out);
        CHECK(check::hex(out, 32) == v[1]);
    }
    // Largest loose and lazy limbs: squares and products agree, and a - a = 0.
    Field loose;
    for (std::uint64_t& limb : loose.limb) limb = (std::uint64_t{1} << 51) + (std::uint64_t{1} << 10) - 1;
    const Field lazy = add_lazy(loose, loose);
    CHECK(equal(square(lazy), mul(lazy, lazy)));
    CHECK(equal(mul(lazy, loose), add(square(loose), square(loose))));
    CHECK(equal(sub(lazy, lazy), Field::zero()));
    CHECK(equal(mul(loose, invert(loose)), Field::one()));
    Field in[3] = {loose, Field::one(), lazy}, out[3];
    invert_all(in, out, 3);
    for (int i = 0; i < 3; ++i) CHECK(equal(mul(in[i], out[i]), Field::one()));
}

}  // namespace

int main() {
    check::run("published_keys", published_keys);
    check::run("group_laws", group_laws);
    check::run("small_and_extreme_scalars", small_and_extreme_scalars);
    check::run("refused_encodings", refused_encodings);
    check::run("order_bound", order_bound);
    check::run("field_edges", field_edges);
    return check::result();
}
