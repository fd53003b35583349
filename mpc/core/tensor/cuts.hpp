// Division of shared words by a power of two, element by element: what the provider of correlations makes of a mask, and
// what a computing party makes of an opened word (mpc/tensors/backends/truncation.py).
//
// Words are modulo 2^ring_bits, and `bits` of them go. There is one version for every CPU, because memory is the limit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::tensor {

// How words are cut. Throws ParameterError unless 2 <= ring_bits <= 64 and 1 <= bits <= ring_bits - 2.
struct Cut {
    unsigned ring_bits, bits;
};
void check_cut(const Cut& cut);

// For r = -a: top = r's highest bit, and u = 2^(ring_bits - 1 - bits) top - (r without it >> bits).
void cut_masks(const Cut& cut, const std::uint64_t* a, std::size_t words, std::uint64_t* u, std::uint64_t* top);

// For c = opened + offset, with its highest bit c_top: u - 2^(ring_bits - bits) c_top top, to which one party adds
// (c >> bits) - 2^(ring_bits - 2 - bits). out may be u.
void cut_shares(const Cut& cut, const std::uint64_t* opened, std::uint64_t offset, const std::uint64_t* u,
                const std::uint64_t* top, bool adds_public, std::size_t words, std::uint64_t* out);

}  // namespace mpc::tensor
