// Field64 of the VDAF draft (draft-irtf-cfrg-vdaf-20, section 6.1), which is GF(p) for p = 2^64 - 2^32 + 1. Constant
// time. Elements are canonical, in [0, p), and memory order is the order on the wire.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"  // MPC_INLINE

namespace mpc::prio {

__extension__ typedef unsigned __int128 Wide;

struct Field64 {
    static constexpr std::size_t kBytes = 8;
    static constexpr unsigned kRootBits = 32;  // the largest power-of-two order of a root of unity
    static constexpr std::uint64_t kModulus = 0xffffffff00000001;
    static constexpr std::uint64_t kEpsilon = 0xffffffff;  // 2^64 mod p

    struct Element {
        std::uint64_t value;
        friend MPC_INLINE bool operator==(const Element& a, const Element& b) { return a.value == b.value; }
    };
    static constexpr Element kGenerator{0x185629dcda58878c};     // 7^(2^32 - 1), a root of unity of order 2^32
    static constexpr std::uint64_t kInverse[] = {kModulus - 2};  // the exponent of an inverse
    using Factor = Element;  // what an element is multiplied by; Field128 has another form

    static MPC_INLINE Element element(std::uint64_t small) { return {small}; }  // small < p
    static MPC_INLINE Factor factor(std::uint64_t small) { return {small}; }
    static MPC_INLINE Factor to_factor(Element a) { return a; }
    static MPC_INLINE Element to_element(Factor a) { return a; }
    static MPC_INLINE bool is_canonical(Element a) { return a.value < kModulus; }

    static MPC_INLINE Element add(Element a, Element b) { return subtract(a, Element{kModulus - b.value}); }
    static MPC_INLINE Element subtract(Element a, Element b) {  // b may be p
        std::uint64_t difference = 0;
        const bool borrows = __builtin_sub_overflow(a.value, b.value, &difference);
        return {difference - (kEpsilon & (std::uint64_t{0} - static_cast<std::uint64_t>(borrows)))};
    }
    static MPC_INLINE Element multiply(Factor a, Element b) {
        const Wide product = Wide{a.value} * b.value;
        return reduce(static_cast<std::uint64_t>(product), static_cast<std::uint64_t>(product >> 64));
    }

    // A sum of products that is reduced once, for fewer than 2^32 products.
    struct Sum {
        std::uint64_t low = 0, high = 0, top = 0;

        MPC_INLINE void add_product(Factor a, Element b) {
            const Wide product = Wide{a.value} * b.value;
            const Wide sum = ((Wide{high} << 64) | low) + product;
            top += sum < product;
            low = static_cast<std::uint64_t>(sum);
            high = static_cast<std::uint64_t>(sum >> 64);
        }
        MPC_INLINE void add_elements(Element a, Element b) { add_product(a, b); }
        MPC_INLINE Element value() const { return subtract(reduce(low, high), Element{top << 32}); }  // 2^128 = -2^32
        MPC_INLINE Element value_of_elements() const { return value(); }
    };

    // low + 2^64 high, by 2^64 = 2^32 - 1 and 2^96 = -1.
    static MPC_INLINE Element reduce(std::uint64_t low, std::uint64_t high) {
        const Element difference = subtract_any(low, high >> 32);
        const std::uint64_t middle = (high & kEpsilon) * kEpsilon;
        std::uint64_t sum = 0;
        const bool carries = __builtin_add_overflow(difference.value, middle, &sum);
        sum += kEpsilon & (std::uint64_t{0} - static_cast<std::uint64_t>(carries));  // sum - 2^64 < p, so no more
        std::uint64_t below = 0;
        const bool is_below = __builtin_sub_overflow(sum, kModulus, &below);
        const std::uint64_t keep = std::uint64_t{0} - static_cast<std::uint64_t>(is_below);
        return {(sum & keep) | (below & ~keep)};
    }

private:
    // a - b for any word a and b < 2^32, as some word of that residue.
    static MPC_INLINE Element subtract_any(std::uint64_t a, std::uint64_t b) {
        return subtract(Element{a}, Element{b});
    }
};

}  // namespace mpc::prio
