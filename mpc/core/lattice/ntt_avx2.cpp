// The transform on AVX2 and FMA, four residues a vector, in double-precision numbers; see ntt.hpp.
//
// A residue is an integer in a double. With w a factor in (-p/2, p/2), h = x w rounded, l = x w - h (exact, by FMA) and
// q = h / p rounded, the integer r = h - q p + l is x w modulo p (van der Hoeven, Lecerf, Quintin, "Modular SIMD
// arithmetic in Mathemagix", ACM Trans. Math. Softw. 43, 2016, section 3; so in FLINT's fft_small). Every number here
// is an integer below 2^51 = 16 p, or h and its quotient by p, so nothing is ever subnormal, and time does not depend
// on it.
//
// Bounds, in units of p < 2^47, for |x| <= B p and B <= 16. The quotient is wrong by at most 1/2 for its rounding and
// by 3 2^-53 B p / 2 < B / 42 for those of h, 1 / p and the product. So |r| <= 1/2 + B / 42. A layer of the forward
// transform turns B into B + 1/2 + B / 42: from 2 to 11.8 in 15 layers. The inverse transform reduces one sum of four
// in each pass, and no entry exceeds 8. All differences are integers below 2^53, and so exact.
// The lifted transform begins with |x| < 2^46 whatever p is. That adds 2^46 to every bound, and stays below 2^51.
#include "core/lattice/doubles_avx2.hpp"

namespace mpc::lattice {

namespace {

constexpr std::size_t kTile = 16;       // the last four layers run within registers
constexpr std::size_t kCached = 2048;   // entries that stay in the first cache for the layers before

// Rows to columns of a 4 x 4 matrix; its own inverse.
MPC_INLINE void transpose(V* v) {
    const V a = _mm256_unpacklo_pd(v[0], v[1]), b = _mm256_unpackhi_pd(v[0], v[1]);
    const V c = _mm256_unpacklo_pd(v[2], v[3]), d = _mm256_unpackhi_pd(v[2], v[3]);
    v[0] = _mm256_permute2f128_pd(a, c, 0x20);
    v[1] = _mm256_permute2f128_pd(b, d, 0x20);
    v[2] = _mm256_permute2f128_pd(a, c, 0x31);
    v[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

// How the first pass reads its input.
struct Numbers {
    MPC_INLINE V operator()(const std::uint64_t* x, std::size_t at) const { return load(x + at); }
};
struct Residues {
    MPC_INLINE V operator()(const std::uint64_t* x, std::size_t at) const { return to_double(load(x + at)); }
};
struct Lifted {  // residues modulo another prime, around zero
    V p, half;

    explicit MPC_INLINE Lifted(std::uint64_t prime)
        : p(repeat(static_cast<double>(prime))), half(repeat(static_cast<double>(prime / 2))) {}
    MPC_INLINE V operator()(const std::uint64_t* x, std::size_t at) const {
        const V found = to_double(load(x + at));
        return subtract(found, _mm256_and_pd(p, _mm256_cmp_pd(found, half, _CMP_GT_OQ)));
    }
};

// A sum of up to four products of at most 0.53 p, as their quotients err by 2^46 3 2^-53, and one of at most 4 p / 2.
// From these 4.2 p the forward transform comes to 14.8 p in 15 layers. With five products and one of at most 5 p / 2
// it would come beyond 16 p, so that sum is reduced.
template <std::size_t products>
struct Combined {
    const Prime& prime;
    V factors[products + 1];

    MPC_INLINE V operator()(const std::uint64_t* rows, std::size_t at) const {
        static_assert(kTogether % kLanes == 0, "a row's entries begin a vector");
        const std::uint64_t* const x = rows + at / kTogether * kTogether * (products + 1) + at % kTogether;
        V sum = _mm256_mul_pd(to_double(load(x + products * kTogether)), factors[products]);
        for (std::size_t k = 0; k < products; ++k) {
            sum = add(sum, prime.multiply(to_double(load(x + k * kTogether)), factors[k]));
        }
        if constexpr (products > 4) sum = prime.reduce(sum);
        return sum;
    }
};

template <class Read>
MPC_INLINE void forward_layer(const Prime& prime, const double* roots, const std::uint64_t* in, std::uint64_t* out,
                              std::size_t size, std::size_t node, const Read& read) {
    const V w = repeat(roots[node]);
    for (std::size_t j = 0; j < size / 2; j += kLanes) {
        V x = read(in, j), y = read(in, size / 2 + j);
        prime.forward(x, y, w);
        store(out + j, x);
        store(out + size / 2 + j, y);
    }
}

// Two layers of the node, whose halves are the nodes 2 node and 2 node + 1. The second layer of four vectors stands
// beside the first layer of the next four, so that neighbouring butterflies do not wait for each other.
template <class Read>
MPC_INLINE void forward_pair(const Prime& prime, const double* roots, const std::uint64_t* in, std::uint64_t* out,
                             std::size_t size, std::size_t node, const Read& read) {
    const V first = repeat(roots[node]), second = repeat(roots[2 * node]), third = repeat(roots[2 * node + 1]);
    const std::size_t quarter = size / 4;
    V a = read(in, 0), b = read(in, quarter), c = read(in, 2 * quarter), d = read(in, 3 * quarter);
    prime.forward(a, c, first);
    prime.forward(b, d, first);
    for (std::size_t j = kLanes; j < quarter; j += kLanes) {
        V e = read(in, j), g = read(in, 2 * quarter + j);
        prime.forward(e, g, first);
        prime.forward(a, b, second);
        store(out + j - kLanes, a);
        store(out + quarter + j - kLanes, b);
        V f = read(in, quarter + j), h = read(in, 3 * quarter + j);
        prime.forward(f, h, first);
        prime.forward(c, d, third);
        store(out + 2 * quarter + j - kLanes, c);
        store(out + 3 * quarter + j - kLanes, d);
        a = e, b = f, c = g, d = h;
    }
    prime.forward(a, b, second);
    prime.forward(c, d, third);
    store(out + quarter - kLanes, a);
    store(out + 2 * quarter - kLanes, b);
    store(out + 3 * quarter - kLanes, c);
    store(out + 4 * quarter - kLanes, d);
}

// The roots of the nodes 4 node + lane of four entries, and those of their halves.
MPC_INLINE void tile_roots(const double* roots, std::size_t node, V* w) {
    w[0] = load(roots + 4 * node);
    const V low = load(roots + 8 * node), high = load(roots + 8 * node + 4);
    w[1] = _mm256_permute4x64_pd(_mm256_unpacklo_pd(low, high), 0xd8);
    w[2] = _mm256_permute4x64_pd(_mm256_unpackhi_pd(low, high), 0xd8);
}

// Two neighbouring tiles side by side, so that neighbouring butterflies do not wait for each other.
MPC_INLINE void forward_tiles(const Prime& prime, const double* roots, std::uint64_t* x, std::size_t node) {
    V v[4], u[4], w[3], t[3];
    for (std::size_t i = 0; i < 4; ++i) v[i] = load(x + 4 * i);
    for (std::size_t i = 0; i < 4; ++i) u[i] = load(x + kTile + 4 * i);
    prime.forward(v[0], v[2], repeat(roots[node]));
    prime.forward(u[0], u[2], repeat(roots[node + 1]));
    prime.forward(v[1], v[3], repeat(roots[node]));
    prime.forward(u[1], u[3], repeat(roots[node + 1]));
    prime.forward(v[0], v[1], repeat(roots[2 * node]));
    prime.forward(u[0], u[1], repeat(roots[2 * node + 2]));
    prime.forward(v[2], v[3], repeat(roots[2 * node + 1]));
    prime.forward(u[2], u[3], repeat(roots[2 * node + 3]));
    transpose(v);
    transpose(u);
    tile_roots(roots, node, w);
    tile_roots(roots, node + 1, t);
    prime.forward(v[0], v[2], w[0]);
    prime.forward(u[0], u[2], t[0]);
    prime.forward(v[1], v[3], w[0]);
    prime.forward(u[1], u[3], t[0]);
    prime.forward(v[0], v[1], w[1]);
    prime.forward(u[0], u[1], t[1]);
    prime.forward(v[2], v[3], w[2]);
    prime.forward(u[2], u[3], t[2]);
    for (V& r : v) r = prime.residue(prime.reduce(r));
    for (V& r : u) r = prime.residue(prime.reduce(r));
    transpose(v);
    transpose(u);
    for (std::size_t i = 0; i < 4; ++i) store(x + 4 * i, v[i]);
    for (std::size_t i = 0; i < 4; ++i) store(x + kTile + 4 * i, u[i]);
}

template <class Read>
MPC_INLINE void forward_from(const NttTables& ntt, const std::uint64_t* in, std::uint64_t* x, const Read& read) {
    const Prime prime(ntt);
    const double* const roots = ntt.real.forward;
    std::size_t size = ntt.degree, nodes = 1;
    std::size_t layers = 0;
    for (std::size_t i = size / kTile; i > 1; i /= 2) ++layers;
    if (layers % 2 == 1) {
        forward_layer(prime, roots, in, x, size, 1, read);
        size /= 2;
        nodes = 2;
    } else {
        forward_pair(prime, roots, in, x, size, 1, read);
        size /= 4;
        nodes = 4;
    }
    for (; size > kCached; size /= 4, nodes *= 4) {
        for (std::size_t g = 0; g < nodes; ++g) {
            std::uint64_t* const at = x + g * size;
            forward_pair(prime, roots, at, at, size, nodes + g, Numbers{});
        }
    }
    if (size == kTile) {  // two nodes have the two tiles that one has otherwise
        size *= 2;
        nodes /= 2;
    }
    for (std::size_t g = 0; g < nodes; ++g) {
        std::size_t part = size, parts = 1;
        for (; part > 2 * kTile; part /= 4, parts *= 4) {
            for (std::size_t i = 0; i < parts; ++i) {
                std::uint64_t* const at = x + g * size + i * part;
                forward_pair(prime, roots, at, at, part, (nodes + g) * parts + i, Numbers{});
            }
        }
        for (std::size_t i = 0; i < size / kTile; i += 2) {
            forward_tiles(prime, roots, x + g * size + i * kTile, (nodes + g) * (size / kTile) + i);
        }
    }
}

void forward(const NttTables& ntt, std::uint64_t* x) { forward_from(ntt, x, x, Residues{}); }

void forward_lifted(const NttTables& ntt, std::uint64_t other, const std::uint64_t* in, std::uint64_t* out) {
    forward_from(ntt, in, out, Lifted(other));
}

MPC_INLINE double centred(std::uint64_t factor, std::uint64_t p) {
    return factor > p / 2 ? -static_cast<double>(p - factor) : static_cast<double>(factor);
}

template <std::size_t products>
void forward_products(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* factors, std::uint64_t* out) {
    const Prime prime(ntt);
    Combined<products> read{prime, {}};
    for (std::size_t k = 0; k <= products; ++k) read.factors[k] = repeat(centred(factors[k], ntt.modulus.p));
    forward_from(ntt, x, out, read);
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

MPC_INLINE void inverse_tiles(const Prime& prime, const double* roots, std::uint64_t* x, std::size_t node) {
    V v[4], u[4], w[3], t[3];
    for (std::size_t i = 0; i < 4; ++i) v[i] = to_double(load(x + 4 * i));
    for (std::size_t i = 0; i < 4; ++i) u[i] = to_double(load(x + kTile + 4 * i));
    tile_roots(roots, node, w);
    tile_roots(roots, node + 1, t);
    transpose(v);
    transpose(u);
    prime.inverse_butterfly(v[0], v[1], w[1]);
    prime.inverse_butterfly(u[0], u[1], t[1]);
    prime.inverse_butterfly(v[2], v[3], w[2]);
    prime.inverse_butterfly(u[2], u[3], t[2]);
    prime.inverse_butterfly(v[0], v[2], w[0]);
    prime.inverse_butterfly(u[0], u[2], t[0]);
    prime.inverse_butterfly(v[1], v[3], w[0]);
    prime.inverse_butterfly(u[1], u[3], t[0]);
    v[0] = prime.reduce(v[0]);
    u[0] = prime.reduce(u[0]);
    transpose(v);
    transpose(u);
    prime.inverse_butterfly(v[0], v[1], repeat(roots[2 * node]));
    prime.inverse_butterfly(u[0], u[1], repeat(roots[2 * node + 2]));
    prime.inverse_butterfly(v[2], v[3], repeat(roots[2 * node + 1]));
    prime.inverse_butterfly(u[2], u[3], repeat(roots[2 * node + 3]));
    prime.inverse_butterfly(v[0], v[2], repeat(roots[node]));
    prime.inverse_butterfly(u[0], u[2], repeat(roots[node + 1]));
    prime.inverse_butterfly(v[1], v[3], repeat(roots[node]));
    prime.inverse_butterfly(u[1], u[3], repeat(roots[node + 1]));
    v[0] = prime.reduce(v[0]);
    u[0] = prime.reduce(u[0]);
    for (std::size_t i = 0; i < 4; ++i) store(x + 4 * i, v[i]);
    for (std::size_t i = 0; i < 4; ++i) store(x + kTile + 4 * i, u[i]);
}

MPC_INLINE void inverse_pair(const Prime& prime, const double* roots, std::uint64_t* x, std::size_t size,
                             std::size_t node) {
    const V first = repeat(roots[2 * node]), second = repeat(roots[2 * node + 1]), third = repeat(roots[node]);
    const std::size_t quarter = size / 4;
    V a = load(x), b = load(x + quarter), c = load(x + 2 * quarter), d = load(x + 3 * quarter);
    prime.inverse_butterfly(a, b, first);
    prime.inverse_butterfly(c, d, second);
    for (std::size_t j = kLanes; j < quarter; j += kLanes) {  // as in forward_pair
        V e = load(x + j), f = load(x + quarter + j);
        prime.inverse_butterfly(e, f, first);
        prime.inverse_butterfly(a, c, third);
        store(x + j - kLanes, prime.reduce(a));
        store(x + 2 * quarter + j - kLanes, c);
        V g = load(x + 2 * quarter + j), h = load(x + 3 * quarter + j);
        prime.inverse_butterfly(g, h, second);
        prime.inverse_butterfly(b, d, third);
        store(x + quarter + j - kLanes, b);
        store(x + 3 * quarter + j - kLanes, d);
        a = e, b = f, c = g, d = h;
    }
    prime.inverse_butterfly(a, c, third);
    prime.inverse_butterfly(b, d, third);
    store(x + quarter - kLanes, prime.reduce(a));
    store(x + 2 * quarter - kLanes, b);
    store(x + 3 * quarter - kLanes, c);
    store(x + 4 * quarter - kLanes, d);
}

// The layer of node 1, which also divides by N.
MPC_INLINE void last_butterfly(const Prime& prime, V& x, V& y, V scale, V root) {
    const V difference = subtract(x, y);
    x = prime.residue(prime.multiply(add(x, y), scale));
    y = prime.residue(prime.multiply(difference, root));
}

void inverse(const NttTables& ntt, std::uint64_t* x) {
    const Prime prime(ntt);
    const double* const roots = ntt.real.inverse_roots;
    const V scale = repeat(ntt.real.inverse_degree), root = repeat(ntt.real.last_root);
    const std::size_t n = ntt.degree;
    std::size_t layers = 0;
    for (std::size_t i = n / kTile; i > 1; i /= 2) ++layers;
    const std::size_t halves = layers % 2 == 1 ? n / 2 : n / 4;  // what the last pass puts together
    std::size_t block = kTile;                                   // of which the layers below are done together
    while (4 * block <= kCached && 4 * block <= halves) block *= 4;
    for (std::size_t g = 0; g < n / block; ++g) {
        std::uint64_t* const at = x + g * block;
        if (block > kTile || g % 2 == 0) {  // two blocks have the two tiles that one has otherwise
            for (std::size_t i = 0; i == 0 || i < block / kTile; i += 2) {
                inverse_tiles(prime, roots, at + i * kTile, (n + g * block) / kTile + i);
            }
        }
        for (std::size_t size = 4 * kTile; size <= block; size *= 4) {
            for (std::size_t i = 0; i < block / size; ++i) {
                inverse_pair(prime, roots, at + i * size, size, (n + g * block) / size + i);
            }
        }
    }
    std::size_t done = block;  // entries of a finished node
    for (; done < halves; done *= 4) {
        for (std::size_t g = 0; g < n / (4 * done); ++g) {
            inverse_pair(prime, roots, x + 4 * g * done, 4 * done, n / (4 * done) + g);
        }
    }
    if (2 * done == n) {
        for (std::size_t j = 0; j < done; j += kLanes) {
            V a = load(x + j), b = load(x + done + j);
            last_butterfly(prime, a, b, scale, root);
            store(x + j, a);
            store(x + done + j, b);
        }
        return;
    }
    const V first = repeat(roots[2]), second = repeat(roots[3]);
    for (std::size_t j = 0; j < done; j += kLanes) {
        V a = load(x + j), b = load(x + done + j), c = load(x + 2 * done + j), d = load(x + 3 * done + j);
        prime.inverse_butterfly(a, b, first);
        prime.inverse_butterfly(c, d, second);
        last_butterfly(prime, a, c, scale, root);
        last_butterfly(prime, b, d, scale, root);
        store(x + j, a);
        store(x + done + j, b);
        store(x + 2 * done + j, c);
        store(x + 3 * done + j, d);
    }
}

// A product is at most (1/2 + 1/42) p, so with z it is below 2 p.
void scale_difference(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* y, std::uint64_t factor,
                      const std::uint64_t* z, std::uint64_t* out) {
    const Prime prime(ntt);
    const V w = repeat(centred(factor, ntt.modulus.p));
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) {
        V scaled = prime.multiply(subtract(to_double(load(x + j)), to_double(load(y + j))), w);
        if (z != nullptr) scaled = prime.reduce(add(scaled, to_double(load(z + j))));
        store(out + j, prime.residue(scaled));
    }
}

// Each product is at most (1/2 + 2^46 3 2^-53) p, so eight of them stay below 5 p.
void combine(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* factors, std::size_t terms,
             std::uint64_t* out) {
    const Prime prime(ntt);
    V w[8];
    for (std::size_t k = 0; k < terms; ++k) w[k] = repeat(centred(factors[k], ntt.modulus.p));
    for (std::size_t j = 0; j < ntt.degree; j += kLanes) {
        V sum = prime.multiply(to_double(load(x[0] + j)), w[0]);
        for (std::size_t k = 1; k < terms; ++k) sum = add(sum, prime.multiply(to_double(load(x[k] + j)), w[k]));
        store(out + j, prime.residue(prime.reduce(sum)));
    }
}

}  // namespace

const NttKernels avx2_kernels = {forward, inverse, inner_product_avx2, inner_product_pairs_avx2, forward_lifted,
                                 scale_difference, forward_combined, combine, inner_products_avx2};

}  // namespace mpc::lattice
