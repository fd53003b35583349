// Makes noisy polynomials; see samples.hpp.
#include "core/ckks/samples.hpp"

#include <algorithm>

#include "core/ckks/wire.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::ckks {

using namespace lattice;

void lift_and_transform(const Parameters& parameters, const SignedWords& small, std::size_t count, std::uint64_t* out) {
    for (std::size_t i = 0; i < count; ++i, out += small.size()) {
        const Ntt& row = parameters.row(i);
        for (std::size_t n = 0; n < small.size(); ++n) out[n] = lift(small[n], row.p());
        row.forward(out);
    }
}

void subtract_product(const Ntt& row, const std::uint64_t* a, const std::uint64_t* s, std::uint64_t* spare,
                      std::uint64_t* out) {
    row.inner_product(&a, &s, 1, spare);
    for (std::size_t n = 0; n < row.degree(); ++n) out[n] = subtract(out[n], spare[n], row.p());
}

SecretRows permuted(const SecretRows& rows, const std::vector<std::uint32_t>& map) {
    SecretRows out(rows.size());
    for (std::size_t first = 0; first < rows.size(); first += map.size()) {
        for (std::size_t j = 0; j < map.size(); ++j) out[first + j] = rows[first + map[j]];
    }
    return out;
}

Rows public_rows(const Parameters& parameters, Prg& uniform, Prg& hidden, const SecretRows& secret) {
    const std::size_t degree = parameters.degree(), count = parameters.depth() + 1;
    SignedWords error(degree);
    centred_binomial(hidden, error);
    Rows b(count * degree);
    SecretRows spare(2 * degree);
    lift_and_transform(parameters, error, count, b.data());
    for (std::size_t i = 0; i < count; ++i) {
        const Ntt& row = parameters.row(i);
        uniform_residues(uniform, row.modulus(), spare.data(), degree);
        subtract_product(row, spare.data(), &secret[i * degree], spare.data() + degree, &b[i * degree]);
    }
    return b;
}

Rows switching_rows(const Parameters& parameters, std::size_t level, Prg& uniform, Prg& hidden, const SecretRows* from,
                    const SecretRows& to) {
    const std::size_t degree = parameters.degree();
    SignedWords error(degree);
    const std::vector<std::size_t> rows = rows_of(parameters, Kind::rotation_key, level);
    Rows b(parameters.digits(level) * rows.size() * degree);
    SecretRows spare(2 * degree);
    std::uint64_t* out = b.data();
    for (std::size_t d = 0; d < parameters.digits(level); ++d) {
        centred_binomial(hidden, error);
        const std::vector<std::size_t>& own = parameters.digit(d, level).from;
        for (const std::size_t i : rows) {
            const Ntt& row = parameters.row(i);
            for (std::size_t n = 0; n < degree; ++n) out[n] = lift(error[n], row.p());
            row.forward(out);
            uniform_residues(uniform, row.modulus(), spare.data(), degree);
            subtract_product(row, spare.data(), &to[i * degree], spare.data() + degree, out);
            if (from != nullptr && std::find(own.begin(), own.end(), i) != own.end()) {
                const std::uint64_t* const message = &(*from)[i * degree];
                const std::uint64_t* const both[] = {out, message};
                const std::uint64_t factors[] = {1, parameters.special_product(i)};
                row.combine(both, factors, 2, out);
            }
            out += degree;
        }
    }
    return b;
}

}  // namespace mpc::ckks
