// What key switching does around transforms: combinations, lifts to another prime and scaled differences, each against
// plain arithmetic.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/cpu.hpp"
#include "core/ckks/ciphertext.hpp"
#include "core/lattice/ntt.hpp"
#include "core/lattice/packing.hpp"
#include "core/lattice/primes.hpp"
#include "core/lattice/sampling.hpp"
#include "tests/check.hpp"

using namespace mpc;
using namespace mpc::lattice;

namespace {

Prg seeded(std::uint64_t number) { return Prg(Block{number, 0x726c7765}); }

Words random_residues(Prg& prg, const Ntt& ntt, std::size_t degree) {
    Words x(degree);
    uniform_residues(prg, ntt.modulus(), x.data(), degree);
    return x;
}

// Rows one behind the other, as `forward_combined` reads them.
Words together(const Words& rows, std::size_t degree) {
    const std::size_t count = rows.size() / degree;
    Words made;
    for (std::size_t at = 0; at < degree; at += kTogether) {
        for (std::size_t k = 0; k < count; ++k) {
            const std::uint64_t* const from = &rows[k * degree + at];
            made.insert(made.end(), from, from + kTogether);
        }
    }
    return made;
}

void combinations_are_exact() {
    const std::size_t degree = 64;
    for (const int bits : {20, 36, 47}) {
        const Ntt ntt(ntt_primes(degree, bits, 1)[0], degree);
        Prg prg = seeded(10);
        std::vector<std::vector<std::uint64_t>> x(Ntt::kMaxCombined, std::vector<std::uint64_t>(degree));
        std::vector<const std::uint64_t*> rows;
        std::vector<std::uint64_t> factors;
        for (std::size_t k = 0; k < x.size(); ++k) {
            uniform_words(prg, 47, x[k].data(), degree);
            x[k][0] = (std::uint64_t{1} << 47) - 1, x[k][1] = 0;
            rows.push_back(x[k].data());
            factors.push_back(k == 0 ? ntt.p() - 1 : k == 1 ? ntt.p() / 2 : k == 2 ? 0 : prg.word() % ntt.p());
        }
        for (const std::size_t terms : {std::size_t{1}, std::size_t{4}, Ntt::kMaxCombined}) {
            Words out(degree);
            ntt.combine(rows.data(), factors.data(), terms, out.data());
            for (std::size_t j = 0; j < degree; ++j) {
                Wide expected = 0;
                for (std::size_t k = 0; k < terms; ++k) expected += Wide{x[k][j]} * factors[k];
                CHECK(out[j] == expected % ntt.p());
            }
        }
    }
}

void combinations_are_transformed() {
    for (const std::size_t degree : {64u, 128u, 32768u}) {
        for (const int bits : {36, 47}) {
            const Ntt ntt(ntt_primes(degree, bits, 1)[0], degree);
            Prg prg = seeded(11);
            for (std::size_t terms = 2; terms <= Ntt::kMaxConverted; ++terms) {
                Words x(terms * degree), expected(degree), found(degree);
                uniform_words(prg, 47, x.data(), x.size());
                std::fill_n(x.begin(), degree / 2, (std::uint64_t{1} << 47) - 1);  // the largest sums
                for (std::size_t j = 0; j < degree; ++j) x[(terms - 1) * degree + j] = j % 2 == 0 ? 5 : j % 6;
                std::vector<std::uint64_t> factors(terms, ntt.p() / 2);
                factors[0] = ntt.p() - 1;
                for (std::size_t j = 0; j < degree; ++j) {
                    Wide sum = 0;
                    for (std::size_t k = 0; k < terms; ++k) sum += Wide{x[k * degree + j]} * factors[k];
                    expected[j] = static_cast<std::uint64_t>(sum % ntt.p());
                }
                ntt.forward(expected.data());
                ntt.forward_combined(together(x, degree).data(), factors.data(), terms, found.data());
                CHECK(found == expected);
            }
        }
    }
}

// Residues modulo one prime as integers around zero, transformed modulo another, larger or smaller.
void lifts_are_centred() {
    for (const std::size_t degree : {64u, 128u, 16384u, 32768u}) {
        const Ntt wide(ntt_primes(degree, 47, 1)[0], degree), narrow(ntt_primes(degree, 36, 1)[0], degree);
        for (const auto& [from, to] : {std::pair{&wide, &narrow}, std::pair{&narrow, &wide}}) {
            Prg prg = seeded(8);
            const std::uint64_t half = from->p() / 2;
            Words x = random_residues(prg, *from, degree), expected(degree), found(degree);
            x[0] = 0, x[1] = half, x[2] = half + 1, x[3] = from->p() - 1;
            std::fill_n(x.begin() + 4, degree / 2, half);  // the largest sums
            for (std::size_t i = 0; i < degree; ++i) {
                const std::uint64_t low = x[i] % to->p(), up = (from->p() - x[i]) % to->p();
                expected[i] = x[i] <= half ? low : (to->p() - up) % to->p();
            }
            to->forward(expected.data());
            to->forward_lifted(from->p(), x.data(), found.data());
            CHECK(found == expected);
            to->forward_lifted(from->p(), x.data(), x.data());
            CHECK(x == expected);
        }
    }
}

// Sums of products with what a key keeps side by side, of which the first terms are taken.
void sums_with_pairs_are_those_of_each() {
    for (const auto& [degree, bits] : {std::pair{64u, 20}, std::pair{128u, 36}, std::pair{256u, 40}, std::pair{64u, 41},
                                      std::pair{64u, 43}, std::pair{64u, 44}, std::pair{128u, 46}, std::pair{64u, 47}}) {
        const Ntt ntt(ntt_primes(degree, bits, 1)[0], degree);
        Prg prg = seeded(12);
        const std::size_t packed = 7;
        std::vector<Words> x, y, z;
        for (std::size_t k = 0; k < packed; ++k) {
            x.push_back(k % 2 == 0 ? Words(degree, ntt.p() - 1) : random_residues(prg, ntt, degree));
            y.push_back(k % 3 == 0 ? Words(degree, ntt.p() - 1) : random_residues(prg, ntt, degree));
            z.push_back(k % 3 == 1 ? Words(degree, 0) : random_residues(prg, ntt, degree));
        }
        std::vector<std::uint8_t> pairs;
        const std::size_t bytes = packed_bytes(kPairedEntries, bits);
        const auto put = [&, width = bits](const std::uint64_t* entries) {
            pairs.resize(pairs.size() + bytes);
            pack(WordView(entries, kPairedEntries), width, MutableByteView(pairs).from(pairs.size() - bytes));
        };
        for (std::size_t at = 0; at < degree; at += kPairedEntries) {
            for (std::size_t k = 0; k < packed; ++k) {
                put(&y[k][at]);
                put(&z[k][at]);
            }
        }
        pairs.insert(pairs.end(), kPairedSlack, 0xff);
        std::vector<const std::uint64_t*> rows;
        for (const Words& row : x) rows.push_back(row.data());
        for (const std::size_t terms : {std::size_t{1}, std::size_t{4}, packed}) {
            Words first(degree), second(degree);
            ntt.inner_product_pairs(rows.data(), pairs.data(), terms, packed, first.data(), second.data());
            for (std::size_t j = 0; j < degree; ++j) {
                Wide one = 0, other = 0;
                for (std::size_t k = 0; k < terms; ++k) {
                    one += Wide{x[k][j]} * y[k][j];
                    other += Wide{x[k][j]} * z[k][j];
                }
                CHECK(first[j] == one % ntt.p());
                CHECK(second[j] == other % ntt.p());
            }
        }
    }
}

// Each kernel at primes of all sizes and at all degrees gives what the portable ones give, also for the residues at
// both ends and for input that is not reduced.
void kernels_give_the_portable_residues() {
    const cpu::Level usual = cpu::level();
    for (std::size_t degree = 64; degree <= 32768; degree *= 2) {
        for (const int bits : {20, 30, 36, 40, 44, 46, 47}) {
            const Ntt ntt(largest_ntt_prime(degree, bits, {}), degree), wide(largest_ntt_prime(degree, 47, {}), degree);
            const std::uint64_t p = ntt.p();
            Prg prg = seeded(degree + static_cast<std::size_t>(bits));
            Words x = random_residues(prg, ntt, degree), other = random_residues(prg, wide, degree), rows(4 * degree);
            for (std::size_t j = 0; j < degree; j += 3) x[j] += p;
            x[0] = 0, x[1] = p - 1, x[2] = p, x[3] = 2 * p - 1, other[0] = wide.p() - 1, other[1] = wide.p() / 2;
            uniform_words(prg, 47, rows.data(), 3 * degree);
            std::fill_n(rows.begin() + static_cast<std::ptrdiff_t>(3 * degree), degree, 5);
            const std::uint64_t factors[] = {p - 1, 1, p / 2, p - 1};
            std::vector<Words> found;
            for (const cpu::Level level : {cpu::Level::portable, usual}) {
                cpu::force_level(level);
                Words forward = x, inverse = x, lifted(degree), combined(degree);
                ntt.forward(forward.data());
                ntt.inverse(inverse.data());
                ntt.forward_lifted(wide.p(), other.data(), lifted.data());
                ntt.forward_combined(together(rows, degree).data(), factors, 4, combined.data());
                for (const Words* words : {&forward, &inverse, &lifted, &combined}) {
                    CHECK(*std::max_element(words->begin(), words->end()) < p);
                    found.push_back(*words);
                }
            }
            cpu::force_level(usual);
            for (std::size_t i = 0; i < 4; ++i) CHECK(found[i] == found[4 + i]);
        }
    }
}

// Blocks of the least and the greatest entries, of all sizes: the largest differences and sums of lazy butterflies.
void blocks_of_extremes_survive() {
    const cpu::Level usual = cpu::level();
    for (std::size_t degree = 64; degree <= 32768; degree *= 2) {
        const Ntt ntt(largest_ntt_prime(degree, 47, {}), degree);
        for (std::size_t width = 1; width < degree; width *= 2) {
            for (const std::size_t first : {0u, 1u}) {
                Words x(degree);
                for (std::size_t j = 0; j < degree; ++j) x[j] = (j / width + first) % 2 == 0 ? 0 : 2 * ntt.p() - 1;
                Words forward = x, inverse = x, forward_portable = x, inverse_portable = x;
                ntt.forward(forward.data());
                ntt.inverse(inverse.data());
                cpu::force_level(cpu::Level::portable);
                ntt.forward(forward_portable.data());
                ntt.inverse(inverse_portable.data());
                cpu::force_level(usual);
                CHECK(forward == forward_portable);
                CHECK(inverse == inverse_portable);
            }
        }
    }
}

// The parts of integers by the Chinese remainders and the multiple that is too much, at the ends of their range too:
// with y_k = x_k inverse_k, the nearest integer to the sum of y_k / p_k, each cut to units of 2^-61.
void remainders_are_parted() {
    for (const std::size_t degree : {64u, 256u}) {
        for (const int bits : {20, 36, 40, 46, 47}) {
            for (std::size_t count = 1; count <= kMostCrtTerms; ++count) {
                Prg prg = seeded(13);
                std::vector<Ntt> rows;
                for (std::vector<std::uint64_t> taken; taken.size() < count; rows.emplace_back(taken.back(), degree)) {
                    taken.push_back(largest_ntt_prime(degree, bits, taken));
                }
                std::vector<Words> x;
                std::vector<CrtTerm> terms;
                for (const Ntt& row : rows) {
                    x.push_back(random_residues(prg, row, degree));
                    x.back()[0] = row.p() - 1, x.back()[1] = 0, x.back()[2] = 1, x.back()[3] = row.p() / 2;
                }
                for (std::size_t k = 0; k < count; ++k) {
                    const Modulus& m = rows[k].modulus();
                    const auto fraction = static_cast<std::uint64_t>((Wide{1} << (61 + m.bits)) / m.p);
                    terms.push_back({x[k].data(), &m, k == 0 ? m.p - 1 : k == 1 ? 1 : prg.word() % m.p, fraction});
                }
                Words found((count + 1) * degree, ~std::uint64_t{0});
                crt_parts(terms.data(), count, degree, found.data());
                for (std::size_t j = 0; j < degree; ++j) {
                    const auto at = [&](std::size_t k) {
                        return found[(j / kTogether * (count + 1) + k) * kTogether + j % kTogether];
                    };
                    Wide sum = Wide{1} << 60;
                    for (std::size_t k = 0; k < count; ++k) {
                        const std::uint64_t y = static_cast<std::uint64_t>(Wide{x[k][j]} * terms[k].inverse % rows[k].p());
                        CHECK(at(k) == y);
                        sum += Wide{y} * terms[k].fraction >> rows[k].modulus().bits;
                    }
                    CHECK(at(count) == sum >> 61);
                }
            }
        }
    }
}

// Automorphisms in the order of transforms, against entries one by one, with the largest sums.
void images_are_entries_moved() {
    for (const std::size_t degree : {64u, 128u, 4096u, 32768u}) {
        const Ntt ntt(ntt_primes(degree, 47, 1)[0], degree);
        Prg prg = seeded(14);
        Words x = random_residues(prg, ntt, degree), before = random_residues(prg, ntt, degree);
        std::fill_n(x.begin(), degree / 2, ntt.p() - 1);
        std::fill_n(before.begin(), degree / 2, ntt.p() - 1);
        before[0] = 0, before[1] = 1;
        for (std::size_t steps = 1; steps < degree / 2; steps = 3 * steps + 1) {
            const std::vector<std::uint32_t> map = ckks::rotation_map(degree, steps);
            Words moved(degree), sum = before;
            ntt.permute(map.data(), x.data(), moved.data());
            ntt.add_permuted(map.data(), x.data(), sum.data());
            for (std::size_t j = 0; j < degree; ++j) {
                CHECK(moved[j] == x[map[j]]);
                CHECK(sum[j] == (before[j] + x[map[j]]) % ntt.p());
                CHECK(map[j] / 8 == map[j / 8 * 8] / 8);
            }
        }
    }
}

void differences_are_scaled() {
    const std::size_t degree = 64;
    for (const int bits : {20, 47}) {
        const Ntt ntt(ntt_primes(degree, bits, 1)[0], degree);
        Prg prg = seeded(9);
        Words x = random_residues(prg, ntt, degree), y = random_residues(prg, ntt, degree), out(degree);
        Words z = random_residues(prg, ntt, degree);
        x[0] = 0, y[0] = ntt.p() - 1, x[1] = ntt.p() - 1, y[1] = 0, x[2] = y[2] = ntt.p() - 1, z[0] = z[1] = ntt.p() - 1;
        for (const std::uint64_t factor : {std::uint64_t{1}, ntt.p() - 1, ntt.p() / 2, x[5]}) {
            ntt.scale_difference(x.data(), y.data(), factor, nullptr, out.data());
            for (std::size_t j = 0; j < degree; ++j) CHECK(out[j] == Wide{x[j] + ntt.p() - y[j]} * factor % ntt.p());
            const Words before = out;
            ntt.scale_difference(x.data(), y.data(), factor, z.data(), out.data());
            for (std::size_t j = 0; j < degree; ++j) CHECK(out[j] == (before[j] + z[j]) % ntt.p());
        }
    }
}

}  // namespace

int main() {
    check::run_on_all_levels("combinations are exact", combinations_are_exact);
    check::run_on_all_levels("combinations are transformed", combinations_are_transformed);
    check::run_on_all_levels("lifts are centred", lifts_are_centred);
    check::run_on_all_levels("remainders are parted", remainders_are_parted);
    check::run_on_all_levels("images are entries moved", images_are_entries_moved);
    check::run_on_all_levels("differences are scaled", differences_are_scaled);
    check::run_on_all_levels("sums with pairs are those of each", sums_with_pairs_are_those_of_each);
    check::run_on_all_levels("blocks of extremes survive", blocks_of_extremes_survive);
    check::run_on_all_levels("kernels give the portable residues", kernels_give_the_portable_residues);
    return check::result();
}
