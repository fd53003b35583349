// Randomness; see prg.hpp.
#include "core/aes/prg.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

#if defined(__linux__)
#include <sys/random.h>
#endif

#include "core/base/error.hpp"

namespace mpc {

namespace {

// For systems without getrandom(2).
void read_urandom(std::uint8_t* out, std::size_t bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/dev/urandom", "rb"), &std::fclose);
    if (!file || std::fread(out, 1, bytes, file.get()) != bytes) throw RandomnessError("cannot read /dev/urandom");
}

}  // namespace

void system_random(void* out, std::size_t bytes) {
    auto* position = static_cast<std::uint8_t*>(out);
#if defined(__linux__)
    while (bytes > 0) {
        const ssize_t got = ::getrandom(position, bytes, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno == ENOSYS) break;
            throw RandomnessError("getrandom failed");
        }
        position += got;
        bytes -= static_cast<std::size_t>(got);
    }
#endif
    if (bytes > 0) read_urandom(position, bytes);
}

Block system_random_block() {
    Block b;
    system_random(&b, sizeof b);
    return b;
}

void Prg::fill_blocks(Block* out, std::size_t count) {
    aes_.counter_mode(next_, 0, out, count);
    next_ += count;
}

void Prg::fill(void* out, std::size_t bytes) {
    auto* position = static_cast<std::uint8_t*>(out);
    Block buffer[64];
    while (bytes > 0) {
        const std::size_t now = bytes < sizeof buffer ? bytes : sizeof buffer;
        fill_blocks(buffer, (now + sizeof(Block) - 1) / sizeof(Block));
        std::memcpy(position, buffer, now);
        position += now;
        bytes -= now;
    }
    wipe(buffer, sizeof buffer);
}

Block Prg::block() {
    Block b;
    fill_blocks(&b, 1);
    return b;
}

}  // namespace mpc
