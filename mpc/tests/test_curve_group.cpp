// The group beyond the base OTs: scalars modulo L, public sums of multiples, RFC 9380's map.
#include <algorithm>

#include "core/aes/prg.hpp"
#include "core/curve/combine.hpp"
#include "core/curve/elligator.hpp"
#include "core/curve/scalar.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

std::string encoded(const Point& p) {
    std::uint8_t bytes[kPointBytes];
    encode_points(&p, 1, bytes);
    return check::hex(bytes, sizeof bytes);
}

Scalar small(unsigned value) {
    Scalar s{};
    s[0] = static_cast<std::uint8_t>(value);
    return s;
}

Scalar random_scalar(Prg& prg) {
    std::uint8_t wide[kWideScalarBytes];
    prg.fill(wide, sizeof wide);
    return reduce_scalar(wide);
}

// Computed with Python's integers.
void reductions() {
    std::uint8_t wide[kWideScalarBytes];
    std::fill(wide, wide + sizeof wide, std::uint8_t{0xff});
    const Scalar most = reduce_scalar(wide);
    CHECK(check::hex(most.data(), 32) == "000f9c44e31106a447938568a71b0ed065bef517d273ecce3d9a307c1b419903");
    const std::vector<std::uint8_t> order =
        check::unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    std::fill(wide, wide + sizeof wide, std::uint8_t{0});
    std::copy(order.begin(), order.end(), wide);
    CHECK(reduce_scalar(wide) == Scalar{});
    wide[0] = static_cast<std::uint8_t>(wide[0] - 1);
    Scalar minus_one = reduce_scalar(wide);
    CHECK(check::hex(minus_one.data(), 32) == "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    CHECK(multiply_add(minus_one, minus_one, minus_one) == Scalar{});
    CHECK(multiply_add(minus_one, minus_one, Scalar{}) == small(1));
}

// (a b + c) G = a (b G) + c G.
void products_are_those_of_the_group() {
    Prg prg(Block{3, 9});
    for (int round = 0; round < 50; ++round) {
        const Scalar a = random_scalar(prg), b = random_scalar(prg), c = random_scalar(prg);
        const Scalar found = multiply_add(a, b, c);
        CHECK(below_group_order(found));
        const FixedBase& g = FixedBase::generator();
        CHECK(encoded(g.multiply(found)) == encoded(multiply(a, g.multiply(b)) + g.multiply(c)));
    }
}

void sums_are_those_of_single_multiples() {
    Prg prg(Block{4, 9});
    for (const std::size_t n : {1, 2, 3, 17, 99, 100, 230}) {
        std::vector<Scalar> scalars(n);
        std::vector<Point> points(n);
        Point sum = identity_point();
        for (std::size_t i = 0; i < n; ++i) {
            scalars[i] = i % 7 == 3 ? small(static_cast<unsigned>(i)) : random_scalar(prg);
            points[i] = FixedBase::generator().multiply(random_scalar(prg));
            sum = sum + multiply(scalars[i], points[i]);
        }
        CHECK(encoded(combine(scalars.data(), points.data(), n)) == encoded(sum));
        // Rows s[i] G + s[i] P[i].
        std::vector<Point> rows(n);
        const Point base = base_point();
        const Column columns[2] = {{scalars.data(), &base, true}, {scalars.data(), points.data(), false}};
        combine_rows(columns, 2, n, rows.data());
        for (std::size_t i = 0; i < n; ++i)
            CHECK(encoded(rows[i]) == encoded(multiply(scalars[i], base + points[i])));
    }
    // Scalars at the edges: 0, 1, L - 1, and the largest below 2^253.
    Scalar largest;
    largest.fill(0xff);
    largest[31] = 0x1f;
    for (const Scalar& s : {Scalar{}, small(1), small(15), small(16), small(31), largest}) {
        const Point base = base_point();
        CHECK(encoded(combine(&s, &base, 1)) == encoded(multiply(s, base)));
        const std::vector<Scalar> many(120, s);
        const std::vector<Point> bases(120, base);
        CHECK(encoded(combine(many.data(), bases.data(), 120)) == encoded(multiply(s, multiply(small(120), base))));
    }
    CHECK(encoded(combine(nullptr, nullptr, 0)) == encoded(identity_point()));
}

// From hexadecimal numbers, highest digit first, to the affine point (x, y).
Field field(const std::string& hex) {
    std::vector<std::uint8_t> bytes = check::unhex(hex);
    std::reverse(bytes.begin(), bytes.end());
    return field25519::from_bytes(bytes.data());
}

std::string encoded(const std::string& x, const std::string& y) {
    return encoded(Point{field(x), field(y), Field::one(), field25519::mul(field(x), field(y))});
}

// RFC 9380, J.5.1, the empty message. All five messages are in the Python tests.
void published_maps() {
    const std::string u[2] = {"03fef4813c8cb5f98c6eef88fae174e6e7d5380de2b007799ac7ee712d203f3a",
                              "780bdddd137290c8f589dc687795aafae35f6b674668d92bf92ae793e6a60c75"};
    const std::string q[2][2] = {{"6549118f65bb617b9e8b438decedc73c496eaed496806d3b2eb9ee60b88e09a7",
                                  "7315bcc8cf47ed68048d22bad602c6680b3382a08c7c5d3f439a973fb4cf9feb"},
                                 {"31dcfc5c58aa1bee6e760bf78cbe71c2bead8cebb2e397ece0f37a3da19c9ed2",
                                  "7876d81474828d8a5928b50c82420b2bd0898d819e9550c5c82c39fc9bafa196"}};
    std::vector<std::uint8_t> seed;
    for (int i = 0; i < 2; ++i) {
        CHECK(encoded(map_to_curve(field(u[i]))) == encoded(q[i][0], q[i][1]));
        const std::vector<std::uint8_t> bytes = check::unhex(std::string(32, '0') + u[i]);
        seed.insert(seed.end(), bytes.begin(), bytes.end());
    }
    CHECK(encoded(point_from_seed(seed.data())) ==
          encoded("3c3da6925a3c3c268448dcabb47ccde5439559d9599646a8260e47b1e4822fc6",
                  "09a6c8561a0b22bef63124c588ce4c62ea83a3c899763af26d795302e115dc21"));
}

void maps() {
    // Whatever comes out is in the subgroup; u and -u give points of the same y before that (RFC 9380, 6.7.1).
    Prg prg(Block{5, 9});
    std::uint8_t seed[kPointSeedBytes];
    for (int round = 0; round < 20; ++round) {
        prg.fill(seed, sizeof seed);
        CHECK(in_prime_order_subgroup(point_from_seed(seed)));
        const Field u = field_from_seed(seed);
        CHECK(encoded(map_to_curve(u)) == encoded(map_to_curve(field25519::negate(u))));
    }
    // A seed of 2^384 - 1, the largest: modulo p it is 38 * (2^128 - 1) + 37.
    std::fill(seed, seed + sizeof seed, std::uint8_t{0xff});
    std::uint8_t found[32];
    field25519::to_bytes(field_from_seed(seed), found);
    CHECK(check::hex(found, 32) == "ffffffffffffffffffffffffffffffff25000000000000000000000000000000");
    CHECK(encoded(map_to_curve(Field::zero())) == encoded(identity_point()));  // the exceptional case
}

}  // namespace

int main() {
    check::run("reductions", reductions);
    check::run("products_are_those_of_the_group", products_are_those_of_the_group);
    check::run("sums_are_those_of_single_multiples", sums_are_those_of_single_multiples);
    check::run("published_maps", published_maps);
    check::run("maps", maps);
    return check::result();
}
