// Shows that no branch and no address of the arithmetic modulo the group order depends on a scalar. Scalars are marked as
// undefined memory for valgrind's memcheck (test_constant_time.cpp). Without valgrind this runs as a plain test.
#include "core/aes/prg.hpp"
#include "core/curve/scalar25519.hpp"
#include "tests/check.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;

int main() {
    std::uint8_t wide[3][64];
    Prg(Block{5, 6}).fill(wide, sizeof wide);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(wide, sizeof wide);
    const Scalar a = reduce_wide(wide[0]), b = reduce_wide(wide[1]), c = reduce_wide(wide[2]);
    Scalar one = multiply_add(a, b, c), two = multiply_add(b, a, c);
    (void)VALGRIND_MAKE_MEM_DEFINED(one.data(), one.size());
    (void)VALGRIND_MAKE_MEM_DEFINED(two.data(), two.size());
    CHECK(one == two);
    CHECK(below_group_order(one));
    return 0;
}
