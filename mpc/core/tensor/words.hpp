// Words of 1 to 64 bits as bytes, without gaps.
//
// Bit j of word i is bit i * bits + j of the bytes, the least significant of a byte first. Zero bits pad the last byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/byte_view.hpp"

namespace mpc::tensor {

// Throws ParameterError unless 1 <= bits <= 64, or if there would be too many bits to count, as do the other two.
std::size_t packed_bytes(std::size_t count, unsigned bits);

// Writes packed_bytes(count, bits) bytes. Higher bits of the words are ignored.
void pack_words(const std::uint64_t* words, std::size_t count, unsigned bits, std::uint8_t* packed);
// The inverse. Throws LengthError for other than packed_bytes(count, bits) bytes, MalformedError if padding is not
// zero.
void unpack_words(ByteView packed, std::size_t count, unsigned bits, std::uint64_t* words);

}  // namespace mpc::tensor
