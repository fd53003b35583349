// Tables and the portable kernels of the transform; see ntt.hpp.
#include "core/lattice/ntt.hpp"

#include <cstring>

#include "core/base/cpu.hpp"
#include "core/lattice/primes.hpp"

namespace mpc::lattice {

namespace {

std::size_t reversed_bits(std::size_t x, std::size_t degree) {
    std::size_t result = 0;
    for (std::size_t bit = 1; bit < degree; bit <<= 1) {
        result = 2 * result + (x & 1);
        x >>= 1;
    }
    return result;
}

// One layer of (X, Y) <- (X + w Y, X - w Y). Entries grow by 2p a layer: from 2p to at most 32p < 2^52 for N <= 2^15.
void forward_portable(const NttTables& ntt, std::uint64_t* x) {
    const std::uint64_t p = ntt.modulus.p;
    const Twiddles& twiddles = ntt.forward;
    std::size_t half = ntt.degree / 2;
    for (std::size_t groups = 1; groups < ntt.degree; groups *= 2, half /= 2) {
        for (std::size_t g = 0; g < groups; ++g) {
            const Factor w{twiddles.root[groups + g], twiddles.quotient[groups + g]};
            std::uint64_t* const left = x + 2 * g * half;
            std::uint64_t* const right = left + half;
            for (std::size_t j = 0; j < half; ++j) {
                const std::uint64_t t = multiply_lazy(right[j], w, p);
                right[j] = left[j] + 2 * p - t;
                left[j] += t;
            }
        }
    }
    for (std::size_t j = 0; j < ntt.degree; ++j) x[j] = multiply(x[j], ntt.modulus.one, p);
}

// One layer of (X, Y) <- (X + Y, w (X - Y)); entries stay below 2p. The last layer also divides by N.
void inverse_portable(const NttTables& ntt, std::uint64_t* x) {
    const std::uint64_t p = ntt.modulus.p;
    const Twiddles& twiddles = ntt.inverse;
    std::size_t half = 1;
    for (std::size_t groups = ntt.degree / 2; groups > 1; groups /= 2, half *= 2) {
        for (std::size_t g = 0; g < groups; ++g) {
            const Factor w{twiddles.root[groups + g], twiddles.quotient[groups + g]};
            std::uint64_t* const left = x + 2 * g * half;
            std::uint64_t* const right = left + half;
            for (std::size_t j = 0; j < half; ++j) {
                const std::uint64_t difference = left[j] + 2 * p - right[j];
                left[j] = reduce_once(left[j] + right[j], 2 * p);
                right[j] = multiply_lazy(difference, w, p);
            }
        }
    }
    for (std::size_t j = 0; j < half; ++j) {
        const std::uint64_t sum = x[j] + x[j + half], difference = x[j] + 2 * p - x[j + half];
        x[j] = multiply(sum, ntt.inverse_degree, p);
        x[j + half] = multiply(difference, ntt.last_root, p);
    }
}

void inner_product_portable(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* const* y,
                            std::size_t terms, std::uint64_t* out) {
    // Whole cache lines of one term after the other. Terms lie at multiples of a page, so that the same place of many
    // of them does not stay in the first cache.
    constexpr std::size_t kRun = 32;
    for (std::size_t first = 0; first < ntt.degree; first += kRun) {
        Wide sums[kRun] = {};  // below 1000 * 2^94
        for (std::size_t k = 0; k < terms; ++k) {
            const std::uint64_t *const a = x[k] + first, *const b = y[k] + first;
            for (std::size_t j = 0; j < kRun; ++j) sums[j] += Wide{a[j]} * b[j];
        }
        for (std::size_t j = 0; j < kRun; ++j) out[first + j] = reduce_wide(sums[j], ntt.modulus);
    }
}

void inner_product_pairs_portable(const NttTables& ntt, const std::uint64_t* const* x, const std::uint8_t* pairs,
                                  std::size_t terms, std::size_t packed, std::uint64_t* first, std::uint64_t* second) {
    const std::size_t bits = static_cast<std::size_t>(ntt.modulus.bits), bytes = paired_bytes(ntt.modulus);
    const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
    for (std::size_t at = 0; at < ntt.degree; at += kPairedEntries, pairs += 2 * packed * bytes) {
        for (const bool other : {false, true}) {
            Wide sums[kPairedEntries] = {};
            for (std::size_t k = 0; k < terms; ++k) {
                const std::uint64_t* const a = x[k] + at;
                const std::uint8_t* const b = pairs + (2 * k + (other ? 1 : 0)) * bytes;
                for (std::size_t j = 0; j < kPairedEntries; ++j) {
                    std::uint64_t window;  // 47 bits and the seven before them at most
                    std::memcpy(&window, b + j * bits / 8, sizeof window);
                    sums[j] += Wide{a[j]} * (window >> (j * bits % 8) & mask);
                }
            }
            std::uint64_t* const out = (other ? second : first) + at;
            for (std::size_t j = 0; j < kPairedEntries; ++j) out[j] = reduce_wide(sums[j], ntt.modulus);
        }
    }
}

void scale_difference_portable(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* y,
                               std::uint64_t factor, const std::uint64_t* z, std::uint64_t* out) {
    const std::uint64_t p = ntt.modulus.p;
    const Factor w = ntt.modulus.factor(factor);
    for (std::size_t j = 0; j < ntt.degree; ++j) {
        const std::uint64_t scaled = multiply(x[j] + p - y[j], w, p);
        out[j] = z != nullptr ? add(scaled, z[j], p) : scaled;
    }
}

// out[j] = sum_k read(k, j) factors[k] mod p.
template <class Read>
void combine_read(const NttTables& ntt, const std::uint64_t* factors, std::size_t terms, std::uint64_t* out,
                  const Read& read) {
    const std::uint64_t p = ntt.modulus.p;
    Factor w[Ntt::kMaxCombined];
    for (std::size_t k = 0; k < terms; ++k) w[k] = ntt.modulus.factor(factors[k]);
    for (std::size_t j = 0; j < ntt.degree; ++j) {
        std::uint64_t sum = 0;  // below 16 p
        for (std::size_t k = 0; k < terms; ++k) sum += multiply_lazy(read(k, j), w[k], p);
        out[j] = multiply(sum, ntt.modulus.one, p);
    }
}

void combine_portable(const NttTables& ntt, const std::uint64_t* const* x, const std::uint64_t* factors,
                      std::size_t terms, std::uint64_t* out) {
    combine_read(ntt, factors, terms, out, [x](std::size_t k, std::size_t j) { return x[k][j]; });
}

// Of rows that lie together.
void combine_together(const NttTables& ntt, const std::uint64_t* x, const std::uint64_t* factors, std::size_t terms,
                      std::uint64_t* out) {
    combine_read(ntt, factors, terms, out, [x, terms](std::size_t k, std::size_t j) {
        return x[(j / kTogether * terms + k) * kTogether + j % kTogether];
    });
}

// Five fractions and a half stay below 2^64.
void crt_parts_portable(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out) {
    Factor inverses[kMostCrtTerms];
    for (std::size_t k = 0; k < count; ++k) inverses[k] = terms[k].modulus->factor(terms[k].inverse);
    for (std::size_t at = 0; at < degree; at += kTogether, out += (count + 1) * kTogether) {
        std::uint64_t sums[kTogether];
        for (std::uint64_t& sum : sums) sum = std::uint64_t{1} << 60;
        for (std::size_t k = 0; k < count; ++k) {
            const Modulus& m = *terms[k].modulus;
            for (std::size_t j = 0; j < kTogether; ++j) {
                const std::uint64_t y = multiply(terms[k].x[at + j], inverses[k], m.p);
                out[k * kTogether + j] = y;
                sums[j] += static_cast<std::uint64_t>((Wide{y} * terms[k].fraction) >> m.bits);
            }
        }
        for (std::size_t j = 0; j < kTogether; ++j) out[count * kTogether + j] = sums[j] >> 61;
    }
}

// Residues modulo one prime, around zero, to residues modulo another.
void lift_portable(const NttTables& ntt, std::uint64_t other, const std::uint64_t* in, std::uint64_t* out) {
    const Modulus& m = ntt.modulus;
    const std::uint64_t wrapped = other % m.p;
    for (std::size_t j = 0; j < ntt.degree; ++j) {
        const std::uint64_t upper = wrapped & (std::uint64_t{0} - ((other / 2 - in[j]) >> 63));
        out[j] = subtract(multiply(in[j], m.one, m.p), upper, m.p);
    }
}

const NttKernels portable_kernels = {forward_portable, inverse_portable, inner_product_portable,
                                     inner_product_pairs_portable, nullptr, scale_difference_portable, nullptr,
                                     combine_portable};

bool has_ifma() {
#if defined(MPC_X86_KERNELS)
    return __builtin_cpu_supports("avx512ifma") != 0;
#else
    return false;
#endif
}

bool has_fma() {
#if defined(MPC_X86_KERNELS)
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
#else
    return false;
#endif
}

const NttKernels& kernels() {
#if defined(MPC_X86_KERNELS)
    if (uses_ifma()) return ifma_kernels;
    if (uses_fma()) return avx2_kernels;
#endif
    return portable_kernels;
}

}  // namespace

void crt_parts(const CrtTerm* terms, std::size_t count, std::size_t degree, std::uint64_t* out) {
    const NttKernels& found = kernels();
    (found.crt_parts != nullptr ? found.crt_parts : crt_parts_portable)(terms, count, degree, out);
}

bool uses_ifma() {
    static const bool supported = has_ifma();
    return supported && cpu::level() == cpu::Level::vaes512;
}

bool uses_fma() {
    static const bool supported = has_fma();
    return supported && cpu::level() != cpu::Level::portable && !uses_ifma();
}

Ntt::Ntt(std::uint64_t prime, std::size_t degree) {
    tables_.modulus = Modulus(prime);
    tables_.degree = degree;
    const std::uint64_t psi = smallest_primitive_root(prime, degree), scale = lattice::inverse(degree, prime);
    forward_ = powers(psi);
    inverse_ = powers(lattice::inverse(psi, prime));
    tables_.forward = forward_.view();
    tables_.inverse = inverse_.view();
    tables_.inverse_degree = modulus().factor(scale);
    tables_.last_root = modulus().factor(static_cast<std::uint64_t>(Wide{inverse_.root[1]} * scale % prime));
    tables_.two_to_52 = modulus().factor((std::uint64_t{1} << 52) % prime);
    tables_.real = {forward_.real.data(), inverse_.real.data(), static_cast<double>(prime),
                    1 / static_cast<double>(prime), centred(scale), centred(tables_.last_root.value)};
}

double Ntt::centred(std::uint64_t residue) const {
    return residue > p() / 2 ? -static_cast<double>(p() - residue) : static_cast<double>(residue);
}

Ntt::Storage Ntt::powers(std::uint64_t psi) const {
    const std::size_t degree = tables_.degree;
    Storage made;
    made.root.resize(degree);
    made.quotient.resize(degree);
    if (has_fma()) made.real.resize(degree);
    std::uint64_t value = 1;
    for (std::size_t i = 0; i < degree; ++i) {
        const std::size_t place = reversed_bits(i, degree);
        made.root[place] = value;
        made.quotient[place] = modulus().factor(value).quotient;
        if (!made.real.empty()) made.real[place] = centred(value);
        value = static_cast<std::uint64_t>(Wide{value} * psi % p());
    }
    if (!has_ifma()) return made;
    for (std::size_t k = 0; k < degree / 8; ++k) {
        made.head.push_back(made.root[k]);
        made.head.push_back(made.quotient[k] >> 12);
    }
    // Tile b is the entries 64 b + 8 lane + row. Its layers with distance 4, 2 and 1 have 1, 2 and 4 roots a lane.
    for (std::size_t tile = 0; tile < degree / 64; ++tile) {
        for (const std::size_t roots : {1u, 2u, 4u}) {
            for (std::size_t i = 0; i < roots; ++i) {
                for (std::size_t lane = 0; lane < 8; ++lane) {
                    const std::size_t k = roots * (degree / 8 + 8 * tile + lane) + i;
                    made.tail_root.push_back(made.root[k]);
                    made.tail_quotient.push_back(made.quotient[k] >> 12);
                }
            }
        }
    }
    return made;
}

void Ntt::forward(std::uint64_t* x) const { kernels().forward(tables_, x); }

void Ntt::inverse(std::uint64_t* x) const { kernels().inverse(tables_, x); }

void Ntt::forward_lifted(std::uint64_t other, const std::uint64_t* in, std::uint64_t* out) const {
    const NttKernels& found = kernels();
    if (found.forward_lifted != nullptr) return found.forward_lifted(tables_, other, in, out);
    lift_portable(tables_, other, in, out);
    found.forward(tables_, out);
}

void Ntt::scale_difference(const std::uint64_t* x, const std::uint64_t* y, std::uint64_t factor,
                           const std::uint64_t* z, std::uint64_t* out) const {
    kernels().scale_difference(tables_, x, y, factor, z, out);
}

void Ntt::combine(const std::uint64_t* const* x, const std::uint64_t* factors, std::size_t terms,
                  std::uint64_t* out) const {
    kernels().combine(tables_, x, factors, terms, out);
}

void Ntt::forward_combined(const std::uint64_t* x, const std::uint64_t* factors, std::size_t terms,
                           std::uint64_t* out) const {
    const NttKernels& found = kernels();
    if (found.forward_combined != nullptr) return found.forward_combined(tables_, x, factors, terms, out);
    combine_together(tables_, x, factors, terms, out);
    found.forward(tables_, out);
}

void Ntt::permute(const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) const {
    const NttKernels& found = kernels();
    if (found.permute != nullptr) return found.permute(tables_, map, x, out);
    for (std::size_t j = 0; j < degree(); ++j) out[j] = x[map[j]];
}

void Ntt::add_permuted(const std::uint32_t* map, const std::uint64_t* x, std::uint64_t* out) const {
    const NttKernels& found = kernels();
    if (found.add_permuted != nullptr) return found.add_permuted(tables_, map, x, out);
    for (std::size_t j = 0; j < degree(); ++j) out[j] = add(out[j], x[map[j]], p());
}

void Ntt::inner_product(const std::uint64_t* const* x, const std::uint64_t* const* y, std::size_t terms,
                        std::uint64_t* out) const {
    kernels().inner_product(tables_, x, y, terms, out);
}

void Ntt::inner_product_pairs(const std::uint64_t* const* x, const std::uint8_t* pairs, std::size_t terms,
                              std::size_t packed, std::uint64_t* first, std::uint64_t* second) const {
    kernels().inner_product_pairs(tables_, x, pairs, terms, packed, first, second);
}

void Ntt::inner_products(const std::uint64_t* const* x, std::size_t rows, const std::uint64_t* const* y,
                         std::size_t columns, std::size_t terms, std::uint64_t* const* out) const {
    const NttKernels& found = kernels();
    if (found.inner_products != nullptr) {
        std::vector<double, WipingAllocator<double>> room((rows + columns) * terms * kPackedEntries);
        return found.inner_products(tables_, x, rows, y, columns, terms, out, room.data());
    }
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < columns; ++c) {
            found.inner_product(tables_, x + r * terms, y + c * terms, terms, out[r * columns + c]);
        }
    }
}

}  // namespace mpc::lattice
