// Transposes a bit matrix, bytes first by interleaving vectors, then bits within bytes; see transpose.hpp.
#include "core/base/transpose.hpp"

#include "core/base/cpu.hpp"

#if defined(MPC_X86_KERNELS)
#include <immintrin.h>
#endif

namespace mpc {
namespace {

// Hacker's Delight, 7-3: transposes the 8 x 8 bits of a word, byte k being row k.
std::uint64_t transpose8(std::uint64_t x) {
    std::uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
    return x ^ t ^ (t << 28);
}

void transpose_portable_block(const Block* rows, Block* out) {
    const auto* in = reinterpret_cast<const std::uint8_t*>(rows);
    auto* bytes = reinterpret_cast<std::uint8_t*>(out);
    for (std::size_t group = 0; group < 16; ++group) {
        for (std::size_t column = 0; column < 16; ++column) {
            std::uint64_t word = 0;
            for (std::size_t k = 0; k < 8; ++k)
                word |= std::uint64_t{in[(8 * group + k) * kRowBlocks * sizeof(Block) + column]} << (8 * k);
            word = transpose8(word);
            for (std::size_t k = 0; k < 8; ++k)
                bytes[(8 * column + k) * sizeof(Block) + group] = static_cast<std::uint8_t>(word >> (8 * k));
        }
    }
}

void transpose_portable(const Block* rows, std::size_t column_blocks, Block* out) {
    for (std::size_t c = 0; c < column_blocks; ++c) transpose_portable_block(rows + c, out + 128 * c);
}

#if defined(MPC_X86_KERNELS)

// Four rounds of interleaving transpose 16 vectors of 16 bytes a lane: v[j] ends with byte j of each former vector.
#define MPC_BYTE_TRANSPOSE(V, UNPACKLO, UNPACKHI)                  \
    for (int round = 0; round < 4; ++round) {                       \
        V next[16];                                                 \
        for (int k = 0; k < 8; ++k) {                               \
            next[2 * k] = UNPACKLO(v[k], v[k + 8]);                 \
            next[2 * k + 1] = UNPACKHI(v[k], v[k + 8]);             \
        }                                                           \
        for (int k = 0; k < 16; ++k) v[k] = next[k];                \
    }

// Eight rows at a time: swapping bits between rows 1, 2 and 4 apart transposes the 8 x 8 bits under each other, so that
// byte j of vector k holds column 8 j + k of these rows. Then bytes, for each k by itself. Either lane of a vector is a
// block of columns of its own.
__attribute__((target("avx2"))) void transpose_avx2(const Block* rows, std::size_t column_blocks, Block* out) {
    const __m256i keep[3] = {_mm256_set1_epi8(0x55), _mm256_set1_epi8(0x33), _mm256_set1_epi8(0x0f)};
    for (std::size_t c = 0; c < column_blocks; c += 2) {  // a row has an even number of blocks
        __m256i bytes[8][16];
        for (std::size_t group = 0; group < 16; ++group) {
            __m256i r[8];
            for (std::size_t k = 0; k < 8; ++k)
                r[k] = _mm256_loadu_si256(
                    reinterpret_cast<const __m256i*>(rows + (8 * group + k) * kRowBlocks + c));
#pragma GCC unroll 3
            for (int step = 0; step < 3; ++step) {
                const int apart = 1 << step;
#pragma GCC unroll 8
                for (int k = 0; k < 8; ++k) {
                    if ((k & apart) != 0) continue;
                    __m256i &low = r[k], &high = r[k + apart];
                    const __m256i swap =
                        _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi64(low, apart), high), keep[step]);
                    high = _mm256_xor_si256(high, swap);
                    low = _mm256_xor_si256(low, _mm256_slli_epi64(swap, apart));
                }
            }
            for (std::size_t k = 0; k < 8; ++k) bytes[k][group] = r[k];
        }
        for (std::size_t bit = 0; bit < 8; ++bit) {
            __m256i(&v)[16] = bytes[bit];
            MPC_BYTE_TRANSPOSE(__m256i, _mm256_unpacklo_epi8, _mm256_unpackhi_epi8)
            Block* to = out + 128 * c + bit;
            for (std::size_t j = 0; j < 16; ++j)
                _mm_store_si128(reinterpret_cast<__m128i*>(to + 8 * j), _mm256_castsi256_si128(v[j]));
            if (c + 1 == column_blocks) continue;
            for (std::size_t j = 0; j < 16; ++j)
                _mm_store_si128(reinterpret_cast<__m128i*>(to + 128 + 8 * j), _mm256_extracti128_si256(v[j], 1));
        }
    }
}
static_assert(kRowBlocks % 2 == 0, "two blocks of a row are loaded at once");

constexpr long long kOnes = 0x0101010101010101;

// With GFNI eight 8 x 8 bit matrices are transposed at once, as products of their rows and unit vectors.
__attribute__((target("avx512f,avx512bw,avx512vbmi,gfni"))) void transpose_gfni_block(const Block* rows,
                                                                                         Block* out) {
    const __m512i units = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201));
    // Byte 8 g + i, rows 8 g to 8 g + 7 of column i, becomes byte g of that column; in the order 0, 4, 1, 5, ...
    const __m512i columns = _mm512_add_epi8(
        _mm512_set1_epi64(0x3830282018100800),
        _mm512_set_epi64(7 * kOnes, 3 * kOnes, 6 * kOnes, 2 * kOnes, 5 * kOnes, kOnes, 4 * kOnes, 0));
    __m512i halves[2][16];  // of 64 rows
    for (std::size_t half = 0; half < 2; ++half) {
        __m512i v[16];
        const Block* in = rows + 64 * half * kRowBlocks;
        for (std::size_t k = 0; k < 16; ++k) {
            const Block* row = in + (k ^ 7) * kRowBlocks;  // the product takes a matrix from its last row on
            __m512i x = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
            row += 16 * kRowBlocks;
            x = _mm512_inserti32x4(x, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row)), 1);
            row += 16 * kRowBlocks;
            x = _mm512_inserti32x4(x, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row)), 2);
            row += 16 * kRowBlocks;
            v[k] = _mm512_inserti32x4(x, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row)), 3);
        }
        MPC_BYTE_TRANSPOSE(__m512i, _mm512_unpacklo_epi8, _mm512_unpackhi_epi8)
        for (std::size_t k = 0; k < 16; ++k) {
            // Of eight columns, eight rows a word; then their bytes, one column a word.
            halves[half][k] = _mm512_permutexvar_epi8(columns, _mm512_gf2p8affine_epi64_epi8(units, v[k], 0));
        }
    }
    for (std::size_t k = 0; k < 16; ++k) {
        _mm512_storeu_si512(out + 8 * k, _mm512_unpacklo_epi64(halves[0][k], halves[1][k]));
        _mm512_storeu_si512(out + 8 * k + 4, _mm512_unpackhi_epi64(halves[0][k], halves[1][k]));
    }
}

void transpose_gfni(const Block* rows, std::size_t column_blocks, Block* out) {
    for (std::size_t c = 0; c < column_blocks; ++c) transpose_gfni_block(rows + c, out + 128 * c);
}

#undef MPC_BYTE_TRANSPOSE

#endif

using Kernel = void (*)(const Block*, std::size_t, Block*);

Kernel kernel() {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() == cpu::Level::vaes512 && __builtin_cpu_supports("gfni") &&
        __builtin_cpu_supports("avx512vbmi"))
        return transpose_gfni;
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("avx2")) return transpose_avx2;
#endif
    return transpose_portable;
}

}  // namespace

void transpose_rows(const Block (*rows)[kRowBlocks], std::size_t column_blocks, Block* out) {
    kernel()(rows[0], column_blocks, out);
}

}  // namespace mpc
