// Integers as weighted bits, so that a proof of bits is a proof of range (draft-20, section 7.4.2, "Sum").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace mpc::prio {

// Integers from 0 to `largest`, which is not 0. All weights but the last are powers of two, and all together give
// `largest`, so nothing larger can be written.
template <class F>
class RangeCheckedInteger {
public:
    using Element = typename F::Element;

    explicit RangeCheckedInteger(std::uint64_t largest) : largest_(largest) {
        while (bits_ < 64 && largest >> bits_ != 0) ++bits_;
        rest_ = (std::uint64_t{1} << (bits_ - 1)) - 1;
        for (std::size_t i = 0; i + 1 < bits_; ++i) weights_.push_back(F::factor(std::uint64_t{1} << i));
        weights_.push_back(F::factor(largest_ - rest_));
    }

    std::size_t bits() const { return bits_; }

    // For value <= largest, which is the caller's to check. Constant time.
    void encode(std::uint64_t value, Element* bits) const {
        const auto last = static_cast<std::uint64_t>(value > rest_);
        const std::uint64_t rest = value - ((largest_ - rest_) & (std::uint64_t{0} - last));
        for (std::size_t i = 0; i + 1 < bits_; ++i) bits[i] = F::element(rest >> i & 1);
        bits[bits_ - 1] = F::element(last);
    }

    Element decode(const Element* bits) const {
        typename F::Sum sum;
        for (std::size_t i = 0; i < bits_; ++i) sum.add_product(weights_[i], bits[i]);
        return sum.value();
    }

private:
    std::uint64_t largest_, rest_ = 0;
    std::size_t bits_ = 0;
    std::vector<typename F::Factor> weights_;
};

}  // namespace mpc::prio
