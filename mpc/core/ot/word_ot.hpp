// Oblivious transfer of correlated words, and products of two parties' words, from correlated OTs of blocks.
//
//     receiver (choice bits c)                               sender (a difference d each)
//     c ^ u  ----------------------------------------->      q ^= (c ^ u) delta, so that t = q ^ c delta
//     a = H(t) + c m           <------- m -------------      m = H(q) - H(q ^ delta) + d,   b = -H(q)
//
//     a + b = c d   modulo 2^bits
//
// A product x y of the sender's x and the receiver's y takes an OT for each bit i of y, with the difference x modulo
// 2^(bits - i). Its share is the sum of all 2^i a_i, or of all 2^i b_i (Gilboa, CRYPTO 1999, section 4.1). It is exact.
//
// The sender sees c ^ u, and u is a one-time pad. The receiver knows one of H(q) and H(q ^ delta) for each OT. The other
// one is pseudo-random and hides d. H is the hash of half-gates (hash.hpp), with a key for kTile OTs and two words.
// b alone is pseudo-random to the sender, and a to the receiver. Both are shares, so neither is opened here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/hash.hpp"
#include "core/base/bit_matrix.hpp"
#include "core/base/block.hpp"
#include "core/base/byte_view.hpp"

namespace mpc {

constexpr unsigned kMaxOtWords = 4;  // of one OT

// n OTs of so many words each, modulo 2^bits. Throws ParameterError for what this code cannot do.
struct WordOts {
    std::size_t n;
    unsigned words;  // 1 to kMaxOtWords
    unsigned bits;   // 1 to 64

    void check() const;
    std::size_t ots() const { return n; }
    std::size_t hash_indices() const { return (n + kTile - 1) / kTile * ((words + 1) / 2); }
    // Each word of m in whole bytes.
    std::size_t message_bytes() const { return n * words * bytes_of_bits(bits); }
};

// n products modulo 2^bits.
struct WordProducts {
    std::size_t n;
    unsigned bits;  // 1 to 64

    void check() const;
    std::size_t ots() const { return n * bits; }
    std::size_t hash_indices() const { return (ots() + kTile - 1) / kTile; }
    // Of each product bits - i bits for bit i, together in whole bytes.
    std::size_t message_bytes() const { return n * bytes_of_bits(std::size_t{bits} * (bits + 1) / 2); }
};

// The sender's side: `q` after the corrections, `differences` [n, words]. Writes the message and its shares [n, words].
void send_words(const WordOts& ots, const HashKeys& keys, const Block& delta, const Block* q, WordView differences,
                MutableByteView message, std::uint64_t* shares);
// The receiver's side. `choices` are packed bits. Throws MalformedError for bits beyond a word's.
void receive_words(const WordOts& ots, const HashKeys& keys, const Block* t, ByteView choices, ByteView message,
                   std::uint64_t* shares);

// The same for products: OT number i of a product chooses by bit i of the receiver's factor.
void send_products(const WordProducts& products, const HashKeys& keys, const Block& delta, const Block* q,
                   WordView factors, MutableByteView message, std::uint64_t* shares);
void receive_products(const WordProducts& products, const HashKeys& keys, const Block* t, ByteView choices,
                      ByteView message, std::uint64_t* shares);

}  // namespace mpc
