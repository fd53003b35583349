// Gives the seeds of a session's or key's operations. They come from the operating system, or in tests from one
// injected seed.
//
// What is public, such as a salt, never comes from a cipher under a secret key. Otherwise whoever watches T sessions
// could search for the key of any of them, with 2^128 / T work.
#pragma once

#include <mutex>
#include <optional>

#include "core/aes/prg.hpp"
#include "core/base/block.hpp"

namespace mpc {

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

    // A stream for secrets. Its key and the place of its counter are both drawn: no two streams encrypt the same known
    // blocks.
    Prg stream() {
        const Block key = next(), place = next();
        return Prg(key, place);
    }

private:
    std::optional<Prg> stream_;
    std::mutex turn_;
};

}  // namespace mpc
