// Switches keys; see switching.hpp.
#include "core/ckks/switching.hpp"

#include <algorithm>

namespace mpc::ckks {

using namespace lattice;

std::vector<std::size_t> extended_rows(const Parameters& parameters, std::size_t level) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i <= level; ++i) rows.push_back(i);
    for (std::size_t i = parameters.depth() + 1; i < parameters.rows().size(); ++i) rows.push_back(i);
    return rows;
}

Digits::Digits(const Parameters& parameters, std::size_t level, const std::uint64_t* c, bool keep)
    : parameters_(parameters), level_(level), transformed_(c) {
    const std::size_t degree = parameters.degree(), count = parameters.digits(level);
    Rows coefficients((level + 1) * degree);
    std::copy_n(c, coefficients.size(), coefficients.data());
    for (std::size_t i = 0; i <= level; ++i) parameters.row(i).inverse(&coefficients[i * degree]);
    if (parameters.specials() == 1) {
        prepared_ = std::move(coefficients);
    } else {
        const std::size_t each = (parameters.specials() + 1) * degree;
        prepared_.resize(count * each);
        for (std::size_t d = 0; d < count; ++d) {
            const Conversion& digit = parameters.digit(d, level);
            const std::uint64_t* x[kMostSpecialPrimes];
            for (std::size_t i = 0; i < digit.from.size(); ++i) x[i] = &coefficients[digit.from[i] * degree];
            digit.prepare(parameters.rows(), x, &prepared_[d * each]);
        }
    }
    if (!keep) return;
    const std::vector<std::size_t> rows = extended_rows(parameters, level);
    Rows kept(rows.size() * count * degree);
    std::vector<const std::uint64_t*> pointers(count);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::uint64_t* const room = &kept[i * count * degree];
        transforms(rows[i], room, pointers.data());
        for (std::size_t d = 0; d < count; ++d) {
            if (pointers[d] != room + d * degree) std::copy_n(pointers[d], degree, room + d * degree);
        }
    }
    kept_ = std::move(kept);
}

void Digits::transforms(std::size_t row, std::uint64_t* room, const std::uint64_t** pointers) const {
    const std::size_t degree = parameters_.degree(), specials = parameters_.specials();
    const Ntt& ntt = parameters_.row(row);
    for (std::size_t d = 0; d < parameters_.digits(level_); ++d, room += degree) {
        if (row <= level_ && row / specials == d) {
            pointers[d] = transformed_ + row * degree;
            continue;
        }
        pointers[d] = room;
        if (specials == 1) {
            ntt.forward_lifted(parameters_.row(d).p(), &prepared_[d * degree], room);
        } else {
            const std::uint64_t* const prepared = &prepared_[d * (specials + 1) * degree];
            parameters_.digit(d, level_).transform(ntt, prepared, row, room);
        }
    }
}

void Digits::multiply(const SwitchingKey& key, std::size_t row, std::uint64_t* first, std::uint64_t* second) const {
    const std::size_t degree = parameters_.degree(), count = parameters_.digits(level_);
    const std::uint64_t* pointers[kMostPrimes];
    if (kept_.empty()) {
        room_.resize(count * degree);
        transforms(row, room_.data(), pointers);
    } else {
        const std::size_t place = row <= level_ ? row : row - parameters_.depth() + level_;
        for (std::size_t d = 0; d < count; ++d) pointers[d] = &kept_[(place * count + d) * degree];
    }
    parameters_.row(row).inner_product_pairs(pointers, key.at(row), count, key.digits(), first, second);
}

namespace {

// Divides a polynomial by the product of some rows and rounds.
class Division {
public:
    // x[i] are its coefficients at the rows of `by`. All must outlive this.
    Division(const Parameters& parameters, const Conversion& by, const std::uint64_t* const* x)
        : parameters_(parameters), by_(by), single_(by.from.size() == 1 ? x[0] : nullptr), lifted_(parameters.degree()) {
        if (single_ != nullptr) return;
        prepared_.resize((by.from.size() + 1) * parameters.degree());
        by.prepare(parameters.rows(), x, prepared_.data());
    }

    // From and to one row, plus `term` unless that is null. out may be x.
    void row(std::size_t number, const std::uint64_t* x, const std::uint64_t* term, std::uint64_t* out) {
        const Ntt& row = parameters_.row(number);
        if (single_ != nullptr) {
            row.forward_lifted(parameters_.row(by_.from[0]).p(), single_, lifted_.data());
        } else {
            by_.transform(row, prepared_.data(), number, lifted_.data());
        }
        row.scale_difference(x, lifted_.data(), by_.inverse_product[number], term, out);
    }

private:
    const Parameters& parameters_;
    const Conversion& by_;
    const std::uint64_t* single_;
    Rows lifted_, prepared_;
};

}  // namespace

void divide(const Parameters& parameters, std::size_t level, const RowProducts& products, const RowTerms& terms,
            bool rescaled, Rows& first, Rows& second) {
    const std::size_t degree = parameters.degree();
    const Conversion& by = rescaled ? parameters.special_with(level) : parameters.special();
    const std::size_t count = by.from.size(), left = rescaled ? level : level + 1;
    // P times the terms is added before a division by P q_l.
    const auto products_and_terms = [&](std::size_t row, std::uint64_t* sum, std::uint64_t* beside) {
        products(row, sum, beside);
        if (!rescaled || row > level) return;
        const std::array<const std::uint64_t*, 2> found = terms(row);
        const std::uint64_t factors[] = {1, parameters.special_product(row)};
        const std::uint64_t *const both[] = {sum, found[0]}, *const others[] = {beside, found[1]};
        parameters.row(row).combine(both, factors, 2, sum);
        parameters.row(row).combine(others, factors, 2, beside);
    };
    Rows divisors(2 * count * degree), one(degree), other(degree);
    const std::uint64_t *x[kMostSpecialPrimes + 1], *y[kMostSpecialPrimes + 1];
    for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t *const from = &divisors[i * degree], *const beside = &divisors[(count + i) * degree];
        products_and_terms(by.from[i], from, beside);
        parameters.row(by.from[i]).inverse(from);
        parameters.row(by.from[i]).inverse(beside);
        x[i] = from, y[i] = beside;
    }
    Division divide_first(parameters, by, x), divide_second(parameters, by, y);
    first.resize(left * degree);
    second.resize(left * degree);
    for (std::size_t i = 0; i < left; ++i) {
        products_and_terms(i, one.data(), other.data());
        const std::array<const std::uint64_t*, 2> found = rescaled ? std::array<const std::uint64_t*, 2>{} : terms(i);
        divide_first.row(i, one.data(), found[0], &first[i * degree]);
        divide_second.row(i, other.data(), found[1], &second[i * degree]);
    }
}

void divide_by_last(const Parameters& parameters, std::size_t level, const std::uint64_t* c, std::uint64_t* out) {
    const std::size_t degree = parameters.degree();
    Rows last(degree);
    std::copy_n(c + level * degree, degree, last.data());
    parameters.row(level).inverse(last.data());
    Conversion by;
    by.from = {level};
    for (std::size_t i = 0; i < level; ++i) by.inverse_product.push_back(parameters.inverse(level, i));
    const std::uint64_t* const x[] = {last.data()};
    Division division(parameters, by, x);
    for (std::size_t i = 0; i < level; ++i) division.row(i, c + i * degree, nullptr, out + i * degree);
}

}  // namespace mpc::ckks
