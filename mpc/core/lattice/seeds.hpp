// Gives the seeds of a key's operations. They come from the operating system, or in tests from one injected seed.
#pragma once

#include <mutex>
#include <optional>

#include "core/aes/prg.hpp"
#include "core/base/block.hpp"

namespace mpc::lattice {

// Threads may share one. With an injected seed the order of calls decides which operation gets which seed.
class SeedSource {
public:
    explicit SeedSource(const std::optional<Block>& injected = std::nullopt) {
        if (injected) stream_.emplace(*injected);
    }

    // Asked of the operating system each time, so that a forked process never repeats its parent's seeds.
    Block next() {
        if (!stream_) return system_random_block();
        const std::lock_guard<std::mutex> guard(turn_);
        return stream_->block();
    }

private:
    std::optional<Prg> stream_;
    std::mutex turn_;
};

}  // namespace mpc::lattice
