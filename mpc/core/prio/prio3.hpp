// Prio3 (draft-20, section 7). Each step is for a batch of reports, as bytes in and bytes out. Tables of bytes have a
// row a report, of the length that `sizes` says. A row that fails gets a status and changes nothing in the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/byte_view.hpp"
#include "core/prio/circuit.hpp"

namespace mpc::prio {

struct Options {
    CircuitOptions circuit;
    std::uint32_t algorithm = 0;  // the identifier in the domain separation tag
    unsigned field_bits = 64;     // or 128
    std::size_t shares = 2;       // aggregators, 2 to 255
    std::size_t proofs = 1;       // 1 to 255
};

// In bytes, but for `words`. Aggregator 0 is the leader, all others are helpers.
struct Sizes {
    std::size_t words = 0;  // 64-bit words of a measurement
    std::size_t nonce = 16, verify_key = 32, randomness = 0;
    std::size_t public_share = 0, leader_share = 0, helper_share = 0;
    std::size_t verifier_share = 0, verifier_message = 0;
    std::size_t state = 0;      // the output share, and the seed of the joint randomness
    std::size_t aggregate = 0;  // an output share or an aggregate share
    std::size_t element = 0;

    std::size_t input_share(std::size_t aggregator) const { return aggregator == 0 ? leader_share : helper_share; }
};

enum class Status : std::uint8_t {
    ok = 0,
    not_canonical = 1,     // a field element is not below the modulus
    test_point = 2,        // the random place of the proof's test is one that it may not be
    invalid_proof = 3,     // the measurement is not valid, or a share is not what the client sent
    joint_randomness = 4,  // the client used other randomness than the aggregators derive
};

class Steps;

// Immutable, and used by several threads at once. Every step throws LengthError for a table of another length than
// its rows need, and ParameterError for what is the caller's own.
class Prio3 {
public:
    explicit Prio3(const Options& options);
    ~Prio3();

    const Options& options() const { return options_; }
    const Sizes& sizes() const { return sizes_; }

    // From the client to all aggregators. `helper_shares` holds the table of helper 1, then that of helper 2 and so on.
    // Throws ParameterError that names the first measurement out of range.
    void shard(ByteView context, WordView measurements, ByteView nonces, ByteView randomness,
               MutableByteView public_shares, MutableByteView leader_shares, MutableByteView helper_shares) const;

    // At each aggregator.
    void verify_init(ByteView verify_key, ByteView context, std::size_t aggregator, ByteView nonces,
                     ByteView public_shares, ByteView input_shares, MutableByteView states,
                     MutableByteView verifier_shares, View<Status> statuses) const;

    // At one aggregator or at each. `verifier_shares` holds the tables of all aggregators in their order.
    void verifier_shares_to_messages(ByteView context, ByteView verifier_shares, MutableByteView messages,
                                     View<Status> statuses) const;

    // At each aggregator. Rows that fail get an output share of zeros.
    void verify_next(ByteView states, ByteView messages, MutableByteView output_shares, View<Status> statuses) const;

    // The sum of aggregate or output shares whose status is ok. False, and nothing is written, if an element of these
    // is not below the modulus.
    [[nodiscard]] bool add(ByteView rows, View<const Status> statuses, MutableByteView aggregate) const;

private:
    Options options_;
    Sizes sizes_;
    std::unique_ptr<Steps> steps_;
};

}  // namespace mpc::prio
