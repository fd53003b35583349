// Real vectors as polynomials: the canonical embedding (Cheon, Kim, Kim, Song, ASIACRYPT 2017, section 3.2).
//
// Slot i of m is m(zeta^(5^i)) with zeta = exp(i pi / N), and the slots of a real vector have imaginary part zero. The
// transforms are the special FFT of that paper's library HEAAN in double precision. Its twiddles are correct to 2^-53
// and each of log2 N <= 15 layers errs by at most 2^-51 of the largest value. So a coefficient before rounding, which
// is at most the largest |value| times the scale, has a relative error below 2^-46. Rounding to integers adds at most
// 1/2 each, and decoding errs by another 2^-42 of the largest value, N^(1/2) of them having a part in it.
//     Values may be secret: no branch and no address depends on one, but for the check of their range, whose outcome is
// seen by all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/byte_view.hpp"
#include "core/ckks/parameters.hpp"

namespace mpc::ckks {

// Real and imaginary parts, or coefficients; wiped when freed.
using Reals = std::vector<double, LargeAllocator<double, true>>;

class Encoder {
public:
    explicit Encoder(std::size_t degree);

    // Writes N coefficients of the polynomial with these slots, not rounded. Fewer values than N/2 are filled with
    // zeros.
    void to_coefficients(View<const double> values, double* coefficients) const;
    // Writes the real parts of the N/2 slots.
    void to_values(const double* coefficients, double* values) const;

private:
    std::size_t slots_;
    std::vector<double> cosines_, sines_;       // layer by layer, from length 2 on: length / 2 of each
    std::vector<std::uint32_t> reversed_;
};

// Values at a level and a scale, as transforms. A constant has the same residue everywhere.
struct Plaintext {
    SharedParameters parameters;
    std::size_t level;
    Scale scale;
    Rows rows;
};

// Encodes at rows 0 ... level, in coefficient form or, with `transformed`, as transforms. Throws ParameterError for
// more than N/2 values, values that are not finite, and values above the parameters' largest_value.
void encode(const Parameters& parameters, const Encoder& encoder, View<const double> values, std::size_t level,
            const Scale& scale, bool transformed, std::uint64_t* rows);
// The same without the checks, for tests of its time.
void encode_unchecked(const Parameters& parameters, const Encoder& encoder, View<const double> values, std::size_t level,
                      const Scale& scale, bool transformed, std::uint64_t* rows);
// The same for one number in all slots. Throws ParameterError also where rounding changes a number other than 0 by more
// than a relative 2^-10.
void encode_constant(const Parameters& parameters, double value, std::size_t level, const Scale& scale,
                     std::uint64_t* rows);

// The inverse, of coefficients modulo the rows 0 ... level, which are overwritten: N/2 values.
void decode(const Parameters& parameters, const Encoder& encoder, std::size_t level, const Scale& scale,
            std::uint64_t* rows, double* values);

// The encoder of a degree, made once a process.
const Encoder& encoder_of(std::size_t degree);

}  // namespace mpc::ckks
