// Sums of multiples of points of edwards25519, for public scalars and points: the checks of proofs and shares, and what
// is put together from shares. NOT constant time. Scalars are below 2^253, as for the group itself.
#pragma once

#include <cstddef>

#include "core/curve/edwards25519.hpp"

namespace mpc {

// One summand of every row. `points` has one point for all rows, or one for each.
struct Column {
    const Scalar* scalars;
    const Point* points;
    bool one_point;
};

// out[i] = sum over the columns of scalars[i] points[i]. By Straus' interleaving: the doublings are shared. Scalars are
// in non-adjacent form of width 5 (Hankerson, Menezes, Vanstone, "Guide to Elliptic Curve Cryptography", 3.3).
void combine_rows(const Column* columns, std::size_t n_columns, std::size_t rows, Point* out);

// The sum of scalars[i] points[i] over all i. For many by Pippenger's buckets, see Bernstein, Doumen, Lange, Oosterwijk,
// "Faster batch forgery identification" (INDOCRYPT 2012), section 4.
Point combine(const Scalar* scalars, const Point* points, std::size_t n);

}  // namespace mpc
