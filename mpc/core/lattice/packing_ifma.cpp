// Packs words and picks those below a bound on AVX-512 with VBMI; see packing.hpp and sampling.hpp. The same instructions
// run for every content. How many words are picked is public.
#include "core/lattice/packing_kernels.hpp"
#include "core/lattice/words_ifma.hpp"

namespace mpc::lattice {

namespace {

// Where the bytes of eight packed words come from. Two neighbours may share a byte, but no two of every other one.
struct Places {
    V bytes;
    __mmask64 taken;

    MPC_INLINE Places(std::size_t bits, std::size_t first) : taken(0) {
        alignas(64) std::uint8_t places[64] = {};
        for (std::size_t i = first; i < kLanes; i += 2) {
            const std::size_t begin = i * bits / 8, end = ((i + 1) * bits + 7) / 8;
            for (std::size_t at = begin; at < end; ++at) {
                places[at] = static_cast<std::uint8_t>(8 * i + at - begin);
                taken |= __mmask64{1} << at;
            }
        }
        bytes = _mm512_load_si512(places);
    }
};

}  // namespace

std::size_t pack_ifma(const std::uint64_t* words, std::size_t count, int width, std::uint8_t* out) {
    const auto bits = static_cast<std::size_t>(width);
    const Places even(bits, 0), odd(bits, 1);
    const V shifts = Packed(width).shifts;
    const __mmask64 all = (__mmask64{1} << bits) - 1;  // bytes
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes, out += bits) {
        const V shifted = _mm512_sllv_epi64(load(words + i), shifts);
        const V one = _mm512_maskz_permutexvar_epi8(even.taken, even.bytes, shifted);
        _mm512_mask_storeu_epi8(out, all, _mm512_or_si512(one, _mm512_maskz_permutexvar_epi8(odd.taken, odd.bytes, shifted)));
    }
    return i;
}

std::size_t unpack_ifma(const std::uint8_t* in, std::size_t bytes, int width, std::uint64_t* words, std::size_t count) {
    const Packed eight(width);
    const auto bits = static_cast<std::size_t>(width);
    std::size_t i = 0;
    for (std::size_t at = 0; i + kLanes <= count && at + 64 <= bytes; i += kLanes, at += bits) {
        store(words + i, eight(in + at));
    }
    return i;
}

std::size_t keep_below_ifma(std::uint64_t mask, std::uint64_t bound, std::uint64_t* words, std::size_t count) {
    const V masks = repeat(mask), bounds = repeat(bound);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += kLanes) {
        const auto there = static_cast<__mmask8>(count - i >= kLanes ? 0xff : (1u << (count - i)) - 1);
        const V drawn = _mm512_and_si512(_mm512_maskz_loadu_epi64(there, words + i), masks);
        const __mmask8 good = _mm512_mask_cmplt_epu64_mask(there, drawn, bounds);
        // What is stored behind the kept ones has been read.
        _mm512_mask_storeu_epi64(words + kept, there, _mm512_maskz_compress_epi64(good, drawn));
        kept += static_cast<std::size_t>(__builtin_popcount(good));
    }
    return kept;
}

}  // namespace mpc::lattice
