// Field128 of the VDAF draft (draft-irtf-cfrg-vdaf-20, section 6.1), which is GF(p) for p = 2^128 - 28 2^64 + 1.
// Constant time. Elements are canonical, in [0, p), and memory order is the order on the wire.
//
// A factor is an element times R = 2^128 (Montgomery, Math. Comp. 44, 1985). The product of a factor and an element is
// an element after one reduction, so shares stay as they are on the wire, and only what they are multiplied by is
// converted. The low word of p is 1, so a step of the reduction multiplies by 28 alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/prio/field64.hpp"  // Wide

namespace mpc::prio {

struct Field128 {
    static constexpr std::size_t kBytes = 16;
    static constexpr unsigned kRootBits = 66;
    static constexpr std::uint64_t kModulusLow = 1, kModulusHigh = 0xffffffffffffffe4;

    struct Element {
        std::uint64_t low, high;
        friend MPC_INLINE bool operator==(const Element& a, const Element& b) {
            return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
        }
    };
    static constexpr Element kGenerator{0x1f9b2759c5109f06, 0x6d278fbf4f60228b};  // 7^(2^62 - 7), of order 2^66
    static constexpr std::uint64_t kInverse[] = {0xffffffffffffffff, 0xffffffffffffffe3};  // the exponent, p - 2
    struct Factor {
        Element residue;  // times R
    };

    static MPC_INLINE Element element(std::uint64_t small) { return {small, 0}; }
    static MPC_INLINE Factor factor(std::uint64_t small) { return to_factor(element(small)); }
    static MPC_INLINE Factor to_factor(Element a) { return {multiply(kRSquared, a)}; }
    static MPC_INLINE Element to_element(Factor a) { return multiply(a, element(1)); }
    static MPC_INLINE bool is_canonical(Element a) {
        return (a.high < kModulusHigh) | ((a.high == kModulusHigh) & (a.low < kModulusLow));
    }

    static MPC_INLINE Element add(Element a, Element b) {
        const Wide x = wide(a), sum = x + wide(b);
        return reduce_once(sum, sum < x);
    }
    static MPC_INLINE Element subtract(Element a, Element b) {
        const Wide x = wide(a), y = wide(b);
        return narrow(x - y + (kP & mask(x < y)));
    }
    static MPC_INLINE Factor add(Factor a, Factor b) { return {add(a.residue, b.residue)}; }
    static MPC_INLINE Factor subtract(Factor a, Factor b) { return {subtract(a.residue, b.residue)}; }

    static MPC_INLINE Element multiply(Factor a, Element b) {
        Sum sum;
        sum.add_product(a, b);
        return sum.value_of_one();
    }
    static MPC_INLINE Factor multiply(Factor a, Factor b) { return {multiply(a, b.residue)}; }

    // A sum of products that is reduced once, for fewer than 2^32 products.
    struct Sum {
        std::uint64_t words[5] = {0, 0, 0, 0, 0};

        MPC_INLINE void add_product(Factor a, Element b) { add_elements(a.residue, b); }
        MPC_INLINE void add_elements(Element a, Element b) {
            const Wide low = Wide{a.low} * b.low, high = Wide{a.high} * b.high;
            const Wide one = Wide{a.low} * b.high, other = Wide{a.high} * b.low;
            add_ends(low, high);
            add_middle(one);
            add_middle(other);
        }
        // The sum of factor times element, or of element times element, which needs another factor R.
        MPC_INLINE Element value() const {
            std::uint64_t w[6] = {words[0], words[1], words[2], words[3], words[4], 0};
            fold(w);
            fold(w + 1);
            // w[4] 2^128 = w[4] (28 2^64 - 1), twice, because the first time may carry once more.
            const Wide kept = (Wide{w[3]} << 64) | w[2];
            const Wide folded = (Wide{w[4]} * 28 << 64) - w[4], sum = kept + folded;
            const bool carries = sum < kept;
            const Wide again = sum + (((Wide{28} << 64) - 1) & mask(carries));
            return reduce_once(again, false);
        }
        MPC_INLINE Element value_of_elements() const { return multiply(kRSquared, value()); }
        MPC_INLINE Element value_of_one() const {  // of one product alone, where nothing is left above
            std::uint64_t w[6] = {words[0], words[1], words[2], words[3], 0, 0};
            fold(w);
            fold(w + 1);
            return reduce_once((Wide{w[3]} << 64) | w[2], w[4] != 0);
        }

    private:
        MPC_INLINE void add_ends(Wide low, Wide high) {
            const Wide sum = ((Wide{words[1]} << 64) | words[0]) + low;
            words[0] = static_cast<std::uint64_t>(sum);
            words[1] = static_cast<std::uint64_t>(sum >> 64);
            // high <= (2^64 - 1)^2, so one more does not carry.
            const Wide raised = high + static_cast<std::uint64_t>(sum < low);
            const Wide upper = ((Wide{words[3]} << 64) | words[2]) + raised;
            words[2] = static_cast<std::uint64_t>(upper);
            words[3] = static_cast<std::uint64_t>(upper >> 64);
            words[4] += upper < raised;
        }
        MPC_INLINE void add_middle(Wide product) {
            const Wide sum = ((Wide{words[2]} << 64) | words[1]) + product;
            words[1] = static_cast<std::uint64_t>(sum);
            words[2] = static_cast<std::uint64_t>(sum >> 64);
            const auto carry = static_cast<std::uint64_t>(sum < product);
            words[4] += __builtin_add_overflow(words[3], carry, &words[3]) ? 1 : 0;
        }
        // Clears the lowest word by adding a multiple m of p. With m = -w[0], m p = m 2^128 - 28 m 2^64 + m.
        static MPC_INLINE void fold(std::uint64_t* w) {
            const std::uint64_t m = std::uint64_t{0} - w[0];
            const Wide above = (Wide{m} << 64) - Wide{m} * 28;
            const Wide sum = ((Wide{w[2]} << 64) | w[1]) + above;
            const std::uint64_t carry = sum < above;
            const Wide rest = sum + static_cast<std::uint64_t>(w[0] != 0);
            w[1] = static_cast<std::uint64_t>(rest);
            w[2] = static_cast<std::uint64_t>(rest >> 64);
            std::uint64_t c = carry + static_cast<std::uint64_t>(rest < sum);
            c = __builtin_add_overflow(w[3], c, &w[3]) ? 1 : 0;
            w[4] += c;
        }
    };

private:
    static constexpr Wide kP = (Wide{kModulusHigh} << 64) | kModulusLow;
    static constexpr Factor kRSquared{{0xfffffffffffffcf1, 0x5587}};  // R^2 mod p

    static MPC_INLINE Wide wide(Element a) { return (Wide{a.high} << 64) | a.low; }
    static MPC_INLINE Element narrow(Wide a) {
        return {static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(a >> 64)};
    }
    static MPC_INLINE Wide mask(bool bit) { return Wide{0} - static_cast<Wide>(bit); }
    // carry 2^128 + a, which is less than 2p.
    static MPC_INLINE Element reduce_once(Wide a, bool carry) {
        const Wide below = a - kP;
        const Wide keep = mask((a < kP) & !carry);
        return narrow((a & keep) | (below & ~keep));
    }
};

}  // namespace mpc::prio
