// The key holder's side: keys, encryption and decryption.
//
// A rotation by `steps` is the automorphism f: X -> X^(5^steps). Its key switches from s to f^-1(s), so that the digits
// of c_1 are multiplied before they are permuted (Halevi and Shoup, "Faster homomorphic linear transformations in
// HElib", CRYPTO 2018, section 5, from where hoisting is, too), and f of the sum is under s again.
//
// The secret follows from a seed of 32 bytes. All other randomness is the operating system's, or a test's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/aes/seeds.hpp"
#include "core/base/byte_view.hpp"
#include "core/ckks/ciphertext.hpp"
#include "core/ckks/encoding.hpp"

namespace mpc::ckks {

constexpr std::size_t kSeedBytes = 32;

class SecretKey {
public:
    // Throws ParameterError unless the seed has 32 bytes. `injected` is for tests only.
    SecretKey(SharedParameters parameters, ByteView seed, const std::optional<Block>& injected = std::nullopt);

    const Parameters& parameters() const { return *parameters_; }
    const KeyId& key_id() const { return key_id_; }

    // Messages of wire.hpp. Fresh noise and a fresh public seed at every call.
    Bytes public_key() const;
    Bytes relinearisation_key(std::size_t level) const;
    Bytes rotation_key(std::int64_t steps, std::size_t level) const;

    // Encrypts values at a level and a scale, as a seeded message.
    Bytes encrypt(View<const double> values, std::size_t level, const Scale& scale) const;
    // N/2 values. Throws ParameterError for a ciphertext of another key or of other parameters.
    std::vector<double> decrypt(const Ciphertext& ciphertext) const;
    // The polynomial itself, by the residues of its N coefficients at the rows 0 ... level. Throws as `decrypt` does.
    SecretRows decrypt_residues(const Ciphertext& ciphertext) const;

private:
    friend struct Probe;  // tests look at the secret and at noise through it

    Bytes switching_key(const SecretRows& from, const SecretRows& to, std::int64_t steps, std::size_t level) const;

    SharedParameters parameters_;
    std::unique_ptr<SeedSource> seeds_;
    KeyId key_id_{};
    SecretRows secret_;  // transforms modulo all rows
};

class PublicKey {
public:
    // Throws LengthError or MalformedError for what is no public key of these parameters.
    PublicKey(SharedParameters parameters, ByteView message, const std::optional<Block>& injected = std::nullopt);

    const Parameters& parameters() const { return *parameters_; }
    const KeyId& key_id() const { return key_id_; }
    Ciphertext encrypt(View<const double> values, std::size_t level, const Scale& scale) const;
    // Encrypts a polynomial by its N integer coefficients times 2^shift, which are secret. It is what a flood takes, as
    // values in slots reach only half of all polynomials, and what is exact beyond 53 bits. Throws ParameterError for
    // another number of coefficients and for a shift above 127.
    Ciphertext encrypt_integers(View<const std::int64_t> coefficients, std::size_t level, const Scale& scale,
                                int shift) const;
    // The same by the residues of the coefficients at the rows 0 ... level, such as a mask that is uniform modulo all of
    // them. Throws ParameterError for another number of residues and for one that is not below its prime.
    Ciphertext encrypt_residues(View<const std::uint64_t> residues, std::size_t level, const Scale& scale) const;

private:
    friend struct Probe;  // tests look at the time of the next one alone

    // Encrypts coefficients that are residues at the rows 0 ... level.
    Ciphertext encrypt_rows(const SecretRows& message, std::size_t level, const Scale& scale) const;

    SharedParameters parameters_;
    std::unique_ptr<SeedSource> seeds_;
    KeyId key_id_{};
    Rows b_, a_;  // at the rows 0 ... depth
};

}  // namespace mpc::ckks
