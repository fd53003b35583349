// Derives what follows from the parameters; see parameters.hpp. Everything here is public.
#include "core/ckks/parameters.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/lattice/primes.hpp"

namespace mpc::ckks {

using namespace lattice;

int largest_modulus_bits(std::size_t degree) {
    switch (degree) {
        case 4096: return 106;
        case 8192: return 214;
        case 16384: return 430;
        case 32768: return 866;
        default: return 0;
    }
}

namespace {

void check_bits(const std::vector<int>& found, std::size_t most, const char* what) {
    if (found.empty() || found.size() > most) {
        throw ParameterError("expected 1 to " + std::to_string(most) + " " + what + ", found " +
                             std::to_string(found.size()));
    }
    for (const int bits : found) {
        if (bits < kSmallestPrimeBits || bits > kMaxPrimeBits) {
            throw ParameterError("expected " + std::string(what) + " of " + std::to_string(kSmallestPrimeBits) + " to " +
                                 std::to_string(kMaxPrimeBits) + " bits, found " + std::to_string(bits));
        }
    }
}

// q_L, which the first rescaling divides by, is nearest to its power of two, as a deviation doubles at every product
// that follows. Then come q_(L-1) ... q_0 and the special primes. In the order of rows.
std::vector<std::uint64_t> choose(std::size_t degree, const std::vector<int>& prime_bits,
                                  const std::vector<int>& special_bits) {
    std::vector<std::uint64_t> taken, rows(prime_bits.size());
    for (std::size_t i = prime_bits.size(); i-- > 0;) {
        rows[i] = largest_ntt_prime(degree, prime_bits[i], taken);
        taken.push_back(rows[i]);
    }
    for (const int bits : special_bits) {
        rows.push_back(largest_ntt_prime(degree, bits, taken));
        taken.push_back(rows.back());
    }
    return rows;
}

void check_cap(std::size_t degree, double bits) {
    const int cap = largest_modulus_bits(degree);
    if (cap == 0) {
        throw ParameterError("expected degree 4096, 8192, 16384 or 32768, found " + std::to_string(degree));
    }
    if (bits > cap) {
        const int excess = static_cast<int>(std::ceil(bits - cap));
        throw ParameterError("expected a modulus of at most " + std::to_string(cap) + " bits for degree " +
                             std::to_string(degree) + ", found " + std::to_string(excess) + " too many");
    }
}

std::uint64_t times(std::uint64_t x, std::uint64_t y, std::uint64_t p) {
    return static_cast<std::uint64_t>(Wide{x % p} * (y % p) % p);
}

}  // namespace

Parameters::Parameters(std::size_t degree, const std::vector<int>& prime_bits, const std::vector<int>& special_bits,
                       int scale_bits, bool insecure)
    : degree_(degree), scale_bits_(scale_bits) {
    if (degree < 64 || degree > 32768 || (degree & (degree - 1)) != 0) {
        throw ParameterError("expected a power of two from 64 to 32768 for a degree, found " + std::to_string(degree));
    }
    check_bits(prime_bits, kMostPrimes, "primes");
    check_bits(special_bits, kMostSpecialPrimes, "special primes");
    if (scale_bits < 1 || scale_bits > 100) {
        throw ParameterError("expected a scale of 1 to 100 bits, found " + std::to_string(scale_bits));
    }
    const std::vector<std::uint64_t> chosen = choose(degree, prime_bits, special_bits);
    for (const std::uint64_t prime : chosen) modulus_bits_ += std::log2(static_cast<double>(prime));
    if (!insecure) check_cap(degree, modulus_bits_);
    primes_ = std::make_shared<const std::vector<std::uint64_t>>(
        chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(prime_bits.size()));
    double bits = 0;
    for (const std::uint64_t prime : *primes_) level_bits_.push_back(bits += std::log2(static_cast<double>(prime)));
    for (const std::uint64_t prime : chosen) rows_.emplace_back(prime, degree);

    Sha256 hash;
    const std::uint64_t sizes[] = {degree, prime_bits.size(), special_bits.size(), static_cast<std::uint64_t>(scale_bits)};
    hash.update("capc ckks parameters 1", 22).update(sizes, sizeof sizes);
    digest_ = hash.update(chosen.data(), chosen.size() * sizeof chosen[0]).digest();

    std::vector<std::size_t> special;
    for (std::size_t i = depth() + 1; i < rows_.size(); ++i) special.push_back(i);
    special_ = conversion(special);
    for (std::size_t level = 0; level <= depth(); ++level) {
        std::vector<std::size_t> from;
        for (std::size_t i = level / specials() * specials(); i <= level; ++i) from.push_back(i);
        digits_.push_back(conversion(from));
        if (level == depth() || (level + 1) % specials() == 0) whole_.push_back(digits_.back());
        std::vector<std::size_t> both{level};
        both.insert(both.end(), special.begin(), special.end());
        special_with_.push_back(conversion(both));
    }
    inverses_.resize(depth() + 1);
    for (std::size_t i = 0; i <= depth(); ++i) {
        const std::uint64_t p = rows_[i].p();
        std::uint64_t product = 1;
        for (const std::size_t row : special) product = times(product, rows_[row].p(), p);
        special_product_.push_back(product);
        for (std::size_t row = 0; row < rows_.size(); ++row) {
            inverses_[i].push_back(row == i ? 0 : lattice::inverse(p, rows_[row].p()));
        }
    }
}

SharedParameters Parameters::small() {
    std::vector<int> bits(10, 36);
    bits[0] = 47;
    return std::make_shared<const Parameters>(16384, bits, std::vector<int>{47}, 36, false);
}

SharedParameters Parameters::large() {
    std::vector<int> bits(18, 40);
    bits[0] = 47;
    return std::make_shared<const Parameters>(32768, bits, std::vector<int>{46, 46, 46}, 40, false);
}

SharedParameters Parameters::small_shallow() {
    std::vector<int> bits(9, 36);
    bits[0] = 47;
    return std::make_shared<const Parameters>(16384, bits, std::vector<int>{47, 47}, 36, false);
}

SharedParameters Parameters::large_shallow() {
    std::vector<int> bits(17, 40);
    bits[0] = 47;
    return std::make_shared<const Parameters>(32768, bits, std::vector<int>{46, 44, 44, 44}, 40, false);
}

const Conversion& Parameters::digit(std::size_t number, std::size_t level) const {
    return number == level / specials() ? digits_[level] : whole_[number];
}

void Parameters::check_level(std::size_t level) const {
    if (level > depth()) {
        throw ParameterError("expected a level of 0 to " + std::to_string(depth()) + ", found " + std::to_string(level));
    }
}

Conversion Parameters::conversion(const std::vector<std::size_t>& from) const {
    Conversion made;
    made.from = from;
    const auto product_without = [&](std::size_t skipped, std::uint64_t p) {
        std::uint64_t product = 1 % p;
        for (const std::size_t row : from) {
            if (row != skipped) product = times(product, rows_[row].p(), p);
        }
        return product;
    };
    const std::size_t none = rows_.size();
    for (const std::size_t row : from) {
        const std::uint64_t s = rows_[row].p();
        made.inverse.push_back(lattice::inverse(product_without(row, s), s));
        made.fraction.push_back(static_cast<std::uint64_t>((Wide{1} << (61 + rows_[row].modulus().bits)) / s));
    }
    for (std::size_t target = 0; target < rows_.size(); ++target) {
        const std::uint64_t p = rows_[target].p();
        std::vector<std::uint64_t>& factors = made.factors.emplace_back();
        for (const std::size_t row : from) factors.push_back(product_without(row, p));
        const std::uint64_t product = product_without(none, p);
        factors.push_back(product == 0 ? 0 : p - product);
        made.inverse_product.push_back(product == 0 ? 0 : lattice::inverse(product, p));
    }
    return made;
}

void Conversion::prepare(const std::vector<Ntt>& rows, const std::uint64_t* const* x, std::uint64_t* y) const {
    static_assert(kMostSpecialPrimes + 1 <= lattice::kMostCrtTerms);
    CrtTerm terms[kMostSpecialPrimes + 1];
    for (std::size_t i = 0; i < from.size(); ++i) terms[i] = {x[i], &rows[from[i]].modulus(), inverse[i], fraction[i]};
    crt_parts(terms, from.size(), rows[0].degree(), y);
}

}  // namespace mpc::ckks
