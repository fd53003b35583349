// Words of a fixed number of bits to bytes and back: least significant bit first, the last byte filled with zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::bfv {

constexpr std::size_t packed_bytes(std::size_t count, int bits) {
    return (count * static_cast<std::size_t>(bits) + 7) / 8;
}

// Words below 2^bits, bits in 1..64. Writes packed_bytes(count, bits) bytes.
void pack(const std::uint64_t* words, std::size_t count, int bits, std::uint8_t* out);

// The inverse. Throws MalformedError, naming `what`, if a filling bit is set.
void unpack(const std::uint8_t* in, std::size_t count, int bits, std::uint64_t* words, const char* what);

}  // namespace mpc::bfv
