// Computes on ciphertexts. There is no secret here, and calls on one object may run in several threads at once.
//
// Operands of sums have equal levels and equal scales. What differs is refused with ParameterError, as is a level that
// is too low, a key that is missing or cut below the level, and a scale that leaves no room below the modulus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/byte_view.hpp"
#include "core/ckks/ciphertext.hpp"
#include "core/ckks/encoding.hpp"
#include "core/ckks/switching.hpp"

namespace mpc::ckks {

struct RotationKey {
    SwitchingKey key;
    std::vector<std::uint32_t> map;  // of rotation_map
};

class Evaluator {
public:
    using Terms = std::vector<const Ciphertext*>;

    // Messages of wire.hpp. Throws LengthError and MalformedError for malformed keys, and
    // ParameterError for keys of different secrets and two for one rotation.
    Evaluator(SharedParameters parameters, const std::optional<ByteView>& relinearisation,
              const std::vector<ByteView>& rotations);

    const Parameters& parameters() const { return *parameters_; }
    const std::map<std::size_t, RotationKey>& rotations() const { return rotations_; }  // by steps to the left

    Plaintext encode(View<const double> values, std::size_t level, const Scale& scale) const;
    Plaintext encode(double value, std::size_t level, const Scale& scale) const;

    Ciphertext add(const Ciphertext& a, const Ciphertext& b) const;
    Ciphertext subtract(const Ciphertext& a, const Ciphertext& b) const;
    Ciphertext negate(const Ciphertext& a) const;
    Ciphertext add_plain(const Ciphertext& a, const Plaintext& b) const;
    Ciphertext multiply_plain(const Ciphertext& a, const Plaintext& b, bool rescaled) const;

    // sum_j a_j b_j, with one switch and one division, by P or by P q_l.
    Ciphertext dot(const Terms& a, const Terms& b, bool rescaled) const;
    Ciphertext rescale(const Ciphertext& a) const;
    Ciphertext drop(const Ciphertext& a, std::size_t level) const;

    std::vector<Ciphertext> rotate_each(const Ciphertext& a, const std::vector<std::int64_t>& steps) const;
    // sum_j rotate(terms_j, steps_j), with one division by P.
    Ciphertext rotate_sum(const Terms& terms, const std::vector<std::int64_t>& steps) const;
    Ciphertext inner_sum(const Ciphertext& a, std::size_t count, std::int64_t stride) const;

private:
    void check(const Ciphertext& a) const;
    void check_equal(const Ciphertext& a, const Ciphertext& b) const;
    void check_room(std::size_t level, const Scale& scale) const;
    const RotationKey& rotation_key(std::size_t steps, std::size_t level) const;
    Ciphertext blank(const Ciphertext& like, std::size_t level, const Scale& scale) const;

    SharedParameters parameters_;
    std::optional<KeyId> key_id_;
    std::optional<SwitchingKey> relinearisation_;
    std::map<std::size_t, RotationKey> rotations_;
};

}  // namespace mpc::ckks
