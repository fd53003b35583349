// Words in the slots of polynomials; see slots.hpp.
#include "core/bfv/slots.hpp"

#include <string>

#include "core/base/error.hpp"
#include "core/lattice/primes.hpp"

namespace mpc::bfv {

using namespace lattice;

Slots::Slots(std::size_t degree, std::size_t primes, int bits) : degree_(degree) {
    if (primes < 1 || primes > 8 || bits < 40 || bits > kMaxPrimeBits) {
        throw ParameterError("expected 1 to 8 primes of 40 to 47 bits, found " + std::to_string(primes) + " of " +
                             std::to_string(bits));
    }
    const int total = bits * static_cast<int>(primes);
    for (const std::uint64_t prime : ntt_primes(degree, total, primes)) transforms_.emplace_back(prime, degree);
    for (std::size_t i = 0; i < primes; ++i) {
        const Modulus& modulus = transforms_[i].modulus();
        std::vector<Factor>& row = inverses_.emplace_back();
        for (std::size_t j = 0; j < i; ++j) row.push_back(modulus.factor(inverse(transforms_[j].p(), modulus.p)));
    }
}

std::vector<std::uint64_t> Slots::primes() const {
    std::vector<std::uint64_t> found;
    for (const Ntt& transform : transforms_) found.push_back(transform.p());
    return found;
}

void Slots::encode(WordView words, std::uint64_t* coefficients) const {
    if (words.size() > degree_) {
        throw ParameterError("expected at most " + std::to_string(degree_) + " words, found " +
                             std::to_string(words.size()));
    }
    for (const Ntt& transform : transforms_) {
        for (std::size_t n = 0; n < words.size(); ++n) coefficients[n] = reduce_signed(words[n], transform.modulus());
        for (std::size_t n = words.size(); n < degree_; ++n) coefficients[n] = 0;
        transform.inverse(coefficients);
        coefficients += degree_;
    }
}

std::vector<std::uint64_t> Slots::decode(const std::uint64_t* coefficients, std::size_t count) const {
    if (count > degree_) throw ParameterError("expected at most " + std::to_string(degree_) + " words");
    const std::size_t primes = transforms_.size();
    Words values(primes * degree_);
    for (std::size_t i = 0; i < primes; ++i) {
        std::uint64_t* const row = &values[i * degree_];
        for (std::size_t n = 0; n < degree_; ++n) row[n] = reduce_once(coefficients[i * degree_ + n], transforms_[i].p());
        transforms_[i].forward(row);
    }
    std::vector<std::uint64_t> words(count);
    Words digits(primes);
    for (std::size_t n = 0; n < count; ++n) {  // digits in the mixed radix of the primes, the lowest first
        std::uint64_t word = 0, radix = 1;
        for (std::size_t i = 0; i < primes; ++i) {
            const Modulus& modulus = transforms_[i].modulus();
            std::uint64_t digit = values[i * degree_ + n];
            for (std::size_t j = 0; j < i; ++j) {
                const std::uint64_t lower = multiply(digits[j], modulus.one, modulus.p);
                digit = multiply(subtract(digit, lower, modulus.p), inverses_[i][j], modulus.p);
            }
            digits[i] = digit;
            word += digit * radix;
            radix *= modulus.p;
        }
        words[n] = word;
    }
    return words;
}

void Slots::centre(std::uint64_t* coefficients) const {
    for (const Ntt& transform : transforms_) {
        const std::uint64_t p = transform.p();
        for (std::size_t n = 0; n < degree_; ++n) {
            const std::uint64_t above = std::uint64_t{0} - ((p / 2 - coefficients[n]) >> 63);
            coefficients[n] -= p & above;
        }
        coefficients += degree_;
    }
}

void Slots::below_primes(const std::uint64_t* uniform, std::uint64_t* coefficients) const {
    for (const Ntt& transform : transforms_) {
        for (std::size_t n = 0; n < degree_; ++n) {
            const Wide high = Wide{uniform[0]} * transform.p(), low = Wide{uniform[1]} * transform.p();
            coefficients[n] = static_cast<std::uint64_t>((high + (low >> 64)) >> 64);
            uniform += 2;
        }
        coefficients += degree_;
    }
}

}  // namespace mpc::bfv
