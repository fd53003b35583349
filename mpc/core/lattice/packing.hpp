// Packs words of a fixed number of bits into bytes and takes them apart. The least significant bit goes first, and the
// last byte is filled with zeros.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/byte_view.hpp"

namespace mpc::lattice {

constexpr std::size_t packed_bytes(std::size_t count, int bits) {
    return (count * static_cast<std::size_t>(bits) + 7) / 8;
}

// Packs words below 2^bits, bits in 1..64, into packed_bytes(words.size(), bits) bytes.
void pack(WordView words, int bits, MutableByteView out);

// Takes `words` apart again. Throws LengthError for another number of bytes and MalformedError, which names `what`, if
// a filling bit is set.
void unpack(ByteView in, int bits, View<std::uint64_t> words, const char* what);

}  // namespace mpc::lattice
