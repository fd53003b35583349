// Sums of products of transformed polynomials on AVX2 and FMA, in double-precision numbers; see ntt.hpp.
#include "core/lattice/doubles_avx2.hpp"

namespace mpc::lattice {

namespace {

// The sums of products of the numbers that `read(k, left, right)` gives, for kBeside vectors side by side. A product of
// factors below p is at most 1/2 + 1/21 after its reduction, and eight of them stay below 5 p.
template <class Read>
MPC_INLINE void sum_products(const Prime& prime, std::size_t terms, Read read, V* sums) {
    for (std::size_t i = 0; i < kBeside; ++i) sums[i] = _mm256_setzero_pd();
    for (std::size_t k = 0; k < terms; ++k) {
        V left[kBeside], right[kBeside], high[kBeside];
        read(k, left, right);
        for (std::size_t i = 0; i < kBeside; ++i) high[i] = _mm256_mul_pd(left[i], right[i]);
        for (std::size_t i = 0; i < kBeside; ++i) sums[i] = add(sums[i], _mm256_fmsub_pd(left[i], right[i], high[i]));
        V quotient[kBeside];
        for (std::size_t i = 0; i < kBeside; ++i) quotient[i] = _mm256_mul_pd(high[i], prime.inverse);
        for (std::size_t i = 0; i < kBeside; ++i) quotient[i] = nearest(quotient[i]);
        for (std::size_t i = 0; i < kBeside; ++i) sums[i] = add(sums[i], _mm256_fnmadd_pd(quotient[i], prime.p, high[i]));
        if (k % 8 == 7) {
            for (std::size_t i = 0; i < kBeside; ++i) sums[i] = prime.reduce(sums[i]);
        }
    }
}

// The words `first` to `first` + 3 of eight that are packed, from the byte on where the eight begin. Two words and the
// bits before them lie within sixteen bytes.
struct Packed {
    std::size_t low, high;  // where two words each begin
    __m256i bytes, shifts, mask;

    MPC_INLINE Packed(int width, std::size_t first) : mask(_mm256_set1_epi64x((1LL << width) - 1)) {
        alignas(32) std::uint8_t places[8 * kLanes];
        alignas(32) std::uint64_t left[kLanes];
        const auto bits = static_cast<std::size_t>(width);
        low = first * bits / 8, high = (first + 2) * bits / 8;
        for (std::size_t i = 0; i < kLanes; ++i) {
            const std::size_t at = (first + i) * bits, begin = i < 2 ? low : high;
            for (std::size_t j = 0; j < 8; ++j) places[8 * i + j] = static_cast<std::uint8_t>(at / 8 - begin + j);
            left[i] = at % 8;
        }
        bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(places));
        shifts = _mm256_load_si256(reinterpret_cast<const __m256i*>(left));
    }
    MPC_INLINE V operator()(const std::uint8_t* p) const {
        const __m128i below = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + low));
        const __m128i above = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + high));
        const __m256i windows = _mm256_shuffle_epi8(_mm256_set_m128i(above, below), bytes);
        return _mm256_castsi256_pd(_mm256_and_si256(_mm256_srlv_epi64(windows, shifts), mask));
    }
};

// Entries first .. first + kPackedEntries - 1 of polynomials as numbers, one polynomial behind the other.
MPC_INLINE void pack(const std::uint64_t* const* polynomials, std::size_t count, std::size_t first, double* out) {
    for (std::size_t k = 0; k < count; ++k, out += kPackedEntries) {
        for (std::size_t j = 0; j < kPackedEntries; j += kLanes)
            _mm256_storeu_pd(out + j, to_double(load(polynomials[k] + first + j)));
    }
}

}  // namespace

void inner_product_avx2(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                        std::size_t terms, std::uint64_t* out) {
    const Prime prime(ntt);
    for (std::size_t j = 0; j < ntt.degree; j += kBeside * kLanes) {
        V sums[kBeside];
        sum_products(prime, terms, [&](std::size_t k, V* left, V* right) {
            for (std::size_t i = 0; i < kBeside; ++i) left[i] = to_double(load(x[k] + j + i * kLanes));
            for (std::size_t i = 0; i < kBeside; ++i) right[i] = to_double(load(y[k] + j + i * kLanes));
        }, sums);
        for (std::size_t i = 0; i < kBeside; ++i) store(out + j + i * kLanes, prime.residue(prime.reduce(sums[i])));
    }
}

void inner_product_pairs_avx2(const NttTables& ntt, const std::uint64_t* const* x, const std::uint8_t* pairs,
                              std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second) {
    const Prime prime(ntt);
    const Packed words[] = {Packed(ntt.modulus.bits, 0), Packed(ntt.modulus.bits, kLanes)};
    const std::size_t bytes = paired_bytes(ntt.modulus), eight = bytes * 8 / kPairedEntries;
    for (std::size_t at = 0; at < ntt.degree; at += kPairedEntries, pairs += 2 * packed * bytes) {
        // The parts below are read in turns, so that the processor would not see the order itself.
        if (at + 2 * kPairedEntries < ntt.degree) {
            const std::uint8_t* const ahead = pairs + 4 * packed * bytes;
            for (std::size_t i = 0; i < 2 * terms * bytes; i += 64)
                _mm_prefetch(reinterpret_cast<const char*>(ahead + i), _MM_HINT_T0);
        }
        for (std::size_t part = 0; part < 2 * kPairedEntries; part += kBeside * kLanes) {
            const std::size_t j = part % kPairedEntries;
            V sums[kBeside];
            sum_products(prime, terms, [&](std::size_t k, V* left, V* right) {
                const std::uint64_t* const a = x[k] + at + j;
                const std::uint8_t* const b = pairs + 2 * k * bytes + part / 8 * eight;
                for (std::size_t i = 0; i < kBeside; ++i) left[i] = to_double(load(a + i * kLanes));
                for (std::size_t i = 0; i < kBeside; ++i) right[i] = to_double(words[i % 2](b + i / 2 * eight));
            }, sums);
            std::uint64_t* const out = (part < kPairedEntries ? first : second) + at + j;
            for (std::size_t i = 0; i < kBeside; ++i) store(out + i * kLanes, prime.residue(prime.reduce(sums[i])));
        }
    }
}

// Polynomials lie multiples of 4 KiB apart, so that the same entries of many of them would displace each other from the
// caches. A piece of all of them is packed, and serves all rows and columns.
void inner_products_avx2(const NttTables& ntt, const std::uint64_t* const* x, std::size_t rows,
                         const std::uint64_t* const* y, std::size_t columns, std::size_t terms,
                         std::uint64_t* const* out, double* room) {
    const Prime prime(ntt);
    const std::size_t line = terms * kPackedEntries;
    double* const packed_y = room + rows * line;
    for (std::size_t first = 0; first < ntt.degree; first += kPackedEntries) {
        pack(x, rows * terms, first, room);
        pack(y, columns * terms, first, packed_y);
        for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < columns; ++c) {
                std::uint64_t* const to = out[r * columns + c] + first;
                for (std::size_t j = 0; j < kPackedEntries; j += kBeside * kLanes) {
                    const double *const a = room + r * line + j, *const b = packed_y + c * line + j;
                    V sums[kBeside];
                    sum_products(prime, terms, [&](std::size_t k, V* left, V* right) {
                        for (std::size_t i = 0; i < kBeside; ++i) left[i] = load(a + k * kPackedEntries + i * kLanes);
                        for (std::size_t i = 0; i < kBeside; ++i) right[i] = load(b + k * kPackedEntries + i * kLanes);
                    }, sums);
                    for (std::size_t i = 0; i < kBeside; ++i)
                        store(to + j + i * kLanes, prime.residue(prime.reduce(sums[i])));
                }
            }
        }
    }
}

}  // namespace mpc::lattice
