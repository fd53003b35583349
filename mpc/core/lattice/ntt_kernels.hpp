// The kernels behind ntt.hpp, one set for each instruction set, and the tables that they read. ntt.cpp chooses among
// them. They are plain data only, so that a file compiled for one instruction set instantiates nothing that others
// could be linked to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/lattice/modulus.hpp"

namespace mpc::lattice {

// For k = 2^i + j, root[k] is psi (or its inverse) to the power of k with its log2 N bits reversed.
struct Twiddles {
    const std::uint64_t *root, *quotient;  // quotient = floor(root 2^64 / p)
    // For ntt_ifma.cpp, with floor(root 2^52 / p) for a quotient. The roots with k < N / 8, each with its quotient
    // behind it, and those of the last three layers for 8 x 8 tiles: seven vectors of eight a tile.
    const std::uint64_t *head, *tail_root, *tail_quotient;
};

// The same as double-precision numbers, for ntt_avx2.cpp. Factors are in (-p/2, p/2), and `inverse` is 1 / p.
struct RealTables {
    const double *forward = nullptr, *inverse_roots = nullptr;
    double p = 0, inverse = 0, inverse_degree = 0, last_root = 0;
};

struct NttTables {
    Modulus modulus;
    std::size_t degree = 0;
    Twiddles forward{}, inverse{};
    Factor inverse_degree, last_root;  // 1 / N; inverse root[1] / N
    Factor two_to_52;
    RealTables real;
};

constexpr std::size_t kPairedEntries = 32;  // of a polynomial, side by side; see Ntt::inner_product_pairs
constexpr std::size_t kPairedSlack = 64;    // bytes
constexpr std::size_t kTogether = 8;        // of a row, side by side; see Ntt::forward_combined
constexpr std::size_t kPackedEntries = 64;  // of a polynomial, which `inner_products` copies side by side

constexpr std::size_t kMostCrtTerms = 5;

// See crt_parts.
struct CrtTerm {
    const std::uint64_t* x;
    const Modulus* modulus;
    std::uint64_t inverse;   // below the prime
    std::uint64_t fraction;  // floor(2^(61 + b) / p) for a prime p of b bits
};

// The bytes of kPairedEntries residues.
MPC_INLINE std::size_t paired_bytes(const Modulus& m) { return kPairedEntries / 8 * static_cast<std::size_t>(m.bits); }

// Contracts: see ntt.hpp.
struct NttKernels {
    void (*forward)(const NttTables& tables, std::uint64_t* x);
    void (*inverse)(const NttTables& tables, std::uint64_t* x);
    void (*inner_product)(const NttTables& tables, const std::uint64_t* const* x, const std::uint64_t* const* y,
                          std::size_t terms, std::uint64_t* out);
    void (*inner_product_pairs)(const NttTables& tables, const std::uint64_t* const* x, const std::uint8_t* pairs,
                                std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second);
    // Where a set has none of these, `Ntt` does the same by others.
    void (*forward_lifted)(const NttTables& tables, std::uint64_t other, const std::uint64_t* in,
                           std::uint64_t* out) = nullptr;
    void (*scale_difference)(const NttTables& tables, const std::uint64_t* x, const std::uint64_t* y,
                             std::uint64_t factor, const std::uint64_t* z, std::uint64_t* out) = nullptr;
    void (*forward_combined)(const NttTables& tables, const std::uint64_t* x, const std::uint64_t* factors,
                             std::size_t terms, std::uint64_t* out) = nullptr;
    void (*combine)(const NttTables& tables, const std::uint64_t* const* x, const std::uint64_t* factors,
                    std::size_t terms, std::uint64_t* out) = nullptr;
    // room has (rows + columns) * terms * kPackedEntries numbers.
    void (*inner_products)(const NttTables& tables, const std::uint64_t* const* x, std::size_t rows,
                           const std::uint64_t* const* y, std::size_t columns, std::size_t terms,
                           std::uint64_t* const* out, double* room) = nullptr;
    void (*crt_parts)(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out) = nullptr;
    void (*permute)(const NttTables& tables, const std::uint32_t* map, const std::uint64_t* x,
                    std::uint64_t* out) = nullptr;
    void (*add_permuted)(const NttTables& tables, const std::uint32_t* map, const std::uint64_t* x,
                         std::uint64_t* out) = nullptr;
};

extern const NttKernels ifma_kernels;  // ntt_ifma.cpp: only in x86-64 builds
extern const NttKernels avx2_kernels;  // ntt_avx2.cpp: likewise

}  // namespace mpc::lattice
