// The transform on AVX-512 IFMA; see ntt.hpp, and words_ifma.hpp for the arithmetic.
//
// A pass over memory does three layers. The first does as many as leave a multiple of three, and what it leaves are
// blocks that stay in the first cache. The last three layers run on transposed 8 x 8 tiles, so that all butterflies are
// between vectors. They are a pass of their own: together with the three before them, which need the same entries, they
// would wait for each other. Results are reduced fully, hence the same as the portable ones.
//
// Bounds. The forward transform begins with entries in [15p, 17p), and a layer widens this by p at both ends. So after at
// most 15 layers, for N <= 2^15, entries are in [0, 32p), below 2^52. Three layers of the inverse transform turn 2p into
// 16p at most, and sums are then reduced.
#include "core/lattice/words_ifma.hpp"

namespace mpc::lattice {

namespace {

constexpr std::size_t kTile = 64;

// That the first pass of the forward transform leaves, and the last of the inverse one joins.
MPC_INLINE std::size_t blocks_of(std::size_t degree) {
    std::size_t layers = 0;  // before those of tiles
    for (std::size_t i = degree / 8; i > 1; i /= 2) ++layers;
    return std::size_t{1} << (layers % 3 == 0 ? 3 : layers % 3);
}

MPC_INLINE Factors node(const Twiddles& twiddles, std::size_t k) {
    return {repeat(twiddles.head[2 * k]), repeat(twiddles.head[2 * k + 1])};
}

// Of three layers from a node on: its own, those of its halves and those of its quarters.
MPC_INLINE void node_factors(const Twiddles& twiddles, std::size_t k, Factors* w) {
    w[0] = node(twiddles, k);
    for (std::size_t i = 0; i < 2; ++i) w[1 + i] = node(twiddles, 2 * k + i);
    for (std::size_t i = 0; i < 4; ++i) w[3 + i] = node(twiddles, 4 * k + i);
}

MPC_INLINE void lane_factors(const Twiddles& twiddles, std::size_t tile, Factors* w) {
    for (std::size_t i = 0; i < 7; ++i) {
        w[i] = {load(&twiddles.tail_root[56 * tile + 8 * i]), load(&twiddles.tail_quotient[56 * tile + 8 * i])};
    }
}

// Rows to columns of an 8 x 8 matrix of words; its own inverse.
MPC_INLINE void transpose(V* v) {
    V a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int odd = 0; odd < 2; ++odd) {
            b[i + odd] = _mm512_shuffle_i64x2(a[i + odd], a[i + 2 + odd], 0x88);
            b[i + 2 + odd] = _mm512_shuffle_i64x2(a[i + odd], a[i + 2 + odd], 0xdd);
        }
    }
    for (int i = 0; i < 4; ++i) {
        v[i] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0x88);
        v[i + 4] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0xdd);
    }
}

// ---- forward

// (X, Y) <- (X + w Y, X - w Y), with w Y in [-p, p).
MPC_INLINE void forward_butterfly(const Prime& prime, V& x, V& y, const Factors& w) {
    const V t = prime.multiply_add(prime.minus, y, w);
    y = subtract(x, t);
    x = add(x, t);
}

template <std::size_t first, std::size_t second, std::size_t third, std::size_t fourth, std::size_t distance>
MPC_INLINE void forward_four(const Prime& prime, V* v, const Factors& a, const Factors& b, const Factors& c,
                             const Factors& d) {
    constexpr std::size_t at[] = {first, second, third, fourth};
    V product[4];
    for (std::size_t i = 0; i < 4; ++i) product[i] = v[at[i] + distance];
    prime.multiply_four(prime.minus, product, a, b, c, d);
    for (std::size_t i = 0; i < 4; ++i) {
        v[at[i] + distance] = subtract(v[at[i]], product[i]);
        v[at[i]] = add(v[at[i]], product[i]);
    }
}

MPC_INLINE void forward_three(const Prime& prime, V* v, const Factors* w) {
    forward_four<0, 1, 2, 3, 4>(prime, v, w[0], w[0], w[0], w[0]);
    forward_four<0, 1, 4, 5, 2>(prime, v, w[1], w[1], w[2], w[2]);
    forward_four<0, 2, 4, 6, 1>(prime, v, w[3], w[4], w[5], w[6]);
}

// How a pass reads its input. The first adds 15p to what is below 2p.
struct Numbers {
    MPC_INLINE V operator()(const Prime&, const std::uint64_t* x, std::size_t at) const { return load(x + at); }
};
struct Residues {
    V bias;

    explicit MPC_INLINE Residues(std::uint64_t p) : bias(repeat(15 * p)) {}
    MPC_INLINE V operator()(const Prime&, const std::uint64_t* x, std::size_t at) const {
        return add(load(x + at), bias);
    }
};
struct Lifted {  // residues modulo another prime, around zero
    V half, upper, bias;  // added to those above the half: the multiple of p that is next to the other prime, less that

    MPC_INLINE Lifted(std::uint64_t p, std::uint64_t other)
        : half(repeat(other / 2)), upper(repeat((other + p - 1) / p * p - other)), bias(repeat(15 * p)) {}
    MPC_INLINE V operator()(const Prime& prime, const std::uint64_t* x, std::size_t at) const {
        const V found = load(x + at);
        return add(prime.reduce(_mm512_mask_add_epi64(found, _mm512_cmpgt_epu64_mask(found, half), found, upper)), bias);
    }
};
// Five products below 2p and one of at most 5p are below 2^51.
template <std::size_t products>
struct Combined {
    Factors factors[products];
    V last, bias;

    Combined(const NttTables& ntt, const std::uint64_t* given)
        : last(repeat(given[products])), bias(repeat(15 * ntt.modulus.p)) {
        for (std::size_t k = 0; k < products; ++k) factors[k] = repeat(ntt.modulus.factor(given[k]));
    }
    MPC_INLINE V operator()(const Prime& prime, const std::uint64_t* rows, std::size_t at) const {
        static_assert(kTogether == kLanes, "a vector of each row follows that of the row before");
        const std::uint64_t* const x = rows + (products + 1) * at;
        V sum = _mm512_madd52lo_epu64(_mm512_setzero_si512(), load(x + products * kLanes), last);
        for (std::size_t k = 0; k < products; ++k) sum = prime.multiply_add(sum, load(x + k * kLanes), factors[k]);
        return add(prime.reduce(sum), bias);
    }
};

template <class Read>
MPC_INLINE void forward_pass(const Prime& prime, const Twiddles& twiddles, const std::uint64_t* in, std::uint64_t* out,
                             std::size_t size, std::size_t k, const Read& read) {
    const std::size_t eighth = size / 8;
    Factors w[7];
    node_factors(twiddles, k, w);
    for (std::size_t j = 0; j < eighth; j += kLanes) {
        V v[8];
        for (std::size_t i = 0; i < 8; ++i) v[i] = read(prime, in, i * eighth + j);
        forward_three(prime, v, w);
        for (std::size_t i = 0; i < 8; ++i) store(out + i * eighth + j, v[i]);
    }
}

MPC_INLINE void forward_tile(const Prime& prime, const Twiddles& twiddles, std::uint64_t* x, std::size_t tile) {
    V v[8];
    Factors w[7];
    lane_factors(twiddles, tile, w);
    for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + 8 * i);
    transpose(v);
    forward_three(prime, v, w);
    prime.reduce_four(v);
    prime.reduce_four(v + 4);
    for (V& r : v) r = prime.residue(r);
    transpose(v);
    for (std::size_t i = 0; i < 8; ++i) store(x + 8 * i, v[i]);
}

template <class Read>
MPC_INLINE void forward_from(const NttTables& ntt, const std::uint64_t* in, std::uint64_t* x, const Read& read) {
    const Prime prime(ntt.modulus);
    const Twiddles& twiddles = ntt.forward;
    const std::size_t n = ntt.degree, blocks = blocks_of(n), block = n / blocks;
    if (blocks == 2) {
        const Factors w = node(twiddles, 1);
        for (std::size_t j = 0; j < n / 2; j += kLanes) {
            V a = read(prime, in, j), b = read(prime, in, n / 2 + j);
            forward_butterfly(prime, a, b, w);
            store(x + j, a);
            store(x + n / 2 + j, b);
        }
    } else if (blocks == 4) {
        const Factors first = node(twiddles, 1), second = node(twiddles, 2), third = node(twiddles, 3);
        for (std::size_t j = 0; j < n / 4; j += kLanes) {
            V v[4];
            for (std::size_t i = 0; i < 4; ++i) v[i] = read(prime, in, i * (n / 4) + j);
            forward_butterfly(prime, v[0], v[2], first);
            forward_butterfly(prime, v[1], v[3], first);
            forward_butterfly(prime, v[0], v[1], second);
            forward_butterfly(prime, v[2], v[3], third);
            for (std::size_t i = 0; i < 4; ++i) store(x + i * (n / 4) + j, v[i]);
        }
    } else {
        forward_pass(prime, twiddles, in, x, n, 1, read);
    }
    for (std::size_t b = 0; b < blocks; ++b) {
        std::uint64_t* const at = x + b * block;
        for (std::size_t size = block, parts = 1; size >= kTile; size /= 8, parts *= 8) {
            for (std::size_t i = 0; i < parts; ++i) {
                forward_pass(prime, twiddles, at + i * size, at + i * size, size, (blocks + b) * parts + i, Numbers{});
            }
        }
        for (std::size_t i = 0; i < block / kTile; ++i) {
            forward_tile(prime, twiddles, at + i * kTile, b * (block / kTile) + i);
        }
    }
    if (n == kTile) forward_tile(prime, twiddles, x, 0);  // eight blocks
}

void forward(const NttTables& ntt, std::uint64_t* x) { forward_from(ntt, x, x, Residues(ntt.modulus.p)); }

void forward_lifted(const NttTables& ntt, std::uint64_t other, const std::uint64_t* in, std::uint64_t* out) {
    forward_from(ntt, in, out, Lifted(ntt.modulus.p, other));
}

template <std::size_t products>
void forward_products(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* factors, std::uint64_t* out) {
    forward_from(ntt, x, out, Combined<products>(ntt, factors));
}

void forward_combined(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* factors, std::size_t terms,
                      std::uint64_t* out) {
    switch (terms) {
        case 2: return forward_products<1>(ntt, x, factors, out);
        case 3: return forward_products<2>(ntt, x, factors, out);
        case 4: return forward_products<3>(ntt, x, factors, out);
        case 5: return forward_products<4>(ntt, x, factors, out);
        default: return forward_products<5>(ntt, x, factors, out);
    }
}

// ---- inverse

// (X, Y) <- (X + Y, w (X - Y)) for Y of at most `bound`.
MPC_INLINE void inverse_butterfly(const Prime& prime, V& x, V& y, const Factors& w, V bound) {
    const V difference = subtract(add(x, bound), y);
    x = add(x, y);
    y = prime.multiply(difference, w);
}

template <std::size_t first, std::size_t second, std::size_t third, std::size_t fourth, std::size_t distance>
MPC_INLINE void inverse_four(const Prime& prime, V* v, V bound, const Factors& a, const Factors& b, const Factors& c,
                             const Factors& d) {
    constexpr std::size_t at[] = {first, second, third, fourth};
    V difference[4];
    for (std::size_t i = 0; i < 4; ++i) {
        difference[i] = subtract(add(v[at[i]], bound), v[at[i] + distance]);
        v[at[i]] = add(v[at[i]], v[at[i] + distance]);
    }
    prime.multiply_four(_mm512_setzero_si512(), difference, a, b, c, d);
    for (std::size_t i = 0; i < 4; ++i) v[at[i] + distance] = difference[i];
}

// From 2p to 8p.
MPC_INLINE void inverse_two(const Prime& prime, V* v, const Factors* w) {
    inverse_four<0, 2, 4, 6, 1>(prime, v, prime.twice, w[3], w[4], w[5], w[6]);
    inverse_four<0, 1, 4, 5, 2>(prime, v, add(prime.twice, prime.twice), w[1], w[1], w[2], w[2]);
}

// From 2p to 2p. Sums reach 16p.
MPC_INLINE void inverse_three(const Prime& prime, V* v, const Factors* w) {
    const V four = add(prime.twice, prime.twice);
    inverse_two(prime, v, w);
    inverse_four<0, 1, 2, 3, 4>(prime, v, add(four, four), w[0], w[0], w[0], w[0]);
    prime.reduce_four(v);
}

MPC_INLINE void inverse_tile(const Prime& prime, const Twiddles& twiddles, std::uint64_t* x, std::size_t tile) {
    V v[8];
    Factors w[7];
    for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + 8 * i);
    transpose(v);
    lane_factors(twiddles, tile, w);
    inverse_three(prime, v, w);
    transpose(v);
    for (std::size_t i = 0; i < 8; ++i) store(x + 8 * i, v[i]);
}

MPC_INLINE void inverse_pass(const Prime& prime, const Twiddles& twiddles, std::uint64_t* x, std::size_t size,
                             std::size_t k) {
    const std::size_t eighth = size / 8;
    Factors w[7];
    node_factors(twiddles, k, w);
    for (std::size_t j = 0; j < eighth; j += kLanes) {
        V v[8];
        for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + i * eighth + j);
        inverse_three(prime, v, w);
        for (std::size_t i = 0; i < 8; ++i) store(x + i * eighth + j, v[i]);
    }
}

// The layer of node 1, which also divides by N.
struct Last {
    Factors scale, root;

    MPC_INLINE void operator()(const Prime& prime, V& x, V& y, V bound) const {
        const V difference = subtract(add(x, bound), y);
        x = prime.residue(prime.multiply(add(x, y), scale));
        y = prime.residue(prime.multiply(difference, root));
    }
};

void inverse(const NttTables& ntt, std::uint64_t* x) {
    const Prime prime(ntt.modulus);
    const Twiddles& twiddles = ntt.inverse;
    const std::size_t n = ntt.degree, blocks = blocks_of(n), block = n / blocks;
    if (n == kTile) inverse_tile(prime, twiddles, x, 0);  // eight blocks
    for (std::size_t b = 0; b < blocks; ++b) {
        std::uint64_t* const at = x + b * block;
        for (std::size_t i = 0; i < block / kTile; ++i) {
            inverse_tile(prime, twiddles, at + i * kTile, b * (block / kTile) + i);
        }
        for (std::size_t size = kTile; size <= block; size *= 8) {
            for (std::size_t i = 0; i < block / size; ++i) {
                inverse_pass(prime, twiddles, at + i * size, size, (n + b * block) / size + i);
            }
        }
    }
    const Last last{repeat(ntt.inverse_degree), repeat(ntt.last_root)};
    const V four = add(prime.twice, prime.twice), eight = add(four, four);
    if (blocks == 2) {
        for (std::size_t j = 0; j < block; j += kLanes) {
            V a = load(x + j), b = load(x + block + j);
            last(prime, a, b, prime.twice);
            store(x + j, a);
            store(x + block + j, b);
        }
    } else if (blocks == 4) {
        const Factors first = node(twiddles, 2), second = node(twiddles, 3);
        for (std::size_t j = 0; j < block; j += kLanes) {
            V v[4];
            for (std::size_t i = 0; i < 4; ++i) v[i] = load(x + i * block + j);
            inverse_butterfly(prime, v[0], v[1], first, prime.twice);
            inverse_butterfly(prime, v[2], v[3], second, prime.twice);
            last(prime, v[0], v[2], four);
            last(prime, v[1], v[3], four);
            for (std::size_t i = 0; i < 4; ++i) store(x + i * block + j, v[i]);
        }
    } else {
        Factors w[7];
        node_factors(twiddles, 1, w);
        for (std::size_t j = 0; j < block; j += kLanes) {
            V v[8];
            for (std::size_t i = 0; i < 8; ++i) v[i] = load(x + i * block + j);
            inverse_two(prime, v, w);
            for (std::size_t i = 0; i < 4; ++i) last(prime, v[i], v[i + 4], eight);
            for (std::size_t i = 0; i < 8; ++i) store(x + i * block + j, v[i]);
        }
    }
}

}  // namespace

const NttKernels ifma_kernels = {forward, inverse, inner_product_ifma, inner_product_pairs_ifma, forward_lifted,
                                 scale_difference_ifma, forward_combined, combine_ifma, nullptr, crt_parts_ifma,
                                 permute_ifma, add_permuted_ifma};

}  // namespace mpc::lattice
