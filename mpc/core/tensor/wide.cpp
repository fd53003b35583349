// Exact products of words; see wide.hpp.
#include "core/tensor/wide.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/error.hpp"

namespace mpc::tensor {
namespace {

__extension__ typedef unsigned __int128 Wide;
using Words = std::vector<std::uint64_t, LargeAllocator<std::uint64_t, true>>;

constexpr std::size_t kDepth = 512;   // of a block, so that a panel of the right matrix stays in the first level
constexpr std::size_t kColumns = 4;   // of a panel, whose sums fill the registers
constexpr std::size_t kHeight = 256;  // of a block of the left matrix

std::uint64_t entry(const Matrix<const std::uint64_t>& m, std::size_t i, std::size_t j) {
    return m.data[static_cast<std::ptrdiff_t>(i) * m.row_step + static_cast<std::ptrdiff_t>(j) * m.column_step];
}

// Adds the products of one row and the columns of a panel to sums.
MPC_INLINE void add_row(const std::uint64_t* row, const std::uint64_t* panel, std::size_t depth, Wide sums[kColumns]) {
    Wide s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (std::size_t k = 0; k < depth; ++k, panel += kColumns) {
        const Wide left = row[k];
        s0 += left * panel[0];
        s1 += left * panel[1];
        s2 += left * panel[2];
        s3 += left * panel[3];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

}  // namespace

void high_words(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* high) {
    for (std::size_t i = 0; i < n; ++i) high[i] = static_cast<std::uint64_t>((Wide{a[i]} * b[i]) >> 64);
}

void matmul_wide(const Matrix<const std::uint64_t>& a, const Matrix<const std::uint64_t>& b, std::uint64_t* low,
                 std::uint64_t* high) {
    if (a.columns != b.rows) throw LengthError("matrix product, rows of the right matrix", a.columns, b.rows);
    const std::size_t columns = b.columns, panels = (columns + kColumns - 1) / kColumns;
    std::fill_n(low, a.rows * columns, std::uint64_t{0});
    std::fill_n(high, a.rows * columns, std::uint64_t{0});
    const std::size_t deepest = std::min(kDepth, a.columns);
    Words left(std::min(kHeight, a.rows) * deepest), right(panels * kColumns * deepest);
    for (std::size_t first = 0; first < a.columns; first += kDepth) {
        const std::size_t depth = std::min(kDepth, a.columns - first);
        for (std::size_t panel = 0; panel < panels; ++panel) {
            std::uint64_t* place = right.data() + panel * kColumns * depth;
            for (std::size_t k = 0; k < depth; ++k) {
                for (std::size_t j = panel * kColumns; j < (panel + 1) * kColumns; ++j)
                    *place++ = j < columns ? entry(b, first + k, j) : 0;
            }
        }
        for (std::size_t top = 0; top < a.rows; top += kHeight) {
            const std::size_t height = std::min(kHeight, a.rows - top);
            for (std::size_t i = 0; i < height; ++i) {
                for (std::size_t k = 0; k < depth; ++k) left[i * depth + k] = entry(a, top + i, first + k);
            }
            for (std::size_t panel = 0; panel < panels; ++panel) {
                const std::size_t width = std::min(kColumns, columns - panel * kColumns);
                for (std::size_t i = 0; i < height; ++i) {
                    const std::size_t start = (top + i) * columns + panel * kColumns;
                    Wide sums[kColumns] = {};
                    for (std::size_t j = 0; j < width; ++j) sums[j] = Wide{high[start + j]} << 64 | low[start + j];
                    add_row(left.data() + i * depth, right.data() + panel * kColumns * depth, depth, sums);
                    for (std::size_t j = 0; j < width; ++j) {
                        low[start + j] = static_cast<std::uint64_t>(sums[j]);
                        high[start + j] = static_cast<std::uint64_t>(sums[j] >> 64);
                    }
                }
            }
        }
    }
}

void carryless_sum(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t out[2]) {
    // By bits of b: for bit t, the sum of all a[i] with that bit is shifted by t. Bits are looked up without a branch.
    std::uint64_t sums[64] = {};
    for (std::size_t i = 0; i < n; ++i) {
        for (unsigned t = 0; t < 64; ++t) sums[t] ^= a[i] & (std::uint64_t{0} - (b[i] >> t & 1));
    }
    Wide total = 0;
    for (unsigned t = 0; t < 64; ++t) total ^= Wide{sums[t]} << t;
    out[0] = static_cast<std::uint64_t>(total);
    out[1] = static_cast<std::uint64_t>(total >> 64);
    wipe(sums, sizeof sums);
}

}  // namespace mpc::tensor
