// Matrix products in Z_2^64 and Z_2^32, exact, for shares and masks. Running time and addresses depend on shapes alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::tensor {

// A matrix in memory that somebody else owns. Entry (i, j) is data[i * row_step + j * column_step]. Steps may be zero
// or negative, as those of a broadcast or reversed view.
template <class T>
struct Matrix {
    T* data;
    std::size_t rows;
    std::size_t columns;
    std::ptrdiff_t row_step;
    std::ptrdiff_t column_step;

    Matrix transposed() const { return {data, columns, rows, column_step, row_step}; }
};

// c = a * b mod 2^64, or mod 2^32. If `adds`, the product is added to c. Entries of c must not overlap each other or a or b. Throws LengthError if the shapes
// do not fit. What it copies of a and b is wiped. The same value on every level of cpu.hpp.
void matmul(Matrix<const std::uint64_t> a, Matrix<const std::uint64_t> b, Matrix<std::uint64_t> c,
            bool adds = false);
void matmul(Matrix<const std::uint32_t> a, Matrix<const std::uint32_t> b, Matrix<std::uint32_t> c,
            bool adds = false);

}  // namespace mpc::tensor
