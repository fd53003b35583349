// CKKS from end to end: what is decrypted is what was computed, within the stated bounds on noise; levels of one to
// four primes a digit; what is refused.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "tests/check.hpp"
#include "tests/ckks_setting.hpp"

using namespace mpc;
using namespace mpc::ckks;

namespace {

void scales_are_exact() {
    const auto parameters = of_depth(64, 3, 1);
    const Scale one = Scale::power_of_two(parameters->primes(), 0), base = parameters->scale();
    CHECK(one.value() == 1 && one.bits() == 0 && base.value() == std::ldexp(1, 40));
    for (std::size_t i = 0; i <= 3; ++i) {
        const Scale prime = Scale::prime(parameters->primes(), i);
        CHECK(prime.value() == static_cast<double>((*parameters->primes())[i]));
        CHECK(prime.over(prime) == one && base.times(prime).over(prime) == base && base.times(prime) != base);
        CHECK(std::fabs(one.over(prime).value() * prime.value() - 1) < 1e-15);
    }
    Scale tower = base;  // 2^40 squared 14 times, over primes near it
    for (int i = 0; i < 14; ++i) tower = tower.times(tower).over(Scale::prime(parameters->primes(), 1));
    const double ratio = 40 * std::log(2.0) - std::log(static_cast<double>((*parameters->primes())[1]));
    CHECK(std::fabs((tower.bits() - 40) * std::log(2.0) - (std::exp2(14) - 1) * ratio) < 1e-6);
    CHECK_THROWS(base.times(of_depth(64, 2, 1)->scale()), ParameterError);
    CHECK_THROWS(Scale::power_of_two(parameters->primes(), 1001).value(), ParameterError);
    CHECK_THROWS(Scale::power_of_two(parameters->primes(), std::int64_t{1} << 41), ParameterError);
    CHECK_THROWS(Scale::of_exponents(parameters->primes(), {1, 2}), ParameterError);
}

void caps_are_held() {
    CHECK(Parameters::small()->modulus_bits() <= 418 && Parameters::small()->depth() == 9);
    CHECK(Parameters::large()->modulus_bits() <= 865 && Parameters::large()->depth() == 17);
    CHECK(Parameters::small_shallow()->modulus_bits() <= 429 && Parameters::small_shallow()->depth() == 8);
    CHECK(Parameters::large_shallow()->modulus_bits() <= 865 && Parameters::large_shallow()->depth() == 16);
    std::vector<int> bits(10, 36);
    bits[0] = 47;
    const auto made = [&](std::size_t degree) { return Parameters(degree, bits, {47}, 36, false).depth(); };
    CHECK(made(32768) == 9);
    CHECK_THROWS(made(8192), ParameterError);
    CHECK_THROWS(made(64), ParameterError);
    bits[1] = 47;  // 429
    CHECK(made(16384) == 9);
    bits[2] = 38;  // 431
    CHECK_THROWS(made(16384), ParameterError);
    CHECK_THROWS(Parameters(16384, {48}, {47}, 36, true), ParameterError);
    CHECK_THROWS(Parameters(16384, {}, {47}, 36, true), ParameterError);
    CHECK_THROWS(Parameters(16384, {40}, {47, 47, 47, 47, 47}, 36, true), ParameterError);
    CHECK_THROWS(Parameters(96, {40}, {47}, 36, true), ParameterError);
    CHECK_THROWS(Parameters(65536, {40}, {47}, 36, true), ParameterError);
}

void values_are_encoded() {
    for (const std::size_t degree : {64u, 512u, 16384u}) {
        const auto parameters = of_depth(degree, 2, 1);
        for (const int bits : {20, 40, 90}) {
            const Scale scale = Scale::power_of_two(parameters->primes(), bits);
            const std::vector<double> values = random_values(degree, degree / 2, 3);
            Rows rows(3 * degree);
            encode(*parameters, encoder_of(degree), values, 2, scale, false, rows.data());
            std::vector<double> found(degree / 2);
            decode(*parameters, encoder_of(degree), 2, scale, rows.data(), found.data());
            const double bound = parameters->encoding_noise() / scale.value() + 3 * std::ldexp(1, -42);
            CHECK(largest_difference(found, values) < bound);
        }
    }
}

// The slots are the values at zeta^(5^i), so products of polynomials are products of values.
void slots_are_values_at_powers_of_five() {
    const std::size_t degree = 64;
    std::vector<double> coefficients = random_values(3, degree), found(degree / 2), back(degree);
    encoder_of(degree).to_values(coefficients.data(), found.data());
    std::size_t power = 1;
    for (std::size_t i = 0; i < degree / 2; ++i, power = power * 5 % (2 * degree)) {
        double value = 0;
        for (std::size_t k = 0; k < degree; ++k) {
            value += coefficients[k] * std::cos(std::acos(-1.0) * static_cast<double>(k * power % (2 * degree)) / degree);
        }
        CHECK(std::fabs(value - found[i]) < 1e-12);
    }
    encoder_of(degree).to_coefficients(found, back.data());
    std::vector<double> again(degree / 2);
    encoder_of(degree).to_values(back.data(), again.data());
    CHECK(largest_difference(found, again) < 1e-13);
}

void encryptions_decrypt() {
    for (const std::size_t degree : {64u, 16384u}) {
        const Setting setting(of_depth(degree, 2, 1));
        const Parameters& parameters = *setting.parameters;
        const std::vector<double> values = random_values(4, degree / 2, 5);
        const PublicKey open(setting.parameters, setting.key.public_key(), Block{5, 6});
        const double scale = parameters.scale().value();
        for (std::size_t level = 0; level <= 2; ++level) {
            const double rounding = parameters.encoding_noise() / scale + 5 * std::ldexp(1, -42);
            const Ciphertext hidden = setting.encrypted(values, level);
            CHECK(largest_difference(setting.key.decrypt(hidden), values) <
                  parameters.fresh_noise(true) / scale + rounding);
            const Ciphertext sent = open.encrypt(values, level, parameters.scale());
            CHECK(largest_difference(setting.key.decrypt(sent), values) <
                  parameters.fresh_noise(false) / scale + rounding);
            CHECK(hidden.level == level && sent.level == level && sent.scale == parameters.scale());
        }
    }
}

// Coefficients that are given come back as they are, up to fresh noise: what the key's holder reads is exact, also
// beyond 53 bits, and a mask that is taken off leaves the message.
void polynomials_decrypt() {
    const std::size_t degree = 256;
    const Setting setting(of_depth(degree, 2, 1));
    const Parameters& parameters = *setting.parameters;
    const PublicKey open(setting.parameters, setting.key.public_key(), Block{5, 6});
    const Scale scale = parameters.scale();
    const auto most = static_cast<std::int64_t>(parameters.fresh_noise(false));  // of a slot, so of a coefficient, too
    const auto near = [&](std::uint64_t found, std::uint64_t expected, std::uint64_t p) {
        const std::uint64_t off = (found + p - expected) % p;
        return static_cast<std::int64_t>(std::min(off, p - off)) <= most;
    };
    Prg prg(Block{9, 8});
    for (std::size_t level = 0; level <= 2; ++level) {
        for (const int shift : {0, 40, 127}) {
            std::vector<std::int64_t> numbers(degree);
            for (std::int64_t& number : numbers) number = static_cast<std::int64_t>(prg.word()) >> (prg.word() % 64);
            numbers[0] = INT64_MIN, numbers[1] = INT64_MAX, numbers[2] = -1;
            const SecretRows found = setting.key.decrypt_residues(open.encrypt_integers(numbers, level, scale, shift));
            CHECK(found.size() == (level + 1) * degree);
            for (std::size_t i = 0; i < found.size(); ++i) {
                const auto p = static_cast<std::int64_t>(parameters.row(i / degree).p());
                __extension__ __int128 residue = numbers[i % degree] % p;
                for (int bit = 0; bit < shift; ++bit) residue = 2 * residue % p;
                CHECK(near(found[i], static_cast<std::uint64_t>((residue + p) % p), static_cast<std::uint64_t>(p)));
            }
        }
        std::vector<std::uint64_t> mask((level + 1) * degree);
        for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = prg.word() % parameters.row(i / degree).p();
        mask[0] = 0, mask[1] = parameters.row(0).p() - 1;
        const std::vector<double> values = random_values(6, degree / 2);
        const Ciphertext message = setting.encrypted(values, level), hidden = open.encrypt_residues(mask, level, scale);
        const SecretRows plain = setting.key.decrypt_residues(message), alone = setting.key.decrypt_residues(hidden);
        const Evaluator evaluator(setting.parameters, std::nullopt, {});
        const SecretRows masked = setting.key.decrypt_residues(evaluator.add(message, hidden));
        for (std::size_t i = 0; i < masked.size(); ++i) {
            const std::uint64_t p = parameters.row(i / degree).p();
            CHECK(near(alone[i], mask[i], p) && masked[i] == (plain[i] + alone[i]) % p);
        }
        mask[1] = parameters.row(0).p();
        CHECK_THROWS(open.encrypt_residues(mask, level, scale), ParameterError);
        mask[1] = ~std::uint64_t{0};
        CHECK_THROWS(open.encrypt_residues(mask, level, scale), ParameterError);
        mask.pop_back();
        CHECK_THROWS(open.encrypt_residues(mask, level, scale), ParameterError);
    }
    const std::vector<std::int64_t> few(degree - 1, 0), all(degree, 0);
    CHECK_THROWS(open.encrypt_integers(few, 1, scale, 0), ParameterError);
    CHECK_THROWS(open.encrypt_integers(all, 1, scale, 128), ParameterError);
    CHECK_THROWS(open.encrypt_integers(all, 1, scale, -1), ParameterError);
    CHECK_THROWS(open.encrypt_integers(all, 3, scale, 0), ParameterError);
}

void products_are_products(std::size_t degree, std::size_t depth, std::size_t specials) {
    const Setting setting(of_depth(degree, depth, specials));
    const Parameters& parameters = *setting.parameters;
    const Evaluator evaluator = setting.evaluator();
    const std::vector<double> x = random_values(7, degree / 2), y = random_values(8, degree / 2);
    std::vector<double> expected(degree / 2), doubled(degree / 2);
    for (std::size_t i = 0; i < degree / 2; ++i) expected[i] = x[i] * y[i], doubled[i] = 2 * x[i] * y[i];
    const double scale = parameters.scale().value();
    const double fresh = (parameters.fresh_noise(true) + parameters.encoding_noise()) / scale;
    for (std::size_t level = 0; level <= depth; ++level) {
        const Ciphertext a = setting.encrypted(x, level), b = setting.encrypted(y, level);
        if (level == 0) {
            CHECK_THROWS(evaluator.dot({&a}, {&b}, false), ParameterError);  // 2^80 does not fit 47 bits
            continue;
        }
        const double bound = 2 * fresh + fresh * fresh + parameters.switch_noise(level) / scale / scale;
        const Ciphertext product = evaluator.dot({&a}, {&b}, false);
        CHECK(largest_difference(setting.key.decrypt(product), expected) < bound + 1e-12);
        const Ciphertext lower = evaluator.rescale(product), both = evaluator.dot({&a}, {&b}, true);
        CHECK(lower.level == level - 1 && lower.scale == both.scale && both.level == level - 1);
        const double last = parameters.rescale_noise() / lower.scale.value();
        CHECK(largest_difference(setting.key.decrypt(lower), expected) < bound + last + 1e-12);
        CHECK(largest_difference(setting.key.decrypt(both), expected) < bound + last + 1e-12);
        const Ciphertext sum = evaluator.dot({&a, &b}, {&b, &a}, true);
        CHECK(largest_difference(setting.key.decrypt(sum), doubled) < 2 * bound + last + 1e-12);
    }
}

void products_with_one_prime_a_digit() { products_are_products(256, 4, 1); }
void products_with_two_primes_a_digit() { products_are_products(256, 4, 2); }
void products_with_three_primes_a_digit() { products_are_products(256, 7, 3); }
void products_with_four_primes_a_digit() { products_are_products(256, 9, 4); }
void products_at_full_degree() { products_are_products(16384, 2, 1); }

void rotations_rotate() {
    for (const std::size_t specials : {1u, 2u, 3u, 4u}) {
        const std::size_t degree = 128, slots = 64, depth = 4;
        const Setting setting(of_depth(degree, depth, specials));
        const Parameters& parameters = *setting.parameters;
        const Evaluator evaluator = setting.evaluator({1, -1, 5, 2, 4});
        const std::vector<double> x = random_values(9, slots), y = random_values(10, slots);
        const double scale = parameters.scale().value();
        for (const std::size_t level : {std::size_t{0}, std::size_t{2}, depth}) {
            const Ciphertext a = setting.encrypted(x, level), b = setting.encrypted(y, level);
            const double fresh = (parameters.fresh_noise(true) + parameters.encoding_noise()) / scale + 1e-12;
            const double bound = fresh + parameters.switch_noise(level) / scale;
            const std::vector<std::int64_t> steps{1, 0, -1, 5};
            const std::vector<Ciphertext> moved = evaluator.rotate_each(a, steps);
            const auto rotated = [&](const std::vector<double>& values, std::int64_t by, std::size_t i) {
                return values[(i + slots + static_cast<std::size_t>(by + 64)) % slots];
            };
            for (std::size_t k = 0; k < steps.size(); ++k) {
                std::vector<double> expected(slots);
                for (std::size_t i = 0; i < slots; ++i) expected[i] = rotated(x, steps[k], i);
                CHECK(largest_difference(setting.key.decrypt(moved[k]), expected) < bound);
            }
            std::vector<double> sum(slots), inner(slots, 0);
            for (std::size_t i = 0; i < slots; ++i) {
                sum[i] = rotated(x, 1, i) + y[i] + rotated(x, 5, i) + rotated(y, -1, i);
                for (std::size_t k = 0; k < 8; ++k) inner[i] += x[(i + k) % slots];
            }
            const Ciphertext found = evaluator.rotate_sum({&a, &b, &a, &b}, {1, 0, 5, -1});
            CHECK(largest_difference(setting.key.decrypt(found), sum) < 4 * bound);
            CHECK(largest_difference(setting.key.decrypt(evaluator.inner_sum(a, 8, 1)), inner) < 15 * bound);
            // Several rotations of one ciphertext, beside several that stay, and none that moves.
            std::vector<double> still(slots);
            for (std::size_t i = 0; i < slots; ++i) {
                sum[i] = rotated(x, 1, i) + rotated(x, 5, i) + 2 * y[i] + x[i];
                still[i] = 2 * x[i] + y[i];
            }
            const Ciphertext more = evaluator.rotate_sum({&a, &b, &a, &b, &a}, {1, 0, 5, 0, 0});
            CHECK(largest_difference(setting.key.decrypt(more), sum) < 5 * bound);
            const Ciphertext none = evaluator.rotate_sum({&a, &b, &a}, {0, 0, 0});
            CHECK(largest_difference(setting.key.decrypt(none), still) < 3 * fresh);
            const Ciphertext alone = evaluator.rotate_sum({&a}, {5});
            CHECK(alone.first == moved[3].first && alone.second == moved[3].second);
            CHECK_THROWS(evaluator.rotate_each(a, {3}), ParameterError);
            CHECK_THROWS(evaluator.rotate_each(a, {64}), ParameterError);
            CHECK_THROWS(evaluator.inner_sum(a, 3, 1), ParameterError);
        }
    }
}

void plain_operations() {
    const Setting setting(of_depth(128, 2, 1));
    const Parameters& parameters = *setting.parameters;
    const Evaluator evaluator = setting.evaluator();
    const std::vector<double> x = random_values(11, 64), y = random_values(12, 64);
    const Ciphertext a = setting.encrypted(x, 2), b = setting.encrypted(y, 2);
    const Plaintext plain = evaluator.encode(y, 2, parameters.scale()), third = evaluator.encode(1 / 3.0, 2, parameters.scale());
    const double small = 1e-9;
    std::vector<double> sum(64), difference(64), product(64), scaled(64), negative(64);
    for (std::size_t i = 0; i < 64; ++i) {
        sum[i] = x[i] + y[i], difference[i] = x[i] - y[i], product[i] = x[i] * y[i], scaled[i] = x[i] / 3;
        negative[i] = -x[i];
    }
    const auto opened = [&](const Ciphertext& c) { return setting.key.decrypt(c); };
    CHECK(largest_difference(opened(evaluator.add(a, b)), sum) < small);
    CHECK(largest_difference(opened(evaluator.add_plain(a, plain)), sum) < small);
    CHECK(largest_difference(opened(evaluator.subtract(a, b)), difference) < small);
    CHECK(largest_difference(opened(evaluator.negate(a)), negative) < small);
    CHECK(largest_difference(opened(evaluator.multiply_plain(a, plain, false)), product) < small);
    CHECK(largest_difference(opened(evaluator.multiply_plain(a, third, true)), scaled) < small);
    const Ciphertext low = evaluator.drop(a, 1);
    CHECK(low.level == 1 && largest_difference(opened(low), x) < small);
    CHECK(largest_difference(opened(evaluator.multiply_plain(low, plain, true)), product) < small);
    // A factor at the scale that is missing lets two terms meet.
    const Ciphertext squared = evaluator.dot({&a}, {&b}, true);
    const Scale missing = squared.scale.times(Scale::prime(parameters.primes(), 2)).over(a.scale);
    const Ciphertext met = evaluator.multiply_plain(a, evaluator.encode(1, 2, missing), true);
    CHECK(met.scale == squared.scale);
    for (std::size_t i = 0; i < 64; ++i) product[i] += x[i];
    CHECK(largest_difference(opened(evaluator.add(met, squared)), product) < small);
}

void what_does_not_fit_is_refused() {
    const Setting setting(of_depth(64, 2, 1));
    const Parameters& parameters = *setting.parameters;
    const Evaluator evaluator = setting.evaluator({1});
    const Scale scale = parameters.scale(), other = Scale::power_of_two(parameters.primes(), 39);
    const std::vector<double> x = random_values(13, 32);
    const Ciphertext a = setting.encrypted(x, 2), low = setting.encrypted(x, 1);
    const Ciphertext scaled = read_ciphertext(setting.parameters, setting.key.encrypt(x, 2, other));
    CHECK_THROWS(evaluator.add(a, low), ParameterError);
    CHECK_THROWS(evaluator.add(a, scaled), ParameterError);
    CHECK_THROWS(evaluator.subtract(a, scaled), ParameterError);
    CHECK_THROWS(evaluator.dot({&a}, {&low}, false), ParameterError);
    CHECK_THROWS(evaluator.dot({&a, &a}, {&a, &scaled}, false), ParameterError);
    CHECK_THROWS(evaluator.dot({}, {}, false), ParameterError);
    CHECK_THROWS(evaluator.rotate_sum({&a, &low}, {0, 1}), ParameterError);
    CHECK_THROWS(evaluator.rotate_sum({&a}, {0, 1}), ParameterError);
    CHECK_THROWS(evaluator.drop(low, 2), ParameterError);
    CHECK_THROWS(evaluator.rescale(setting.encrypted(x, 0)), ParameterError);
    CHECK_THROWS(evaluator.add_plain(a, evaluator.encode(x, 2, other)), ParameterError);
    CHECK_THROWS(evaluator.add_plain(a, evaluator.encode(x, 1, scale)), ParameterError);
    CHECK_THROWS(evaluator.encode(x, 3, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(std::vector<double>(33), 2, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(std::nan(""), 2, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(std::vector<double>{1, INFINITY, 0}, 2, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(std::vector<double>{1, -std::nan(""), 2}, 2, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(33.0, 0, scale), ParameterError);  // q_0 / 2^42 is below 32
    CHECK_THROWS(evaluator.encode(std::vector<double>{-33}, 0, scale), ParameterError);
    CHECK_THROWS(evaluator.encode(1e-12, 2, scale), ParameterError);  // would be 1 instead of 1.0995
    CHECK_THROWS(setting.key.encrypt(x, 3, scale), ParameterError);
    // Another key, other parameters, keys that are missing or cut.
    const SecretKey stranger(setting.parameters, Bytes(kSeedBytes, 8));
    const Ciphertext theirs = read_ciphertext(setting.parameters, stranger.encrypt(x, 2, scale));
    CHECK_THROWS(evaluator.add(a, theirs), ParameterError);
    CHECK_THROWS(setting.key.decrypt(theirs), ParameterError);
    CHECK_THROWS(Evaluator(setting.parameters, std::nullopt, {}).add(a, theirs), ParameterError);  // it knows no key
    const Bytes key = setting.key.relinearisation_key(1), foreign = stranger.rotation_key(1, 1);
    const Bytes rotation = setting.key.rotation_key(1, 1);
    const Evaluator cut(setting.parameters, key, {rotation});
    CHECK_THROWS(cut.dot({&a}, {&a}, false), ParameterError);
    CHECK_THROWS(cut.rotate_each(a, {1}), ParameterError);
    CHECK(cut.rotate_each(low, {1}).size() == 1);
    CHECK_THROWS(Evaluator(setting.parameters, std::nullopt, {}).dot({&a}, {&a}, false), ParameterError);
    CHECK_THROWS(Evaluator(setting.parameters, key, {foreign}), ParameterError);
    CHECK_THROWS(Evaluator(setting.parameters, key, {rotation, rotation}), ParameterError);
    CHECK_THROWS(Evaluator(setting.parameters, rotation, {}), MalformedError);
    CHECK_THROWS(SecretKey(setting.parameters, Bytes(31, 0)), ParameterError);
    const Setting others(of_depth(64, 3, 1));
    CHECK_THROWS(evaluator.add(a, others.encrypted(x, 2)), ParameterError);
    CHECK_THROWS(setting.key.decrypt(others.encrypted(x, 2)), ParameterError);
}

}  // namespace

int main() {
    check::run("scales are exact", scales_are_exact);
    check::run("caps are held", caps_are_held);
    check::run("slots are values at powers of five", slots_are_values_at_powers_of_five);
    check::run_on_all_levels("values are encoded", values_are_encoded);
    check::run_on_all_levels("encryptions decrypt", encryptions_decrypt);
    check::run_on_all_levels("polynomials decrypt", polynomials_decrypt);
    check::run_on_all_levels("products with one prime a digit", products_with_one_prime_a_digit);
    check::run_on_all_levels("products with two primes a digit", products_with_two_primes_a_digit);
    check::run_on_all_levels("products with three primes a digit", products_with_three_primes_a_digit);
    check::run_on_all_levels("products with four primes a digit", products_with_four_primes_a_digit);
    check::run_on_all_levels("products at full degree", products_at_full_degree);
    check::run_on_all_levels("rotations rotate", rotations_rotate);
    check::run_on_all_levels("plain operations", plain_operations);
    check::run_on_all_levels("what does not fit is refused", what_does_not_fit_is_refused);
    return check::result();
}
