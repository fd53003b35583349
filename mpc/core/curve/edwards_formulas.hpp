// The formulas of the curve and its field chains, once for every representation of a field element. There are two, one
// element (field25519.hpp) and eight side by side (edwards25519_ifma.cpp). A representation F brings add, sub, mul,
// square, negate (loose results) and add_lazy (may enter mul, square and sub only). They are found by
// argument-dependent lookup.
//
// Forced inlining keeps instantiations for one instruction set out of code for another.
#pragma once

#include "core/base/block.hpp"

namespace mpc::curve {

template <typename F>
struct Extended {
    F x, y, z, t;
};

// A summand prepared for addition: (Y + X, Y - X, Z, 2 d T).
template <typename F>
struct Cached {
    F y_plus_x, y_minus_x, z, t2d;
};

template <typename F>
MPC_INLINE Cached<F> cached(const Extended<F>& p, const F& two_d) {
    return Cached<F>{add(p.y, p.x), sub(p.y, p.x), p.z, mul(p.t, two_d)};
}

// Hisil et al., 3.1 (unified, complete for a = -1 and nonsquare d): d2 is 2 Z1 Z2, loose or lazy.
template <typename F>
MPC_INLINE Extended<F> complete(const Extended<F>& p, const F& y_plus_x, const F& y_minus_x, const F& t2d,
                                const F& d2) {
    const F a = mul(sub(p.y, p.x), y_minus_x);
    const F b = mul(add_lazy(p.y, p.x), y_plus_x);
    const F c = mul(p.t, t2d);
    const F e = sub(b, a), f = sub(d2, c), g = add(d2, c), h = add_lazy(b, a);
    return Extended<F>{mul(e, f), mul(g, h), mul(f, g), mul(e, h)};
}

template <typename F>
MPC_INLINE Extended<F> add_cached(const Extended<F>& p, const Cached<F>& q) {
    const F zz = mul(p.z, q.z);
    return complete(p, q.y_plus_x, q.y_minus_x, q.t2d, add_lazy(zz, zz));
}

// Hisil et al., 3.3. A doubling does not read T, so a run of doublings leaves it alone until the last.
template <typename F>
MPC_INLINE Extended<F> doubled(const Extended<F>& p, bool with_t) {
    const F a = square(p.x), b = square(p.y), zz = square(p.z);
    const F h = add(a, b), e = sub(h, square(add_lazy(p.x, p.y))), g = sub(a, b);
    const F f = add(add_lazy(zz, zz), g);
    return Extended<F>{mul(e, f), mul(g, h), mul(f, g), with_t ? mul(e, h) : p.t};
}

template <typename F>
MPC_INLINE F square_times(F f, int times) {
    for (int i = 0; i < times; ++i) f = square(f);
    return f;
}

template <typename F>
struct Chain {
    F x11;   // a^11
    F x250;  // a^(2^250 - 1)
};

// The addition chain shared by the inversion (p - 2 = 2^255 - 21) and the square root ((p - 5) / 8 = 2^252 - 3).
template <typename F>
MPC_INLINE Chain<F> chain(const F& a) {
    const F x2 = square(a);
    const F x9 = mul(square_times(x2, 2), a);
    const F x11 = mul(x9, x2);
    const F e5 = mul(square(x11), x9);  // exponent 2^5 - 1, and so on
    const F e10 = mul(square_times(e5, 5), e5);
    const F e20 = mul(square_times(e10, 10), e10);
    const F e40 = mul(square_times(e20, 20), e20);
    const F e50 = mul(square_times(e40, 10), e10);
    const F e100 = mul(square_times(e50, 50), e50);
    const F e200 = mul(square_times(e100, 100), e100);
    return Chain<F>{x11, mul(square_times(e200, 50), e50)};
}

// a^((p - 5) / 8), the core of the square root (RFC 8032, 5.1.3).
template <typename F>
MPC_INLINE F power_p58(const F& a) {
    return mul(square_times(chain(a).x250, 2), a);
}

}  // namespace mpc::curve
