// Between words and bit rows; see bit_matrix.hpp.
#include "core/base/bit_matrix.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/error.hpp"

namespace mpc {

std::size_t total_bits(const Widths& widths) {
    std::size_t bits = 0;
    for (const unsigned width : widths) bits += width;
    return bits;
}

// Recursive halving: swap the off-diagonal quadrants of 32 x 32, then of 16 x 16, ... (Hacker's Delight, 7-3).
void transpose(std::uint64_t* matrix) {
    std::uint64_t mask = 0x00000000FFFFFFFF;
    for (unsigned half = 32; half != 0; half /= 2, mask ^= mask << half) {
        for (unsigned i = 0; i < 64; i = (i + half + 1) & ~half) {
            const std::uint64_t difference = ((matrix[i] >> half) ^ matrix[i + half]) & mask;
            matrix[i + half] ^= difference;
            matrix[i] ^= difference << half;
        }
    }
}

void check_values(const std::string& what, const Widths& widths, WordView values, std::size_t n) {
    if (values.size() != n * widths.size()) throw LengthError(what, n * widths.size(), values.size());
    for (std::size_t w = 0; w < widths.size(); ++w) {
        if (widths[w] >= 64) continue;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < n; ++i) seen |= values[i * widths.size() + w];
        if ((seen >> widths[w]) != 0) {
            throw ParameterError(what + ": word " + std::to_string(w) + " holds a value of more than " +
                                 std::to_string(widths[w]) + " bits");
        }
    }
}

namespace {

constexpr std::size_t kFew = 4;  // instances for which moving single bits beats transposing 64 x 64

}  // namespace

void rows_of_values(const Widths& widths, const std::uint64_t* values, std::size_t instances, std::uint64_t* rows) {
    if (instances <= kFew) {
        for (std::size_t w = 0; w < widths.size(); ++w) {
            for (unsigned b = 0; b < widths[w]; ++b, ++rows) {
                *rows = 0;
                for (std::size_t i = 0; i < instances; ++i) {
                    *rows |= ((values[i * widths.size() + w] >> b) & 1) << i;
                }
            }
        }
        return;
    }
    std::uint64_t matrix[64];
    for (std::size_t w = 0; w < widths.size(); ++w) {
        for (std::size_t i = 0; i < 64; ++i) matrix[i] = i < instances ? values[i * widths.size() + w] : 0;
        transpose(matrix);
        rows = std::copy(matrix, matrix + widths[w], rows);
    }
}

void values_of_rows(const Widths& widths, const std::uint64_t* rows, std::size_t instances, std::uint64_t* values) {
    if (instances <= kFew) {
        for (std::size_t w = 0; w < widths.size(); rows += widths[w], ++w) {
            for (std::size_t i = 0; i < instances; ++i) {
                std::uint64_t& value = values[i * widths.size() + w];
                value = 0;
                for (unsigned b = 0; b < widths[w]; ++b) value |= ((rows[b] >> i) & 1) << b;
            }
        }
        return;
    }
    std::uint64_t matrix[64];
    for (std::size_t w = 0; w < widths.size(); ++w) {
        std::copy(rows, rows + widths[w], matrix);
        std::fill(matrix + widths[w], matrix + 64, 0);
        rows += widths[w];
        transpose(matrix);
        for (std::size_t i = 0; i < instances; ++i) values[i * widths.size() + w] = matrix[i];
    }
}

void check_packed(const std::string& what, ByteView packed, std::size_t bits) {
    if (packed.size() != bytes_of_bits(bits)) throw LengthError(what, bytes_of_bits(bits), packed.size());
    if (bits % 8 != 0 && (packed[packed.size() - 1] >> (bits % 8)) != 0)
        throw MalformedError(what + ": padding bits are set");
}

using TileRow = std::uint32_t;  // what most rows are: a bit for each instance of a whole tile, on a byte's boundary
static_assert(8 * sizeof(TileRow) == kTile, "a whole tile's row is a word");

std::uint64_t get_bits(const std::uint8_t* packed, std::size_t place, std::size_t count) noexcept {
    const std::size_t skip = place % 8;
    if (skip == 0 && count == kTile) {
        TileRow row;
        std::memcpy(&row, packed + place / 8, sizeof row);
        return row;
    }
    const std::size_t bytes = bytes_of_bits(skip + count);  // 1..9
    std::uint64_t low = 0;
    std::memcpy(&low, packed + place / 8, std::min<std::size_t>(bytes, 8));
    std::uint64_t value = low >> skip;
    if (bytes > 8) value |= std::uint64_t{packed[place / 8 + 8]} << (64 - skip);
    return count == 64 ? value : value & ((std::uint64_t{1} << count) - 1);
}

void put_bits(std::uint8_t* packed, std::size_t place, std::size_t count, std::uint64_t value) noexcept {
    const std::size_t skip = place % 8;
    std::uint8_t* at = packed + place / 8;
    if (skip == 0 && count == kTile) {
        const auto row = static_cast<TileRow>(value);
        std::memcpy(at, &row, sizeof row);
        return;
    }
    const std::size_t bytes = bytes_of_bits(skip + count);
    std::uint64_t low = 0;
    std::memcpy(&low, at, std::min<std::size_t>(bytes, 8));
    low |= value << skip;
    std::memcpy(at, &low, std::min<std::size_t>(bytes, 8));
    if (bytes > 8) at[8] = static_cast<std::uint8_t>(at[8] | (value >> (64 - skip)));
}

Bytes pack_values(const Widths& widths, WordView values, std::size_t n) {
    check_values("values to pack", widths, values, n);
    std::vector<std::uint64_t> rows(total_bits(widths));
    Bytes packed(bytes_of_bits(n * rows.size()));
    std::size_t place = 0;
    for (std::size_t first = 0; first < n; first += kTile) {
        const std::size_t lanes = std::min(kTile, n - first);
        rows_of_values(widths, values.data() + first * widths.size(), lanes, rows.data());
        for (const std::uint64_t row : rows) {
            put_bits(packed.data(), place, lanes, row);
            place += lanes;
        }
    }
    return packed;
}

std::vector<std::uint64_t> unpack_values(const Widths& widths, ByteView packed, std::size_t n) {
    std::vector<std::uint64_t> rows(total_bits(widths));
    check_packed("values to unpack", packed, n * rows.size());
    std::vector<std::uint64_t> values(n * widths.size());
    std::size_t place = 0;
    for (std::size_t first = 0; first < n; first += kTile) {
        const std::size_t lanes = std::min(kTile, n - first);
        for (std::uint64_t& row : rows) {
            row = get_bits(packed.data(), place, lanes);
            place += lanes;
        }
        values_of_rows(widths, rows.data(), lanes, values.data() + first * widths.size());
    }
    return values;
}

}  // namespace mpc
