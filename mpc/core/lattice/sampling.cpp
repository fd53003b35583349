// Draws random polynomials; see sampling.hpp.
#include "core/lattice/sampling.hpp"

#include "core/lattice/ntt.hpp"
#include "core/lattice/packing_kernels.hpp"

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

std::size_t keep_below(std::uint64_t mask, std::uint64_t bound, std::uint64_t* words, std::size_t count) {
#if defined(MPC_X86_KERNELS)
    if (uses_ifma()) return keep_below_ifma(mask, bound, words, count);
#endif
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        words[kept] = words[i] & mask;
        kept += words[kept] < bound ? 1 : 0;
    }
    return kept;
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
        kept += keep_below(mask, modulus.p, drawn, wanted);
    }
}

}  // namespace mpc::lattice
