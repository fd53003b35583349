// Exact products of words; see wide.hpp.
#include "core/tensor/wide.hpp"

#if defined(MPC_X86_KERNELS)
#include <immintrin.h>
#endif

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

__extension__ typedef unsigned __int128 Wide;
using Words = std::vector<std::uint64_t, LargeAllocator<std::uint64_t, true>>;

constexpr std::size_t kDepth = 512;   // of a block, so that a panel of the right matrix stays in the first level
constexpr std::size_t kColumns = 4;   // of a panel, whose sums fill the registers
constexpr std::size_t kHeight = 256;  // of a block of the left matrix

// Products with fewer entries than this have less work than packing them for a tile would be.
constexpr std::size_t kFewestTiled = 16;

// Numbers of two words that stay in the first level of the cache.
constexpr std::size_t kPiece = 256;
struct alignas(64) Piece {
    std::uint64_t low[kPiece], high[kPiece];
};

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

void multiply_one_by_one(const Matrix<const std::uint64_t>& a, const Matrix<const std::uint64_t>& b, std::uint64_t* low,
                         std::uint64_t* high) {
    const std::size_t columns = b.columns, panels = (columns + kColumns - 1) / kColumns;
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

// ---- with tiles of kernels.hpp --------------------------------------------------------------------------------------
//
// With e = e_low + 2^32 e_top and b likewise, the sum of e b over k is
//
//     2^64 sum e_top b_top + R          R = sum (e_low b + 2^32 e_top b_low)
//
// The tile gives R rounded, and the fast product modulo 2^64 gives its lower word exactly. So the upper word of R is
// (R - lower word) / 2^64, rounded to the next whole number, if R is off by less than 2^63. For 256 terms R is below
// 2^105. Each of at most 512 additions to it is off by at most 2^51, and the rounding of one term by less than 2^46, so
// that R is off by less than 2^61.

constexpr std::size_t kTileDepth = 256;

class TiledProduct {
public:
    TiledProduct(const WideKernel& kernel, const Matrix<const std::uint64_t>& a, const Matrix<const std::uint64_t>& b,
                 std::size_t deepest)
        : kernel_(kernel),
          a_(a),
          b_(b),
          row_tiles_((a.rows + kernel.rows - 1) / kernel.rows),
          panels_((b.columns + kernel.columns - 1) / kernel.columns) {
        left_.resize(row_tiles_ * 3 * kernel.rows * deepest);
        right_.resize(panels_ * 3 * kernel.columns * deepest);
        part_.resize(a.rows * b.columns);
    }

    // Adds the product of a block of columns of a and rows of b.
    void add_block(std::size_t first, std::size_t depth, std::uint64_t* low, std::uint64_t* high) {
        Matrix<const std::uint64_t> left = a_, right = b_;
        left.data += static_cast<std::ptrdiff_t>(first) * a_.column_step;
        right.data += static_cast<std::ptrdiff_t>(first) * b_.row_step;
        left.columns = right.rows = depth;
        matmul(left, right, {part_.data(), a_.rows, b_.columns, static_cast<std::ptrdiff_t>(b_.columns), 1});
        pack(left, right);
        WideSums sums;
        for (std::size_t panel = 0; panel < panels_; ++panel) {
            for (std::size_t rows = 0; rows < row_tiles_; ++rows) {
                kernel_.tile(left_.data() + rows * 3 * kernel_.rows * depth,
                             right_.data() + panel * 3 * kernel_.columns * depth, depth, sums);
                add_tile(sums, rows * kernel_.rows, panel * kernel_.columns, low, high);
            }
        }
        wipe(&sums, sizeof sums);
    }

private:
    void pack(const Matrix<const std::uint64_t>& left, const Matrix<const std::uint64_t>& right) {
        for (std::size_t tile = 0; tile < row_tiles_; ++tile) {
            Matrix<const std::uint64_t> rows = left;
            rows.data += static_cast<std::ptrdiff_t>(tile * kernel_.rows) * left.row_step;
            rows.rows = std::min(kernel_.rows, left.rows - tile * kernel_.rows);
            kernel_.pack_left(rows, left_.data() + tile * 3 * kernel_.rows * left.columns);
        }
        for (std::size_t panel = 0; panel < panels_; ++panel) {
            Matrix<const std::uint64_t> columns = right;
            columns.data += static_cast<std::ptrdiff_t>(panel * kernel_.columns) * right.column_step;
            columns.columns = std::min(kernel_.columns, right.columns - panel * kernel_.columns);
            kernel_.pack_right(columns, right_.data() + panel * 3 * kernel_.columns * right.rows);
        }
    }

    void add_tile(const WideSums& sums, std::size_t row, std::size_t column, std::uint64_t* low, std::uint64_t* high) {
        const std::size_t width = std::min(kernel_.columns, b_.columns - column);
        for (std::size_t i = 0; i < std::min(kernel_.rows, a_.rows - row); ++i) {
            const std::size_t place = (row + i) * b_.columns + column, start = i * kernel_.columns;
            kernel_.add_row(sums.rest + start, sums.top + start, part_.data() + place, width, low + place,
                            high + place);
        }
    }

    const WideKernel& kernel_;
    const Matrix<const std::uint64_t> a_, b_;
    const std::size_t row_tiles_, panels_;
    std::vector<double, LargeAllocator<double, true>> left_, right_;
    Words part_;
};

#if defined(MPC_X86_KERNELS)
__attribute__((target("pclmul"))) void carryless_sum_pclmul(const std::uint64_t* a, const std::uint64_t* b,
                                                            std::size_t n, std::uint64_t out[2]) {
    __m128i even = _mm_setzero_si128(), odd = even;
    std::size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
        const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
        even = _mm_xor_si128(even, _mm_clmulepi64_si128(x, y, 0x00));
        odd = _mm_xor_si128(odd, _mm_clmulepi64_si128(x, y, 0x11));
    }
    if (i < n) {
        const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + i));
        const __m128i y = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + i));
        even = _mm_xor_si128(even, _mm_clmulepi64_si128(x, y, 0x00));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_xor_si128(even, odd));
}
#endif

}  // namespace

void wide_products(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* low,
                   std::uint64_t* high) {
    kernels().wide.products(a, b, n, low, high);
}

void matmul_wide(const Matrix<const std::uint64_t>& a, const Matrix<const std::uint64_t>& b, std::uint64_t* low,
                 std::uint64_t* high, bool adds) {
    if (a.columns != b.rows) throw LengthError("matrix product, rows of the right matrix", a.columns, b.rows);
    if (!adds) {
        std::fill_n(low, a.rows * b.columns, std::uint64_t{0});
        std::fill_n(high, a.rows * b.columns, std::uint64_t{0});
    }
    const WideKernel* const kernel = kernels().wide_matmul;
    if (kernel == nullptr || a.rows * b.columns < kFewestTiled) {
        multiply_one_by_one(a, b, low, high);
        return;
    }
    const std::size_t blocks = std::max<std::size_t>(1, (a.columns + kTileDepth - 1) / kTileDepth);
    const std::size_t deepest = (a.columns + blocks - 1) / blocks;
    TiledProduct product(*kernel, a, b, deepest);
    for (std::size_t first = 0; first < a.columns; first += deepest)
        product.add_block(first, std::min(deepest, a.columns - first), low, high);
}

void wide_add(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high) {
    kernels().wide.add(x, y, n, low, high);
}

void wide_subtract(const WideWords& x, const WideWords& y, std::size_t n, std::uint64_t* low, std::uint64_t* high) {
    kernels().wide.subtract(x, y, n, low, high);
}

void wide_times(const WideWords& x, const std::uint64_t* c, std::size_t period, std::size_t n, std::uint64_t* low,
                std::uint64_t* high) {
    if (n == 0) return;
    if (period == 1) {  // one factor for all
        const std::uint64_t factor = c[0];
        for (std::size_t i = 0; i < n; ++i) {
            const Wide product = Wide{x.low[i]} * factor;
            low[i] = static_cast<std::uint64_t>(product);
            high[i] = static_cast<std::uint64_t>(product >> 64) + x.high[i] * factor;
        }
        return;
    }
    for (std::size_t first = 0; first < n; first += period)
        kernels().wide.times({x.low + first, x.high + first}, c, period, low + first, high + first);
}

void wide_sum_of_products(const WideWords& x, const std::uint64_t* c, const WideWords& y, const std::uint64_t* d,
                          const WideWords& z, std::size_t period, std::size_t n, std::uint64_t* low,
                          std::uint64_t* high) {
    const WideLoops& loops = kernels().wide;
    Piece one, two, both;
    for (std::size_t first = 0; first < n; first += period) {
        for (std::size_t start = 0; start < period; start += kPiece) {
            const std::size_t size = std::min(kPiece, period - start), i = first + start;
            loops.times({x.low + i, x.high + i}, c + start, size, one.low, one.high);
            loops.times({y.low + i, y.high + i}, d + start, size, two.low, two.high);
            loops.add({one.low, one.high}, {two.low, two.high}, size, both.low, both.high);
            loops.add({both.low, both.high}, {z.low + i, z.high + i}, size, low + i, high + i);
        }
    }
    for (Piece* const piece : {&one, &two, &both}) wipe(piece, sizeof *piece);
}

void wide_macs(const WideWords& x, const std::uint64_t key[2], const WideWords& y, std::size_t n, std::uint64_t* low,
               std::uint64_t* high) {
    const WideLoops& loops = kernels().wide;
    Piece keys, products;
    std::fill_n(keys.low, kPiece, key[0]);
    for (std::size_t i = 0; i < n; i += kPiece) {
        const std::size_t size = std::min(kPiece, n - i);
        loops.times({x.low + i, x.high + i}, keys.low, size, products.low, products.high);
        for (std::size_t j = 0; j < size; ++j) products.high[j] += x.low[i + j] * key[1];
        loops.subtract({products.low, products.high}, {y.low + i, y.high + i}, size, low + i, high + i);
    }
    wipe(&keys, sizeof keys);
    wipe(&products, sizeof products);
}

void wide_keyed(const std::uint64_t* x, std::uint64_t key, std::size_t n, std::uint64_t* low, std::uint64_t* high) {
    const WideLoops& loops = kernels().wide;
    std::uint64_t keys[kPiece];
    std::fill_n(keys, kPiece, key);
    for (std::size_t i = 0; i < n; i += kPiece)
        loops.products(x + i, keys, std::min(kPiece, n - i), low + i, high + i);
    wipe(keys, sizeof keys);
}

void wide_sum(const std::uint64_t* c, const std::uint64_t* low, const std::uint64_t* high, std::size_t n,
              std::uint64_t out[2]) {
    Wide sum = 0;
    std::uint64_t upper = 0;
    for (std::size_t i = 0; i < n; ++i) {
        sum += Wide{c[i]} * low[i];
        upper += c[i] * high[i];
    }
    out[0] = static_cast<std::uint64_t>(sum);
    out[1] = static_cast<std::uint64_t>(sum >> 64) + upper;
}

void carryless_sum(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t out[2]) {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("pclmul")) {
        carryless_sum_pclmul(a, b, n, out);
        return;
    }
#endif
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
