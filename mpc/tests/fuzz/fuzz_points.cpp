// Fuzzes the decoding of curve points (edwards25519.hpp). A valid encoding is canonical, so it comes back byte for
// byte.
#include "core/curve/edwards25519.hpp"
#include "tests/fuzz/input.hpp"

using namespace mpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t most = 9;  // more than the eight that are decoded at a time
    const std::size_t count = std::min(most, size / kPointBytes);
    const fuzz::Bytes encodings(data, data + count * kPointBytes);
    std::vector<Point> points(count);
    const std::size_t valid = decode_points(encodings.data(), count, points.data());
    REQUIRE(valid <= count);
    fuzz::Bytes again(valid * kPointBytes);
    encode_points(points.data(), valid, again.data());
    REQUIRE(std::equal(again.begin(), again.end(), encodings.begin()));
    for (std::size_t i = 0; i < std::min(count, valid + 1); ++i) {
        Point alone;
        REQUIRE(decode_point(encodings.data() + i * kPointBytes, alone) == (i < valid));
    }
    if (valid > 0) {
        const Point cleared = times_eight(points[0]);
        REQUIRE(in_prime_order_subgroup(cleared));
    }
    return 0;
}
