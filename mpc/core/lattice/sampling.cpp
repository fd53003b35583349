// Draws random polynomials; see sampling.hpp.
#include "core/lattice/sampling.hpp"

namespace mpc::lattice {

namespace {

// The number of ones, without the table look-up that a compiler may choose.
std::uint64_t weight(std::uint64_t x) {
    x -= (x >> 1) & 0x5555555555555555;
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    x += x >> 8;
    x += x >> 16;
    x += x >> 32;
    return x & 0x7f;
}

}  // namespace

void ternary(Prg& prg, SignedWords& out) {
    prg.fill(out.data(), out.size() * sizeof out[0]);
    for (std::int64_t& x : out) {
        const auto u = static_cast<std::uint64_t>(x);
        x = static_cast<std::int64_t>((Wide{u} * 3) >> 64) - 1;
    }
}

void centred_binomial(Prg& prg, SignedWords& out) {
    constexpr std::uint64_t kMask = (std::uint64_t{1} << (2 * kNoiseBound)) - 1;
    prg.fill(out.data(), out.size() * sizeof out[0]);
    for (std::int64_t& x : out) {
        x = static_cast<std::int64_t>(weight(static_cast<std::uint64_t>(x) & kMask)) - kNoiseBound;
    }
}

void uniform_words(Prg& prg, int bits, std::uint64_t* out, std::size_t count) {
    prg.fill(out, count * sizeof *out);
    for (std::size_t i = 0; i < count; ++i) out[i] >>= 64 - bits;
}

void uniform_below(Prg& prg, unsigned bound, std::uint64_t* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const Block u = prg.block();
        out[i] = static_cast<std::uint64_t>((Wide{u.hi} * bound + ((Wide{u.lo} * bound) >> 64)) >> 64);
    }
}

void uniform_residues(Prg& prg, const Modulus& modulus, std::uint64_t* out, std::size_t count) {
    const std::uint64_t mask = (std::uint64_t{1} << modulus.bits) - 1;
    std::size_t kept = 0;
    while (kept < count) {
        std::uint64_t* const drawn = out + kept;
        const std::size_t wanted = count - kept;
        prg.fill(drawn, wanted * sizeof *drawn);
        std::size_t good = 0;
        for (std::size_t i = 0; i < wanted; ++i) {
            drawn[good] = drawn[i] & mask;
            good += drawn[good] < modulus.p ? 1 : 0;
        }
        kept += good;
    }
}

}  // namespace mpc::lattice
