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
    // 2W >= leak 2^statistical_bits, with leak = fraction 2^exponent and fraction in [1/2, 1).
    int exponent = 0;
    const double fraction = std::frexp(leak, &exponent);
    flood_ = {static_cast<unsigned>(std::ceil(16 * fraction)), exponent + statistical_bits - 4};

    std::vector<std::uint64_t> chosen;
    const int smallest = std::max(kSmallestModulusBits, static_cast<int>(flood_bits()) + plain_bits);
    for (int bits = smallest; bits <= largest; ++bits) {
        const std::vector<std::uint64_t> primes = ntt_primes(degree, bits, bits <= 2 * kMaxPrimeBits ? 2 : 3);
        if (exact_with(primes)) {
            modulus_bits_ = bits;
            chosen = primes;
            break;
        }
    }
    if (chosen.empty()) {
        const int flood = static_cast<int>(std::ceil(flood_bits()));
        throw ParameterError("a " + std::to_string(plain_bits) + "-bit ring with noise flooded to 2^" +
                             std::to_string(flood) + " needs a modulus of about " +
                             std::to_string(flood + plain_bits + 2) + " bits; degree " + std::to_string(degree) +
                             " allows " + std::to_string(largest));
    }
    for (const std::uint64_t prime : chosen) primes_.emplace_back(prime, degree);
}

double Parameters::flood_bits() const { return std::log2(flood_.multiplier) + flood_.shift - 1; }

double Parameters::noise_deviation(std::uint64_t norm_squared) const {
    return std::sqrt((kNoiseVariance + kRoundingVariance) * static_cast<double>(norm_squared) +
                     2 * kNoiseVariance * static_cast<double>(degree_));
}

bool Parameters::exact_with(const std::vector<std::uint64_t>& primes) const {
    double modulus = 1;
    for (const std::uint64_t prime : primes) modulus *= static_cast<double>(prime);
    double deviation = 0;
    for (const LayerBound& layer : layers_) deviation = std::max(deviation, noise_deviation(layer.norm_squared));
    const double flooded = std::ldexp(flood_.multiplier, flood_.shift - 1) + kTail * (deviation + 0.5) + 1;
    const double switched = kTail * std::sqrt(static_cast<double>(degree_) / 12) + 2;
    // The receiver opens replies modulo the first two primes: they must hold twice any |c_1 s| <= N 2^k.
    const double opened = static_cast<double>(primes[0]) * static_cast<double>(primes[1]);
    if (opened <= 2.01 * std::ldexp(static_cast<double>(degree_), reply_bits())) return false;
    return std::ldexp(flooded, reply_bits()) / modulus + switched <= std::ldexp(1.0, kReplyGuardBits - 1);
}

}  // namespace mpc::bfv
