// A 128-bit block, which is a wire label, an AES block, an AES key or an OT row. Byte order on the wire is memory order
// on a little-endian machine, `lo` first and least significant byte first. The permute bit of a label is its lowest
// bit; the code calls it the label's colour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire format is written for little-endian machines"
#endif

// Forced inlining keeps these functions out of the object files that are compiled for one instruction set only, so that
// the linker can never pick such a copy for code that runs everywhere.
#define MPC_INLINE inline __attribute__((always_inline))

namespace mpc {

struct alignas(16) Block {
    std::uint64_t lo = 0;
    std::uint64_t hi = 0;

    MPC_INLINE Block& operator^=(const Block& other) {
        lo ^= other.lo;
        hi ^= other.hi;
        return *this;
    }
    friend MPC_INLINE Block operator^(Block a, const Block& b) { return a ^= b; }
    friend MPC_INLINE Block operator&(const Block& a, const Block& b) { return Block{a.lo & b.lo, a.hi & b.hi}; }
    friend MPC_INLINE bool operator==(const Block& a, const Block& b) {
        return ((a.lo ^ b.lo) | (a.hi ^ b.hi)) == 0;
    }
    friend MPC_INLINE bool operator!=(const Block& a, const Block& b) { return !(a == b); }

    MPC_INLINE std::uint64_t colour() const { return lo & 1; }
};
static_assert(sizeof(Block) == 16, "a block is 16 bytes");

// All ones if the lowest bit of `bit` is set, otherwise zero; no branch.
MPC_INLINE Block mask_of(std::uint64_t bit) {
    const std::uint64_t m = std::uint64_t{0} - (bit & 1);
    return Block{m, m};
}

MPC_INLINE Block load_block(const std::uint8_t* bytes) {
    Block b;
    std::memcpy(&b, bytes, sizeof b);
    return b;
}

MPC_INLINE void store_block(std::uint8_t* bytes, const Block& b) { std::memcpy(bytes, &b, sizeof b); }

// Overwrites memory that held secrets; the barrier keeps the compiler from dropping the dead store.
MPC_INLINE void wipe(void* memory, std::size_t bytes) {
    if (bytes == 0) return;
    std::memset(memory, 0, bytes);
    __asm__ __volatile__("" : : "r"(memory) : "memory");
}

}  // namespace mpc
