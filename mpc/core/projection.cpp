// From garbled bits to additive shares; see projection.hpp.
#include "core/projection.hpp"

#include <algorithm>

#include "core/bit_matrix.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"

namespace capc::mpc {

namespace {

std::uint64_t ring_mask(unsigned width) {
    if (width < 1 || width > 64) throw ParameterError("projection: the ring has 1 to 64 bits");
    return ~std::uint64_t{0} >> (64 - width);
}

// Calls body(place, lanes, hash index, first instance, output word) for every output wire of every tile.
template <class Body>
void for_each_row(std::size_t n, std::size_t outputs, std::uint64_t index, Body body) {
    std::size_t place = 0;
    for (std::size_t first = 0; first < n; first += kTile) {
        const std::size_t lanes = std::min(kTile, n - first);
        for (std::size_t j = 0; j < outputs; ++j, ++index, place += lanes) body(place, lanes, index, first, j);
    }
}

}  // namespace

GarblerProjection project(Garbling& garbling, unsigned width, Prg& randomness) {
    const std::uint64_t ring = ring_mask(width);
    const Blocks zero_labels = garbling.take_output_zero_labels();
    const std::size_t outputs = garbling.circuit().output_bits();
    GarblerProjection result;
    result.message.resize(bytes_of_bits(2 * width * zero_labels.size()));
    result.shares.resize(zero_labels.size());
    randomness.fill(result.shares.data(), result.shares.size() * sizeof(std::uint64_t));
    const auto body = [&](std::size_t place, std::size_t lanes, std::uint64_t index, std::size_t first,
                          std::size_t j) {
        Block pads[2 * kTile];
        for (std::size_t i = 0; i < lanes; ++i) {
            pads[2 * i] = zero_labels[place + i];
            pads[2 * i + 1] = zero_labels[place + i] ^ garbling.delta();
        }
        hash_blocks(garbling.salt(), index, pads, pads, 2 * lanes);
        for (std::size_t i = 0; i < lanes; ++i) {
            std::uint64_t& share = result.shares[(first + i) * outputs + j];
            share &= ring;
            const std::uint64_t for_zero = ((0 - share) ^ pads[2 * i].lo) & ring;
            const std::uint64_t for_one = ((1 - share) ^ pads[2 * i + 1].lo) & ring;
            const std::uint64_t swap = mask_of(zero_labels[place + i].colour()).lo & (for_zero ^ for_one);
            const std::size_t at = 2 * width * (place + i);
            put_bits(result.message.data(), at, width, for_zero ^ swap);
            put_bits(result.message.data(), at + width, width, for_one ^ swap);
        }
    };
    for_each_row(garbling.instances(), outputs, garbling.projection_index(), body);
    return result;
}

std::vector<std::uint64_t> open_projection(const Evaluation& evaluation, unsigned width, const std::uint8_t* message,
                                           std::size_t bytes) {
    const std::uint64_t ring = ring_mask(width);
    const Blocks& labels = evaluation.output_labels();
    const std::size_t outputs = evaluation.circuit().output_bits();
    check_packed("projection", message, bytes, 2 * width * labels.size());
    std::vector<std::uint64_t> shares(labels.size());
    const auto body = [&](std::size_t place, std::size_t lanes, std::uint64_t index, std::size_t first,
                          std::size_t j) {
        Block pads[kTile];
        hash_blocks(evaluation.salt(), index, labels.data() + place, pads, lanes);
        for (std::size_t i = 0; i < lanes; ++i) {
            const std::size_t at = 2 * width * (place + i);
            const std::uint64_t first_one = get_bits(message, at, width);
            const std::uint64_t second_one = get_bits(message, at + width, width);
            const std::uint64_t mine = first_one ^ (mask_of(labels[place + i].colour()).lo & (first_one ^ second_one));
            shares[(first + i) * outputs + j] = (mine ^ pads[i].lo) & ring;
        }
    };
    for_each_row(evaluation.instances(), outputs, evaluation.projection_index(), body);
    return shares;
}

}  // namespace capc::mpc
