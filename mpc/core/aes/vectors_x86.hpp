// Vectors of 1, 2 or 4 blocks under one interface, over which the x86 kernels are written (ciphers_x86.hpp,
// gates_x86.hpp). Which of them exist depends on the instruction set that the including file is compiled for. Therefore
// they have internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"

namespace mpc {
namespace {

// One block in an SSE register: the whole of the AES-NI level, and the last instances of the wider levels.
struct V128 {
    using T = __m128i;
    static constexpr std::size_t blocks = 1;
    static MPC_INLINE T load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
    static MPC_INLINE void store(void* p, T x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
    static MPC_INLINE T repeat(const Block* p) { return load(p); }
    static MPC_INLINE T counters(std::uint64_t first, std::uint64_t high) {
        return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(first));
    }
    static MPC_INLINE T exclusive(T a, T b) { return _mm_xor_si128(a, b); }
    static MPC_INLINE T round(T x, T key) { return _mm_aesenc_si128(x, key); }
    static MPC_INLINE T last_round(T x, T key) { return _mm_aesenclast_si128(x, key); }
    // (L || R) -> (L ^ R) || L, see hash.hpp.
    static MPC_INLINE T sigma(T x) {
        return _mm_xor_si128(_mm_shuffle_epi32(x, 0x4E), _mm_and_si128(x, _mm_set_epi64x(-1, 0)));
    }
    // The colours of labels, as something that `exclusive_where` and `choice` understand.
    struct Colour {
        T top_bits;  // of either half
    };
    static MPC_INLINE Colour colour(T label) { return {_mm_slli_epi64(_mm_unpacklo_epi64(label, label), 63)}; }
    // `one` where the colour is one, else `zero`; `difference` is zero ^ one, which some levels choose by.
    static MPC_INLINE T choice(Colour colour, T zero, T one, T /*difference*/) {
        const __m128d at = _mm_castsi128_pd(colour.top_bits);
        return _mm_castpd_si128(_mm_blendv_pd(_mm_castsi128_pd(zero), _mm_castsi128_pd(one), at));
    }
    // a, or a ^ b where the colour is one.
    static MPC_INLINE T exclusive_where(Colour colour, T a, T b) { return choice(colour, a, exclusive(a, b), b); }
    using Mask = T;
    static MPC_INLINE std::uint64_t four_colours(const Block* row) {
        const T two = _mm_unpacklo_epi32(load(row), load(row + 1));
        const T four = _mm_unpacklo_epi64(two, _mm_unpacklo_epi32(load(row + 2), load(row + 3)));
        return static_cast<std::uint64_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_slli_epi32(four, 31))));
    }
    static MPC_INLINE std::uint64_t eight_colours(const Block* row) {
        return four_colours(row) | four_colours(row + 4) << 4;
    }
    // The mask of the blocks whose bit, from the lowest on, is set.
    static MPC_INLINE Mask where(std::uint64_t bits) {
        return _mm_set1_epi64x(-static_cast<long long>(bits & 1));
    }
    // a, or a ^ b where the mask is set.
    static MPC_INLINE T exclusive_where(Mask mask, T a, T b) { return exclusive(a, _mm_and_si128(mask, b)); }
    // One step of the key schedule (FIPS 197, section 5.2). SubWord(RotWord(w3)) is broadcast to all four columns,
    // where the row shift of the last AES round changes nothing, and the round constant enters as its key.
    static MPC_INLINE T next_key(T key, T rotate, T constant) {
        const T substituted = _mm_aesenclast_si128(_mm_shuffle_epi8(key, rotate), constant);
        key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
        key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
        return _mm_xor_si128(key, substituted);
    }
    static MPC_INLINE T words(std::uint32_t w) { return _mm_set1_epi32(static_cast<int>(w)); }
    // For the key schedule, in each block by itself.
    static MPC_INLINE T bytes(T x, T order) { return _mm_shuffle_epi8(x, order); }
    static MPC_INLINE T lower_words(T a, T b) { return _mm_unpacklo_epi32(a, b); }
    static MPC_INLINE T upper_words(T a, T b) { return _mm_unpackhi_epi32(a, b); }
    static MPC_INLINE T lower_halves(T a, T b) { return _mm_unpacklo_epi64(a, b); }
    static MPC_INLINE T upper_halves(T a, T b) { return _mm_unpackhi_epi64(a, b); }

    // Halves of blocks, for three_halves_x86.hpp.
    static MPC_INLINE T swapped(T x) { return _mm_shuffle_epi32(x, 0x4E); }
    static MPC_INLINE T upper_twice(T x) { return _mm_unpackhi_epi64(x, x); }
    static MPC_INLINE T lower_twice(T x) { return _mm_unpacklo_epi64(x, x); }
    static MPC_INLINE T mixed(T upper, T lower) { return _mm_blend_epi16(lower, upper, 0xF0); }
    static MPC_INLINE T add_halves(T a, T b) { return _mm_add_epi64(a, b); }
    static MPC_INLINE T and_halves(T a, T b) { return _mm_and_si128(a, b); }
    static MPC_INLINE T or_halves(T a, T b) { return _mm_or_si128(a, b); }
    // All ones where the lowest bit of the half is set.
    static MPC_INLINE T spread(T x) { return _mm_sub_epi64(_mm_setzero_si128(), _mm_and_si128(x, one())); }
    static MPC_INLINE T top_bit(T x) { return _mm_srli_epi64(x, 63); }
    static MPC_INLINE T one() { return pair_constant(1); }
    static MPC_INLINE T pair_constant(long long x) { return _mm_set1_epi64x(x); }
    // Two bits a block, or one for both halves, to masks; and back from the lowest bit of each half.
    static MPC_INLINE T pair_masks(std::uint64_t bits) {
        const T wanted = _mm_set_epi64x(2, 1);
        return _mm_cmpeq_epi64(_mm_and_si128(_mm_set1_epi64x(static_cast<long long>(bits)), wanted), wanted);
    }
    static MPC_INLINE T masks(std::uint64_t bits) { return where(bits); }
    static MPC_INLINE std::uint64_t pair_bits(T x) {
        return static_cast<std::uint64_t>(_mm_movemask_pd(_mm_castsi128_pd(_mm_slli_epi64(x, 63))));
    }
    // For projection_x86.hpp: the lower halves of x, then those of y.
    static MPC_INLINE T low_words(T x, T y) { return _mm_unpacklo_epi64(x, y); }
    static MPC_INLINE T subtract_halves(T a, T b) { return _mm_sub_epi64(a, b); }
    static MPC_INLINE T shift_halves(T x, unsigned left) {
        return _mm_sll_epi64(x, _mm_cvtsi32_si128(static_cast<int>(left)));
    }
    // Upper halves, packed.
    static MPC_INLINE void store_upper(void* p, T x) {
        _mm_storel_epi64(static_cast<__m128i*>(p), _mm_unpackhi_epi64(x, x));
    }
    static MPC_INLINE T load_twice(const void* p) {
        const T x = _mm_loadl_epi64(static_cast<const __m128i*>(p));
        return _mm_unpacklo_epi64(x, x);
    }
};

#if defined(__VAES__) && defined(__AVX2__)
struct V256 {
    using T = __m256i;
    static constexpr std::size_t blocks = 2;
    static MPC_INLINE T load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    static MPC_INLINE void store(void* p, T x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
    static MPC_INLINE T repeat(const Block* p) {
        return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static MPC_INLINE T counters(std::uint64_t first, std::uint64_t high) {
        const auto h = static_cast<long long>(high);
        return _mm256_set_epi64x(h, static_cast<long long>(first + 1), h, static_cast<long long>(first));
    }
    static MPC_INLINE T exclusive(T a, T b) { return _mm256_xor_si256(a, b); }
    static MPC_INLINE T round(T x, T key) { return _mm256_aesenc_epi128(x, key); }
    static MPC_INLINE T last_round(T x, T key) { return _mm256_aesenclast_epi128(x, key); }
    static MPC_INLINE T sigma(T x) {
        return _mm256_xor_si256(_mm256_shuffle_epi32(x, 0x4E), _mm256_and_si256(x, _mm256_set_epi64x(-1, 0, -1, 0)));
    }
    struct Colour {
        T words;  // 0 or 1 each, the sign that vpsignd multiplies by; blending takes three steps in 256-bit registers
    };
    static MPC_INLINE Colour colour(T label) {
        return {_mm256_and_si256(_mm256_shuffle_epi32(label, 0), words(1))};
    }
    static MPC_INLINE T exclusive_where(Colour colour, T a, T b) {
        return exclusive(a, _mm256_sign_epi32(b, colour.words));
    }
    static MPC_INLINE T choice(Colour colour, T zero, T /*one*/, T difference) {
        return exclusive_where(colour, zero, difference);
    }
    static MPC_INLINE std::uint64_t eight_colours(const Block* row) { return V128::eight_colours(row); }
    using Mask = T;
    static MPC_INLINE Mask where(std::uint64_t bits) {
        const T each = _mm256_set_epi64x(2, 2, 1, 1);
        return _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(static_cast<long long>(bits)), each), each);
    }
    static MPC_INLINE T exclusive_where(Mask mask, T a, T b) { return exclusive(a, _mm256_and_si256(mask, b)); }
    static MPC_INLINE T words(std::uint32_t w) { return _mm256_set1_epi32(static_cast<int>(w)); }
    static MPC_INLINE T bytes(T x, T order) { return _mm256_shuffle_epi8(x, order); }
    static MPC_INLINE T lower_words(T a, T b) { return _mm256_unpacklo_epi32(a, b); }
    static MPC_INLINE T upper_words(T a, T b) { return _mm256_unpackhi_epi32(a, b); }
    static MPC_INLINE T lower_halves(T a, T b) { return _mm256_unpacklo_epi64(a, b); }
    static MPC_INLINE T upper_halves(T a, T b) { return _mm256_unpackhi_epi64(a, b); }

    static MPC_INLINE T swapped(T x) { return _mm256_shuffle_epi32(x, 0x4E); }
    static MPC_INLINE T upper_twice(T x) { return _mm256_unpackhi_epi64(x, x); }
    static MPC_INLINE T lower_twice(T x) { return _mm256_unpacklo_epi64(x, x); }
    static MPC_INLINE T mixed(T upper, T lower) { return _mm256_blend_epi32(lower, upper, 0xCC); }
    static MPC_INLINE T add_halves(T a, T b) { return _mm256_add_epi64(a, b); }
    static MPC_INLINE T and_halves(T a, T b) { return _mm256_and_si256(a, b); }
    static MPC_INLINE T or_halves(T a, T b) { return _mm256_or_si256(a, b); }
    static MPC_INLINE T spread(T x) { return _mm256_sub_epi64(_mm256_setzero_si256(), _mm256_and_si256(x, one())); }
    static MPC_INLINE T top_bit(T x) { return _mm256_srli_epi64(x, 63); }
    static MPC_INLINE T one() { return pair_constant(1); }
    static MPC_INLINE T pair_constant(long long x) { return _mm256_set1_epi64x(x); }
    static MPC_INLINE T pair_masks(std::uint64_t bits) {
        const T each = _mm256_set_epi64x(8, 4, 2, 1);
        return _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(static_cast<long long>(bits)), each), each);
    }
    static MPC_INLINE T masks(std::uint64_t bits) { return where(bits); }
    static MPC_INLINE std::uint64_t pair_bits(T x) {
        return static_cast<std::uint64_t>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_slli_epi64(x, 63))));
    }
    static MPC_INLINE T low_words(T x, T y) { return _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(x, y), 0xD8); }
    static MPC_INLINE T subtract_halves(T a, T b) { return _mm256_sub_epi64(a, b); }
    static MPC_INLINE T shift_halves(T x, unsigned left) {
        return _mm256_sll_epi64(x, _mm_cvtsi32_si128(static_cast<int>(left)));
    }
    static MPC_INLINE void store_upper(void* p, T x) {
        V128::store(p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(x, 0x0D)));
    }
    static MPC_INLINE T load_twice(const void* p) {
        return _mm256_permute4x64_epi64(_mm256_castsi128_si256(V128::load(p)), 0x50);
    }
};
#endif

#if defined(__VAES__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
struct V512 {
    using T = __m512i;
    static constexpr std::size_t blocks = 4;
    static MPC_INLINE T load(const void* p) { return _mm512_loadu_si512(p); }
    static MPC_INLINE void store(void* p, T x) { _mm512_storeu_si512(p, x); }
    static MPC_INLINE T repeat(const Block* p) {
        return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static MPC_INLINE T counters(std::uint64_t first, std::uint64_t high) {
        const auto h = static_cast<long long>(high);
        const auto f = static_cast<long long>(first);
        return _mm512_add_epi64(_mm512_set_epi64(h, f, h, f, h, f, h, f), _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    }
    static MPC_INLINE T exclusive(T a, T b) { return _mm512_xor_si512(a, b); }
    static MPC_INLINE T round(T x, T key) { return _mm512_aesenc_epi128(x, key); }
    static MPC_INLINE T last_round(T x, T key) { return _mm512_aesenclast_epi128(x, key); }
    static MPC_INLINE T sigma(T x) {
        const T swapped = _mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(0x4E));
        return _mm512_mask_xor_epi64(swapped, 0xAA, swapped, x);
    }
    using Mask = __mmask8;
    using Colour = Mask;
    static MPC_INLINE Colour colour(T label) {
        const T low = _mm512_shuffle_epi32(label, static_cast<_MM_PERM_ENUM>(0x44));
        return _mm512_test_epi64_mask(low, _mm512_set1_epi64(1));
    }
    static MPC_INLINE T choice(Colour colour, T zero, T one, T /*difference*/) {
        return _mm512_mask_blend_epi64(colour, zero, one);
    }
    static MPC_INLINE Mask where(std::uint64_t bits) {
        const T each = _mm512_set_epi64(8, 8, 4, 4, 2, 2, 1, 1);
        return _mm512_test_epi64_mask(_mm512_set1_epi64(static_cast<long long>(bits)), each);
    }
    static MPC_INLINE T exclusive_where(Mask mask, T a, T b) { return _mm512_mask_xor_epi64(a, mask, a, b); }
    static MPC_INLINE std::uint64_t eight_colours(const Block* row) {
        return _mm512_test_epi64_mask(low_words(load(row), load(row + 4)), _mm512_set1_epi64(1));
    }
    static MPC_INLINE T words(std::uint32_t w) { return _mm512_set1_epi32(static_cast<int>(w)); }
    static MPC_INLINE T bytes(T x, T order) { return _mm512_shuffle_epi8(x, order); }
    static MPC_INLINE T lower_words(T a, T b) { return _mm512_unpacklo_epi32(a, b); }
    static MPC_INLINE T upper_words(T a, T b) { return _mm512_unpackhi_epi32(a, b); }
    static MPC_INLINE T lower_halves(T a, T b) { return _mm512_unpacklo_epi64(a, b); }
    static MPC_INLINE T upper_halves(T a, T b) { return _mm512_unpackhi_epi64(a, b); }

    static MPC_INLINE T swapped(T x) { return _mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(0x4E)); }
    static MPC_INLINE T upper_twice(T x) { return _mm512_unpackhi_epi64(x, x); }
    static MPC_INLINE T lower_twice(T x) { return _mm512_unpacklo_epi64(x, x); }
    static MPC_INLINE T mixed(T upper, T lower) { return _mm512_mask_blend_epi64(0xAA, lower, upper); }
    static MPC_INLINE T add_halves(T a, T b) { return _mm512_add_epi64(a, b); }
    static MPC_INLINE T and_halves(T a, T b) { return _mm512_and_si512(a, b); }
    static MPC_INLINE T or_halves(T a, T b) { return _mm512_or_si512(a, b); }
    static MPC_INLINE T spread(T x) { return _mm512_sub_epi64(_mm512_setzero_si512(), _mm512_and_si512(x, one())); }
    static MPC_INLINE T top_bit(T x) { return _mm512_srli_epi64(x, 63); }
    static MPC_INLINE T one() { return pair_constant(1); }
    static MPC_INLINE T pair_constant(long long x) { return _mm512_set1_epi64(x); }
    static MPC_INLINE T exclusive_where(T mask, T a, T b) { return _mm512_ternarylogic_epi64(a, mask, b, 0x78); }
    static MPC_INLINE T pair_masks(std::uint64_t bits) { return _mm512_movm_epi64(static_cast<__mmask8>(bits)); }
    static MPC_INLINE T masks(std::uint64_t bits) { return _mm512_movm_epi64(where(bits)); }
    static MPC_INLINE std::uint64_t pair_bits(T x) { return _mm512_test_epi64_mask(x, one()); }
    static MPC_INLINE T low_words(T x, T y) {
        return _mm512_permutex2var_epi64(x, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), y);
    }
    static MPC_INLINE T subtract_halves(T a, T b) { return _mm512_sub_epi64(a, b); }
    static MPC_INLINE T shift_halves(T x, unsigned left) {
        return _mm512_sll_epi64(x, _mm_cvtsi32_si128(static_cast<int>(left)));
    }
    static MPC_INLINE void store_upper(void* p, T x) {
        const T upper = _mm512_set_epi64(0, 0, 0, 0, 7, 5, 3, 1);
        _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_castsi512_si256(_mm512_permutexvar_epi64(upper, x)));
    }
    static MPC_INLINE T load_twice(const void* p) {
        const T twice = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
        const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(p));
        return _mm512_permutexvar_epi64(twice, _mm512_castsi256_si512(halves));
    }
};
#endif

}  // namespace
}  // namespace mpc
