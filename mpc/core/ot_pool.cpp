// First-in, first-out stores of unused OTs. See ot_pool.hpp.
#include "core/ot_pool.hpp"

#include <algorithm>

#include "core/bit_matrix.hpp"

namespace capc::mpc {
namespace {

// A copy that is large enough, before the old memory is wiped: a plain resize would leave labels on the heap.
void grow_wiping(std::vector<Block>& blocks, std::size_t first, std::size_t count) {
    std::vector<Block> larger(blocks.size() - first + count);
    std::copy(blocks.begin() + static_cast<std::ptrdiff_t>(first), blocks.end(), larger.begin());
    wipe(blocks.data(), blocks.size() * sizeof(Block));
    blocks.swap(larger);
}

}  // namespace

BlockPool::~BlockPool() { wipe(blocks_.data(), blocks_.size() * sizeof(Block)); }

Block* BlockPool::grow(std::size_t count) {
    grow_wiping(blocks_, used_, count);
    used_ = 0;
    return blocks_.data() + (blocks_.size() - count);
}

std::vector<Block> BlockPool::take(std::size_t count) {
    std::vector<Block> taken;
    if (used_ == 0 && count == blocks_.size()) {
        taken.swap(blocks_);  // all of it: no copy to wipe
        return taken;
    }
    const auto first = blocks_.begin() + static_cast<std::ptrdiff_t>(used_);
    taken.assign(first, first + static_cast<std::ptrdiff_t>(count));
    wipe(blocks_.data() + used_, count * sizeof(Block));
    used_ += count;
    return taken;
}

BitPool::~BitPool() { wipe(blocks_.data(), blocks_.size() * sizeof(Block)); }

Block* BitPool::grow(std::size_t blocks) {
    const std::size_t spent = used_ / 128;
    grow_wiping(blocks_, spent, blocks);
    used_ -= 128 * spent;
    return blocks_.data() + (blocks_.size() - blocks);
}

std::vector<std::uint8_t> BitPool::take(std::size_t count) {
    auto* packed = reinterpret_cast<std::uint8_t*>(blocks_.data());
    std::vector<std::uint8_t> taken(bytes_of_bits(count));
    for (std::size_t done = 0; done < count; done += 64) {
        const std::size_t now = std::min<std::size_t>(64, count - done);
        put_bits(taken.data(), done, now, get_bits(packed, used_ + done, now));
    }
    used_ += count;
    wipe(packed, used_ / 8);  // whole bytes; what is left of the last one goes with the next bits
    return taken;
}

}  // namespace capc::mpc
