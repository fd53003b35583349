// Switches keys; see switching.hpp.
#include "core/ckks/switching.hpp"

#include <algorithm>

namespace mpc::ckks {

using namespace lattice;

Accumulator::Accumulator(const Parameters& parameters, std::size_t at) : level(at) {
    for (std::size_t i = 0; i <= level; ++i) rows.push_back(i);
    for (std::size_t i = parameters.depth() + 1; i < parameters.rows().size(); ++i) rows.push_back(i);
    first.resize(rows.size() * parameters.degree());
    second.resize(rows.size() * parameters.degree());
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
    const std::vector<std::size_t> rows = Accumulator(parameters, level).rows;
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

void Digits::multiply(const SwitchingKey& key, Accumulator& out) const {
    const std::size_t degree = parameters_.degree(), count = parameters_.digits(level_);
    Rows room(kept_.empty() ? count * degree : 0);
    std::vector<const std::uint64_t*> pointers(count), b(count), a(count);
    for (std::size_t i = 0; i < out.rows.size(); ++i) {
        if (kept_.empty()) {
            transforms(out.rows[i], room.data(), pointers.data());
        } else {
            for (std::size_t d = 0; d < count; ++d) pointers[d] = &kept_[(i * count + d) * degree];
        }
        for (std::size_t d = 0; d < count; ++d) {
            const std::size_t place = key.place(d, out.rows[i]);
            b[d] = &key.b[place];
            a[d] = &key.a[place];
        }
        const Ntt& row = parameters_.row(out.rows[i]);
        row.inner_product(pointers.data(), b.data(), count, &out.first[i * degree]);
        row.inner_product(pointers.data(), a.data(), count, &out.second[i * degree]);
    }
}

void add_lifted(const Parameters& parameters, const std::uint64_t* first, const std::uint64_t* second,
                Accumulator& acc) {
    const std::size_t degree = parameters.degree();
    for (std::size_t i = 0; i <= acc.level; ++i) {
        const std::uint64_t factors[] = {1, parameters.special_product(i)};
        for (const bool other : {false, true}) {
            std::uint64_t* const out = &(other ? acc.second : acc.first)[i * degree];
            const std::uint64_t* const both[] = {out, (other ? second : first) + i * degree};
            parameters.row(i).combine(both, factors, 2, out);
        }
    }
}

namespace {

// Divides a polynomial by the product of the rows of `by`, of which x[i] are the coefficients, and adds `term`.
void divide_rows(const Parameters& parameters, const Conversion& by, const std::uint64_t* const* x,
                 const std::uint64_t* c, std::size_t count, const std::uint64_t* term, std::uint64_t* out) {
    const std::size_t degree = parameters.degree();
    const bool single = by.from.size() == 1;
    Rows prepared(single ? 0 : (by.from.size() + 1) * degree), lifted(degree);
    if (!single) by.prepare(parameters.rows(), x, prepared.data());
    for (std::size_t i = 0; i < count; ++i) {
        const Ntt& row = parameters.row(i);
        if (single) {
            row.forward_lifted(parameters.row(by.from[0]).p(), x[0], lifted.data());
        } else {
            by.transform(row, prepared.data(), i, lifted.data());
        }
        row.scale_difference(c + i * degree, lifted.data(), by.inverse_product[i],
                             term != nullptr ? term + i * degree : nullptr, out + i * degree);
    }
}

// What is divided by comes last.
void divide_half(const Parameters& parameters, const Conversion& by, Rows& from, std::size_t count,
                 const std::uint64_t* term, Rows& out) {
    const std::size_t degree = parameters.degree();
    const std::uint64_t* x[kMostSpecialPrimes + 1];
    for (std::size_t i = 0; i < by.from.size(); ++i) {
        std::uint64_t* const row = &from[(count + i) * degree];
        parameters.row(by.from[i]).inverse(row);
        x[i] = row;
    }
    out.resize(count * degree);
    divide_rows(parameters, by, x, from.data(), count, term, out.data());
}

}  // namespace

void divide(const Parameters& parameters, Accumulator& acc, const std::uint64_t* first_term,
            const std::uint64_t* second_term, Rows& first, Rows& second) {
    divide_half(parameters, parameters.special(), acc.first, acc.level + 1, first_term, first);
    divide_half(parameters, parameters.special(), acc.second, acc.level + 1, second_term, second);
}

void divide_and_rescale(const Parameters& parameters, Accumulator& acc, Rows& first, Rows& second) {
    divide_half(parameters, parameters.special_with(acc.level), acc.first, acc.level, nullptr, first);
    divide_half(parameters, parameters.special_with(acc.level), acc.second, acc.level, nullptr, second);
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
    divide_rows(parameters, by, x, c, level, nullptr, out);
}

}  // namespace mpc::ckks
