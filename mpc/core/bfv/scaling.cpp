// Computes the constants of the scalings; see scaling.hpp.
#include "core/bfv/scaling.hpp"

namespace mpc::bfv {

using namespace lattice;

Scaling::Scaling(const Parameters& parameters)
    : primes_(parameters.primes().size()), plain_prime_(parameters.plain_prime()),
      whole_words_(parameters.plain_bits() == 64), plain_mask_(~std::uint64_t{0} >> (64 - parameters.plain_bits())),
      half_(plain_prime_ != 0 ? plain_prime_ / 2 : std::uint64_t{1} << (parameters.plain_bits() - 1)),
      rounding_(Wide{1} << (127 - parameters.reply_bits())), shift_(128 - parameters.reply_bits()) {
    const Wide plain = plain_prime_ != 0 ? Wide{plain_prime_} : Wide{plain_mask_} + 1;
    if (plain_prime_ != 0) {
        Wide q = 1;
        for (const Ntt& prime : parameters.primes()) q = q * (prime.p() % plain_prime_) % plain_prime_;
        modulus_factor_ = Modulus(plain_prime_).factor(static_cast<std::uint64_t>(q));
    }
    for (std::size_t i = 0; i < primes_; ++i) {
        const Modulus& modulus = parameters.primes()[i].modulus();
        const std::uint64_t p = modulus.p;
        modulus_word_ *= p;
        Row& row = rows_[i];
        row.p = p;
        row.one = modulus.one;
        row.multiple = static_cast<std::uint64_t>((plain - 1) / p + 1) * p;  // not used for whole words
        row.inverse_plain = modulus.factor(inverse(static_cast<std::uint64_t>(plain % p), p));
        std::uint64_t others = 1;  // q / p_i mod p_i
        for (const Ntt& other : parameters.primes()) {
            if (other.p() != p) others = static_cast<std::uint64_t>(Wide{others} * (other.p() % p) % p);
        }
        const Wide first = Wide{inverse(others, p)} << 64;
        row.fraction_high = static_cast<std::uint64_t>(first / p);
        row.fraction_low = static_cast<std::uint64_t>(((first % p) << 64) / p);
    }
}

}  // namespace mpc::bfv
