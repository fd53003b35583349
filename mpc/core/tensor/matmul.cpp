// Matrix products: the loops around the tiles; see matmul.hpp and kernels.hpp.
//
// Blocks are chosen for the caches (Goto and van de Geijn, ACM TOMS 34, 2008). A panel of the right matrix, 16 KiB,
// stays in the first level while all panels of a block of the left matrix, at most 256 KiB from the second level, pass
// by it.
#include "core/tensor/matmul.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/blocks.hpp"
#include "core/base/error.hpp"
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {
namespace {

constexpr std::size_t kDepth = 256;    // of a block, an even number
constexpr std::size_t kHeight = 128;   // of a block of the left matrix
constexpr std::size_t kBreadth = 2048;  // of a block of the right matrix

std::size_t rounded(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

template <class T>
Matrix<T> block(const Matrix<T>& whole, std::size_t row, std::size_t column, std::size_t rows, std::size_t columns) {
    return {whole.data + static_cast<std::ptrdiff_t>(row) * whole.row_step +
                static_cast<std::ptrdiff_t>(column) * whole.column_step,
            std::min(rows, whole.rows - row), std::min(columns, whole.columns - column), whole.row_step,
            whole.column_step};
}

template <class T>
class Product {
public:
    Product(const MatmulKernel<T>& kernel, const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c)
        : kernel_(kernel), a_(a), b_(b), c_(c) {
        const std::size_t depth = std::min(kDepth, a.columns);
        left_step_ = panel_words(kernel.rows, depth);
        right_step_ = panel_words(kernel.columns, depth);
        left_.resize(rounded(std::min(kHeight, a.rows), kernel.rows) / kernel.rows * left_step_);
        right_.resize(rounded(std::min(kBreadth, b.columns), kernel.columns) / kernel.columns * right_step_);
        edge_.resize(kernel.rows * kernel.columns);
    }

    void clear() {
        for (std::size_t i = 0; i < c_.rows; ++i) {
            if (c_.column_step == 1) {
                std::fill_n(&entry(c_, i, 0), c_.columns, T{0});
            } else {
                for (std::size_t j = 0; j < c_.columns; ++j) entry(c_, i, j) = 0;
            }
        }
    }

    void add() {
        for (std::size_t j = 0; j < b_.columns; j += kBreadth) {
            for (std::size_t k = 0; k < a_.columns; k += kDepth) {
                const Matrix<const T> right = block(b_, k, j, kDepth, kBreadth);
                for (std::size_t jj = 0; jj < right.columns; jj += kernel_.columns)
                    kernel_.pack_right(block(right, 0, jj, kDepth, kernel_.columns), right_panel(jj));
                for (std::size_t i = 0; i < a_.rows; i += kHeight) {
                    const Matrix<const T> left = block(a_, i, k, kHeight, kDepth);
                    for (std::size_t ii = 0; ii < left.rows; ii += kernel_.rows)
                        kernel_.pack_left(block(left, ii, 0, kernel_.rows, kDepth), left_panel(ii));
                    add_block(block(c_, i, j, kHeight, kBreadth), pairs_of(right.rows));
                }
            }
        }
    }

private:
    using Panels = std::vector<T, LargeAllocator<T, true>>;

    static T& entry(const Matrix<T>& c, std::size_t i, std::size_t j) {
        return c.data[static_cast<std::ptrdiff_t>(i) * c.row_step + static_cast<std::ptrdiff_t>(j) * c.column_step];
    }
    T* left_panel(std::size_t row) { return left_.data() + row / kernel_.rows * left_step_; }
    T* right_panel(std::size_t column) { return right_.data() + column / kernel_.columns * right_step_; }

    // Adds the product of the packed blocks.
    void add_block(const Matrix<T>& c, std::size_t pairs) {
        for (std::size_t j = 0; j < c.columns; j += kernel_.columns) {
            for (std::size_t i = 0; i < c.rows; i += kernel_.rows) {
                const Matrix<T> place = block(c, i, j, kernel_.rows, kernel_.columns);
                if (place.rows == kernel_.rows && place.columns == kernel_.columns && place.column_step == 1) {
                    kernel_.tile(left_panel(i), right_panel(j), pairs, place.data, place.row_step);
                } else {
                    add_edge(left_panel(i), right_panel(j), pairs, place);
                }
            }
        }
    }

    // A tile that is not whole, or whose entries lie apart, goes through memory of its own.
    void add_edge(const T* left, const T* right, std::size_t pairs, const Matrix<T>& place) {
        std::fill(edge_.begin(), edge_.end(), T{0});
        kernel_.tile(left, right, pairs, edge_.data(), static_cast<std::ptrdiff_t>(kernel_.columns));
        for (std::size_t i = 0; i < place.rows; ++i) {
            for (std::size_t j = 0; j < place.columns; ++j) {
                T& sum = entry(place, i, j);
                sum = static_cast<T>(sum + edge_[i * kernel_.columns + j]);
            }
        }
    }

    const MatmulKernel<T>& kernel_;
    const Matrix<const T> a_, b_;
    const Matrix<T> c_;
    std::size_t left_step_ = 0, right_step_ = 0;  // words from a panel to the next
    Panels left_, right_, edge_;
};

void check_size(const char* what, std::size_t expected, std::size_t found) {
    if (expected != found) throw LengthError(std::string("matrix product, ") + what, expected, found);
}

template <class T>
void multiply(const MatmulKernel<T>& kernel, const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
              bool adds) {
    check_size("rows of the right matrix", a.columns, b.rows);
    check_size("rows of the result", a.rows, c.rows);
    check_size("columns of the result", b.columns, c.columns);
    const auto padded = [&](std::size_t rows, std::size_t columns) {
        return rounded(rows, kernel.rows) * rounded(columns, kernel.columns);
    };
    // A tile is broad: narrow results are made transposed.
    const bool narrow = padded(c.columns, c.rows) < padded(c.rows, c.columns);
    Product<T> product = narrow ? Product<T>(kernel, b.transposed(), a.transposed(), c.transposed())
                                : Product<T>(kernel, a, b, c);
    if (!adds) product.clear();
    product.add();
}

}  // namespace

void matmul(Matrix<const std::uint64_t> a, Matrix<const std::uint64_t> b, Matrix<std::uint64_t> c, bool adds) {
    multiply(kernels().matmul64, a, b, c, adds);
}

void matmul(Matrix<const std::uint32_t> a, Matrix<const std::uint32_t> b, Matrix<std::uint32_t> c, bool adds) {
    multiply(kernels().matmul32, a, b, c, adds);
}

}  // namespace mpc::tensor
