// Arithmetic modulo one prime p < 2^47 in constant time. There is no branch and no division, and no address depends on
// a residue.
//
// A product with a known factor uses Shoup's trick as in Harvey, "Faster arithmetic for number-theoretic transforms"
// (J. Symb. Comput. 60, 2014), section 3.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"  // MPC_INLINE

namespace mpc::lattice {

__extension__ typedef unsigned __int128 Wide;

// 47 bits: a transform of up to 2^15 coefficients then needs no reduction between its layers (ntt.hpp), and every
// intermediate fits the 52-bit multipliers of AVX-512 IFMA.
constexpr int kMaxPrimeBits = 47;

// A factor w in [0, p) and floor(w 2^64 / p).
struct Factor {
    std::uint64_t value = 0;
    std::uint64_t quotient = 0;
};

struct Modulus {
    std::uint64_t p = 0;
    int bits = 0;       // 2^(bits-1) < p < 2^bits
    Factor one;         // 1
    Factor two_to_64;   // 2^64 mod p

    Modulus() = default;
    explicit MPC_INLINE Modulus(std::uint64_t prime) : p(prime) {
        while (prime >> bits != 0) ++bits;
        one = factor(1);
        two_to_64 = factor(static_cast<std::uint64_t>((Wide{1} << 64) % p));
    }

    // Public values only: it divides.
    MPC_INLINE Factor factor(std::uint64_t value) const {
        return Factor{value, static_cast<std::uint64_t>((Wide{value} << 64) / p)};
    }
};

// x w mod p up to one p: in [0, 2p) for every x < 2^64. (w 2^64 - p < quotient p <= w 2^64, so the estimate
// floor(x quotient / 2^64) of x w / p is too small by less than 2.)
MPC_INLINE std::uint64_t multiply_lazy(std::uint64_t x, const Factor& w, std::uint64_t p) {
    const auto estimate = static_cast<std::uint64_t>((Wide{x} * w.quotient) >> 64);
    return x * w.value - estimate * p;
}

// [0, 2 bound) to [0, bound), for bound < 2^62.
MPC_INLINE std::uint64_t reduce_once(std::uint64_t x, std::uint64_t bound) {
    const std::uint64_t below = x - bound;
    return below + (bound & (std::uint64_t{0} - (below >> 63)));
}

MPC_INLINE std::uint64_t multiply(std::uint64_t x, const Factor& w, std::uint64_t p) {
    return reduce_once(multiply_lazy(x, w, p), p);
}

// x mod p for any 128-bit x.
MPC_INLINE std::uint64_t reduce_wide(Wide x, const Modulus& m) {
    const std::uint64_t high = multiply_lazy(static_cast<std::uint64_t>(x >> 64), m.two_to_64, m.p);
    const std::uint64_t low = multiply_lazy(static_cast<std::uint64_t>(x), m.one, m.p);
    return reduce_once(reduce_once(high + low, 2 * m.p), m.p);
}

MPC_INLINE std::uint64_t add(std::uint64_t x, std::uint64_t y, std::uint64_t p) { return reduce_once(x + y, p); }
MPC_INLINE std::uint64_t subtract(std::uint64_t x, std::uint64_t y, std::uint64_t p) {
    return reduce_once(x + p - y, p);
}

// A signed integer in (-p, p) to its residue.
MPC_INLINE std::uint64_t lift(std::int64_t x, std::uint64_t p) {
    const auto word = static_cast<std::uint64_t>(x);
    return word + (p & (std::uint64_t{0} - (word >> 63)));
}

// A word in two's complement to its residue.
MPC_INLINE std::uint64_t reduce_signed(std::uint64_t word, const Modulus& m) {
    const std::uint64_t wrapped = m.two_to_64.value & (std::uint64_t{0} - (word >> 63));
    return subtract(multiply(word, m.one, m.p), wrapped, m.p);
}

// Public values only: square and multiply, the time depends on the exponent.
MPC_INLINE std::uint64_t power(std::uint64_t base, std::uint64_t exponent, std::uint64_t p) {
    std::uint64_t result = 1;
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) result = static_cast<std::uint64_t>(Wide{result} * base % p);
        base = static_cast<std::uint64_t>(Wide{base} * base % p);
    }
    return result;
}

MPC_INLINE std::uint64_t inverse(std::uint64_t x, std::uint64_t p) { return power(x % p, p - 2, p); }

}  // namespace mpc::lattice
