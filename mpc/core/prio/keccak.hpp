// Keccak-p[1600, 12], the permutation of TurboSHAKE (RFC 9861, section 2), on words of one lane or of several. `V` says
// what a word is and how it is combined. The including file decides the instruction set, so all is forced inline.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/block.hpp"  // MPC_INLINE

namespace mpc::prio {

constexpr std::size_t kStateWords = 25;
constexpr std::size_t kRounds = 12;
constexpr std::uint64_t kRoundConstants[kRounds] = {
    // the last twelve of FIPS 202, section 3.2.5
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

// Word number x + 5 y of the state goes to place y + 5 (2 x + 3 y mod 5), rotated by r.
template <class V, unsigned r>
MPC_INLINE typename V::Word moved(typename V::Word a, typename V::Word d) {
    return V::template rotate<r>(V::exclusive(a, d));
}

template <class V>
MPC_INLINE void chi(typename V::Word* a, typename V::Word b0, typename V::Word b1, typename V::Word b2,
                    typename V::Word b3, typename V::Word b4) {
    a[0] = V::exclusive(b0, V::and_not(b1, b2));
    a[1] = V::exclusive(b1, V::and_not(b2, b3));
    a[2] = V::exclusive(b2, V::and_not(b3, b4));
    a[3] = V::exclusive(b3, V::and_not(b4, b0));
    a[4] = V::exclusive(b4, V::and_not(b0, b1));
}

// One round from `a` to `e`.
template <class V>
MPC_INLINE void round(const typename V::Word* a, typename V::Word* e, std::uint64_t constant) {
    using Word = typename V::Word;
    const Word c0 = V::exclusive(V::exclusive(a[0], a[5]), V::exclusive(V::exclusive(a[10], a[15]), a[20]));
    const Word c1 = V::exclusive(V::exclusive(a[1], a[6]), V::exclusive(V::exclusive(a[11], a[16]), a[21]));
    const Word c2 = V::exclusive(V::exclusive(a[2], a[7]), V::exclusive(V::exclusive(a[12], a[17]), a[22]));
    const Word c3 = V::exclusive(V::exclusive(a[3], a[8]), V::exclusive(V::exclusive(a[13], a[18]), a[23]));
    const Word c4 = V::exclusive(V::exclusive(a[4], a[9]), V::exclusive(V::exclusive(a[14], a[19]), a[24]));
    const Word d0 = V::exclusive(c4, V::template rotate<1>(c1)), d1 = V::exclusive(c0, V::template rotate<1>(c2));
    const Word d2 = V::exclusive(c1, V::template rotate<1>(c3)), d3 = V::exclusive(c2, V::template rotate<1>(c4));
    const Word d4 = V::exclusive(c3, V::template rotate<1>(c0));
    chi<V>(e, moved<V, 0>(a[0], d0), moved<V, 44>(a[6], d1), moved<V, 43>(a[12], d2), moved<V, 21>(a[18], d3),
           moved<V, 14>(a[24], d4));
    e[0] = V::exclusive(e[0], V::constant(constant));
    chi<V>(e + 5, moved<V, 28>(a[3], d3), moved<V, 20>(a[9], d4), moved<V, 3>(a[10], d0), moved<V, 45>(a[16], d1),
           moved<V, 61>(a[22], d2));
    chi<V>(e + 10, moved<V, 1>(a[1], d1), moved<V, 6>(a[7], d2), moved<V, 25>(a[13], d3), moved<V, 8>(a[19], d4),
           moved<V, 18>(a[20], d0));
    chi<V>(e + 15, moved<V, 27>(a[4], d4), moved<V, 36>(a[5], d0), moved<V, 10>(a[11], d1), moved<V, 15>(a[17], d2),
           moved<V, 56>(a[23], d3));
    chi<V>(e + 20, moved<V, 62>(a[2], d2), moved<V, 55>(a[8], d3), moved<V, 39>(a[14], d4), moved<V, 41>(a[15], d0),
           moved<V, 2>(a[21], d1));
}

template <class V>
MPC_INLINE void permute(typename V::Word* state) {
    typename V::Word other[kStateWords];
    for (std::size_t i = 0; i < kRounds; i += 2) {
        round<V>(state, other, kRoundConstants[i]);
        round<V>(other, state, kRoundConstants[i + 1]);
    }
}

}  // namespace mpc::prio
