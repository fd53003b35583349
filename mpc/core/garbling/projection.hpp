// Projection turns garbled output words into additive shares of their values over Z_{2^width}, with one ciphertext a
// bit and no further round. The garbler's shares m are pseudorandom and as new as its labels. The evaluator gets value
// - m mod 2^width and learns nothing else. (Projection gates with row reduction, Ball, Malkin, Rosulek, "Garbling
// gadgets for boolean and arithmetic circuits", CCS 2016, section 4.)
//
// A word's value is the sum of its bits at their places. The last place counts negatively if the word is signed. Bit k
// of weight w = 2^k or -2^k is shared by itself in Z_{2^(width - k)}, and both sides add up. Let L be the zero label, p
// its permute bit (its lowest bit), w' = w / 2^k, and H_i the pad of index i, cut to width - k bits.
//
//     garbler:    m_k = p w' - H_i(L ^ p delta)                          of the label with permute bit 0
//                 c   = (1 - p) w' - m_k - H_i(L ^ (1 - p) delta)        of the label with permute bit 1; sent
//     evaluator:  H_i(its label) + (its permute bit) c  =  bit w' - m_k
//
// Index i is fresh for every output wire of a tile (hash.hpp), so each pad masks one thing. The evaluator knows the pad
// of its own label, which is its share, or is its share less c. The other pad makes c or m_k uniform to it. Masks in
// the circuit instead would cost `width` ANDs, and as many OTs if the evaluator drew them.
//
// The message is c of all outputs in wire order, each of width - k bits, packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/garbling/garbling.hpp"

namespace mpc {

// What the outputs are shared in.
struct ProjectionRing {
    unsigned width;      // 1..64, and no narrower than any output word
    bool signed_words = false;
};

struct GarblerProjection {
    Bytes message;
    std::vector<std::uint64_t> shares;  // m, n x output words
};

// Returns the length of the message. Throws ParameterError for a width outside its range.
std::size_t projection_bytes(const Circuit& circuit, std::size_t n, unsigned width);

// Both throw ParameterError for a width outside its range and OrderError for a garbling or evaluation that was not made
// to be projected; the garbler's side may be called once a garbling, and throws OrderError after that. The evaluator's
// throws LengthError and MalformedError.
GarblerProjection project(Garbling& garbling, ProjectionRing ring);
std::vector<std::uint64_t> open_projection(const Evaluation& evaluation, ProjectionRing ring, ByteView message);

}  // namespace mpc
