// Both sides of an encrypted linear map with known seeds, random data, and its result in the clear; for the tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/bfv/linear.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::bfv {

using namespace lattice;

inline constexpr Block kKeySeed{1, 2}, kServerSeed{3, 4};

inline Prg seeded(std::uint64_t number) { return Prg(Block{number, 0x6c696e}); }

inline std::vector<std::uint64_t> random_words(Prg& prg, int bits, std::size_t count) {
    std::vector<std::uint64_t> words(count);
    uniform_words(prg, bits, words.data(), count);
    return words;
}

// Signed, below 2^bits in magnitude.
inline std::vector<std::int64_t> random_weights(Prg& prg, int bits, std::size_t count) {
    std::vector<std::int64_t> weights(count);
    std::vector<std::uint64_t> words = random_words(prg, bits + 1, count);
    const std::int64_t limit = std::int64_t{1} << bits;
    for (std::size_t i = 0; i < count; ++i) {
        weights[i] = std::max(static_cast<std::int64_t>(words[i]) - limit, 1 - limit);
    }
    return weights;
}

// sum_j w_j m_j in Z_2^l[X]/(X^N + 1), wrapping words; zero weights are skipped.
inline std::vector<std::uint64_t> plain_product(const std::int64_t* weights, const std::uint64_t* messages,
                                                std::size_t inputs, std::size_t degree, int bits) {
    std::vector<std::uint64_t> sum(degree, 0);
    for (std::size_t j = 0; j < inputs; ++j) {
        for (std::size_t i = 0; i < degree; ++i) {
            const auto w = static_cast<std::uint64_t>(weights[j * degree + i]);
            if (w == 0) continue;
            const std::uint64_t* const m = messages + j * degree;
            for (std::size_t n = 0; n < degree - i; ++n) sum[n + i] += w * m[n];
            for (std::size_t n = degree - i; n < degree; ++n) sum[n + i - degree] -= w * m[n];
        }
    }
    for (std::uint64_t& word : sum) word &= (std::uint64_t{1} << bits) - 1;
    return sum;
}

struct Run {
    SharedParameters parameters;
    SecretKey key;
    Evaluator evaluator;

    Run(std::size_t degree, int plain_bits, std::vector<LayerBound> layers)
        : parameters(std::make_shared<Parameters>(degree, plain_bits, std::move(layers), 40)),
          key(parameters, kKeySeed),
          evaluator(parameters, key.public_key(), kServerSeed) {}

    Bytes reply(const Weights& weights, const Bytes& upload, const std::vector<std::uint64_t>& masks,
                const Selection& selection) const {
        return evaluator.apply(weights, upload, masks, selection);
    }
    std::vector<std::uint64_t> opened(const Bytes& reply, const Selection& selection) const {
        return key.decrypt(reply, selection);
    }
};

inline Selection select(const std::vector<std::int64_t>& positions, std::size_t polynomials, std::size_t degree) {
    return Selection(positions, polynomials, degree);
}

inline std::vector<std::int64_t> all_positions(std::size_t count) {
    std::vector<std::int64_t> positions(count);
    for (std::size_t i = 0; i < count; ++i) positions[i] = static_cast<std::int64_t>(i);
    return positions;
}

}  // namespace mpc::bfv
