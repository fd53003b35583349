// A stream of uniform words from a seed that a few parties share, such as a party and a provider of correlations.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aes/aes.hpp"
#include "core/base/byte_view.hpp"
#include "core/base/process.hpp"

namespace mpc::tensor {

constexpr std::size_t kStreamSeedBytes = 32;
// Blocks of one stream. Blocks never repeat, and after this many an ideal stream would have repeated one with
// probability 2^-41, which is the advantage of whoever tells the two apart.
constexpr std::uint64_t kStreamBlocks = std::uint64_t{1} << 44;

// AES-128 in counter mode (NIST SP 800-38A, 6.5). The first half of the seed is the key. Counter i encrypts i ^ the
// second half, so that no search for a key covers many streams (aes/prg.hpp). Each request of k words takes
// ceil(k / 2) blocks: the same sequence of sizes gives the same words. No block is given twice.
class KeyStream {
public:
    // Throws ParameterError unless the seed has 32 bytes.
    explicit KeyStream(ByteView seed);

    // `count` fresh words into `out`; added to `out`; taken from `out`; or added bit by bit, ^. They throw LimitError if
    // the stream is exhausted, OrderError in a fork of the process that made it.
    void fill(std::uint64_t* out, std::size_t count);
    void add_to(std::uint64_t* out, std::size_t count);
    void subtract_from(std::uint64_t* out, std::size_t count);
    void exclusive_or_into(std::uint64_t* out, std::size_t count);
    // out = words - fresh words. out may be the words.
    void subtract(const std::uint64_t* words, std::uint64_t* out, std::size_t count);
    // Passes by what a request of `count` words would have given.
    void skip(std::uint64_t count);

    // Blocks that were given or passed by.
    std::uint64_t position() const { return next_; }

private:
    // The first block of a request, which it takes.
    std::uint64_t take(std::uint64_t words);
    template <class Use>
    void in_pieces(std::size_t count, Use use);

    OneProcess process_;
    Aes128 aes_;
    std::uint64_t next_ = 0;
};

}  // namespace mpc::tensor
