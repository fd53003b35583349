// Packs words of bits; see packing.hpp. The same instructions run for every content.
#include "core/lattice/packing.hpp"

#include <cstring>
#include <string>

#include "core/base/error.hpp"
#include "core/lattice/modulus.hpp"
#include "core/lattice/ntt.hpp"
#include "core/lattice/packing_kernels.hpp"

namespace mpc::lattice {

namespace {

void check_bytes(const char* what, std::size_t words, int bits, std::size_t found) {
    const std::size_t expected = packed_bytes(words, bits);
    if (expected != found) throw LengthError(std::string(what) + " in bytes", expected, found);
}

#if defined(MPC_X86_KERNELS)
bool in_vectors(int bits) { return bits >= kLeastVectorBits && bits <= kMostVectorBits && uses_ifma(); }
#endif

}  // namespace

void pack(WordView all, int bits, MutableByteView room) {
    check_bytes("packed words", all.size(), bits, room.size());
    std::size_t done = 0;
#if defined(MPC_X86_KERNELS)
    if (in_vectors(bits)) done = pack_ifma(all.data(), all.size(), bits, room.data());
#endif
    const WordView words = all.from(done);
    std::uint8_t* out = room.data() + packed_bytes(done, bits);  // eights of words end with a byte
    std::uint64_t buffer = 0;
    int filled = 0;  // below 64
    for (const std::uint64_t word : words) {
        const Wide both = Wide{buffer} | (Wide{word} << filled);
        buffer = static_cast<std::uint64_t>(both);
        filled += bits;
        if (filled >= 64) {
            std::memcpy(out, &buffer, sizeof buffer);
            out += sizeof buffer;
            buffer = static_cast<std::uint64_t>(both >> 64);
            filled -= 64;
        }
    }
    std::memcpy(out, &buffer, static_cast<std::size_t>((filled + 7) / 8));
}

void unpack(ByteView packed, int bits, View<std::uint64_t> out, const char* what) {
    const std::size_t count = out.size(), bytes = packed.size();
    check_bytes(what, count, bits, bytes);
    const std::uint8_t* const in = packed.data();
    std::uint64_t* const words = out.data();
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    std::size_t i = 0;
#if defined(MPC_X86_KERNELS)
    if (in_vectors(bits)) i = unpack_ifma(in, bytes, bits, words, count);
#endif
    const auto step = static_cast<std::size_t>(bits);
    std::size_t position = i * step;  // in bits
    if (bits <= 57) {  // a word lies within eight bytes
        for (; i < count && position / 8 + 8 <= bytes; ++i, position += step) {
            std::uint64_t window;
            std::memcpy(&window, in + position / 8, sizeof window);
            words[i] = (window >> (position % 8)) & mask;
        }
    }
    for (; i < count; ++i, position += step) {
        const std::size_t first = position / 8, past = (position + step + 7) / 8;
        Wide window = 0;
        std::memcpy(&window, in + first, past - first);
        words[i] = static_cast<std::uint64_t>(window >> (position % 8)) & mask;
    }
    const std::size_t used = position % 8;
    if (used != 0 && (in[bytes - 1] >> used) != 0) {
        throw MalformedError(std::string(what) + ": expected zero bits after the last word, found others");
    }
}

}  // namespace mpc::lattice
