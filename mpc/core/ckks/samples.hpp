// The noisy polynomials that keys and shares of keys are made of. A secret is its transforms modulo all rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/ckks/parameters.hpp"
#include "core/lattice/memory.hpp"

namespace mpc::ckks {

// The transforms of a polynomial with small signed coefficients, at rows 0 ... count - 1.
void lift_and_transform(const Parameters& parameters, const lattice::SignedWords& small, std::size_t count,
                        std::uint64_t* out);

// out = out - a s at one row. `spare` has N words.
void subtract_product(const lattice::Ntt& row, const std::uint64_t* a, const std::uint64_t* s, std::uint64_t* spare,
                      std::uint64_t* out);

// The image of a secret under the automorphism of a map of rotation_map.
SecretRows permuted(const SecretRows& rows, const std::vector<std::uint32_t>& map);

// b = -a s + e at the rows 0 ... depth, with a from `uniform` and e from `hidden`.
Rows public_rows(const Parameters& parameters, Prg& uniform, Prg& hidden, const SecretRows& secret);

// For each digit b_d = -a_d s_to + e_d + P g_d s_from at the rows of a switching key (ciphertext.hpp). Without `from`
// the last term is left out.
Rows switching_rows(const Parameters& parameters, std::size_t level, Prg& uniform, Prg& hidden, const SecretRows* from,
                    const SecretRows& to);

}  // namespace mpc::ckks
