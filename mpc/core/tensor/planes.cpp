// Bit planes; see planes.hpp.
#include "core/tensor/planes.hpp"

#include <string>

#include "core/base/error.hpp"
#include "core/tensor/kernels.hpp"

namespace mpc::tensor {

void check_plane_bits(std::size_t bits) {
    if (bits < 1 || bits > 64)
        throw ParameterError("bit planes: expected words of 1 to 64 bits, found " + std::to_string(bits));
}

void planes_of_words(const std::uint64_t* words, std::size_t n, unsigned bits, std::uint64_t* planes) {
    check_plane_bits(bits);
    kernels().split_planes(words, n, bits, planes);
}

void words_of_planes(const std::uint64_t* planes, std::size_t n, unsigned bits, std::uint64_t* words) {
    check_plane_bits(bits);
    kernels().join_planes(planes, n, bits, words);
}

void and_layer(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z) {
    kernels().and_words(triple, adds_product, words, z);
}

void multiply_layer(const Triple& triple, bool adds_product, std::size_t words, std::uint64_t* z) {
    kernels().multiply_words(triple, adds_product, words, z);
}

}  // namespace mpc::tensor
