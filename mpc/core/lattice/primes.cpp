// Primes for number-theoretic transforms; see primes.hpp. Everything here is public.
#include "core/lattice/primes.hpp"

#include <algorithm>
#include <string>

#include "core/base/error.hpp"
#include "core/lattice/modulus.hpp"

namespace mpc::lattice {

// Miller-Rabin with the first twelve primes as bases, which decides every n < 3.3 * 10^24 (Sorenson and Webster,
// "Strong pseudoprimes to twelve prime bases", Math. Comp. 86, 2017).
bool is_prime(std::uint64_t n) {
    constexpr std::uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (n < 2) return false;
    for (const std::uint64_t base : bases) {
        if (n % base == 0) return n == base;
    }
    std::uint64_t odd = n - 1;
    int twos = 0;
    for (; (odd & 1) == 0; odd >>= 1) ++twos;
    for (const std::uint64_t base : bases) {
        std::uint64_t x = power(base, odd, n);
        if (x == 1) continue;
        int squarings = 0;
        while (x != n - 1 && ++squarings < twos) x = static_cast<std::uint64_t>(Wide{x} * x % n);
        if (x != n - 1) return false;
    }
    return true;
}

std::uint64_t largest_ntt_prime(std::size_t degree, int bits, const std::vector<std::uint64_t>& taken) {
    const std::uint64_t step = 2 * degree, floor = std::uint64_t{1} << (bits - 1);
    std::uint64_t candidate = 2 * floor + 1 - step;
    while (candidate > floor &&
           (!is_prime(candidate) || std::find(taken.begin(), taken.end(), candidate) != taken.end())) {
        candidate -= step;
    }
    if (candidate <= floor) throw ParameterError("no prime of " + std::to_string(bits) + " bits for this degree");
    return candidate;
}

std::vector<std::uint64_t> ntt_primes(std::size_t degree, int total_bits, std::size_t count) {
    std::vector<std::uint64_t> primes;
    for (std::size_t i = 0; i < count; ++i) {
        const int larger = total_bits % static_cast<int>(count);
        const int bits = total_bits / static_cast<int>(count) + (static_cast<int>(count - i) <= larger ? 1 : 0);
        primes.push_back(largest_ntt_prime(degree, bits, primes));
    }
    return primes;
}

std::uint64_t smallest_primitive_root(std::uint64_t p, std::size_t degree) {
    // x^((p-1)/2N) has order dividing 2N, and order 2N exactly if its N-th power is -1.
    std::uint64_t root = 0;
    for (std::uint64_t x = 2; root == 0; ++x) {
        const std::uint64_t candidate = power(x, (p - 1) / (2 * degree), p);
        if (power(candidate, degree, p) == p - 1) root = candidate;
    }
    // All primitive roots are the odd powers of one.
    const auto square = static_cast<std::uint64_t>(Wide{root} * root % p);
    std::uint64_t smallest = root;
    for (std::size_t i = 1; i < degree; ++i) {
        root = static_cast<std::uint64_t>(Wide{root} * square % p);
        smallest = std::min(smallest, root);
    }
    return smallest;
}

}  // namespace mpc::lattice
