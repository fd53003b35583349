// Four sponges side by side in the words of AVX2. One alone is quicker in plain words.
#include <immintrin.h>

#include <cstring>

#include "core/prio/lanes.hpp"

namespace mpc::prio {
namespace {

struct FourLanes {
    using Word = __m256i;
    static MPC_INLINE Word exclusive(Word a, Word b) { return _mm256_xor_si256(a, b); }
    static MPC_INLINE Word and_not(Word a, Word b) { return _mm256_andnot_si256(a, b); }
    static MPC_INLINE Word constant(std::uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
    template <unsigned r>
    static MPC_INLINE Word rotate(Word a) {
        if constexpr (r == 0) return a;
        if constexpr (r == 8)
            return _mm256_shuffle_epi8(a, _mm256_setr_epi8(7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14, 7, 0,
                                                           1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14));
        if constexpr (r == 56)
            return _mm256_shuffle_epi8(a, _mm256_setr_epi8(1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8, 1, 2,
                                                           3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8));
        return _mm256_or_si256(_mm256_slli_epi64(a, r), _mm256_srli_epi64(a, 64 - r));
    }
};

MPC_INLINE __m256i* row(LaneState& state, std::size_t i) { return reinterpret_cast<__m256i*>(state.words[i]); }

// Rows to columns: word j of in[i] becomes word i of out[j].
MPC_INLINE void transpose(const __m256i* in, __m256i* out) {
    const __m256i a = _mm256_unpacklo_epi64(in[0], in[1]), b = _mm256_unpackhi_epi64(in[0], in[1]);
    const __m256i c = _mm256_unpacklo_epi64(in[2], in[3]), d = _mm256_unpackhi_epi64(in[2], in[3]);
    out[0] = _mm256_permute2x128_si256(a, c, 0x20);
    out[1] = _mm256_permute2x128_si256(b, d, 0x20);
    out[2] = _mm256_permute2x128_si256(a, c, 0x31);
    out[3] = _mm256_permute2x128_si256(b, d, 0x31);
}

void permute_all(LaneState& state) {
    __m256i words[kStateWords];
    for (std::size_t i = 0; i < kStateWords; ++i) words[i] = _mm256_load_si256(row(state, i));
    permute<FourLanes>(words);
    for (std::size_t i = 0; i < kStateWords; ++i) _mm256_store_si256(row(state, i), words[i]);
}

void permute_lanes(LaneState& state, std::size_t lanes) {
    if (lanes == 1) return lanes_portable.permute(state, lanes);
    permute_all(state);
}

constexpr std::size_t kLast = kRateWords - 1;  // the word behind five groups of four
static_assert(kLast % 4 == 0, "the rate is whole groups and one word");

void absorb_blocks(LaneState& state, const std::uint8_t* const* blocks, std::size_t lanes) {
    if (lanes == 1) return lanes_portable.absorb(state, blocks, lanes);
    const std::uint8_t* from[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) from[lane] = blocks[lane < lanes ? lane : 0];
    for (std::size_t i = 0; i < kLast; i += 4) {
        __m256i in[4], out[4];
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            in[lane] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from[lane] + 8 * i));
        transpose(in, out);
        for (std::size_t j = 0; j < 4; ++j)
            _mm256_store_si256(row(state, i + j), _mm256_xor_si256(_mm256_load_si256(row(state, i + j)), out[j]));
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        std::uint64_t word;
        std::memcpy(&word, from[lane] + 8 * kLast, 8);
        state.words[kLast][lane] ^= word;
    }
    permute_all(state);
}

void extract_blocks(const LaneState& state, std::uint8_t* const* blocks, std::size_t lanes) {
    if (lanes != kLanes) return lanes_portable.extract(state, blocks, lanes);
    for (std::size_t i = 0; i < kLast; i += 4) {
        __m256i in[4], out[4];
        for (std::size_t j = 0; j < 4; ++j)
            in[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(state.words[i + j]));
        transpose(in, out);
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(blocks[lane] + 8 * i), out[lane]);
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane)
        std::memcpy(blocks[lane] + 8 * kLast, &state.words[kLast][lane], 8);
}

}  // namespace

const LaneKernels lanes_avx2 = {absorb_blocks, permute_lanes, extract_blocks};

}  // namespace mpc::prio
