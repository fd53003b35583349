// Words without gaps; see words.hpp. Branches depend on places and widths alone.
#include "core/tensor/words.hpp"

#include <cstring>
#include <string>

#include "core/base/bit_matrix.hpp"
#include "core/base/block.hpp"
#include "core/base/error.hpp"

namespace mpc::tensor {

namespace {

// Words of whole bytes, each written with the zeros above it, over which the next one goes. Near the end there is no
// room for those.
void pack_bytes(const std::uint64_t* words, std::size_t count, unsigned bits, std::uint8_t* packed) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    const std::size_t width = bits / 8, roomy = count < 8 ? 0 : count - 7;
    std::size_t i = 0;
    for (; i < roomy; ++i, packed += width) {
        const std::uint64_t word = words[i] & mask;
        std::memcpy(packed, &word, sizeof word);
    }
    for (; i < count; ++i, packed += width) std::memcpy(packed, &words[i], width);
}

void unpack_bytes(const std::uint8_t* packed, std::size_t count, unsigned bits, std::uint64_t* words) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    const std::size_t width = bits / 8, roomy = count < 8 ? 0 : count - 7;
    std::size_t i = 0;
    for (; i < roomy; ++i, packed += width) {
        std::uint64_t word;
        std::memcpy(&word, packed, sizeof word);
        words[i] = word & mask;
    }
    for (; i < count; ++i, packed += width) {
        words[i] = 0;
        std::memcpy(&words[i], packed, width);
    }
}

}  // namespace

std::size_t packed_bytes(std::size_t count, unsigned bits) {
    if (bits < 1 || bits > 64)
        throw ParameterError("packed words: expected words of 1 to 64 bits, found " + std::to_string(bits));
    if (count > (~std::size_t{0} - 7) / bits)
        throw ParameterError("packed words: expected fewer than 2^64 bits, found " + std::to_string(count) +
                             " words of " + std::to_string(bits));
    return (count * bits + 7) / 8;
}

void pack_words(const std::uint64_t* words, std::size_t count, unsigned bits, std::uint8_t* packed) {
    (void)packed_bytes(count, bits);
    if (bits % 8 == 0) {
        pack_bytes(words, count, bits, packed);
        return;
    }
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    std::uint64_t pending = 0;  // the last `filled` bits, fewer than 64, that are not yet written
    unsigned filled = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t word = words[i] & mask;
        pending |= word << filled;
        if (filled + bits >= 64) {
            std::memcpy(packed, &pending, sizeof pending);
            packed += sizeof pending;
            const unsigned written = 64 - filled;  // of this word
            pending = written < bits ? word >> written : 0;
            filled = bits - written;
        } else {
            filled += bits;
        }
    }
    std::memcpy(packed, &pending, (filled + 7) / 8);
}

void unpack_words(ByteView packed, std::size_t count, unsigned bits, std::uint64_t* words) {
    const std::size_t size = packed_bytes(count, bits);
    if (packed.size() != size) throw LengthError("bytes of packed words", size, packed.size());
    if (bits % 8 == 0) {
        unpack_bytes(packed.data(), count, bits, words);
        return;
    }
    const std::size_t padding = 8 * size - count * bits;
    if (padding > 0 && packed[size - 1] >> (8 - padding) != 0)
        throw MalformedError("expected zero padding after packed words, found other bits");
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    std::size_t i = 0, place = 0;
    // A word lies in nine bytes. Near the end there are fewer.
    for (; i < count && place / 8 + 9 <= size; ++i, place += bits) {
        const std::uint8_t* from = packed.data() + place / 8;
        const unsigned shift = place % 8;
        std::uint64_t word;
        std::memcpy(&word, from, sizeof word);
        // The ninth byte, moved in two steps because a shift by 64 is not defined.
        word = (word >> shift) | (std::uint64_t{from[8]} << 1) << (63 - shift);
        words[i] = word & mask;
    }
    for (; i < count; ++i, place += bits) words[i] = get_bits(packed.data(), place, bits);
}

}  // namespace mpc::tensor
