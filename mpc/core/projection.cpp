// From garbled words to additive shares; see projection.hpp.
#include "core/projection.hpp"

#include <algorithm>
#include <cstring>

#include "core/bit_matrix.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"

namespace capc::mpc {

namespace {

// Packs values one behind the other.
class Packer {
public:
    explicit Packer(std::uint8_t* out) : out_(out) {}

    // `bits` (1..64) bits, above which value must be zero.
    void put(std::uint64_t value, unsigned bits) {
        word_ |= value << fill_;
        fill_ += bits;
        if (fill_ < 64) return;
        std::memcpy(out_, &word_, sizeof word_);
        out_ += sizeof word_;
        fill_ -= 64;
        word_ = fill_ == 0 ? 0 : value >> (bits - fill_);
    }
    void finish() { std::memcpy(out_, &word_, bytes_of_bits(fill_)); }

private:
    std::uint8_t* out_;
    std::uint64_t word_ = 0;
    unsigned fill_ = 0;
};

// Takes them apart again.
class Unpacker {
public:
    Unpacker(const std::uint8_t* packed, std::size_t bytes) : packed_(packed), bytes_(bytes) {}

    std::uint64_t take(unsigned bits) {
        const std::size_t place = place_;
        place_ += bits;
        const std::uint8_t* const at = packed_ + place / 8;
        if (place / 8 + 9 > bytes_) return get_bits(packed_, place, bits);  // the end of the message
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        word >>= place % 8;
        if (place % 8 + bits > 64) word |= std::uint64_t{at[8]} << (64 - place % 8);
        return word & (~std::uint64_t{0} >> (64 - bits));
    }

private:
    const std::uint8_t* packed_;
    std::size_t bytes_;
    std::size_t place_ = 0;
};

// One output bit of a tile: where its labels are, and what it stands for.
struct Row {
    std::size_t place;    // of its first label
    std::size_t lanes;
    std::size_t first;    // instance
    std::size_t word;
    unsigned shift;       // k
    unsigned bits;        // width - k
    std::uint64_t mask;   // 2^(width - k) - 1
    std::uint64_t one;    // 1, or -1, in that ring
    std::uint64_t index;  // of the hash
};

std::size_t bits_an_instance(const Circuit& circuit, unsigned width) {
    if (width < 1 || width > 64) throw ParameterError("projection: the ring has 1 to 64 bits");
    std::size_t bits = 0;
    for (const unsigned word : circuit.output_widths()) {
        if (word > width) throw ParameterError("projection: the ring is narrower than an output word");
        for (unsigned k = 0; k < word; ++k) bits += width - k;
    }
    return bits;
}

template <class Body>
void for_each_row(const Circuit& circuit, std::size_t n, ProjectionRing ring, std::uint64_t index, Body body) {
    Row row{};
    row.index = index;
    for (row.first = 0; row.first < n; row.first += kTile) {
        row.lanes = std::min(kTile, n - row.first);
        for (row.word = 0; row.word < circuit.output_widths().size(); ++row.word) {
            const unsigned last = circuit.output_widths()[row.word] - 1;
            for (row.shift = 0; row.shift <= last; ++row.shift) {
                row.bits = ring.width - row.shift;
                row.mask = ~std::uint64_t{0} >> (64 - row.bits);
                row.one = ring.signed_words && row.shift == last ? row.mask : 1;
                body(row);
                ++row.index;
                row.place += row.lanes;
            }
        }
    }
}

}  // namespace

std::size_t projection_bytes(const Circuit& circuit, std::size_t n, unsigned width) {
    return bytes_of_bits(n * bits_an_instance(circuit, width));
}

GarblerProjection project(Garbling& garbling, ProjectionRing ring) {
    const std::size_t bytes = projection_bytes(garbling.circuit(), garbling.instances(), ring.width);
    const Blocks zero_labels = garbling.take_output_zero_labels();
    const std::size_t words = garbling.circuit().output_widths().size();
    GarblerProjection result;
    result.message.resize(bytes);
    result.shares.resize(garbling.instances() * words);
    Packer message(result.message.data());
    const auto body = [&](const Row row) {
        Block pads[2 * kTile];  // of the labels of colour 0, then of colour 1
        std::uint64_t ones[kTile];
        for (std::size_t i = 0; i < row.lanes; ++i) {
            const Block& zero = zero_labels[row.place + i];
            const Block flip = mask_of(zero.colour()) & garbling.delta();
            pads[i] = zero ^ flip;
            pads[row.lanes + i] = pads[i] ^ garbling.delta();
            ones[i] = mask_of(zero.colour()).lo;
        }
        hash_blocks(garbling.salt(), row.index, pads, pads, 2 * row.lanes);
        Packer packer = message;  // in registers: stores to bytes may be stores to anything
        std::uint64_t* const shares = result.shares.data() + row.first * words + row.word;
        for (std::size_t i = 0; i < row.lanes; ++i) {
            const std::uint64_t share = (ones[i] & row.one) - pads[i].lo;
            const std::uint64_t sent = (~ones[i] & row.one) - share - pads[row.lanes + i].lo;
            packer.put(sent & row.mask, row.bits);
            shares[i * words] += share << row.shift;
        }
        message = packer;
    };
    for_each_row(garbling.circuit(), garbling.instances(), ring, garbling.projection_index(), body);
    message.finish();
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - ring.width);
    for (std::uint64_t& share : result.shares) share &= mask;
    return result;
}

std::vector<std::uint64_t> open_projection(const Evaluation& evaluation, ProjectionRing ring,
                                           const std::uint8_t* message, std::size_t bytes) {
    const Circuit& circuit = evaluation.circuit();
    const std::size_t bits = evaluation.instances() * bits_an_instance(circuit, ring.width);
    const Blocks& labels = evaluation.output_labels();
    check_packed("projection", message, bytes, bits);
    const std::size_t words = circuit.output_widths().size();
    std::vector<std::uint64_t> shares(evaluation.instances() * words);
    Unpacker ciphertexts(message, bytes);
    const auto body = [&](const Row row) {
        Block pads[kTile];
        const Block* const own = labels.data() + row.place;
        hash_blocks(evaluation.salt(), row.index, own, pads, row.lanes);
        Unpacker unpacker = ciphertexts;
        std::uint64_t* const sums = shares.data() + row.first * words + row.word;
        for (std::size_t i = 0; i < row.lanes; ++i) {
            const std::uint64_t sent = unpacker.take(row.bits);
            const std::uint64_t mine = pads[i].lo + (mask_of(own[i].colour()).lo & sent);
            sums[i * words] += mine << row.shift;
        }
        ciphertexts = unpacker;
    };
    for_each_row(circuit, evaluation.instances(), ring, evaluation.projection_index(), body);
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - ring.width);
    for (std::uint64_t& share : shares) share &= mask;
    return shares;
}

}  // namespace capc::mpc
