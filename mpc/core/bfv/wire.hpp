// What travels in the encrypted linear layers, byte for byte, and which coefficients of a reply do.
//
//     upload      seed (16 bytes), then each polynomial: for each prime its N residues, bits of that prime each
//     public key  an upload of one polynomial
//     reply       polynomial by polynomial: c_1 (N words of k bits), then the words of c_0 that carry results (k bits
//                 each, filled to a byte)
//
// The residues are transforms (ntt.hpp). The seed's stream gives the transforms of the uniform halves, polynomial by
// polynomial and prime by prime. FrodoKEM expands its matrix from 16 bytes of seed at every security level, and public
// uniform polynomials are expanded likewise here. The seed hides nothing. It only must not repeat, nor be chosen
// against a structure of AES.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/byte_view.hpp"
#include "core/bfv/parameters.hpp"
#include "core/lattice/memory.hpp"

namespace mpc::bfv {

// The results of a reply, by position. A result is coefficient `position % N` of polynomial number `position / N`.
class Selection {
public:
    // Takes positions that ascend strictly, at least one in every polynomial. Throws ParameterError otherwise, before
    // anything is allocated for polynomials that can have none.
    Selection(View<const std::int64_t> positions, std::size_t polynomials, std::size_t degree);

    std::size_t polynomials() const { return begin_.size() - 1; }
    std::size_t results() const { return coefficients_.size(); }
    // Results begin(o) .. begin(o + 1) - 1 lie in polynomial o.
    std::size_t begin(std::size_t polynomial) const { return begin_[polynomial]; }
    std::size_t coefficient(std::size_t result) const { return coefficients_[result]; }

private:
    std::vector<std::size_t> coefficients_;
    std::vector<std::size_t> begin_;
};

constexpr std::size_t kMostPolynomials = std::size_t{1} << 24;  // of one message

std::size_t polynomial_bytes(const Parameters& parameters);
// Throws ParameterError for more polynomials than kMostPolynomials.
std::size_t upload_bytes(const Parameters& parameters, std::size_t polynomials);
std::size_t reply_bytes(const Parameters& parameters, const Selection& selection);

// Encryptions in transformed form. Of polynomial j, `first` b and `second` a start at j * parameters.words().
struct Ciphertexts {
    lattice::LargeWords first, second;
};

// Throws LengthError unless `message` has upload_bytes(polynomials), MalformedError on a residue that is not below its
// prime.
Ciphertexts read_upload(const Parameters& parameters, ByteView message, std::size_t polynomials, const char* what);

}  // namespace mpc::bfv
