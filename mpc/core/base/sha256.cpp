// SHA-256, FIPS 180-4. See sha256.hpp.
#include "core/base/sha256.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/block.hpp"
#include "core/base/cpu.hpp"

#if defined(MPC_X86_KERNELS)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace mpc {
namespace {

// FIPS 180-4, 4.2.2: the fractions of the cube roots of the first 64 primes.
constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t rotate(std::uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

std::uint32_t load_big(const std::uint8_t* p) {
    return (std::uint32_t{p[0]} << 24) | (std::uint32_t{p[1]} << 16) | (std::uint32_t{p[2]} << 8) | p[3];
}

void compress_portable(std::uint32_t* state, const std::uint8_t* block) {
    std::uint32_t w[64];
    for (int i = 0; i < 16; ++i) w[i] = load_big(block + 4 * i);
    for (int i = 16; i < 64; ++i) {
        const std::uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
        const std::uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    std::uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    std::uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; ++i) {
        const std::uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
        const std::uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const std::uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state[i] += sum[i];
}

#if defined(MPC_X86_KERNELS)
// By the SHA instructions: four rounds at a time, the message schedule in four vectors of four words. Of `lanes`
// messages side by side, as one message waits for its own rounds.
template <int lanes>
__attribute__((target("sha,sse4.1,ssse3"))) void compress_sha(std::uint32_t* const (&state)[lanes],
                                                              const std::uint8_t* const (&data)[lanes],
                                                              std::size_t blocks) {
    const __m128i big = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef[lanes], cdgh[lanes];
    for (int k = 0; k < lanes; ++k) {
        const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state[k]));
        const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state[k] + 4));
        const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
        abef[k] = _mm_alignr_epi8(cdab, efgh, 8);
        cdgh[k] = _mm_blend_epi16(efgh, cdab, 0xf0);
    }
    for (std::size_t block = 0; block < blocks; ++block) {
        __m128i abef_before[lanes], cdgh_before[lanes], w[lanes][4];
        for (int k = 0; k < lanes; ++k) {
            abef_before[k] = abef[k];
            cdgh_before[k] = cdgh[k];
            for (int i = 0; i < 4; ++i) {
                const auto* const four = reinterpret_cast<const __m128i*>(data[k] + 64 * block + 16 * i);
                w[k][i] = _mm_shuffle_epi8(_mm_loadu_si128(four), big);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            const __m128i constants = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kRound + 4 * i));
#pragma GCC unroll 2
            for (int k = 0; k < lanes; ++k) {
                const __m128i now = w[k][i & 3], sum = _mm_add_epi32(now, constants);
                cdgh[k] = _mm_sha256rnds2_epu32(cdgh[k], abef[k], sum);
                abef[k] = _mm_sha256rnds2_epu32(abef[k], cdgh[k], _mm_shuffle_epi32(sum, 0x0e));
                if (i < 12) {  // the word that is needed four steps on takes the place of this one
                    const __m128i three = w[k][(i + 3) & 3];
                    const __m128i first = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[k][(i + 1) & 3]),
                                                        _mm_alignr_epi8(three, w[k][(i + 2) & 3], 4));
                    w[k][i & 3] = _mm_sha256msg2_epu32(first, three);
                }
            }
        }
        for (int k = 0; k < lanes; ++k) {
            abef[k] = _mm_add_epi32(abef[k], abef_before[k]);
            cdgh[k] = _mm_add_epi32(cdgh[k], cdgh_before[k]);
        }
    }
    for (int k = 0; k < lanes; ++k) {
        const __m128i cdab = _mm_shuffle_epi32(abef[k], 0x1b), efgh = _mm_shuffle_epi32(cdgh[k], 0xb1);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(state[k]), _mm_blend_epi16(cdab, efgh, 0xf0));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(state[k] + 4), _mm_alignr_epi8(efgh, cdab, 8));
    }
}

bool has_sha() {
    static const bool found = [] {
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
        return __builtin_cpu_supports("sse4.1") != 0 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
               ((ebx >> 29) & 1) != 0;
    }();
    return found && cpu::level() != cpu::Level::portable;
}
#endif

}  // namespace

Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      buffer_{} {}

Sha256::~Sha256() {
    wipe(state_, sizeof state_);
    wipe(buffer_, sizeof buffer_);
}

void Sha256::compress(const std::uint8_t* data, std::size_t blocks) {
#if defined(MPC_X86_KERNELS)
    if (has_sha()) return compress_sha<1>({state_}, {data}, blocks);
#endif
    for (; blocks > 0; --blocks, data += sizeof buffer_) compress_portable(state_, data);
}

void Sha256::update_both(Sha256& one, const std::uint8_t* first, Sha256& two, const std::uint8_t* second,
                         std::size_t bytes) {
#if defined(MPC_X86_KERNELS)
    if (has_sha() && one.buffered_ == 0 && two.buffered_ == 0) {
        const std::size_t blocks = bytes / sizeof one.buffer_, done = blocks * sizeof one.buffer_;
        compress_sha<2>({one.state_, two.state_}, {first, second}, blocks);
        one.total_ += done;
        two.total_ += done;
        first += done;
        second += done;
        bytes -= done;
    }
#endif
    one.update(first, bytes);
    two.update(second, bytes);
}

Sha256& Sha256::update(const void* data, std::size_t bytes) {
    const auto* in = static_cast<const std::uint8_t*>(data);
    total_ += bytes;
    while (bytes > 0) {
        if (buffered_ == 0 && bytes >= sizeof buffer_) {
            const std::size_t blocks = bytes / sizeof buffer_;
            compress(in, blocks);
            in += blocks * sizeof buffer_;
            bytes -= blocks * sizeof buffer_;
            continue;
        }
        const std::size_t take = std::min(bytes, sizeof buffer_ - buffered_);
        std::memcpy(buffer_ + buffered_, in, take);
        buffered_ += take;
        in += take;
        bytes -= take;
        if (buffered_ == sizeof buffer_) {
            compress(buffer_, 1);
            buffered_ = 0;
        }
    }
    return *this;
}

Sha256::Digest Sha256::digest() {
    const std::uint64_t bits = total_ * 8;
    std::uint8_t end[72] = {0x80};  // zeros up to the last 8 bytes of a block, which are the length
    const std::size_t length_at = 1 + (119 - buffered_) % 64;
    for (std::size_t i = 0; i < 8; ++i) end[length_at + i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    update(end, length_at + 8);
    Digest out;
    for (std::size_t i = 0; i < kDigestBytes; ++i)
        out[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    return out;
}

}  // namespace mpc
