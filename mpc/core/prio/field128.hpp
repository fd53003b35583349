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

    static MPC_INLINE Element add(Element a, Element b) { return difference(wide(a), kP - wide(b)); }
    static MPC_INLINE Element subtract(Element a, Element b) { return difference(wide(a), wide(b)); }
    static MPC_INLINE Factor add(Factor a, Factor b) { return {add(a.residue, b.residue)}; }
    static MPC_INLINE Factor subtract(Factor a, Factor b) { return {subtract(a.residue, b.residue)}; }

    // One step of Montgomery's reduction takes word t_0 from T: (T - t_0 p) / 2^64 = T / 2^64 + 28 t_0 - t_0 2^64. Both
    // steps together take the two lowest words away and give A + P - N, with A the words above, P = 28 u_0 and what
    // went over, and N = u_0 2^64 + t_0, u_0 = t_1 + 28 t_0. This is T / 2^128, up to one p.
    static MPC_INLINE Element multiply(Factor a, Element b) {
        const Element& f = a.residue;
        const Wide low = Wide{f.low} * b.low;
        const Wide middle = Wide{f.low} * b.high + high_of(low);
        const Wide other = Wide{f.high} * b.low + low_of(middle);
        const Wide above = Wide{f.high} * b.high + high_of(middle) + high_of(other);  // A <= p - 2, so A + P < 2^128
        const Wide next = Wide{low_of(low)} * 28 + low_of(other);
        return difference(above + high_of(next) + Wide{low_of(next)} * 28, join(low_of(low), low_of(next)));
    }
    static MPC_INLINE Factor multiply(Factor a, Factor b) { return {multiply(a, b.residue)}; }

    // A sum of products that is reduced once, for fewer than 2^32 products. Products of the four pairs of words are
    // added up apart, by their weights, so that no carry runs far.
    struct Sum {
        std::uint64_t low[3] = {0, 0, 0}, middle[3] = {0, 0, 0}, high[3] = {0, 0, 0};

        MPC_INLINE void add_product(Factor a, Element b) { add_elements(a.residue, b); }
        MPC_INLINE void add_elements(Element a, Element b) {
            add_to(low, Wide{a.low} * b.low);
            add_to(middle, Wide{a.low} * b.high);
            add_to(middle, Wide{a.high} * b.low);
            add_to(high, Wide{a.high} * b.high);
        }
        // The sum of factor times element. The sum of element times element needs another factor R.
        MPC_INLINE Element value() const {
            const Wide one = Wide{low[1]} + middle[0];
            const Wide two = Wide{low[2]} + middle[1] + high[0] + high_of(one);
            const Wide three = Wide{middle[2]} + high[1] + high_of(two);
            const Wide next = Wide{low[0]} * 28 + low_of(one);
            // A + p + P - N, which is below 2^34 p and positive, as words v_2 v_1 v_0.
            const Wide p_and_p = Wide{low_of(next)} * 28 + high_of(next) + kModulusLow;  // P, and p's low word
            const Wide bottom = Wide{low_of(two)} + low_of(p_and_p);
            const Wide top = Wide{low_of(three)} + high_of(p_and_p) + kModulusHigh + high_of(bottom);
            Wide rest = join(low_of(bottom), low_of(top));
            const std::uint64_t borrow = take_away(rest, join(low[0], low_of(next)));
            const std::uint64_t over = high[2] + high_of(three) + high_of(top) + borrow;
            // v_2 2^128 = v_2 (28 2^64 - 1), twice, because the first time may carry once more.
            const Wide folded = (Wide{over} * 28 << 64) - over;
            Wide sum = rest + folded, probe = sum;
            const std::uint64_t carry = take_away(probe, rest) & 1;    // sum < rest
            return difference(sum + join(0, carry * 28) - carry, kP);  // p less, if that is not negative
        }
        MPC_INLINE Element value_of_elements() const { return multiply(kRSquared, value()); }

    private:
        static MPC_INLINE void add_to(std::uint64_t* words, Wide product) {
#if defined(__x86_64__)
            // Compilers compare where the carry is there already.
            __asm__("addq %3, %0\n\tadcq %4, %1\n\tadcq $0, %2"
                    : "+&r"(words[0]), "+&r"(words[1]), "+&r"(words[2])
                    : "r"(low_of(product)), "r"(high_of(product))
                    : "cc");
#else
            const Wide sum = join(words[0], words[1]) + product;
            words[2] += sum < product;
            words[0] = low_of(sum);
            words[1] = high_of(sum);
#endif
        }
    };

private:
    static constexpr Wide kP = (Wide{kModulusHigh} << 64) | kModulusLow;
    static constexpr Factor kRSquared{{0xfffffffffffffcf1, 0x5587}};  // R^2 mod p

    static MPC_INLINE std::uint64_t low_of(Wide a) { return static_cast<std::uint64_t>(a); }
    static MPC_INLINE std::uint64_t high_of(Wide a) { return static_cast<std::uint64_t>(a >> 64); }
    static MPC_INLINE Wide join(std::uint64_t low, std::uint64_t high) { return (Wide{high} << 64) | low; }
    static MPC_INLINE Wide wide(Element a) { return join(a.low, a.high); }
    // a becomes a - b. All ones if that borrows, otherwise zero. Compilers make a jump of a comparison here and there.
    static MPC_INLINE std::uint64_t take_away(Wide& a, Wide b) {
#if defined(__x86_64__)
        std::uint64_t low = low_of(a), high = high_of(a), below;
        __asm__("subq %3, %0\n\tsbbq %4, %1\n\tsbbq %2, %2"
                : "+&r"(low), "+&r"(high), "=&r"(below)
                : "r"(low_of(b)), "r"(high_of(b))
                : "cc");
        a = join(low, high);
        return below;
#else
        const Wide rest = a - b,
                   below = (~a & b) | ((~a | b) & rest);  // its highest bit borrows (Hacker's Delight, 2-13)
        a = rest;
        return std::uint64_t{0} - static_cast<std::uint64_t>(below >> 127);
#endif
    }
    // a - b, and p more if that is negative.
    static MPC_INLINE Element difference(Wide a, Wide b) {
        const std::uint64_t below = take_away(a, b);
        std::uint64_t low = low_of(a), high = high_of(a);
#if defined(__x86_64__)
        __asm__("addq %2, %0\n\tadcq %3, %1"
                : "+&r"(low), "+r"(high)
                : "r"(kModulusLow & below), "r"(kModulusHigh & below)
                : "cc");
        return {low, high};
#else
        const Wide sum = join(low, high) + join(kModulusLow & below, kModulusHigh & below);
        return {low_of(sum), high_of(sum)};
#endif
    }
};

}  // namespace mpc::prio
