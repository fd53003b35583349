// Hashes rows into GF(2^128); see ot_check.hpp. The challenge is public, the rows are secret: no branch depends on
// either.
#include "core/ot/ot_check.hpp"

#include "core/aes/aes.hpp"
#include "core/base/cpu.hpp"

#if defined(MPC_X86_KERNELS)
#include <immintrin.h>
#endif

namespace mpc {
namespace {

// Each adds chi_b x_b for all b. Karatsuba: low and high are the products of the low and high halves, middle that of
// their sums. The portable one leaves the whole product in low and high.
using Accumulate = void (*)(const Block* chi, const Block* x, std::size_t count, RowHash::Sum& sum);

void accumulate_portable(const Block* chi, const Block* x, std::size_t count, RowHash::Sum& sum) {
    // Horner's scheme over the bits of chi, the highest first, for all blocks at once.
    std::uint64_t w[4] = {0, 0, 0, 0};
    for (std::size_t bit = 128; bit-- > 0;) {
        for (std::size_t i = 3; i > 0; --i) w[i] = (w[i] << 1) | (w[i - 1] >> 63);
        w[0] <<= 1;
        Block some{};
        for (std::size_t b = 0; b < count; ++b) some ^= mask_of((bit < 64 ? chi[b].lo : chi[b].hi) >> (bit % 64)) & x[b];
        w[0] ^= some.lo;
        w[1] ^= some.hi;
    }
    const Block low{w[0], w[1]}, high{w[2], w[3]};
    sum.low ^= low;
    sum.high ^= high;
    sum.middle ^= low ^ high;  // so that it cancels below
    wipe(w, sizeof w);
}

#if defined(MPC_X86_KERNELS)
__attribute__((target("pclmul,sse4.1"))) void accumulate_clmul(const Block* chi, const Block* x, std::size_t count,
                                                               RowHash::Sum& sum) {
    __m128i low = _mm_setzero_si128(), middle = low, high = low;
    for (std::size_t b = 0; b < count; ++b) {
        const __m128i c = _mm_load_si128(reinterpret_cast<const __m128i*>(chi + b));
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + b));
        const __m128i cs = _mm_xor_si128(c, _mm_unpackhi_epi64(c, c)), vs = _mm_xor_si128(v, _mm_unpackhi_epi64(v, v));
        low = _mm_xor_si128(low, _mm_clmulepi64_si128(c, v, 0x00));
        high = _mm_xor_si128(high, _mm_clmulepi64_si128(c, v, 0x11));
        middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(cs, vs, 0x00));
    }
    Block part;
    _mm_store_si128(reinterpret_cast<__m128i*>(&part), low);
    sum.low ^= part;
    _mm_store_si128(reinterpret_cast<__m128i*>(&part), middle);
    sum.middle ^= part;
    _mm_store_si128(reinterpret_cast<__m128i*>(&part), high);
    sum.high ^= part;
}

__attribute__((target("vpclmulqdq,avx2,pclmul"))) void accumulate_vclmul(const Block* chi, const Block* x,
                                                                         std::size_t count, RowHash::Sum& sum) {
    __m256i low = _mm256_setzero_si256(), middle = low, high = low;
    std::size_t b = 0;
    for (; b + 2 <= count; b += 2) {
        const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(chi + b));
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + b));
        const __m256i cs = _mm256_xor_si256(c, _mm256_unpackhi_epi64(c, c));
        const __m256i vs = _mm256_xor_si256(v, _mm256_unpackhi_epi64(v, v));
        low = _mm256_xor_si256(low, _mm256_clmulepi64_epi128(c, v, 0x00));
        high = _mm256_xor_si256(high, _mm256_clmulepi64_epi128(c, v, 0x11));
        middle = _mm256_xor_si256(middle, _mm256_clmulepi64_epi128(cs, vs, 0x00));
    }
    Block part[2];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(part), low);
    sum.low ^= part[0] ^ part[1];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(part), middle);
    sum.middle ^= part[0] ^ part[1];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(part), high);
    sum.high ^= part[0] ^ part[1];
    if (b < count) accumulate_clmul(chi + b, x + b, 1, sum);
}
#endif

Accumulate accumulate_kernel() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("pclmul")) {
        if (cpu::level() != cpu::Level::aesni && __builtin_cpu_supports("vpclmulqdq")) return accumulate_vclmul;
        return accumulate_clmul;
    }
#endif
    return accumulate_portable;
}

}  // namespace

Block times_x(const Block& a) {
    const std::uint64_t over = std::uint64_t{0} - (a.hi >> 63);
    return Block{(a.lo << 1) ^ (over & 0x87), (a.hi << 1) | (a.lo >> 63)};
}

RowHash::RowHash(const Block& challenge, std::size_t blocks, std::size_t rows) : chi_(blocks), sums_(rows) {
    Aes128(challenge).counter_mode(0, 0, chi_.data(), blocks);
    chi_[blocks - 1] = Block{1, 0};
}

void RowHash::add(std::size_t row, std::size_t first, const Block* blocks, std::size_t count) {
    accumulate_kernel()(chi_.data() + first, blocks, count, sums_[row]);
}

Block RowHash::value(std::size_t row) const {
    const Sum& sum = sums_[row];
    const Block cross = sum.middle ^ sum.low ^ sum.high;
    std::uint64_t w[4] = {sum.low.lo, sum.low.hi ^ cross.lo, sum.high.lo ^ cross.hi, sum.high.hi};
    // x^128 = x^7 + x^2 + x + 1.
    for (const std::size_t i : {3u, 2u}) {
        const std::uint64_t top = w[i];
        w[i - 2] ^= top ^ (top << 1) ^ (top << 2) ^ (top << 7);
        w[i - 1] ^= (top >> 63) ^ (top >> 62) ^ (top >> 57);
    }
    const Block result{w[0], w[1]};
    wipe(w, sizeof w);
    return result;
}

}  // namespace mpc
