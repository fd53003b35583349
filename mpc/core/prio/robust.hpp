// Prio with Shamir's shares, so that a minority of aggregators may lie or be silent. What that gives, and why, is said in
// mpc/commons/prio/robust.py. Each step is for one report at one party, as bytes in and bytes out.
//
// A share of aggregator j, from 1 on, is the values at j of polynomials of degree t. There is one for each element of
// the encoded measurement, of the proof, and of the masks. Behind these stand 32 bytes that blind its hashes. The public
// share is a hash of each aggregator's measurement, a hash of all of its share, and for each mask the t + 1 coefficients
// of c(x) = sum over k of rho^(k + 1) f_k(x) + mask(x).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/byte_view.hpp"
#include "core/prio/prio3.hpp"

namespace mpc::prio {

struct RobustOptions {
    CircuitOptions circuit;
    std::uint32_t algorithm = 0;
    unsigned field_bits = 64;
    std::size_t aggregators = 4;  // n, 2 to 255
    std::size_t threshold = 1;    // t, below n: so many aggregators learn nothing
};

// In bytes, but for `words`.
struct RobustSizes {
    std::size_t words = 0;  // 64-bit words of a measurement
    std::size_t nonce = 16, randomness = 32, coin = 32;
    std::size_t public_share = 0, share = 0;
    std::size_t verifier = 0;   // one aggregator's words
    std::size_t aggregate = 0;  // an output share or a sum of them
    std::size_t element = 0;
};

enum class Checked : std::uint8_t {
    ok = 0,
    not_canonical = 1,  // an element of the share or of the public share is not below the modulus
    hash = 2,           // the share is not the one that the public share names
    polynomial = 3,     // the share is no point of the published polynomial
    test_point = 4,     // as Status::test_point
};

class RobustSteps;

// Immutable, and used by several threads at once. Throws LengthError and ParameterError as Prio3 does.
class Robust {
public:
    explicit Robust(const RobustOptions& options);
    ~Robust();

    const RobustSizes& sizes() const { return sizes_; }

    // At the client. `shares` holds those of aggregators 1 to n one after the other.
    void deal(ByteView context, WordView measurement, ByteView nonce, ByteView randomness, MutableByteView public_share,
              MutableByteView shares) const;
    // At aggregator `number`.
    Checked check(ByteView context, std::size_t number, ByteView nonce, ByteView public_share, ByteView share) const;
    // At each aggregator, from a share that was checked. Once a report, because two coins would show too much.
    Checked verifier(ByteView context, ByteView nonce, ByteView public_share, ByteView share, ByteView coin,
                     MutableByteView verifier) const;
    // From the verifier's words that all shares of them give.
    bool decide(ByteView verifier) const;
    void output(ByteView share, MutableByteView out) const;

private:
    std::size_t aggregators_;
    RobustSizes sizes_;
    std::unique_ptr<RobustSteps> steps_;
};

}  // namespace mpc::prio
