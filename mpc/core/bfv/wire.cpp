// Computes sizes and reads strictly; see wire.hpp.
#include "core/bfv/wire.hpp"

#include <string>

#include "core/aes/prg.hpp"
#include "core/base/error.hpp"
#include "core/lattice/packing.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::bfv {

using namespace lattice;

Selection::Selection(View<const std::int64_t> positions, std::size_t polynomials, std::size_t degree) {
    if (polynomials > positions.size() || polynomials > kMostPolynomials) {
        throw ParameterError("expected a result in every polynomial, found " + std::to_string(positions.size()) +
                             " positions for " + std::to_string(polynomials) + " polynomials");
    }
    begin_.reserve(polynomials + 1);
    coefficients_.reserve(positions.size());
    begin_.push_back(0);
    std::int64_t last = -1;
    for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::int64_t position = positions[i];
        if (position <= last) throw ParameterError("expected ascending positions of results, found one out of order");
        last = position;
        const std::size_t polynomial = static_cast<std::size_t>(position) / degree;
        if (polynomial >= polynomials) {
            throw ParameterError("expected positions in " + std::to_string(polynomials) + " polynomials, found " +
                                 std::to_string(position));
        }
        while (begin_.size() <= polynomial) begin_.push_back(i);
        coefficients_.push_back(static_cast<std::size_t>(position) % degree);
    }
    while (begin_.size() <= polynomials) begin_.push_back(positions.size());
    for (std::size_t o = 0; o < polynomials; ++o) {
        if (begin_[o] == begin_[o + 1]) {
            throw ParameterError("expected a result in every polynomial, found none in number " + std::to_string(o));
        }
    }
}

std::size_t polynomial_bytes(const Parameters& parameters) {
    std::size_t bytes = 0;
    for (const Ntt& prime : parameters.primes()) bytes += packed_bytes(parameters.degree(), prime.modulus().bits);
    return bytes;
}

std::size_t upload_bytes(const Parameters& parameters, std::size_t polynomials) {
    if (polynomials > kMostPolynomials) {
        throw ParameterError("expected at most " + std::to_string(kMostPolynomials) + " polynomials, found " +
                             std::to_string(polynomials));
    }
    return sizeof(Block) + polynomials * polynomial_bytes(parameters);
}

std::size_t reply_bytes(const Parameters& parameters, const Selection& selection) {
    const int bits = parameters.reply_bits();
    std::size_t bytes = selection.polynomials() * packed_bytes(parameters.degree(), bits);
    for (std::size_t o = 0; o < selection.polynomials(); ++o) {
        bytes += packed_bytes(selection.begin(o + 1) - selection.begin(o), bits);
    }
    return bytes;
}

Ciphertexts read_upload(const Parameters& parameters, ByteView message, std::size_t polynomials, const char* what) {
    const std::size_t expected = upload_bytes(parameters, polynomials);
    if (message.size() != expected) throw LengthError(std::string(what) + " in bytes", expected, message.size());
    const std::size_t degree = parameters.degree();
    Prg uniform(load_block(message.data()));
    ByteView rest = message.from(sizeof(Block));
    Ciphertexts read{LargeWords(polynomials * parameters.words()), LargeWords(polynomials * parameters.words())};
    std::uint64_t* first = read.first.data();
    std::uint64_t* second = read.second.data();
    for (std::size_t j = 0; j < polynomials; ++j) {
        for (const Ntt& prime : parameters.primes()) {
            const Modulus& modulus = prime.modulus();
            const std::size_t bytes = packed_bytes(degree, modulus.bits);
            unpack(rest.slice(0, bytes), modulus.bits, View<std::uint64_t>(first, degree), what);
            rest = rest.from(bytes);
            std::uint64_t all_below = ~std::uint64_t{0};  // in the highest bit
            for (std::size_t i = 0; i < degree; ++i) all_below &= first[i] - modulus.p;
            if (all_below >> 63 == 0) {
                throw MalformedError(std::string(what) + ": expected residues below their prime, found a larger one");
            }
            uniform_residues(uniform, modulus, second, degree);
            first += degree;
            second += degree;
        }
    }
    return read;
}

}  // namespace mpc::bfv
