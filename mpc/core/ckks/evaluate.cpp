// Computes on ciphertexts; see evaluate.hpp.
#include "core/ckks/evaluate.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/ckks/wire.hpp"

namespace mpc::ckks {

using namespace lattice;

namespace {

template <class Operation>
void each_entry(const Parameters& parameters, std::size_t level, const Rows& x, const Rows& y, Rows& out,
                Operation operation) {
    const std::size_t degree = parameters.degree();
    for (std::size_t i = 0; i <= level; ++i) {
        const std::uint64_t p = parameters.row(i).p();
        const std::uint64_t *const a = &x[i * degree], *const b = &y[i * degree];
        std::uint64_t* const o = &out[i * degree];
        for (std::size_t n = 0; n < degree; ++n) o[n] = operation(a[n], b[n], p);
    }
}

void add_rows(const Parameters& parameters, std::size_t level, const Rows& x, const Rows& y, Rows& out) {
    each_entry(parameters, level, x, y, out,
               [](std::uint64_t a, std::uint64_t b, std::uint64_t p) { return lattice::add(a, b, p); });
}

void subtract_rows(const Parameters& parameters, std::size_t level, const Rows& x, const Rows& y, Rows& out) {
    each_entry(parameters, level, x, y, out,
               [](std::uint64_t a, std::uint64_t b, std::uint64_t p) { return lattice::subtract(a, b, p); });
}

}  // namespace

Evaluator::Evaluator(SharedParameters parameters, const std::optional<ByteView>& relinearisation,
                     const std::vector<ByteView>& rotations)
    : parameters_(std::move(parameters)) {
    const auto belongs = [&](const SwitchingKey& key) {
        if (key_id_ && *key_id_ != key.key_id) {
            throw ParameterError("expected keys of one secret, " + hex_of(*key_id_) + ", found one of " +
                                 hex_of(key.key_id));
        }
        key_id_ = key.key_id;
    };
    if (relinearisation) {
        relinearisation_ = read_relinearisation_key(parameters_, *relinearisation);
        belongs(*relinearisation_);
    }
    for (const ByteView message : rotations) {
        SwitchingKey key = read_rotation_key(parameters_, message);
        belongs(key);
        const auto steps = static_cast<std::size_t>(key.steps);
        RotationKey rotation{std::move(key), rotation_map(parameters_->degree(), steps)};
        if (!rotations_.emplace(steps, std::move(rotation)).second) {
            throw ParameterError("expected one key for each rotation, found two for " + std::to_string(steps));
        }
    }
}

// ---- what is refused

void Evaluator::check(const Ciphertext& a) const {
    if (a.parameters->digest() != parameters_->digest()) {
        throw ParameterError("expected ciphertexts of this evaluator's parameters, found one of others");
    }
    if (key_id_ && *key_id_ != a.key_id) {
        throw ParameterError("expected ciphertexts of key " + hex_of(*key_id_) + ", found one of " + hex_of(a.key_id));
    }
}

void Evaluator::check_equal(const Ciphertext& a, const Ciphertext& b) const {
    check(a);
    check(b);
    if (a.key_id != b.key_id) {
        throw ParameterError("expected ciphertexts of one key, found " + hex_of(a.key_id) + " and " + hex_of(b.key_id));
    }
    if (a.level != b.level) {
        throw ParameterError("expected ciphertexts of one level, found " + std::to_string(a.level) + " and " +
                             std::to_string(b.level));
    }
}

void Evaluator::check_room(std::size_t level, const Scale& scale) const {
    if (parameters_->level_bits(level) - 2 < scale.bits()) {
        throw ParameterError("expected a scale that leaves room for values of 1 below the " +
                             std::to_string(parameters_->level_bits(level)) + " bits of level " + std::to_string(level) +
                             ", found " + scale.text());
    }
}

const RotationKey& Evaluator::rotation_key(std::size_t steps, std::size_t level) const {
    const auto found = rotations_.find(steps);
    if (found == rotations_.end()) {
        throw ParameterError("expected a rotation for which there is a key, found " + std::to_string(steps) + " steps");
    }
    if (found->second.key.level < level) {
        throw ParameterError("expected a ciphertext of at most level " + std::to_string(found->second.key.level) +
                             " for a rotation by " + std::to_string(steps) + ", found level " + std::to_string(level));
    }
    return found->second;
}

namespace {

void check_plain(const Parameters& parameters, const Ciphertext& a, const Plaintext& b) {
    if (b.parameters->digest() != parameters.digest()) {
        throw ParameterError("expected plaintexts of this evaluator's parameters, found one of others");
    }
    if (b.level < a.level) {
        throw ParameterError("expected a plaintext of at least level " + std::to_string(a.level) + ", found level " +
                             std::to_string(b.level));
    }
}

}  // namespace

Ciphertext Evaluator::blank(const Ciphertext& like, std::size_t level, const Scale& scale) const {
    const std::size_t words = (level + 1) * parameters_->degree();
    return {parameters_, like.key_id, level, scale, Rows(words), Rows(words)};
}

// ---- sums and products with plaintexts

Plaintext Evaluator::encode(View<const double> values, std::size_t level, const Scale& scale) const {
    parameters_->check_level(level);
    Plaintext made{parameters_, level, scale, Rows((level + 1) * parameters_->degree())};
    ckks::encode(*parameters_, encoder_of(parameters_->degree()), values, level, scale, true, made.rows.data());
    return made;
}

Plaintext Evaluator::encode(double value, std::size_t level, const Scale& scale) const {
    parameters_->check_level(level);
    Plaintext made{parameters_, level, scale, Rows((level + 1) * parameters_->degree())};
    encode_constant(*parameters_, value, level, scale, made.rows.data());
    return made;
}

Ciphertext Evaluator::add(const Ciphertext& a, const Ciphertext& b) const {
    check_equal(a, b);
    check_scales(a.scale, b.scale);
    Ciphertext made = blank(a, a.level, a.scale);
    add_rows(*parameters_, a.level, a.first, b.first, made.first);
    add_rows(*parameters_, a.level, a.second, b.second, made.second);
    return made;
}

Ciphertext Evaluator::subtract(const Ciphertext& a, const Ciphertext& b) const {
    check_equal(a, b);
    check_scales(a.scale, b.scale);
    Ciphertext made = blank(a, a.level, a.scale);
    subtract_rows(*parameters_, a.level, a.first, b.first, made.first);
    subtract_rows(*parameters_, a.level, a.second, b.second, made.second);
    return made;
}

Ciphertext Evaluator::negate(const Ciphertext& a) const {
    check(a);
    Ciphertext made = blank(a, a.level, a.scale);
    const auto minus = [](std::uint64_t x, std::uint64_t, std::uint64_t p) { return lattice::subtract(0, x, p); };
    each_entry(*parameters_, a.level, a.first, a.first, made.first, minus);
    each_entry(*parameters_, a.level, a.second, a.second, made.second, minus);
    return made;
}

Ciphertext Evaluator::add_plain(const Ciphertext& a, const Plaintext& b) const {
    check(a);
    check_plain(*parameters_, a, b);
    check_scales(a.scale, b.scale);
    Ciphertext made = blank(a, a.level, a.scale);
    add_rows(*parameters_, a.level, a.first, b.rows, made.first);
    made.second = a.second;
    return made;
}

Ciphertext Evaluator::multiply_plain(const Ciphertext& a, const Plaintext& b, bool rescaled) const {
    check(a);
    check_plain(*parameters_, a, b);
    const Scale scale = a.scale.times(b.scale);
    check_room(a.level, scale);
    Ciphertext made = blank(a, a.level, scale);
    const std::size_t degree = parameters_->degree();
    for (std::size_t i = 0; i <= a.level; ++i) {
        const std::uint64_t* const factor = &b.rows[i * degree];
        const std::uint64_t *const c0 = &a.first[i * degree], *const c1 = &a.second[i * degree];
        parameters_->row(i).inner_product(&c0, &factor, 1, &made.first[i * degree]);
        parameters_->row(i).inner_product(&c1, &factor, 1, &made.second[i * degree]);
    }
    return rescaled ? rescale(made) : made;
}

// ---- levels

Ciphertext Evaluator::rescale(const Ciphertext& a) const {
    check(a);
    if (a.level == 0) throw ParameterError("expected a level above 0 to rescale from, found 0");
    Ciphertext made = blank(a, a.level - 1, a.scale.over(Scale::prime(parameters_->primes(), a.level)));
    divide_by_last(*parameters_, a.level, a.first.data(), made.first.data());
    divide_by_last(*parameters_, a.level, a.second.data(), made.second.data());
    return made;
}

Ciphertext Evaluator::drop(const Ciphertext& a, std::size_t level) const {
    check(a);
    if (level > a.level) {
        throw ParameterError("expected a level of at most " + std::to_string(a.level) + ", found " +
                             std::to_string(level));
    }
    check_room(level, a.scale);
    Ciphertext made = blank(a, level, a.scale);
    std::copy_n(a.first.data(), made.first.size(), made.first.data());
    std::copy_n(a.second.data(), made.second.size(), made.second.data());
    return made;
}

// ---- products

Ciphertext Evaluator::dot(const Terms& a, const Terms& b, bool rescaled) const {
    if (a.empty() || a.size() != b.size() || 2 * a.size() > Ntt::kMaxTerms) {
        throw ParameterError("expected as many factors on both sides, 1 to " + std::to_string(Ntt::kMaxTerms / 2) +
                             ", found " + std::to_string(a.size()) + " and " + std::to_string(b.size()));
    }
    const std::size_t level = a[0]->level, degree = parameters_->degree(), terms = a.size();
    const Scale scale = a[0]->scale.times(b[0]->scale);
    for (std::size_t j = 0; j < terms; ++j) {
        check_equal(*a[j], *b[j]);
        check_equal(*a[0], *a[j]);
        if (j > 0) check_scales(scale, a[j]->scale.times(b[j]->scale));
    }
    check_room(level, scale);
    if (!relinearisation_) throw ParameterError("expected a relinearisation key for products, found none");
    if (relinearisation_->level < level) {
        throw ParameterError("expected factors of at most level " + std::to_string(relinearisation_->level) +
                             ", for which the relinearisation key is, found level " + std::to_string(level));
    }
    if (rescaled && level == 0) throw ParameterError("expected a level above 0 to rescale from, found 0");

    std::vector<const std::uint64_t*> x(2 * terms), y(2 * terms);
    const auto at_row = [&](std::size_t i) {
        for (std::size_t j = 0; j < terms; ++j) {
            x[j] = &a[j]->first[i * degree];
            x[terms + j] = &a[j]->second[i * degree];
            y[j] = &b[j]->second[i * degree];
            y[terms + j] = &b[j]->first[i * degree];
        }
    };
    // (d_0, d_1, d_2) with d_0 = sum_j a_j0 b_j0, d_1 = sum_j a_j0 b_j1 + a_j1 b_j0, and d_2 = sum_j a_j1 b_j1.
    Rows d2((level + 1) * degree), row(2 * degree);
    for (std::size_t i = 0; i <= level; ++i) {
        at_row(i);
        parameters_->row(i).inner_product(x.data() + terms, y.data(), terms, &d2[i * degree]);
    }
    const auto others = [&](std::size_t i) {
        at_row(i);
        parameters_->row(i).inner_product(x.data(), y.data() + terms, terms, row.data());
        parameters_->row(i).inner_product(x.data(), y.data(), 2 * terms, row.data() + degree);
        return std::array<const std::uint64_t*, 2>{row.data(), row.data() + degree};
    };
    Ciphertext made = blank(*a[0], rescaled ? level - 1 : level,
                            rescaled ? scale.over(Scale::prime(parameters_->primes(), level)) : scale);
    const Digits digits(*parameters_, level, d2.data(), false);
    const auto products = [&](std::size_t i, std::uint64_t* first, std::uint64_t* second) {
        digits.multiply(*relinearisation_, i, first, second);
    };
    divide(*parameters_, level, products, others, rescaled, made.first, made.second);
    return made;
}

}  // namespace mpc::ckks
