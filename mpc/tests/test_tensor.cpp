// Arithmetic on arrays of shares, on every CPU level, against plain loops.
#include <algorithm>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/error.hpp"
#include "core/tensor/matmul.hpp"
#include "tests/check.hpp"

using namespace mpc;
using namespace mpc::tensor;

namespace {

template <class T>
std::vector<T> random_words(std::size_t count, std::uint64_t seed) {
    std::vector<T> words(count);
    Prg(Block{seed, 1}).fill(words.data(), count * sizeof(T));
    return words;
}

template <class T>
std::vector<T> plain_product(const Matrix<const T>& a, const Matrix<const T>& b) {
    std::vector<T> c(a.rows * b.columns);
    for (std::size_t i = 0; i < a.rows; ++i) {
        for (std::size_t j = 0; j < b.columns; ++j) {
            T sum = 0;
            for (std::size_t k = 0; k < a.columns; ++k) {
                const auto row = static_cast<std::ptrdiff_t>(i), column = static_cast<std::ptrdiff_t>(j);
                const auto place = static_cast<std::ptrdiff_t>(k);
                sum = static_cast<T>(sum + a.data[row * a.row_step + place * a.column_step] *
                                               b.data[place * b.row_step + column * b.column_step]);
            }
            c[i * b.columns + j] = sum;
        }
    }
    return c;
}

// Into memory with a margin, by rows and by columns: the product is right and the margin is left alone.
template <class T>
void check_product(const Matrix<const T>& a, const Matrix<const T>& b) {
    const std::size_t m = a.rows, n = b.columns, margin = 3;
    const std::vector<T> wanted = plain_product(a, b);
    for (const bool by_rows : {true, false}) {
        const std::size_t lines = by_rows ? m : n, length = (by_rows ? n : m) + margin;
        std::vector<T> memory(lines * length, T{7});
        Matrix<T> c{memory.data(), m, n, static_cast<std::ptrdiff_t>(length), 1};
        if (!by_rows) std::swap(c.row_step, c.column_step);
        matmul(a, b, c);
        bool right = true, untouched = true;
        for (std::size_t line = 0; line < lines; ++line) {
            for (std::size_t place = 0; place < length; ++place) {
                const T found = memory[line * length + place];
                if (place + margin < length) {
                    right = right && found == wanted[by_rows ? line * n + place : place * n + line];
                } else {
                    untouched = untouched && found == T{7};
                }
            }
        }
        CHECK(right);
        CHECK(untouched);
    }
}

template <class T>
void products_of_every_shape() {
    const std::size_t sizes[] = {0, 1, 2, 3, 7, 8, 17, 31};
    const std::vector<T> left = random_words<T>(64 * 64, 1), right = random_words<T>(64 * 64, 2);
    for (const std::size_t m : sizes) {
        for (const std::size_t k : sizes) {
            for (const std::size_t n : sizes) {
                const auto step = static_cast<std::ptrdiff_t>(k), other = static_cast<std::ptrdiff_t>(n);
                check_product<T>({left.data(), m, k, step, 1}, {right.data(), k, n, other, 1});
            }
        }
    }
}

// Transposed, with gaps, reversed, and broadcast along a row.
template <class T>
void products_of_every_layout() {
    const std::vector<T> left = random_words<T>(64 * 64, 3), right = random_words<T>(64 * 64, 4);
    const std::ptrdiff_t layouts[][2] = {{64, 1}, {1, 64}, {64, 3}, {2, 64}, {0, 1}, {1, 0}};
    for (const auto& a : layouts) {
        for (const auto& b : layouts) {
            check_product<T>({left.data(), 18, 21, a[0], a[1]}, {right.data(), 21, 19, b[0], b[1]});
            check_product<T>({left.data() + 17 * a[0], 18, 21, -a[0], a[1]},
                             {right.data() + 18 * b[1], 21, 19, b[0], -b[1]});
        }
    }
}

// Beyond one block in each direction, where entries are the largest and carries the longest.
template <class T>
void products_of_many_blocks() {
    const struct {
        std::size_t m, k, n;
    } shapes[] = {{131, 517, 37}, {5, 3, 2053}, {2053, 300, 1}, {129, 256, 8}, {1, 1031, 2050}};
    for (const auto& shape : shapes) {
        const std::vector<T> left = random_words<T>(shape.m * shape.k, 5), right = random_words<T>(shape.k * shape.n, 6);
        const auto step = static_cast<std::ptrdiff_t>(shape.k), other = static_cast<std::ptrdiff_t>(shape.n);
        check_product<T>({left.data(), shape.m, shape.k, step, 1}, {right.data(), shape.k, shape.n, other, 1});
        const std::vector<T> ones(std::max(shape.m, shape.n) * shape.k, static_cast<T>(~T{0}));
        check_product<T>({ones.data(), shape.m, shape.k, step, 1}, {ones.data(), shape.k, shape.n, other, 1});
    }
}

void shapes_that_do_not_fit() {
    std::vector<std::uint64_t> words(100);
    const Matrix<std::uint64_t> c{words.data(), 3, 5, 5, 1};
    const auto in = [&](std::size_t rows, std::size_t columns) {
        return Matrix<const std::uint64_t>{words.data() + 50, rows, columns, static_cast<std::ptrdiff_t>(columns), 1};
    };
    matmul(in(3, 4), in(4, 5), c);
    CHECK_THROWS(matmul(in(3, 4), in(5, 5), c), LengthError);
    CHECK_THROWS(matmul(in(2, 4), in(4, 5), c), LengthError);
    CHECK_THROWS(matmul(in(3, 4), in(4, 6), c), LengthError);
}

}  // namespace

int main() {
    check::run_on_all_levels("products_of_every_shape 64", products_of_every_shape<std::uint64_t>);
    check::run_on_all_levels("products_of_every_shape 32", products_of_every_shape<std::uint32_t>);
    check::run_on_all_levels("products_of_every_layout 64", products_of_every_layout<std::uint64_t>);
    check::run_on_all_levels("products_of_every_layout 32", products_of_every_layout<std::uint32_t>);
    check::run_on_all_levels("products_of_many_blocks 64", products_of_many_blocks<std::uint64_t>);
    check::run_on_all_levels("products_of_many_blocks 32", products_of_many_blocks<std::uint32_t>);
    check::run("shapes_that_do_not_fit", shapes_that_do_not_fit);
    return check::result();
}
