// The field of 2^64 elements; see binary_field.hpp.
#include "core/tensor/binary_field.hpp"

#include <algorithm>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/cpu.hpp"
#include "core/tensor/kernels.hpp"

#if defined(MPC_X86_KERNELS)
#include <immintrin.h>
#endif

namespace mpc::tensor {
namespace {

__extension__ typedef unsigned __int128 Wide;

// x^64 is x^4 + x^3 + x + 1, and what that takes above x^63 again has four bits at most.
MPC_INLINE std::uint64_t reduced(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t over = (high >> 63) ^ (high >> 61) ^ (high >> 60);
    const std::uint64_t folded = high ^ over;
    return low ^ folded ^ (folded << 1) ^ (folded << 3) ^ (folded << 4);
}

void products_portable(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
        Wide product = 0;
        for (unsigned t = 0; t < 64; ++t) product ^= Wide{a[i] & (std::uint64_t{0} - (b[i] >> t & 1))} << t;
        out[i] = reduced(static_cast<std::uint64_t>(product), static_cast<std::uint64_t>(product >> 64));
    }
}

#if defined(MPC_X86_KERNELS)
__attribute__((target("pclmul,sse4.1"))) void products_pclmul(const std::uint64_t* a, const std::uint64_t* b,
                                                              std::size_t n, std::uint64_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(a[i])),
                                                     _mm_cvtsi64_si128(static_cast<long long>(b[i])), 0);
        out[i] = reduced(static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)),
                         static_cast<std::uint64_t>(_mm_extract_epi64(product, 1)));
    }
}
#endif

}  // namespace

void field_products(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* out) {
#if defined(MPC_X86_KERNELS)
    if (cpu::level() != cpu::Level::portable && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        products_pclmul(a, b, n, out);
        return;
    }
#endif
    products_portable(a, b, n, out);
}

void field_chosen(const std::uint64_t* bits, const std::uint64_t* elements, std::size_t n,
                  std::uint64_t out[kFieldRows]) {
    std::fill_n(out, kFieldRows, std::uint64_t{0});
    kernels().field_chosen(bits, elements, n, out);
}

void field_gram(const std::uint64_t* u, const std::uint64_t* v, const std::uint64_t* elements, std::size_t n,
                std::uint64_t out[kFieldRows * kFieldRows]) {
    std::fill_n(out, kFieldRows * kFieldRows, std::uint64_t{0});
    kernels().field_gram(u, v, elements, n, out);
}

void field_combined(const std::uint64_t* bits, const std::uint64_t table[kFieldRows], std::size_t n,
                    std::uint64_t* out) {
    kernels().field_combined(bits, table, n, out);
}

}  // namespace mpc::tensor
