// The negacyclic number-theoretic transform. It maps Z_p[X]/(X^N + 1) to N copies of Z_p, where products are pointwise.
//
// The algorithms are 1 and 2 of Longa and Naehrig, "Speeding up the number theoretic transform for faster ideal
// lattice-based cryptography" (CANS 2016), with the lazy butterflies of Harvey (2014). Entry j of a transform is the
// polynomial's value at psi^(2 r + 1), where r is j with its log2 N bits reversed and psi is the smallest primitive
// 2N-th root of unity. Every CPU level gives the same residues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/lattice/memory.hpp"
#include "core/lattice/modulus.hpp"
#include "core/lattice/ntt_kernels.hpp"

namespace mpc::lattice {

class Ntt {
public:
    Ntt(std::uint64_t prime, std::size_t degree);  // degree 2^6 .. 2^15, prime = 1 mod 2 degree, of at most 47 bits
    Ntt(Ntt&&) = default;                          // moving keeps the vectors' memory, to which the tables point
    Ntt& operator=(Ntt&&) = default;

    const Modulus& modulus() const { return tables_.modulus; }
    std::uint64_t p() const { return tables_.modulus.p; }
    std::size_t degree() const { return tables_.degree; }

    // In place; entries below 2p enter, entries below p leave.
    void forward(std::uint64_t* x) const;
    void inverse(std::uint64_t* x) const;

    // The transform of what `in` is modulo another prime of at most 47 bits, taken around zero: of integers in
    // (-other/2, other/2). Entries of `in` are below `other`. out, below p, may be `in`.
    void forward_lifted(std::uint64_t other, const std::uint64_t* in, std::uint64_t* out) const;

    // out = (x - y) factor + z, entry by entry, all below p. z may be null, for zeros. out may be one of the others.
    void scale_difference(const std::uint64_t* x, const std::uint64_t* y, std::uint64_t factor, const std::uint64_t* z,
                          std::uint64_t* out) const;

    // out = sum_k x[k] factors[k] mod p, for 1 <= terms <= kMaxCombined, entries below 2^47 and factors below p. out,
    // below p, may be one of the x.
    static constexpr std::size_t kMaxCombined = 8;
    void combine(const std::uint64_t* const* x, const std::uint64_t* factors, std::size_t terms,
                 std::uint64_t* out) const;

    // The transform of sum_k x_k factors[k], for 2 <= terms <= kMaxConverted. Entries are below 2^47, but those of the
    // last row at most 5. out is apart from x. The rows lie together: kTogether entries of x_0, those of x_1 and so on,
    // then the next entries of all. Rows apart would be more streams than a processor reads ahead, as a pass of the
    // transform reads at eight places.
    static constexpr std::size_t kMaxConverted = kMostCrtTerms + 1;
    void forward_combined(const std::uint64_t* x, const std::uint64_t* factors, std::size_t terms,
                          std::uint64_t* out) const;

    // out = the image under a map of what stands where, out[j] = x[map[j]], or that added to out. out is apart from x.
    // The map takes each eight entries of out, from a multiple of eight on, from such an eight of x, as those of
    // automorphisms do. Entries are below p.
    void permute(const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) const;
    void add_permuted(const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) const;

    // out = sum_k x[k] * y[k], entry by entry, for 1 <= terms <= kMaxTerms and factors below p. out, below p, may
    // be one of the factors.
    static constexpr std::size_t kMaxTerms = 1000;
    void inner_product(const std::uint64_t* const* x, const std::uint64_t* const* y, std::size_t terms,
                       std::uint64_t* out) const;

    // first = sum_k x[k] y_k and second = sum_k x[k] z_k, apart from all factors. `pairs` has (y_k, z_k) for k < packed,
    // with terms <= packed, in the order in which they are read: kPairedEntries entries of y_0, those of z_0, those of
    // y_1 and so on, then the next entries of all, each packed at the bits of the prime (packing.hpp). Memory is what
    // limits this. As polynomials apart they would be more streams from it than a processor reads ahead, and all at the
    // same place of a page. Behind the pairs there are kPairedSlack bytes of any content, which are read.
    void inner_product_pairs(const std::uint64_t* const* x, const std::uint8_t* pairs, std::size_t terms,
                             std::size_t packed, std::uint64_t* first, std::uint64_t* second) const;

    // The same for every row of x with every column of y, which have `terms` polynomials each, one row or column behind
    // the other: out[r * columns + c] = sum_k x[r * terms + k] * y[c * terms + k]. out is apart from x and y.
    void inner_products(const std::uint64_t* const* x, std::size_t rows, const std::uint64_t* const* y,
                        std::size_t columns, std::size_t terms, std::uint64_t* const* out) const;

private:
    struct Storage {
        Words root, quotient, head, tail_root, tail_quotient;
        std::vector<double> real;
        Twiddles view() const {
            return {root.data(), quotient.data(), head.data(), tail_root.data(), tail_quotient.data()};
        }
    };
    Storage powers(std::uint64_t psi) const;
    double centred(std::uint64_t residue) const;

    NttTables tables_;
    Storage forward_, inverse_;
};

// Writes y_k = x_k inverse_k mod p_k for each of up to kMostCrtTerms terms, and behind them sum_k y_k / p_k rounded,
// as rows that lie together; see Ntt::forward_combined. Fractions are in units of 2^-61, each cut. Residues are below
// their prime. out is apart from all x.
void crt_parts(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out);

// True where the AVX-512 IFMA kernels run: level vaes512 on a processor that has them.
bool uses_ifma();
// True where those in double-precision numbers run: any level but portable, on a processor with AVX2 and FMA, unless
// uses_ifma().
bool uses_fma();

}  // namespace mpc::lattice
