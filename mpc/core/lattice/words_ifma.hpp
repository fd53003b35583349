// Residues in words, eight a vector, for the kernels on AVX-512 IFMA, which multiplies words of 52 bits.
//
// The arithmetic is that of the portable kernels with 2^52 in place of 2^64 in Shoup's quotients (Boemer et al., "Intel
// HEXL", WAHC 2021). The multiplier reads the low 52 bits of its factors only. So between the first load and `residue`
// a number stands for its low 52 bits, whatever is above them, and sums and differences need no mask. Each number that
// is meant is below 2^52.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"
#include "core/lattice/ntt_kernels.hpp"

namespace mpc::lattice {

// Of the class Ntt, see products_ifma.cpp.
void inner_product_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                        std::size_t terms, std::uint64_t* out);
void inner_product_pairs_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint8_t* pairs,
                              std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second);
void scale_difference_ifma(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* y, std::uint64_t factor,
                           const std::uint64_t* z, std::uint64_t* out);
void combine_ifma(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* factors, std::size_t terms,
                  std::uint64_t* out);
void crt_parts_ifma(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out);
void permute_ifma(const NttTables& ntt, const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out);
void add_permuted_ifma(const NttTables& ntt, const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out);

// Each file that includes this is compiled for IFMA and has its own copy.
namespace {

using V = __m512i;

constexpr std::size_t kLanes = 8;

MPC_INLINE V load(const std::uint64_t* p) { return _mm512_loadu_si512(p); }
MPC_INLINE void store(std::uint64_t* p, V x) { _mm512_storeu_si512(p, x); }
MPC_INLINE V repeat(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
MPC_INLINE V add(V x, V y) { return _mm512_add_epi64(x, y); }
MPC_INLINE V subtract(V x, V y) { return _mm512_sub_epi64(x, y); }
// [0, 2 bound) to [0, bound): the difference wraps to a huge word where x is below the bound.
MPC_INLINE V reduce_once(V x, V bound) { return _mm512_min_epu64(x, subtract(x, bound)); }

// A factor w with floor(w 2^52 / p), in every lane or lane by lane.
struct Factors {
    V value, quotient;
};

MPC_INLINE Factors repeat(const Factor& factor) { return {repeat(factor.value), repeat(factor.quotient >> 12)}; }

struct Prime {
    V p, twice, minus, mask, inverse;  // inverse = floor(2^52 / p)

    explicit MPC_INLINE Prime(const Modulus& m)
        : p(repeat(m.p)), twice(repeat(2 * m.p)), minus(repeat((std::uint64_t{1} << 52) - m.p)),
          mask(repeat((std::uint64_t{1} << 52) - 1)), inverse(repeat(m.one.quotient >> 12)) {}

    // sum + x w mod p, of which the second is in [0, 2p).
    MPC_INLINE V multiply_add(V sum, V x, const Factors& w) const {
        const V estimate = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, w.quotient);
        return _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(sum, x, w.value), estimate, minus);
    }
    MPC_INLINE V multiply(V x, const Factors& w) const { return multiply_add(_mm512_setzero_si512(), x, w); }
    // x mod p, in [0, 2p).
    MPC_INLINE V reduce(V x) const {
        return _mm512_madd52lo_epu64(x, _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, inverse), minus);
    }
    // The same of four, step by step, since the schedulers of the processor cannot pass by many that wait: sum + x w, in
    // place of x, and x mod p.
    MPC_INLINE void multiply_four(V sum, V* x, const Factors& a, const Factors& b, const Factors& c,
                                  const Factors& d) const {
        const Factors* const w[] = {&a, &b, &c, &d};
        V estimate[4];
        for (std::size_t i = 0; i < 4; ++i)
            estimate[i] = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x[i], w[i]->quotient);
        for (std::size_t i = 0; i < 4; ++i) x[i] = _mm512_madd52lo_epu64(sum, x[i], w[i]->value);
        for (std::size_t i = 0; i < 4; ++i) x[i] = _mm512_madd52lo_epu64(x[i], estimate[i], minus);
    }
    MPC_INLINE void reduce_four(V* x) const {
        V estimate[4];
        for (std::size_t i = 0; i < 4; ++i) estimate[i] = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x[i], inverse);
        for (std::size_t i = 0; i < 4; ++i) x[i] = _mm512_madd52lo_epu64(x[i], estimate[i], minus);
    }
    // [0, 2p) to words in [0, p).
    MPC_INLINE V residue(V x) const { return reduce_once(_mm512_and_si512(x, mask), p); }
};

// Eight words that are packed, from the byte on where the first begins; 64 bytes are read. Each word lies within eight.
struct Packed {
    V bytes, shifts, mask;

    explicit MPC_INLINE Packed(int width) : mask(repeat((std::uint64_t{1} << width) - 1)) {
        alignas(64) std::uint8_t places[8 * kLanes];
        alignas(64) std::uint64_t left[kLanes];
        const auto bits = static_cast<std::size_t>(width);
        for (std::size_t i = 0; i < kLanes; ++i) {
            for (std::size_t j = 0; j < 8; ++j) places[8 * i + j] = static_cast<std::uint8_t>(i * bits / 8 + j);
            left[i] = i * bits % 8;
        }
        bytes = _mm512_load_si512(places);
        shifts = _mm512_load_si512(left);
    }
    MPC_INLINE V operator()(const std::uint8_t* p) const {
        const V windows = _mm512_permutexvar_epi8(bytes, _mm512_loadu_si512(p));
        return _mm512_and_si512(_mm512_srlv_epi64(windows, shifts), mask);
    }
};

}  // namespace

}  // namespace mpc::lattice
