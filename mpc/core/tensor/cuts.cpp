// Division of shared words; see cuts.hpp. Nothing branches on a word.
#include "core/tensor/cuts.hpp"

#include <string>

#include "core/base/error.hpp"

namespace mpc::tensor {

void check_cut(const Cut& cut) {
    if (cut.ring_bits < 2 || cut.ring_bits > 64)
        throw ParameterError("a cut: expected a ring of 2 to 64 bits, found " + std::to_string(cut.ring_bits));
    if (cut.bits < 1 || cut.bits + 2 > cut.ring_bits)
        throw ParameterError("a cut: expected 1 to " + std::to_string(cut.ring_bits - 2) + " bits that go, found " +
                             std::to_string(cut.bits));
}

void cut_masks(const Cut& cut, const std::uint64_t* a, std::size_t words, std::uint64_t* u, std::uint64_t* top) {
    check_cut(cut);
    const std::uint64_t ring = ~std::uint64_t{0} >> (64 - cut.ring_bits);
    const unsigned last = cut.ring_bits - 1, lifted = cut.ring_bits - cut.bits, bits = cut.bits;
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t r = (std::uint64_t{0} - a[i]) & ring, highest = r >> last;
        // r >> bits has the highest bit at half of its place in u.
        u[i] = ((highest << lifted) - (r >> bits)) & ring;
        top[i] = highest;
    }
}

void cut_shares(const Cut& cut, const std::uint64_t* opened, std::uint64_t offset, const std::uint64_t* u,
                const std::uint64_t* top, bool adds_public, std::size_t words, std::uint64_t* out) {
    check_cut(cut);
    const std::uint64_t ring = ~std::uint64_t{0} >> (64 - cut.ring_bits);
    const std::uint64_t mine = std::uint64_t{0} - std::uint64_t{adds_public};
    const std::uint64_t less = std::uint64_t{1} << (cut.ring_bits - 2 - cut.bits);
    const unsigned last = cut.ring_bits - 1, lifted = cut.ring_bits - cut.bits, bits = cut.bits;
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t c = (opened[i] + offset) & ring, highest = std::uint64_t{0} - (c >> last);
        out[i] = (u[i] - (highest & (top[i] << lifted)) + (mine & ((c >> bits) - less))) & ring;
    }
}

}  // namespace mpc::tensor
