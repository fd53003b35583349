// Polynomials given by their values at the n-th roots of unity, n a power of two: their values elsewhere (draft-20,
// section 6.1.3, after Faz-Hernandez, ia.cr/2025/1727). All roots are public, and times depend on n alone.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace mpc::prio {

// The root of unity of order 2^bits that the draft takes.
template <class F>
typename F::Factor root_of_unity(unsigned bits) {
    typename F::Factor root = F::to_factor(F::kGenerator);
    for (unsigned i = bits; i < F::kRootBits; ++i) root = F::multiply(root, root);
    return root;
}

// 1 / a, by Fermat's a^(p - 2).
template <class F>
typename F::Factor inverse(typename F::Factor a) {
    typename F::Factor power = F::factor(1);
    for (unsigned bit = 8 * F::kBytes; bit-- > 0;) {
        power = F::multiply(power, power);
        if ((F::kInverse[bit / 64] >> bit % 64 & 1) != 0) power = F::multiply(power, a);
    }
    return power;
}

template <class F>
class Nodes {
public:
    using Element = typename F::Element;
    using Factor = typename F::Factor;

    // n = 2^bits. Throws ParameterError if the field has no such root.
    explicit Nodes(unsigned bits) : bits_(bits) {
        if (bits > F::kRootBits)
            throw ParameterError("a polynomial: expected fewer values than its field has roots of unity");
        const std::size_t n = size();
        const Factor root = root_of_unity<F>(bits);
        Factor power = F::factor(1);
        for (std::size_t i = 0; i < n; ++i) {
            roots_.push_back(power);
            power = F::multiply(power, root);
        }
        one_by_size_ = F::factor(1);
        const Factor half = inverse<F>(F::factor(2));
        for (unsigned i = 0; i < bits; ++i) one_by_size_ = F::multiply(one_by_size_, half);
    }

    std::size_t size() const { return std::size_t{1} << bits_; }
    Factor root(std::size_t power) const { return roots_[power]; }

    // t^n - 1 is zero only at a node.
    bool is_node(Factor t) const {
        for (unsigned i = 0; i < bits_; ++i) t = F::multiply(t, t);
        return F::to_element(t) == F::element(1);
    }

    // What the value at node k counts in the value at t, for k < n - missing and degree < n - missing, where `missing`
    // is 0 or 1. With T_k = product over j != k of (t - x_j) it is x_k T_k / n. If the last value is missing, the
    // coefficient of degree n - 1 is zero, which gives that value, and T_k becomes T_k - T_(n-1).
    //
    // T is doubled from level to level: T_k mod 2m = T_k mod m times the other half of the nodes of that class, which
    // is t^(n / 2m) + x_k^(n / 2m).
    void coefficients(Factor t, std::size_t missing, Factor* out) const {
        const std::size_t n = size();
        Factor powers[8 * sizeof(std::size_t)];
        powers[0] = t;
        for (unsigned i = 1; i < bits_; ++i) powers[i] = F::multiply(powers[i - 1], powers[i - 1]);
        out[0] = one_by_size_;
        unsigned level = bits_;
        for (std::size_t done = 1; done < n; done *= 2) {
            const Factor power = powers[--level];
            const std::size_t step = n / (2 * done);
            for (std::size_t k = done; k-- > 0;) {
                const Factor root = roots_[k * step], product = out[k];
                out[k + done] = F::multiply(F::subtract(power, root), product);
                out[k] = F::multiply(F::add(power, root), product);
            }
        }
        if (missing != 0)
            for (std::size_t k = 0; k + 1 < n; ++k) out[k] = F::subtract(out[k], out[n - 1]);
        for (std::size_t k = 0; k < n - missing; ++k) out[k] = F::multiply(roots_[k], out[k]);
    }

    // From n values at the nodes to n coefficients, and back. The index of `to_values` is that of the node.
    void to_coefficients(Element* values) const {
        transform(values);
        for (std::size_t i = 1, j = size() - 1; i < j; ++i, --j) std::swap(values[i], values[j]);
        for (std::size_t i = 0; i < size(); ++i) values[i] = F::multiply(one_by_size_, values[i]);
    }
    void to_values(Element* coefficients) const { transform(coefficients); }

private:
    void transform(Element* a) const {
        const std::size_t n = size();
        for (std::size_t i = 1, j = 0; i < n; ++i) {
            std::size_t bit = n / 2;
            for (; (j & bit) != 0; bit /= 2) j ^= bit;
            j |= bit;
            if (i < j) std::swap(a[i], a[j]);
        }
        for (std::size_t half = 1; half < n; half *= 2) {
            const std::size_t step = n / (2 * half);
            for (std::size_t first = 0; first < n; first += 2 * half) {
                for (std::size_t i = 0; i < half; ++i) {
                    const Element u = a[first + i], v = F::multiply(roots_[i * step], a[first + i + half]);
                    a[first + i] = F::add(u, v);
                    a[first + i + half] = F::subtract(u, v);
                }
            }
        }
    }

    unsigned bits_;
    std::vector<Factor> roots_;
    Factor one_by_size_;
};

}  // namespace mpc::prio
