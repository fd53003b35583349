// Key streams; see key_stream.hpp.
#include "core/tensor/key_stream.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/error.hpp"

namespace mpc::tensor {
namespace {

constexpr std::size_t kPiece = 256;  // blocks, which stay in the first level of the cache

Block half_of(ByteView seed, std::size_t which) {
    if (seed.size() != kStreamSeedBytes)
        throw ParameterError("a key stream: expected a seed of 32 bytes, found " + std::to_string(seed.size()));
    return load_block(seed.data() + which * sizeof(Block));
}

}  // namespace

KeyStream::KeyStream(ByteView seed) : aes_(half_of(seed, 0), half_of(seed, 1)) {}

std::uint64_t KeyStream::take(std::uint64_t words) {
    process_.require("a key stream");
    const std::uint64_t blocks = words / 2 + words % 2;
    if (blocks > kStreamBlocks - next_)
        throw LimitError("a key stream: expected at most " + std::to_string(kStreamBlocks) + " blocks in all, found " +
                         std::to_string(next_) + " taken and " + std::to_string(blocks) + " asked for");
    const std::uint64_t first = next_;
    next_ += blocks;
    return first;
}

template <class Use>
void KeyStream::in_pieces(std::size_t count, Use use) {
    std::uint64_t first = take(count);
    alignas(64) Block piece[kPiece];
    std::uint64_t words[2 * kPiece];
    for (std::size_t done = 0; done < count;) {
        const std::size_t now = std::min(count - done, 2 * kPiece), blocks = (now + 1) / 2;
        aes_.counter_mode(first, 0, piece, blocks);
        std::memcpy(words, piece, now * sizeof(std::uint64_t));
        use(done, words, now);
        first += blocks;
        done += now;
    }
    wipe(piece, sizeof piece);
    wipe(words, sizeof words);
}

void KeyStream::fill(std::uint64_t* out, std::size_t count) {
    if (reinterpret_cast<std::uintptr_t>(out) % alignof(Block) != 0) {
        in_pieces(count, [out](std::size_t done, const std::uint64_t* words, std::size_t now) {
            std::memcpy(out + done, words, now * sizeof(std::uint64_t));
        });
        return;
    }
    const std::uint64_t first = take(count);
    const std::size_t whole = count / 2;
    aes_.counter_mode(first, 0, reinterpret_cast<Block*>(out), whole);
    if (count % 2 != 0) {
        Block last;
        aes_.counter_mode(first + whole, 0, &last, 1);
        out[count - 1] = last.lo;
        wipe(&last, sizeof last);
    }
}

void KeyStream::add_to(std::uint64_t* out, std::size_t count) {
    in_pieces(count, [out](std::size_t done, const std::uint64_t* words, std::size_t now) {
        for (std::size_t i = 0; i < now; ++i) out[done + i] += words[i];
    });
}

void KeyStream::subtract_from(std::uint64_t* out, std::size_t count) { subtract(out, out, count); }

void KeyStream::subtract(const std::uint64_t* words, std::uint64_t* out, std::size_t count) {
    in_pieces(count, [words, out](std::size_t done, const std::uint64_t* fresh, std::size_t now) {
        for (std::size_t i = 0; i < now; ++i) out[done + i] = words[done + i] - fresh[i];
    });
}

void KeyStream::exclusive_or_into(std::uint64_t* out, std::size_t count) {
    in_pieces(count, [out](std::size_t done, const std::uint64_t* words, std::size_t now) {
        for (std::size_t i = 0; i < now; ++i) out[done + i] ^= words[i];
    });
}

void KeyStream::skip(std::uint64_t count) { (void)take(count); }

}  // namespace mpc::tensor
