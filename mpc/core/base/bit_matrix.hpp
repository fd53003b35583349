// Turns words into rows of bits and back. On one side are values (instances x words), on the other one row of bits for
// each input wire.
//
// Wire order is the order of labels and bits in every message. Instances go in tiles of kTile. In a tile, wire follows
// wire, with words in order and the least significant bit first. For a wire, instance follows instance. With B bits an
// instance, bit b of instance i has place
//
//     t * kTile * B + b * lanes + (i - t * kTile),    t = i / kTile,    lanes = instances in tile t.
//
// Packed bits follow wire order, eight a byte, least significant first. The last byte is padded with zero bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/base/byte_view.hpp"

namespace mpc {

// Instances a tile. This is part of the wire format, as it fixes the order above and which labels share a hash key
// (hash.hpp).
constexpr std::size_t kTile = 32;

// Bits of each word of an instance, 1 to 64.
using Widths = std::vector<unsigned>;

std::size_t total_bits(const Widths& widths);

// Transposes a 64 x 64 bit matrix in place. Bit j of word i goes to bit i of word j.
void transpose(std::uint64_t* matrix);

// Throws LengthError unless there are n x words values, ParameterError if a value does not fit its width.
void check_values(const std::string& what, const Widths& widths, WordView values, std::size_t n);

// Makes total_bits(widths) rows of at most 64 instances. Bit i of rows[b] is bit b of instance i.
void rows_of_values(const Widths& widths, const std::uint64_t* values, std::size_t instances, std::uint64_t* rows);
// The inverse. Bits of a row at or beyond `instances` are ignored.
void values_of_rows(const Widths& widths, const std::uint64_t* rows, std::size_t instances, std::uint64_t* values);

MPC_INLINE std::size_t bytes_of_bits(std::size_t bits) { return (bits + 7) / 8; }
// Throws LengthError unless `packed` holds exactly `bits`, MalformedError if a padding bit is set.
void check_packed(const std::string& what, ByteView packed, std::size_t bits);

// Read and write `count` (1..64) bits at any place. `put_bits` ORs into zeroed memory. Bits of `value` from `count` on
// must be zero.
std::uint64_t get_bits(const std::uint8_t* packed, std::size_t place, std::size_t count) noexcept;
void put_bits(std::uint8_t* packed, std::size_t place, std::size_t count, std::uint64_t value) noexcept;

// Turn values (n x words) into packed bits in wire order, and back. They throw as the checks above do.
Bytes pack_values(const Widths& widths, WordView values, std::size_t n);
std::vector<std::uint64_t> unpack_values(const Widths& widths, ByteView packed, std::size_t n);

}  // namespace mpc
