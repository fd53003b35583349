// What the fuzz targets share. A target reads its input one decision at a time, so that a few mutated bytes reach deep
// into a protocol. Most messages are the honest ones with some bytes changed, cut off or added.
//
// Three things are checked. Only errors of error.hpp leave the core. A refused message has changed nothing, so that the
// honest one is taken afterwards. What was accepted honestly gives the right result. Memory errors are the sanitizers'
// to find.
//
// kept/<target>/ holds the inputs to start from, named after what they reach. An input that found a defect belongs
// there too, as every build of the tests runs them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/base/error.hpp"

// The entry point that libFuzzer and standalone.cpp call.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

using Bytes = std::vector<std::uint8_t>;

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

    std::size_t left() const { return left_; }
    // Zero once the input is used up.
    std::uint8_t byte() {
        if (left_ == 0) return 0;
        --left_;
        return *at_++;
    }
    std::size_t below(std::size_t bound) { return byte() % bound; }
    std::size_t word() {
        const std::size_t low = byte();
        return low | std::size_t{byte()} << 8;
    }
    // Exactly `count` bytes in memory of their own, so that a read beyond them is seen.
    Bytes bytes(std::size_t count) {
        Bytes taken(std::min(count, left_));
        if (!taken.empty()) std::memcpy(taken.data(), at_, taken.size());
        at_ += taken.size();
        left_ -= taken.size();
        taken.resize(count);
        return taken;
    }
    // The peer's message: the honest one (most often, and once the input is used up), an altered one, or anything.
    Bytes message(const Bytes& honest) {
        switch (byte()) {
            case 1: {
                Bytes altered = honest;
                for (std::size_t changes = 1 + below(4); changes > 0 && !altered.empty(); --changes) {
                    const std::size_t place = (word() | std::size_t{byte()} << 16) % altered.size();
                    altered[place] = static_cast<std::uint8_t>(altered[place] ^ byte());
                }
                return altered;
            }
            case 2: {  // from the end, where padding is
                Bytes altered = honest;
                if (!altered.empty()) altered.back() = byte();
                return altered;
            }
            case 3: {
                Bytes altered = honest;
                altered.resize(altered.size() - std::min<std::size_t>(altered.size(), word()));
                return altered;
            }
            case 4: {
                Bytes altered = honest;
                const Bytes more = bytes(1 + byte());
                altered.insert(altered.end(), more.begin(), more.end());
                return altered;
            }
            case 5: return bytes(honest.size());
            case 6: return bytes(std::min(left_, word()));
            case 7: return {};
            default: return honest;
        }
    }

private:
    const std::uint8_t* at_;
    std::size_t left_;
};

inline void require(bool holds, const char* text, const char* file, int line) {
    if (holds) return;
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    std::abort();
}

// Whether the core refused; any exception that is not one of its own goes on and ends the program.
template <class Body>
bool refused(Body body) {
    try {
        body();
    } catch (const mpc::Error&) {
        return true;
    }
    return false;
}

}  // namespace fuzz

#define REQUIRE(condition) fuzz::require((condition), #condition, __FILE__, __LINE__)
