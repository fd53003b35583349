// Comparisons on shared bits; see bit_words.hpp. Blocks are so short that all rows of one stay in the first level of
// the cache.
#include "core/tensor/bit_words.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/block.hpp"
#include "core/base/error.hpp"
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

constexpr unsigned kGroupBits = 4, kGroupNumbers = 1 << kGroupBits;
constexpr std::size_t kShortBlock = 64;  // so that both tables of a group stay in the first level of the cache
using ShortRow = std::uint64_t[kShortBlock];

unsigned bits_of_group(unsigned bits, unsigned first) { return std::min(kGroupBits, bits - first); }

// The row of the public number among 2^bits of them becomes row 0.
MPC_INLINE void choose(ShortRow* rows, unsigned bits, const std::uint64_t* planes, std::size_t step, std::size_t size) {
    for (unsigned bit = bits; bit-- > 0;) {
        const std::uint64_t* const plane = planes + bit * step;
        const std::size_t half = std::size_t{1} << bit;
        for (std::size_t v = 0; v < half; ++v) {
            for (std::size_t i = 0; i < size; ++i) rows[v][i] ^= (rows[v][i] ^ rows[v + half][i]) & plane[i];
        }
    }
}

}  // namespace

void chosen_words(const std::uint64_t* table, std::size_t rows, std::size_t n, const std::uint64_t* number,
                  std::uint64_t one, std::uint64_t* less, std::uint64_t* equal) {
    kernels().choose_words(table, rows, n, number, one, less, equal);
}

void number_planes(const std::uint64_t* number, std::size_t n, std::size_t rows, std::uint64_t* planes) {
    for (std::size_t v = 1; v <= rows; ++v, planes += n) kernels().where_number(number, n, v, planes);
}

void bit_planes(const std::uint64_t* words, const std::uint8_t* bits, std::size_t n, std::uint64_t* planes) {
    for (std::size_t i = 0; i < n; ++i) planes[i] = std::uint64_t{0} - ((words[i] ^ bits[i]) & 1);
}

void pack_bit_words(const std::uint64_t* planes, const std::uint64_t* words, std::uint64_t key, std::size_t n,
                    std::size_t bytes, std::uint8_t* packed) {
    if (bytes < 1 || bytes > sizeof key)
        throw ParameterError("packed bits: expected words of 1 to 8 bytes, found " + std::to_string(bytes));
    const unsigned unused = static_cast<unsigned>(8 * (sizeof key - bytes));
    const std::uint64_t mask = ~std::uint64_t{0} >> unused;
    const std::size_t roomy = n < sizeof key ? 0 : n - (sizeof key - 1);
    std::size_t i = 0;
    for (; i < roomy; ++i, packed += bytes) {  // the zeros above a word are where the next one goes
        const std::uint64_t word = ((planes[i] & key) ^ words[i]) & mask;
        std::memcpy(packed, &word, sizeof word);
    }
    for (; i < n; ++i, packed += bytes) {
        const std::uint64_t word = (planes[i] & key) ^ words[i];
        std::memcpy(packed, &word, bytes);
    }
}

void open_words(const std::uint64_t* plane, const std::uint64_t* words, std::uint64_t one, std::size_t n,
                std::uint64_t* bits, std::uint64_t* rest) {
    kernels().open_words(plane, words, one, n, bits, rest);
}

std::size_t table_rows(unsigned bits) {
    const std::size_t whole = bits / kGroupBits;
    return whole * (kGroupNumbers - 1) + ((std::size_t{1} << (bits % kGroupBits)) - 1);
}

void chosen_planes(Rows<const std::uint64_t> table, Rows<const std::uint64_t> planes, unsigned bits, std::size_t words,
                   std::uint64_t one, Rows<std::uint64_t> less, Rows<std::uint64_t> equal) {
    ShortRow above[kGroupNumbers], same[kGroupNumbers];
    for (unsigned bit = 0; bit < bits; bit += kGroupBits) {
        const unsigned here = bits_of_group(bits, bit), group = bit / kGroupBits;
        const std::size_t numbers = std::size_t{1} << here;
        const std::uint64_t* const rows = table.words + std::size_t{group} * (kGroupNumbers - 1) * table.step;
        for (std::size_t first = 0; first < words; first += kShortBlock) {
            const std::size_t size = std::min(kShortBlock, words - first);
            std::fill_n(above[numbers - 1], size, std::uint64_t{0});
            for (std::size_t v = numbers - 1; v > 0; --v) {
                const std::uint64_t* const row = rows + (v - 1) * table.step + first;
                for (std::size_t i = 0; i < size; ++i) {
                    same[v][i] = row[i];
                    above[v - 1][i] = above[v][i] ^ row[i];
                }
            }
            for (std::size_t i = 0; i < size; ++i) same[0][i] = above[0][i] ^ one;
            const std::uint64_t* const chosen = planes.words + bit * planes.step + first;
            choose(above, here, chosen, planes.step, size);
            choose(same, here, chosen, planes.step, size);
            std::copy_n(above[0], size, less.words + group * less.step + first);
            std::copy_n(same[0], size, equal.words + group * equal.step + first);
        }
    }
    wipe(above, sizeof above);
    wipe(same, sizeof same);
}

void tables_of_planes(Rows<const std::uint64_t> planes, unsigned bits, std::size_t words, Rows<std::uint64_t> table) {
    ShortRow same[kGroupNumbers];
    for (unsigned bit = 0; bit < bits; bit += kGroupBits) {
        const unsigned here = bits_of_group(bits, bit);
        const std::size_t numbers = std::size_t{1} << here;
        std::uint64_t* const rows = table.words + std::size_t{bit / kGroupBits} * (kGroupNumbers - 1) * table.step;
        for (std::size_t first = 0; first < words; first += kShortBlock) {
            const std::size_t size = std::min(kShortBlock, words - first);
            std::fill_n(same[0], size, ~std::uint64_t{0});
            for (unsigned j = 0; j < here; ++j) {
                const std::uint64_t* const plane = planes.words + (bit + j) * planes.step + first;
                const std::size_t half = std::size_t{1} << j;
                for (std::size_t v = 0; v < half; ++v) {
                    for (std::size_t i = 0; i < size; ++i) {
                        same[v + half][i] = same[v][i] & plane[i];
                        same[v][i] &= ~plane[i];
                    }
                }
            }
            for (std::size_t v = 1; v < numbers; ++v) std::copy_n(same[v], size, rows + (v - 1) * table.step + first);
        }
    }
    wipe(same, sizeof same);
}

void bit_products(const BitShares& shares, const std::vector<BitTerm>& terms, std::size_t n, std::size_t outs,
                  std::uint64_t* out) {
    const auto add_term = kernels().add_bit_term;
    BitRow sets[std::size_t{1} << (kMostFactors - 1)], ones;
    std::fill_n(ones, kBitRow, shares.one);
    const std::uint64_t* rows[std::size_t{1} << kMostFactors];
    const std::uint64_t* opened[kMostFactors];
    for (std::size_t first = 0; first < n; first += kBitRow) {
        const std::size_t size = std::min(kBitRow, n - first);
        for (std::size_t j = 0; j < outs; ++j) std::fill_n(out + j * n + first, size, std::uint64_t{0});
        for (const BitTerm& term : terms) {
            const std::size_t count = term.rows.size();
            for (std::size_t s = 0; s < count; ++s) {
                const std::size_t place = term.rows[s];
                rows[s] = place == 0                  ? ones
                          : place <= shares.mask_rows ? shares.masks + (place - 1) * n + first
                                                      : shares.dealt + (place - 1 - shares.mask_rows) * n + first;
            }
            for (std::size_t j = 0; j < term.factors.size(); ++j) opened[j] = shares.opened + term.factors[j] * n + first;
            add_term(rows, opened, term.factors.size(), size, sets, out + term.out * n + first);
        }
    }
    wipe(sets, sizeof sets);
    wipe(ones, sizeof ones);
}

}  // namespace mpc::tensor
