// What the kernels of projection.hpp have in common on every CPU level. These are the walk from output bit to output
// bit, and how a row of ciphertexts lies in the message. Eight ciphertexts end on a byte. So all but the last tile is
// packed and taken apart eight by eight, each eight by itself.
#pragma once

#include "core/base/bit_matrix.hpp"
#include "core/garbling/kernels.hpp"

namespace mpc {

// One output bit of a tile; names as in projection.hpp.
struct ProjectedRow {
    const Block* labels;
    std::size_t lanes;
    std::size_t number;   // of its hash index, from the first one on
    std::size_t left;     // rows from this one on
    std::size_t place;    // of its first ciphertext in the message, in bits
    unsigned shift;       // k
    unsigned bits;        // width - k, of each ciphertext
    std::uint64_t mask;   // 2^(width - k) - 1
    std::uint64_t weight;  // w', 1 or -1

    MPC_INLINE bool in_eights() const { return lanes % 8 == 0; }
};

// Calls body(row, sums) for every output bit in wire order. It adds what it shares, times 2^k, to the lanes' sums.
template <class Body>
MPC_INLINE void for_each_projected_row(const ProjectionRun& run, Body body) {
    alignas(64) std::uint64_t sums[kTile];
    const std::uint64_t ring = ~std::uint64_t{0} >> (64 - run.width);
    ProjectedRow row{};
    row.labels = run.labels;
    row.left = run.rows;
    for (std::size_t first = 0; first < run.n; first += kTile) {
        row.lanes = run.n - first < kTile ? run.n - first : kTile;
        for (std::size_t word = 0; word < run.words; ++word) {
            for (std::uint64_t& sum : sums) sum = 0;
            for (row.shift = 0; row.shift < run.word_widths[word]; ++row.shift) {
                row.bits = run.width - row.shift;
                row.mask = ~std::uint64_t{0} >> (64 - row.bits);
                row.weight = run.signed_words && row.shift + 1 == run.word_widths[word] ? row.mask : 1;
                body(row, sums);
                row.labels += row.lanes;
                row.place += row.lanes * row.bits;
                ++row.number;
                --row.left;
            }
            std::uint64_t* const shares = run.shares + first * run.words + word;
            for (std::size_t i = 0; i < row.lanes; ++i) shares[i * run.words] = sums[i] & ring;
        }
    }
    wipe(sums, sizeof sums);
}

// Eight words, zero from `bits` on, to `bits` bytes; up to eight more bytes behind them are set to zero.
MPC_INLINE void pack_eight(const std::uint64_t* words, unsigned bits, std::uint8_t* out) {
    std::uint64_t begun = 0;  // the bits of a byte that is not full
    unsigned fill = 0;
    const auto put = [&](std::uint64_t value, unsigned count) {  // count <= 56
        begun |= value << fill;
        std::memcpy(out, &begun, sizeof begun);
        fill += count;
        out += fill / 8;
        begun >>= fill & ~7u;
        fill %= 8;
    };
    for (std::size_t i = 0; i < 8; ++i) {
        if (bits <= 56) {
            put(words[i], bits);
        } else {
            put(words[i] & 0xFFFFFFFF, 32);
            put(words[i] >> 32, bits - 32);
        }
    }
}

// The inverse; up to eight bytes behind those bytes are read.
MPC_INLINE void unpack_eight(const std::uint8_t* in, unsigned bits, std::uint64_t mask, std::uint64_t* words) {
    for (std::size_t i = 0; i < 8; ++i) {
        const std::uint8_t* const at = in + i * bits / 8;
        const std::size_t skip = i * bits % 8;
        std::uint64_t low, high = 0;
        std::memcpy(&low, at, sizeof low);
        if (bits > 57) std::memcpy(&high, at + 1, sizeof high);
        words[i] = (low >> skip | high << (8 - skip)) & mask;
    }
}

// Whether a row can be packed and taken apart by these two in a message of so many bytes.
MPC_INLINE bool has_room(const ProjectedRow& row, std::size_t message_bytes) {
    return row.in_eights() && (row.place + row.lanes * row.bits) / 8 + 8 <= message_bytes;
}

// The message is zero from the row's place on.
MPC_INLINE void pack_row(const std::uint64_t* words, const ProjectedRow& row, std::uint8_t* message,
                         std::size_t message_bytes) {
    if (has_room(row, message_bytes)) {
        std::uint8_t* out = message + row.place / 8;
        for (std::size_t i = 0; i < row.lanes; i += 8, out += row.bits) pack_eight(words + i, row.bits, out);
    } else {
        for (std::size_t i = 0; i < row.lanes; ++i) put_bits(message, row.place + i * row.bits, row.bits, words[i]);
    }
}

MPC_INLINE void unpack_row(const std::uint8_t* message, std::size_t message_bytes, const ProjectedRow& row,
                           std::uint64_t* words) {
    if (has_room(row, message_bytes)) {
        const std::uint8_t* in = message + row.place / 8;
        for (std::size_t i = 0; i < row.lanes; i += 8, in += row.bits) unpack_eight(in, row.bits, row.mask, words + i);
    } else {
        for (std::size_t i = 0; i < row.lanes; ++i) words[i] = get_bits(message, row.place + i * row.bits, row.bits);
    }
}

}  // namespace mpc
