// Shows that no branch and no address of secret scalars' arithmetic depends on them, under valgrind's memcheck
// (test_constant_time.cpp). Multiples of points by secret scalars are in test_constant_time_ot.cpp.
#include "core/aes/prg.hpp"
#include "core/curve/elligator.hpp"
#include "core/curve/scalar.hpp"
#include "tests/check.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;

namespace {

void scalars() {
    std::uint8_t wide[3][kWideScalarBytes];
    Prg(Block{1, 7}).fill(wide, sizeof wide);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(wide, sizeof wide);
    const Scalar a = reduce_scalar(wide[0]), b = reduce_scalar(wide[1]), c = reduce_scalar(wide[2]);
    Scalar one = multiply_add(a, b, c), other = multiply_add(b, a, c);
    (void)VALGRIND_MAKE_MEM_DEFINED(one.data(), one.size());
    (void)VALGRIND_MAKE_MEM_DEFINED(other.data(), other.size());
    CHECK(one == other);
}

// Scalars of the caller are compared with the order. Whether one is below shows, nothing else.
void bound() {
    Scalar secret{};
    Prg(Block{2, 7}).fill(secret.data(), 31);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret.data(), secret.size());
    bool below = below_group_order(secret);
    (void)VALGRIND_MAKE_MEM_DEFINED(&below, sizeof below);
    CHECK(below);
}

// Nothing here hashes a secret today. The map is constant time all the same (RFC 9380, 10.3).
void map() {
    std::uint8_t seed[kPointSeedBytes];
    Prg(Block{3, 7}).fill(seed, sizeof seed);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof seed);
    const Point point = point_from_seed(seed);
    std::uint8_t bytes[kPointBytes];
    encode_points(&point, 1, bytes);
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, sizeof bytes);
    CHECK(check::hex(bytes, sizeof bytes).size() == 64);
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run("scalars", scalars);
    check::run("bound", bound);
    check::run("map", map);
    return check::result();
}
