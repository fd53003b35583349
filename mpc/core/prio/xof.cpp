// XofTurboShake128; see xof.hpp.
#include "core/prio/xof.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/error.hpp"
#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"

namespace mpc::prio {

XofInput XofInput::only(std::size_t lane) const {
    XofInput one = *this;
    one.lanes = 1;
    one.seed.at[0] = seed.at[lane];
    for (std::size_t i = 0; i < binder.size(); ++i) one.binder[i].at[0] = binder[i].at[lane];
    return one;
}

// The message is len(tag) in two bytes, tag, 32, seed, binder. TurboSHAKE pads with the domain byte 1 and a last bit.
Xof::Xof(const XofInput& input) : kernels_(lane_kernels()), lanes_(input.lanes) {
    if (input.tag.size() > 0xffff)
        throw ParameterError("a domain separation tag: expected at most 65535 bytes, found " +
                             std::to_string(input.tag.size()));
    std::memset(&state_, 0, sizeof state_);
    const std::uint8_t length[2] = {static_cast<std::uint8_t>(input.tag.size() & 0xff),
                                    static_cast<std::uint8_t>(input.tag.size() >> 8)};
    const std::uint8_t seed_length = kSeedBytes;
    absorb(LaneBytes::same({length, 2}));
    absorb(LaneBytes::same(input.tag));
    absorb(LaneBytes::same({&seed_length, 1}));
    absorb(input.seed);
    for (const LaneBytes& piece : input.binder) absorb(piece);
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
        std::memset(blocks_[lane] + used_, 0, kRate - used_);
        blocks_[lane][used_] = 1;
        blocks_[lane][kRate - 1] ^= 0x80;
    }
    const std::uint8_t* blocks[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) blocks[lane] = blocks_[lane];
    kernels_.absorb(state_, blocks, lanes_);
    used_ = kRate + 1;  // nothing was extracted yet
}

Xof::~Xof() {
    wipe(&state_, sizeof state_);
    wipe(blocks_, sizeof blocks_);
}

void Xof::absorb(const LaneBytes& bytes) {
    for (std::size_t done = 0; done < bytes.size;) {
        const std::uint8_t* blocks[kLanes];
        if (used_ == 0 && bytes.size - done >= kRate) {  // whole blocks as they lie
            for (std::size_t lane = 0; lane < lanes_; ++lane) blocks[lane] = bytes.at[lane] + done;
            kernels_.absorb(state_, blocks, lanes_);
            done += kRate;
            continue;
        }
        const std::size_t now = std::min(bytes.size - done, kRate - used_);
        for (std::size_t lane = 0; lane < lanes_; ++lane) {
            std::memcpy(blocks_[lane] + used_, bytes.at[lane] + done, now);
            blocks[lane] = blocks_[lane];
        }
        done += now;
        used_ += now;
        if (used_ == kRate) {
            kernels_.absorb(state_, blocks, lanes_);
            used_ = 0;
        }
    }
}

void Xof::read(std::uint8_t* const* out, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        if (used_ >= kRate) {
            if (used_ == kRate) kernels_.permute(state_, lanes_);
            std::uint8_t* blocks[kLanes];
            const bool whole = size - done >= kRate;
            for (std::size_t lane = 0; lane < lanes_; ++lane) blocks[lane] = whole ? out[lane] + done : blocks_[lane];
            kernels_.extract(state_, blocks, lanes_);
            used_ = whole ? kRate : 0;
            if (whole) {
                done += kRate;
                continue;
            }
        }
        const std::size_t now = std::min(size - done, kRate - used_);
        for (std::size_t lane = 0; lane < lanes_; ++lane) std::memcpy(out[lane] + done, blocks_[lane] + used_, now);
        done += now;
        used_ += now;
    }
}

void derive_seed(const XofInput& input, std::uint8_t* const* out) { Xof(input).read(out, kSeedBytes); }

template <class F>
void expand(const XofInput& input, typename F::Element* const* out, std::size_t count) {
    using Element = typename F::Element;
    static_assert(sizeof(Element) == F::kBytes, "an element lies in memory as on the wire");
    std::uint8_t* bytes[kLanes] = {};
    for (std::size_t lane = 0; lane < input.lanes; ++lane) bytes[lane] = reinterpret_cast<std::uint8_t*>(out[lane]);
    Xof(input).read(bytes, count * F::kBytes);
    for (std::size_t lane = 0; lane < input.lanes; ++lane) {
        bool all = true;
        for (std::size_t i = 0; i < count; ++i) all &= F::is_canonical(out[lane][i]);
        if (all) continue;
        Xof again(input.only(lane));
        for (std::size_t i = 0; i < count;) {
            std::uint8_t* const place[1] = {bytes[lane] + i * F::kBytes};
            again.read(place, F::kBytes);
            if (F::is_canonical(out[lane][i])) ++i;
        }
    }
}

template void expand<Field64>(const XofInput&, Field64::Element* const*, std::size_t);
template void expand<Field128>(const XofInput&, Field128::Element* const*, std::size_t);

}  // namespace mpc::prio
