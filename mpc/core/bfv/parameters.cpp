// Derives the parameters; see parameters.hpp.
#include "core/bfv/parameters.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/lattice/primes.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::bfv {

using namespace lattice;

namespace {

constexpr int kSmallestModulusBits = 72;  // primes of 36 bits: far above any bound on a weight
constexpr double kRoundingVariance = 0.25;
constexpr std::size_t kProductDegree = 8192;
constexpr double kTail = 9;  // standard deviations; 2 exp(-kTail^2 / 2) < 2^-57

}  // namespace

int largest_modulus_bits(std::size_t degree) {
    if (degree == 4096) return 106;
    if (degree == 8192) return 214;
    throw ParameterError("expected degree 4096 or 8192, found " + std::to_string(degree));
}

Parameters::Parameters(std::size_t degree, int plain_bits, std::vector<LayerBound> layers, int statistical_bits)
    : degree_(degree), plain_bits_(plain_bits), layers_(std::move(layers)) {
    const int largest = std::min(largest_modulus_bits(degree), 3 * kMaxPrimeBits);
    if (plain_bits < kSmallestPlainBits || plain_bits > kLargestPlainBits) {
        throw ParameterError("expected a ring of " + std::to_string(kSmallestPlainBits) + " to " +
                             std::to_string(kLargestPlainBits) + " bits, found " + std::to_string(plain_bits));
    }
    if (statistical_bits < 0 || statistical_bits > 60) {
        throw ParameterError("expected 0 to 60 statistical bits, found " + std::to_string(statistical_bits));
    }
    if (layers_.empty()) throw ParameterError("expected at least one layer");
    double leak = 0;
    for (const LayerBound& layer : layers_) {
        if (layer.results == 0 || layer.results > (std::uint64_t{1} << 40)) {
            throw ParameterError("expected 1 to 2^40 results of a layer, found " + std::to_string(layer.results));
        }
        if (layer.norm_squared > (std::uint64_t{1} << 62)) throw ParameterError("a layer's weights are too large");
        leak += static_cast<double>(layer.results) * (noise_deviation(layer.norm_squared) + 0.5);
    }
    flood_for(leak, statistical_bits);
    double deviation = 0;
    for (const LayerBound& layer : layers_) deviation = std::max(deviation, noise_deviation(layer.norm_squared));
    choose_primes(deviation, largest);
}

Parameters::Parameters(std::uint64_t plain_prime, ProductBound bound, int statistical_bits)
    : degree_(kProductDegree), plain_bits_(64), plain_prime_(plain_prime), products_(bound),
      layers_{LayerBound{0, bound.results}} {
    if (plain_prime != 0) {
        plain_bits_ = 0;
        while (plain_bits_ < 64 && plain_prime >> plain_bits_ != 0) ++plain_bits_;
        if (plain_bits_ < 20 || plain_bits_ > kLargestPlainPrimeBits || !is_prime(plain_prime) ||
            plain_prime % (2 * degree_) != 1) {
            throw ParameterError("expected a prime of 20 to 47 bits that is 1 modulo 16384, found " +
                                 std::to_string(plain_prime));
        }
    }
    if (bound.terms == 0 || bound.terms > (std::uint64_t{1} << 20) || bound.results == 0 ||
        bound.results > (std::uint64_t{1} << 40)) {
        throw ParameterError("expected 1 to 2^20 weights and 1 to 2^40 results, found " + std::to_string(bound.terms) +
                             " and " + std::to_string(bound.results));
    }
    if (statistical_bits < 0 || statistical_bits > 60) {
        throw ParameterError("expected 0 to 60 statistical bits, found " + std::to_string(statistical_bits));
    }
    flood_for(static_cast<double>(bound.results) * (word_deviation() + 0.5), statistical_bits);
    choose_primes(word_deviation(), largest_modulus_bits(degree_));
}

std::shared_ptr<const Parameters> Parameters::for_products(std::uint64_t plain_prime, ProductBound bound,
                                                           int statistical_bits) {
    return std::shared_ptr<const Parameters>(new Parameters(plain_prime, bound, statistical_bits));
}

// 2W >= leak 2^statistical_bits, with leak = fraction 2^exponent and fraction in [1/2, 1).
void Parameters::flood_for(double leak, int statistical_bits) {
    int exponent = 0;
    const double fraction = std::frexp(leak, &exponent);
    flood_ = {static_cast<unsigned>(std::ceil(16 * fraction)), exponent + statistical_bits - 4};
}

// The fewest bits with which every result is exact.
void Parameters::choose_primes(double deviation, int largest) {
    std::vector<std::uint64_t> chosen;
    const int smallest = std::max(kSmallestModulusBits, static_cast<int>(flood_bits()) + plain_bits_);
    for (int bits = smallest; bits <= largest; ++bits) {
        const auto needed = static_cast<std::size_t>((bits + kMaxPrimeBits - 1) / kMaxPrimeBits);
        const std::vector<std::uint64_t> primes = ntt_primes(degree_, bits, std::max<std::size_t>(2, needed));
        if (exact_with(primes, deviation)) {
            modulus_bits_ = bits;
            chosen = primes;
            break;
        }
    }
    if (chosen.empty()) {
        const int flood = static_cast<int>(std::ceil(flood_bits()));
        throw ParameterError("a " + std::to_string(plain_bits_) + "-bit ring with noise flooded to 2^" +
                             std::to_string(flood) + " needs a modulus of about " +
                             std::to_string(flood + plain_bits_ + 2) + " bits; degree " + std::to_string(degree_) +
                             " allows " + std::to_string(largest));
    }
    for (const std::uint64_t prime : chosen) primes_.emplace_back(prime, degree_);
}

double Parameters::flood_bits() const { return std::log2(flood_.multiplier) + flood_.shift - 1; }

double Parameters::noise_deviation(std::uint64_t norm_squared) const {
    return std::sqrt((kNoiseVariance + kRoundingVariance) * static_cast<double>(norm_squared) +
                     2 * kNoiseVariance * static_cast<double>(degree_));
}

double Parameters::word_deviation() const {
    const double half = plain_prime_ == 0 ? std::ldexp(1.0, 63) : static_cast<double>(plain_prime_) / 2;
    return std::sqrt((kNoiseVariance + kRoundingVariance) * static_cast<double>(products_.terms) * half * half +
                     2 * kNoiseVariance * static_cast<double>(degree_));
}

bool Parameters::exact_with(const std::vector<std::uint64_t>& primes, double deviation) const {
    double modulus = 1, skew = 0;
    for (const std::uint64_t prime : primes) {
        modulus *= static_cast<double>(prime);
        skew += std::ldexp(static_cast<double>(prime), reply_bits() + 2 - 128);
    }
    const double degree = static_cast<double>(degree_);
    const double flooded = std::ldexp(flood_.multiplier, flood_.shift - 1) + kTail * (deviation + 0.5) + 1;
    double switched = kTail * std::sqrt(degree / 12) + 2;
    if (for_words()) switched += kTail * skew * std::sqrt(2 * degree / 3);
    // The receiver opens replies, or their halves where they are wider than a word, modulo the first two primes: they
    // must hold twice any |c_1 s| <= N 2^k.
    const double opened = static_cast<double>(primes[0]) * static_cast<double>(primes[1]);
    if (opened <= 2.01 * std::ldexp(degree, opening_bits())) return false;
    return std::ldexp(flooded, reply_bits()) / modulus + switched <= std::ldexp(1.0, kReplyGuardBits - 1);
}

}  // namespace mpc::bfv
