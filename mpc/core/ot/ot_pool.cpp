// First-in, first-out stores of unused OTs; see ot_pool.hpp.
#include "core/ot/ot_pool.hpp"

#include <algorithm>

#include "core/base/bit_matrix.hpp"

namespace mpc {

Block* BlockPool::grow(std::size_t count) {
    segments_.push_back(Segment{Blocks(count), 0});
    size_ += count;
    return segments_.back().blocks.data();
}

Blocks BlockPool::take(std::size_t count) {
    size_ -= count;
    if (count > 0 && segments_.front().used == 0 && segments_.front().blocks.size() == count) {
        Blocks whole = std::move(segments_.front().blocks);  // the usual case: nothing to copy or wipe
        segments_.pop_front();
        return whole;
    }
    Blocks taken(count);
    for (std::size_t done = 0; done < count;) {
        Segment& segment = segments_.front();
        const std::size_t now = std::min(count - done, segment.blocks.size() - segment.used);
        Block* from = segment.blocks.data() + segment.used;
        std::copy(from, from + now, taken.data() + done);
        wipe(from, now * sizeof(Block));
        done += now;
        segment.used += now;
        if (segment.used == segment.blocks.size()) segments_.pop_front();
    }
    return taken;
}

Block* BitPool::grow(std::size_t blocks) {
    if (filled_ + blocks > blocks_.size()) {
        // Twice what is in use, so that growing costs little on average.
        const std::size_t spent = used_ / 128;
        Blocks larger(2 * (filled_ - spent + blocks));
        std::copy(blocks_.data() + spent, blocks_.data() + filled_, larger.data());
        blocks_.swap(larger);
        filled_ -= spent;
        used_ -= 128 * spent;
    }
    filled_ += blocks;
    return blocks_.data() + (filled_ - blocks);
}

Bytes BitPool::take(std::size_t count) {
    auto* packed = reinterpret_cast<std::uint8_t*>(blocks_.data());
    Bytes taken(bytes_of_bits(count));
    for (std::size_t done = 0; done < count; done += 64) {
        const std::size_t now = std::min<std::size_t>(64, count - done);
        put_bits(taken.data(), done, now, get_bits(packed, used_ + done, now));
    }
    const std::size_t before = used_ / 8;
    used_ += count;
    wipe(packed + before, used_ / 8 - before);  // whole bytes; what is left of the last one goes with the next bits
    return taken;
}

}  // namespace mpc
