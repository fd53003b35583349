// XofTurboShake128 of draft-20, section 6.2.1, for up to four messages of one length side by side.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/base/byte_view.hpp"
#include "core/prio/lanes.hpp"

namespace mpc::prio {

constexpr std::size_t kSeedBytes = 32;

// Bytes of each lane, of one length.
struct LaneBytes {
    std::array<const std::uint8_t*, kLanes> at{};
    std::size_t size = 0;

    // The same bytes in each lane.
    static LaneBytes same(ByteView bytes) {
        LaneBytes all;
        all.at.fill(bytes.data());
        all.size = bytes.size();
        return all;
    }
    // Rows `first` and following of a table.
    static LaneBytes rows(const std::uint8_t* table, std::size_t stride, std::size_t size, std::size_t lanes) {
        LaneBytes bytes;
        for (std::size_t lane = 0; lane < lanes; ++lane) bytes.at[lane] = table + lane * stride;
        bytes.size = size;
        return bytes;
    }
};

// Domain separation tag, seed and binder. The binder is the pieces one after the other.
struct XofInput {
    ByteView tag;
    LaneBytes seed;  // kSeedBytes each
    std::array<LaneBytes, 3> binder{};
    std::size_t lanes = 1;

    XofInput(ByteView dst, LaneBytes seeds, std::initializer_list<LaneBytes> pieces, std::size_t count)
        : tag(dst), seed(seeds), lanes(count) {
        std::size_t next = 0;
        for (const LaneBytes& piece : pieces) binder[next++] = piece;
    }
    // Lane number `lane` alone.
    XofInput only(std::size_t lane) const;
};

// Sponges that have absorbed all of their input, to be read from. Wiped when it goes.
class Xof {
public:
    explicit Xof(const XofInput& input);
    ~Xof();
    Xof(const Xof&) = delete;
    Xof& operator=(const Xof&) = delete;

    // The next `size` bytes of each lane.
    void read(std::uint8_t* const* out, std::size_t size);

private:
    void absorb(const LaneBytes& bytes);

    const LaneKernels& kernels_;
    std::size_t lanes_;
    LaneState state_;
    std::uint8_t blocks_[kLanes][kRate];  // what is absorbed next, or what was extracted last
    std::size_t used_ = 0;                // bytes of a block that are filled, or that were read
};

// The first kSeedBytes of each lane (`derive_seed`).
void derive_seed(const XofInput& input, std::uint8_t* const* out);

// The first `count` elements of each lane (`expand_into_vec`). Words that are no element are skipped. Whether there
// were any decides the time, and says nothing of the elements that are left.
template <class F>
void expand(const XofInput& input, typename F::Element* const* out, std::size_t count);

}  // namespace mpc::prio
