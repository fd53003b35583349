// What a session does about the process that it lives in. It belongs to one process, and its secrets do not stay behind
// on the stack.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.hpp"

namespace mpc {

// Remembers the process in which it was made. A fork copies labels, keys and counters. If both processes then went on,
// one label pair would be opened twice, or one flood would cover two answers.
class OneProcess {
public:
    // Throws OrderError in any other process, such as a fork of that one.
    void require(const char* what) const {
        const pid_t found = ::getpid();
        if (found != born_in_)
            throw OrderError(std::string(what) + ": expected process " + std::to_string(born_in_) + ", found process " +
                             std::to_string(found) + " after a fork; its secrets must not serve twice");
    }

private:
    pid_t born_in_ = ::getpid();
};

// Bytes of stack below a step that are overwritten when it ends. The base OTs hold tables of points there, the other
// steps a few labels and round keys, or the bytes of rows that are transposed.
constexpr std::size_t kDeepStack = std::size_t{80} << 10, kShallowStack = std::size_t{20} << 10;

template <std::size_t bytes>
__attribute__((noinline)) void scrub_stack() {
    alignas(64) unsigned char dead[bytes];
    std::memset(dead, 0, sizeof dead);
    __asm__ __volatile__("" : : "r"(dead) : "memory");
}

template <class Body>
__attribute__((noinline)) decltype(auto) run_below(Body&& body) {
    return std::forward<Body>(body)();
}

// Runs a step that holds secrets, in frames of its own, and then overwrites these, however the step ends.
template <std::size_t bytes, class Body>
decltype(auto) leaving_no_trace(Body&& body) {
    struct Scrub {
        ~Scrub() { scrub_stack<bytes>(); }
    } scrub;
    return run_below(std::forward<Body>(body));
}

}  // namespace mpc
