// The noise of encrypted linear maps is within its bounds, tells nothing of the weights once flooded, and is never so
// large that a result is wrong.
#include <algorithm>
#include <cmath>

#include "tests/check.hpp"
#include "tests/rlwe_setting.hpp"

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;

__extension__ typedef __int128 SignedWide;

namespace mpc::bfv {

// Looks at a reply before it is switched: noise c_0 + c_1 s - round(q y / t) of every coefficient, without or with
// flood.
struct Probe {
    const SecretKey& key;
    const Evaluator& evaluator;

    std::vector<SignedWide> noise(const Weights& weights, const Bytes& upload,
                                  const std::vector<std::uint64_t>& results, const Selection* flooded,
                                  std::uint64_t seed) const {
        const Parameters& parameters = key.parameters();
        const std::size_t degree = parameters.degree();
        const Ciphertexts inputs = read_upload(parameters, upload, weights.inputs(), "upload");
        Evaluator::Scratch scratch(parameters, 1);
        Prg prg(Block{seed, 0});
        const std::vector<Evaluator::Draws> draws{{parameters, flooded != nullptr ? flooded->begin(1) : 0, prg}};
        evaluator.combine(weights, {0, 1, 0, 1}, inputs, draws, scratch);
        const std::vector<std::uint64_t> no_masks(degree, 0);
        if (flooded != nullptr) evaluator.hide(no_masks.data(), *flooded, 0, draws[0], scratch.first.data());
        std::vector<Words> residues;
        for (std::size_t i = 0; i < parameters.primes().size(); ++i) {
            const Ntt& prime = parameters.primes()[i];
            const auto row = static_cast<std::ptrdiff_t>(i * degree);
            Words c1(scratch.second.begin() + row, scratch.second.begin() + row + static_cast<std::ptrdiff_t>(degree));
            prime.forward(c1.data());
            const std::uint64_t *x = c1.data(), *s = &key.secret_[i * degree];
            prime.inner_product(&x, &s, 1, c1.data());
            prime.inverse(c1.data());
            for (std::size_t n = 0; n < degree; ++n) {
                const std::uint64_t phase = (scratch.first[i * degree + n] + c1[n]) % prime.p();
                const std::uint64_t exact = key.scaling_.up(results[n], key.scaling_.half(), i);
                c1[n] = subtract(phase, exact, prime.p());
            }
            residues.push_back(c1);
        }
        std::vector<SignedWide> noise(degree);
        for (std::size_t n = 0; n < degree; ++n) {  // Garner's mixed radix; q is below 2^127 here
            Wide value = residues[0][n], radix = parameters.primes()[0].p();
            for (std::size_t i = 1; i < residues.size(); ++i) {
                const std::uint64_t p = parameters.primes()[i].p();
                const auto so_far = static_cast<std::uint64_t>(value % p);
                const std::uint64_t missing = (residues[i][n] + p - so_far) % p;
                value += radix * (Wide{missing} * inverse(static_cast<std::uint64_t>(radix % p), p) % p);
                radix *= p;
            }
            noise[n] = value > radix / 2 ? -static_cast<SignedWide>(radix - value) : static_cast<SignedWide>(value);
        }
        return noise;
    }

    // c_1 less a w modulo the first prime, for the reply of one upload under `weights`, of which w is the right guess.
    Words second_half_less(const Weights& weights, const std::vector<std::int64_t>& w, const Bytes& upload,
                           std::uint64_t seed) const {
        const Ntt& prime = key.parameters().primes()[0];
        const std::size_t degree = key.parameters().degree();
        const Ciphertexts inputs = read_upload(key.parameters(), upload, 1, "upload");
        Evaluator::Scratch scratch(key.parameters(), 1);
        Prg prg(Block{seed, 0});
        evaluator.combine(weights, {0, 1, 0, 1}, inputs, {{key.parameters(), 0, prg}}, scratch);
        Words guess(degree);
        for (std::size_t n = 0; n < degree; ++n) guess[n] = lift(w[n], prime.p());
        prime.forward(guess.data());
        const std::uint64_t *a = inputs.second.data(), *factor = guess.data();
        prime.inner_product(&a, &factor, 1, guess.data());
        prime.inverse(guess.data());
        for (std::size_t n = 0; n < degree; ++n) {
            guess[n] = subtract(scratch.second[n] % prime.p(), guess[n] % prime.p(), prime.p());
        }
        return guess;
    }
};

}  // namespace mpc::bfv

namespace {

// Before the flood the noise tells weights apart and stays within the derived bounds; the flood is uniform over its
// width.
void noise_is_bounded_and_flooded() {
    constexpr std::size_t degree = 4096, inputs = 2;
    constexpr int bits = 36;
    const std::uint64_t norm = inputs * degree * 255 * 255;
    const Run run(degree, bits, {{norm, degree}});
    const Probe probe{run.key, run.evaluator};
    const double deviation = run.parameters->noise_deviation(norm);
    const std::vector<std::uint64_t> messages(inputs * degree, 12345);
    const Bytes upload = run.key.encrypt(messages);
    const Selection selection = select(all_positions(degree), 1, degree);
    double largest = 0, squares = 0, flooded_squares = 0, flooded_sum = 0, seen_largest = 0;
    std::vector<double> bins(15, 0);
    const double width = std::exp2(run.parameters->flood_bits());
    constexpr std::uint64_t runs = 24;
    for (std::uint64_t seed = 0; seed < runs; ++seed) {
        Prg prg = seeded(seed);
        std::vector<std::int64_t> weights = random_weights(prg, 8, inputs * degree);
        for (std::int64_t& w : weights) w = w > 0 ? 255 : -255;  // the norm bound met
        const Weights loaded = run.evaluator.load(weights.data(), 1, inputs, 0);
        const auto results = plain_product(weights.data(), messages.data(), inputs, degree, bits);
        for (const SignedWide n : probe.noise(loaded, upload, results, nullptr, seed)) {
            largest = std::max(largest, std::fabs(static_cast<double>(n)));
            squares += static_cast<double>(n) * static_cast<double>(n);
        }
        for (const SignedWide n : probe.noise(loaded, upload, results, &selection, seed)) {
            const double x = static_cast<double>(n) / width;  // in [-1, 1) and a little
            seen_largest = std::max(seen_largest, std::fabs(x));
            flooded_sum += x;
            flooded_squares += x * x;
            bins[static_cast<std::size_t>(std::min(14.0, std::max(0.0, std::floor((x + 1) * 7.5))))] += 1;
        }
    }
    constexpr double samples = static_cast<double>(runs * degree);
    const double measured = std::sqrt(squares / samples);
    std::printf("  noise: deviation %.0f measured, %.0f derived; largest %.0f of %.0f\n", measured, deviation, largest,
                9 * (deviation + 0.5));
    // The bound is on the mean over the upload's 8192 noises, whose mean square has a standard deviation of 1.6 %.
    CHECK(measured < 1.035 * deviation && measured > 0.8 * deviation);
    CHECK(largest < 9 * (deviation + 0.5));
    // The statistical distance of all results together, from what was measured instead of the bound.
    CHECK(static_cast<double>(degree) * measured / (2 * width) < std::ldexp(1.0, -40));
    CHECK(seen_largest < 1 + std::ldexp(1.0, -30) && seen_largest > 0.999);
    CHECK(std::fabs(flooded_sum / samples) < 5 / std::sqrt(3 * samples));
    CHECK(std::fabs(flooded_squares / samples - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / samples));
    double chi = 0;
    for (const double bin : bins) chi += (bin - samples / 15) * (bin - samples / 15) / (samples / 15);
    CHECK(chi < 14 + 6 * std::sqrt(28.0));
}

// The size of the noise, as a receiver would measure it, tells small weights from large ones before the flood, and
// is right half the time after it.
void noise_tells_weights_apart_only_without_flood() {
    constexpr std::size_t degree = 4096;
    constexpr int bits = 30;
    const Run run(degree, bits, {{degree * 255 * 255, 64 * degree}});
    const Probe probe{run.key, run.evaluator};
    const std::vector<std::uint64_t> messages(degree, 0), zeros(degree, 0);  // the same result for all weights
    const Bytes upload = run.key.encrypt(messages);
    const Selection selection = select(all_positions(degree), 1, degree);
    std::vector<std::int64_t> small(degree, 0), large(degree, 255);
    small[0] = 1;
    constexpr std::uint64_t runs = 40;
    double bare[2] = {0, 0}, hidden[2] = {0, 0};
    int right = 0;
    const double half_width = std::exp2(run.parameters->flood_bits()) / 2;  // the mean of |uniform in [-W, W)|
    for (std::uint64_t seed = 0; seed < runs; ++seed) {
        for (const int guess : {0, 1}) {
            const Weights loaded = run.evaluator.load(guess == 0 ? small.data() : large.data(), 1, 1, 0);
            const auto size = [&](const Selection* flooded) {
                double total = 0;
                const std::uint64_t number = 2 * seed + static_cast<std::uint64_t>(guess);
                for (const SignedWide n : probe.noise(loaded, upload, zeros, flooded, number)) {
                    total += std::fabs(static_cast<double>(n)) / degree;
                }
                return total;
            };
            bare[guess] = guess == 0 ? std::max(bare[0], size(nullptr)) : size(nullptr);
            const double measured = size(&selection);
            hidden[guess] += measured / runs;
            right += (measured > half_width) == (guess == 1);
        }
    }
    CHECK(bare[1] > 5 * bare[0]);
    const double spread = half_width / std::sqrt(3.0 * degree * runs);  // of a mean over all runs
    CHECK(std::fabs(hidden[0] - hidden[1]) < 5 * std::sqrt(2.0) * spread);
    CHECK(std::abs(right - static_cast<int>(runs)) < 5 * std::sqrt(runs / 2.0));
}

// c_1 confirms a guess of the weights unless it is re-randomised: the receiver knows the uniform halves a. Here it
// guesses right, and is left with u p_1 + e_1, as good as uniform.
void second_half_confirms_no_guess() {
    constexpr std::size_t degree = 4096;
    const Run run(degree, 30, {{degree * 255 * 255, degree}});
    const Probe probe{run.key, run.evaluator};
    const std::vector<std::uint64_t> messages(degree, 0);
    const Bytes upload = run.key.encrypt(messages);
    const std::vector<std::int64_t> weights(degree, 255);
    const Weights loaded = run.evaluator.load(weights.data(), 1, 1, 0);
    const Words rest = probe.second_half_less(loaded, weights, upload, 5);
    const std::uint64_t p = run.parameters->primes()[0].p();
    std::vector<double> bins(16, 0);
    for (const std::uint64_t x : rest) bins[static_cast<std::size_t>(Wide{x} * 16 / p)] += 1;
    double chi = 0;
    for (const double bin : bins) chi += (bin - degree / 16.0) * (bin - degree / 16.0) / (degree / 16.0);
    CHECK(chi < 15 + 6 * std::sqrt(30.0));
    CHECK(probe.second_half_less(loaded, weights, upload, 6) != rest);
}

// What is left of the margin after the switch, over many replies; and every reply is fresh.
void replies_keep_their_margin_and_are_fresh() {
    constexpr std::size_t degree = 8192;
    constexpr int bits = 44;
    const std::uint64_t norm = degree * 2047ull * 2047ull;
    const Run run(degree, bits, {{norm, 20 * degree}});
    Prg prg = seeded(8);
    const auto messages = random_words(prg, bits, degree);
    const auto weights = random_weights(prg, 10, degree);
    const Weights loaded = run.evaluator.load(weights.data(), 1, 1, 0);
    const Bytes upload = run.key.encrypt(messages);
    const auto results = plain_product(weights.data(), messages.data(), 1, degree, bits);
    const Selection selection = select(all_positions(degree), 1, degree);
    const std::vector<std::uint64_t> masks(degree, 0);
    const std::uint64_t reply_mask = ~std::uint64_t{0} >> (64 - run.parameters->reply_bits());
    std::int64_t largest = 0;
    Bytes last;
    for (int i = 0; i < 20; ++i) {
        const Bytes reply = run.reply(loaded, upload, masks, selection);
        const auto phases = run.key.phases(reply, selection);
        for (std::size_t n = 0; n < degree; ++n) {
            const std::uint64_t off = (phases[n] - (results[n] << kReplyGuardBits)) & reply_mask;
            const int shift = 64 - run.parameters->reply_bits();
            largest = std::max(largest, std::abs(static_cast<std::int64_t>(off << shift) >> shift));
        }
        if (!last.empty()) {
            std::size_t equal = 0;
            for (std::size_t b = 0; b < reply.size(); ++b) equal += reply[b] == last[b] ? 1 : 0;
            CHECK(equal < reply.size() / 200);  // 1/256 by chance: neither c_1 nor c_0 repeats
        }
        last = reply;
    }
    double modulus = 1;
    for (const Ntt& prime : run.parameters->primes()) modulus *= static_cast<double>(prime.p());
    const double flood = std::exp2(run.parameters->flood_bits() + run.parameters->reply_bits()) / modulus;
    const double switched = 9 * std::sqrt(static_cast<double>(degree) / 12) + 2;
    std::printf("  reply noise: largest %ld; derived %.0f + %.0f of 512\n", static_cast<long>(largest), flood,
                switched);
    CHECK(static_cast<double>(largest) < flood + switched);
    CHECK(static_cast<double>(largest) > flood);
}

}  // namespace

int main() {
    check::run("noise is bounded and flooded", noise_is_bounded_and_flooded);
    check::run("noise tells weights apart only without flood", noise_tells_weights_apart_only_without_flood);
    check::run("second half confirms no guess", second_half_confirms_no_guess);
    check::run("replies keep their margin and are fresh", replies_keep_their_margin_and_are_fresh);
    return check::result();
}
