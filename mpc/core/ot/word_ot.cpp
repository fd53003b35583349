// Correlated words and products from correlated OTs; see word_ot.hpp. Sender and receiver stand next to each other.
#include "core/ot/word_ot.hpp"

#include <algorithm>
#include <string>

#include "core/aes/kernels.hpp"
#include "core/base/error.hpp"

namespace mpc {
namespace {

constexpr std::size_t kGroup = 32;  // products that are worked on at once, whose OTs fill whole tiles of hash keys

void check_bits(const char* what, unsigned bits) {
    if (bits < 1 || bits > 64)
        throw ParameterError(std::string(what) + ": expected words of 1 to 64 bits, found " + std::to_string(bits));
}

void check_length(const char* what, std::size_t expected, std::size_t found) {
    if (expected != found) throw LengthError(std::string(what) + ", bytes", expected, found);
}

MPC_INLINE std::uint64_t low_bits(unsigned bits) { return ~std::uint64_t{0} >> (64 - bits); }

// H_index(x ^ offset) of up to kTile blocks.
void hash_tile(const HashKeys& keys, std::uint64_t index, const Block* x, const Block& offset, std::size_t count,
               Block* out) {
    const CipherKernels& kernels = cipher_kernels();
    RoundKeys round_keys;
    kernels.expand_key(keys.salt ^ Block{keys.first_index + index, 0}, &round_keys);
    Block sigma[kTile];
    for (std::size_t i = 0; i < count; ++i) {
        const Block moved = x[i] ^ offset;
        sigma[i] = Block{moved.hi, moved.hi ^ moved.lo};
    }
    kernels.encrypt(round_keys, sigma, out, count);
    for (std::size_t i = 0; i < count; ++i) out[i] ^= sigma[i];
}

MPC_INLINE std::uint64_t word_of(const Block& block, unsigned word) { return word % 2 == 0 ? block.lo : block.hi; }

MPC_INLINE std::uint64_t choice_mask(const std::uint8_t* choices, std::size_t place) {
    return std::uint64_t{0} - std::uint64_t{static_cast<std::uint8_t>(choices[place / 8] >> (place % 8) & 1)};
}

// Words of one product behind each other, from 64 bits down to one.
class BitWriter {
public:
    explicit BitWriter(std::uint8_t* out) : out_(out) {}

    MPC_INLINE void put(std::uint64_t word, unsigned bits) {
        pending_ |= word << filled_;
        if (filled_ + bits < 64) {
            filled_ += bits;
            return;
        }
        std::memcpy(out_, &pending_, sizeof pending_);
        out_ += sizeof pending_;
        const unsigned written = 64 - filled_;
        filled_ = bits - written;
        pending_ = filled_ == 0 ? 0 : word >> written;
    }
    void finish() { std::memcpy(out_, &pending_, bytes_of_bits(filled_)); }

private:
    std::uint8_t* out_;
    std::uint64_t pending_ = 0;
    unsigned filled_ = 0;
};

class BitReader {
public:
    // `in` may be read up to 16 bytes beyond its last bit.
    explicit BitReader(const std::uint8_t* in) : in_(in) {}

    MPC_INLINE std::uint64_t take(unsigned bits) {
        const std::uint8_t* from = in_ + place_ / 8;
        const unsigned shift = place_ % 8;
        std::uint64_t word;
        std::memcpy(&word, from, sizeof word);
        word = (word >> shift) | (std::uint64_t{from[8]} << 1) << (63 - shift);
        place_ += bits;
        return word & low_bits(bits);
    }
    // Whether a bit of the last byte is set behind all words.
    bool leftover() const { return place_ % 8 != 0 && in_[place_ / 8] >> (place_ % 8) != 0; }

private:
    const std::uint8_t* in_;
    std::size_t place_ = 0;
};

}  // namespace

void WordOts::check() const {
    check_bits("OT of words", bits);
    if (words < 1 || words > kMaxOtWords || n < 1 || n > (std::size_t{1} << 28)) {
        throw ParameterError("OT of words: expected 1 to 2^28 OTs of 1 to " + std::to_string(kMaxOtWords) +
                             " words, found " + std::to_string(n) + " of " + std::to_string(words));
    }
}

void WordProducts::check() const {
    check_bits("products by OT", bits);
    if (n < 1 || n > (std::size_t{1} << 22)) {
        throw ParameterError("products by OT: expected 1 to 2^22 at once, found " + std::to_string(n));
    }
}

// ---- words ---------------------------------------------------------------------------------------------------------

void send_words(const WordOts& ots, const HashKeys& keys, const Block& delta, const Block* q, WordView differences,
                MutableByteView message, std::uint64_t* shares) {
    check_length("room for the OT's message", ots.message_bytes(), message.size());
    if (differences.size() != ots.n * ots.words)
        throw ParameterError("OT of words: expected a difference for each word of each OT");
    const std::uint64_t mask = low_bits(ots.bits);
    const std::size_t size = bytes_of_bits(ots.bits);
    const unsigned halves = (ots.words + 1) / 2;
    Block zero[kTile], one[kTile];
    for (std::size_t first = 0; first < ots.n; first += kTile) {
        const std::size_t count = std::min(kTile, ots.n - first);
        for (unsigned word = 0; word < ots.words; ++word) {
            if (word % 2 == 0) {
                const std::uint64_t index = first / kTile * halves + word / 2;
                hash_tile(keys, index, q + first, Block{}, count, zero);
                hash_tile(keys, index, q + first, delta, count, one);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t place = (first + i) * ots.words + word;
                const std::uint64_t pad = word_of(zero[i], word);
                const std::uint64_t sent = (pad - word_of(one[i], word) + differences[place]) & mask;
                std::memcpy(message.data() + place * size, &sent, size);
                shares[place] = (std::uint64_t{0} - pad) & mask;
            }
        }
    }
    wipe(zero, sizeof zero);
    wipe(one, sizeof one);
}

void receive_words(const WordOts& ots, const HashKeys& keys, const Block* t, ByteView choices, ByteView message,
                   std::uint64_t* shares) {
    check_length("OT of words", ots.message_bytes(), message.size());
    const std::uint64_t mask = low_bits(ots.bits);
    const std::size_t size = bytes_of_bits(ots.bits);
    const unsigned halves = (ots.words + 1) / 2;
    std::uint64_t beyond = 0;
    Block pads[kTile];
    for (std::size_t first = 0; first < ots.n; first += kTile) {
        const std::size_t count = std::min(kTile, ots.n - first);
        for (unsigned word = 0; word < ots.words; ++word) {
            if (word % 2 == 0) {
                hash_tile(keys, first / kTile * halves + word / 2, t + first, Block{}, count, pads);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t place = (first + i) * ots.words + word;
                std::uint64_t sent = 0;
                std::memcpy(&sent, message.data() + place * size, size);
                beyond |= sent & ~mask;
                shares[place] = (word_of(pads[i], word) + (sent & choice_mask(choices.data(), first + i))) & mask;
            }
        }
    }
    wipe(pads, sizeof pads);
    if (beyond != 0) throw MalformedError("OT of words: expected words modulo 2^bits, found wider ones");
}

// ---- products ------------------------------------------------------------------------------------------------------

void send_products(const WordProducts& products, const HashKeys& keys, const Block& delta, const Block* q,
                   WordView factors, MutableByteView message, std::uint64_t* shares) {
    check_length("room for the message of products", products.message_bytes(), message.size());
    if (factors.size() != products.n) throw ParameterError("products by OT: expected one factor a product");
    const unsigned bits = products.bits;
    const std::size_t size = products.message_bytes() / products.n;
    Block zero[kGroup * 64], one[kGroup * 64];
    for (std::size_t first = 0; first < products.n; first += kGroup) {
        const std::size_t count = std::min(kGroup, products.n - first), ots = count * bits;
        for (std::size_t tile = 0; tile < ots; tile += kTile) {
            const std::size_t now = std::min(kTile, ots - tile);
            const std::uint64_t index = (first * bits + tile) / kTile;
            hash_tile(keys, index, q + first * bits + tile, Block{}, now, zero + tile);
            hash_tile(keys, index, q + first * bits + tile, delta, now, one + tile);
        }
        for (std::size_t p = 0; p < count; ++p) {
            BitWriter out(message.data() + (first + p) * size);
            const std::uint64_t factor = factors[first + p];
            std::uint64_t sum = 0;
            for (unsigned bit = 0; bit < bits; ++bit) {
                const std::uint64_t pad = zero[p * bits + bit].lo;
                out.put((pad - one[p * bits + bit].lo + factor) & low_bits(bits - bit), bits - bit);
                sum -= pad << bit;
            }
            out.finish();
            shares[first + p] = sum & low_bits(bits);
        }
    }
    wipe(zero, sizeof zero);
    wipe(one, sizeof one);
}

void receive_products(const WordProducts& products, const HashKeys& keys, const Block* t, ByteView choices,
                      ByteView message, std::uint64_t* shares) {
    check_length("message of products", products.message_bytes(), message.size());
    const unsigned bits = products.bits;
    const std::size_t size = products.message_bytes() / products.n;
    std::uint8_t padded[64 * 65 / 2 / 8 + 16] = {};
    bool leftover = false;
    Block pads[kGroup * 64];
    for (std::size_t first = 0; first < products.n; first += kGroup) {
        const std::size_t count = std::min(kGroup, products.n - first), ots = count * bits;
        for (std::size_t tile = 0; tile < ots; tile += kTile) {
            const std::size_t now = std::min(kTile, ots - tile);
            hash_tile(keys, (first * bits + tile) / kTile, t + first * bits + tile, Block{}, now, pads + tile);
        }
        for (std::size_t p = 0; p < count; ++p) {
            std::memcpy(padded, message.data() + (first + p) * size, size);
            BitReader in(padded);
            std::uint64_t sum = 0;
            for (unsigned bit = 0; bit < bits; ++bit) {
                const std::size_t place = (first + p) * bits + bit;
                sum += (pads[p * bits + bit].lo + (in.take(bits - bit) & choice_mask(choices.data(), place))) << bit;
            }
            leftover |= in.leftover();
            shares[first + p] = sum & low_bits(bits);
        }
    }
    wipe(pads, sizeof pads);
    if (leftover) throw MalformedError("message of products: expected zero padding after each, found other bits");
}

}  // namespace mpc
