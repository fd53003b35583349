// Scalars modulo the group order, sums of public multiples and hashing to the curve, against known answers.
#include <cstring>
#include <string>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/curve/public_group.hpp"
#include "core/curve/scalar25519.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

// From hexadecimal digits, highest first.
template <std::size_t Bytes>
std::array<std::uint8_t, Bytes> number(const std::string& digits) {
    std::array<std::uint8_t, Bytes> out{};
    for (std::size_t i = 0; i < digits.size() / 2; ++i)
        out[digits.size() / 2 - 1 - i] = static_cast<std::uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
    return out;
}

const std::string kOrder = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
const std::string kOrderMinusOne = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ec";

void scalars() {
    const Scalar zero{}, one = number<32>("01"), last = number<32>(kOrderMinusOne);
    CHECK(multiply_add(last, last, zero) == one);
    CHECK(multiply_add(last, one, one) == zero);
    CHECK(multiply_add(zero, last, last) == last);
    CHECK(reduce_wide(number<64>(kOrder).data()) == zero);
    CHECK(reduce_wide(number<64>(kOrderMinusOne).data()) == last);
    // 2^512 - 1 modulo L
    CHECK(reduce_wide(number<64>(std::string(128, 'f')).data()) ==
          number<32>("0399411b7c309a3dceec73d217f5be65d00e1ba768859347a40611e3449c0f00"));
}

void sums() {
    Prg random(Block{1, 2});
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{40}}) {
        std::vector<Scalar> values(n), places(n);
        std::vector<Point> points(n);
        Point expected = identity_point();
        for (std::size_t i = 0; i < n; ++i) {
            std::uint8_t wide[64];
            random.fill(wide, sizeof wide);
            values[i] = reduce_wide(wide);
            random.fill(wide, sizeof wide);
            points[i] = FixedBase::generator().multiply(reduce_wide(wide));
            expected = expected + multiply(values[i], points[i]);
        }
        const Point found[2] = {combine_public(values.data(), points.data(), n), expected};
        std::uint8_t encoded[2 * kPointBytes];
        encode_points(found, 2, encoded);
        CHECK(std::memcmp(encoded, encoded + kPointBytes, kPointBytes) == 0);
    }
}

// RFC 9380, appendix J.5.1, for the empty message.
void hashes() {
    const auto u0 = number<32>("03fef4813c8cb5f98c6eef88fae174e6e7d5380de2b007799ac7ee712d203f3a");
    const auto u1 = number<32>("780bdddd137290c8f589dc687795aafae35f6b674668d92bf92ae793e6a60c75");
    const Point point = point_of_hash(u0.data(), u1.data());
    std::array<std::uint8_t, kPointBytes> encoded;
    encode_points(&point, 1, encoded.data());
    CHECK(encoded == number<32>("09a6c8561a0b22bef63124c588ce4c62ea83a3c899763af26d795302e115dc21"));
    CHECK(in_prime_order_subgroup(point));
}

}  // namespace

int main() {
    scalars();
    sums();
    hashes();
    return 0;
}
