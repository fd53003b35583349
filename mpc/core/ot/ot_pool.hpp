// Keeps correlated OTs that are made and not yet used, first in, first out. Each is handed out once, and wiped here at
// that moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/byte_view.hpp"

namespace mpc {

// One side's blocks (q or t), one segment an extension.
class BlockPool {
public:
    std::size_t size() const { return size_; }
    // Room for `count` more blocks at the end; returns where to write them.
    Block* grow(std::size_t count);
    // The first `count` (at most size()) blocks.
    Blocks take(std::size_t count);

private:
    struct Segment {
        Blocks blocks;
        std::size_t used;
    };
    std::deque<Segment> segments_;
    std::size_t size_ = 0;
};

// The receiver's choice bits, in the same order.
class BitPool {
public:
    // Room for 128 bits in each of `blocks` blocks at the end. Only whole blocks are ever added.
    Block* grow(std::size_t blocks);
    // The first `count` bits, packed, with zero padding.
    Bytes take(std::size_t count);

private:
    Blocks blocks_;
    std::size_t filled_ = 0;  // blocks
    std::size_t used_ = 0;    // bits
};

}  // namespace mpc
