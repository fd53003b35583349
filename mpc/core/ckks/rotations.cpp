// Rotates ciphertexts; see evaluate.hpp. Images under automorphisms are taken before the division by P, as that of a sum
// is the sum of images.
#include <algorithm>
#include <string>

#include "core/base/error.hpp"
#include "core/ckks/evaluate.hpp"

namespace mpc::ckks {

using namespace lattice;

namespace {

using Rotations = std::vector<const RotationKey*>;

// The sum of the images of a row under rotations, or that added to what is there.
void images(const Ntt& row, const Rotations& rotations, const std::uint64_t* x, bool adds, std::uint64_t* out) {
    for (const RotationKey* const rotation : rotations) {
        adds ? row.add_permuted(rotation->map.data(), x, out) : row.permute(rotation->map.data(), x, out);
        adds = true;
    }
}

// The same of the digits' products with each rotation's key. room has two rows.
void images(const Parameters& parameters, const Digits& digits, const Rotations& rotations, std::size_t row, bool adds,
            Rows& room, std::uint64_t* first, std::uint64_t* second) {
    for (const RotationKey* const rotation : rotations) {
        std::uint64_t *const one = room.data(), *const other = one + parameters.degree();
        digits.multiply(rotation->key, row, one, other);
        images(parameters.row(row), {rotation}, one, adds, first);
        images(parameters.row(row), {rotation}, other, adds, second);
        adds = true;
    }
}

}  // namespace

std::vector<Ciphertext> Evaluator::rotate_each(const Ciphertext& a, const std::vector<std::int64_t>& steps) const {
    check(a);
    const std::size_t degree = parameters_->degree();
    std::vector<std::size_t> left;
    std::size_t moved = 0;
    for (const std::int64_t wanted : steps) {
        left.push_back(steps_to_left(*parameters_, wanted));
        if (left.back() != 0) (void)rotation_key(left.back(), a.level), ++moved;
    }
    std::optional<Digits> digits;
    if (moved > 0) digits.emplace(*parameters_, a.level, a.second.data(), moved > 1);
    Rows room(2 * degree), own(degree);
    std::vector<Ciphertext> all;
    for (const std::size_t each : left) {
        all.push_back(blank(a, a.level, a.scale));
        if (each == 0) {
            all.back().first = a.first;
            all.back().second = a.second;
            continue;
        }
        const Rotations one{&rotation_key(each, a.level)};
        const auto products = [&](std::size_t i, std::uint64_t* first, std::uint64_t* second) {
            images(*parameters_, *digits, one, i, false, room, first, second);
        };
        const auto terms = [&](std::size_t i) {
            images(parameters_->row(i), one, &a.first[i * degree], false, own.data());
            return std::array<const std::uint64_t*, 2>{own.data(), nullptr};
        };
        divide(*parameters_, a.level, products, terms, false, all.back().first, all.back().second);
    }
    return all;
}

Ciphertext Evaluator::rotate_sum(const Terms& terms, const std::vector<std::int64_t>& steps) const {
    if (terms.empty() || terms.size() != steps.size()) {
        throw ParameterError("expected as many steps as terms, at least one, found " + std::to_string(terms.size()) +
                             " terms and " + std::to_string(steps.size()) + " steps");
    }
    const Ciphertext& like = *terms[0];
    std::map<const Ciphertext*, Rotations> wanted;
    Terms still;  // by no step
    for (std::size_t j = 0; j < terms.size(); ++j) {
        check_equal(like, *terms[j]);
        check_scales(like.scale, terms[j]->scale);
        const std::size_t left = steps_to_left(*parameters_, steps[j]);
        if (left == 0) {
            still.push_back(terms[j]);
        } else {
            wanted[terms[j]].push_back(&rotation_key(left, like.level));
        }
    }
    Ciphertext made = blank(like, like.level, like.scale);
    if (wanted.empty()) {
        made.first = still[0]->first;
        made.second = still[0]->second;
        for (std::size_t j = 1; j < still.size(); ++j) made = add(made, *still[j]);
        return made;
    }
    const std::size_t degree = parameters_->degree();
    Rows room(2 * degree), own(2 * degree);
    // What is not multiplied by keys: images of first polynomials, and what stays.
    const auto exact = [&](std::size_t i) {
        const Ntt& row = parameters_->row(i);
        bool adds = false, beside = false;
        const auto add = [&](const Rows& rows, bool& later, std::uint64_t* out) {
            const std::uint64_t ones[] = {1, 1}, *const both[] = {out, &rows[i * degree]};
            later ? row.combine(both, ones, 2, out) : (void)std::copy_n(both[1], degree, out);
            later = true;
        };
        for (const Ciphertext* const term : still) {
            add(term->first, adds, own.data());
            if (still.size() > 1) add(term->second, beside, own.data() + degree);
        }
        for (const auto& [term, rotations] : wanted) {
            images(row, rotations, &term->first[i * degree], adds, own.data());
            adds = true;
        }
        const std::uint64_t* const second = still.size() == 1 ? &still[0]->second[i * degree] : own.data() + degree;
        return std::array<const std::uint64_t*, 2>{own.data(), still.empty() ? nullptr : second};
    };
    const auto of_digits = [&](const Ciphertext* term, const Rotations& rotations) {
        return Digits(*parameters_, like.level, term->second.data(), rotations.size() > 1);
    };
    if (wanted.size() == 1) {
        const auto& [term, rotations] = *wanted.begin();
        const Digits digits = of_digits(term, rotations);
        const auto products = [&, &all = rotations](std::size_t i, std::uint64_t* first, std::uint64_t* second) {
            images(*parameters_, digits, all, i, false, room, first, second);
        };
        divide(*parameters_, like.level, products, exact, false, made.first, made.second);
        return made;
    }
    // One term's digits at a time, in all rows.
    const std::vector<std::size_t> rows = extended_rows(*parameters_, like.level);
    Rows sums(2 * rows.size() * degree);
    bool adds = false;
    for (const auto& [term, rotations] : wanted) {
        const Digits digits = of_digits(term, rotations);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::uint64_t* const at = &sums[2 * i * degree];
            images(*parameters_, digits, rotations, rows[i], adds, room, at, at + degree);
        }
        adds = true;
    }
    const auto products = [&](std::size_t row, std::uint64_t* first, std::uint64_t* second) {
        const auto place = static_cast<std::size_t>(std::find(rows.begin(), rows.end(), row) - rows.begin());
        std::copy_n(&sums[2 * place * degree], degree, first);
        std::copy_n(&sums[(2 * place + 1) * degree], degree, second);
    };
    divide(*parameters_, like.level, products, exact, false, made.first, made.second);
    return made;
}

Ciphertext Evaluator::inner_sum(const Ciphertext& a, std::size_t count, std::int64_t stride) const {
    if (count == 0 || count > parameters_->slots() || (count & (count - 1)) != 0) {
        throw ParameterError("expected a power of two of at most " + std::to_string(parameters_->slots()) +
                             " slots to add up, found " + std::to_string(count));
    }
    Ciphertext sum = drop(a, a.level);
    for (std::size_t done = 1; done < count; done *= 2) {
        // A stride beyond the slots wraps around.
        const auto slots = static_cast<std::int64_t>(parameters_->slots());
        const std::int64_t steps = stride % slots * static_cast<std::int64_t>(done) % slots;
        sum = rotate_sum({&sum, &sum}, {0, steps});
    }
    return sum;
}

}  // namespace mpc::ckks
