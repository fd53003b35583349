// One key of several owners: the secret is s = sum_i s_i, and each owner holds its own ternary s_i.
//
// From Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux, "Multiparty homomorphic encryption from ring-learning-with-errors"
// (PoPETs 2021): protocol 1 for the public key, 2 for the relinearisation key, 3 for decryption and 5 for refresh.
// All owners take the same uniform halves, from a common seed that none of them chooses alone. Every share is linear in
// s_i with noise of its own, so shares add up to what the sum of the secrets would have made:
//
//     public key              b_i = -a s_i + e_i
//     rotation key            b_d,i = -a_d f^-1(s_i) + e_d,i + P g_d s_i
//     relinearisation key     h_0,i = -a_d u_i + e_i + P g_d s_i  and  h_1,i = a_d s_i + e'_i, which add up to h_0 and h_1,
//                             then s_i h_0 + e''_i  and  (u_i - s_i) h_1 + e'''_i, whose sum over both and all owners is b.
//                             With a = h_1 it holds b + a s = P g_d s^2 + s e + u e' + e'' + e'''.
//     decryption              c_1 s_i + m_i with a mask m_i, uniform in [-2^(k-1), 2^(k-1))
//     refreshed ciphertext    c_1 s_i + m_i and -a s_i - m_i + e_i at a higher level, with another mask than a decryption's
//
// The randomness of a share follows from the owner's seed and from all that the share depends on. So a share that is asked
// for again is the same one, and no two of them average their noise away.
//
// Secrets are never an operand of a branch or an address. What is combined is public.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "core/base/byte_view.hpp"
#include "core/ckks/ciphertext.hpp"
#include "core/ckks/keys.hpp"
#include "core/ckks/wire.hpp"

namespace mpc::ckks {

constexpr int kMostMaskBits = 120;

// The sums of integers that are computed with are below 2^126 in magnitude.
constexpr int kMostOpenedBits = 127;

// Integers below 2^126 in magnitude, in two's complement.
using Integers = lattice::WideWords;

// The first 16 bytes of the SHA-256 of a message or of a ciphertext's message.
Block digest_of(ByteView message);
Block digest_of(const Ciphertext& ciphertext);

class SecretShare {
public:
    // The secret depends on the seed and on the joint key's id. Throws ParameterError unless the seed has 32 bytes.
    SecretShare(SharedParameters parameters, ByteView seed, const KeyId& joint);
    ~SecretShare();
    SecretShare(const SecretShare&) = delete;
    SecretShare& operator=(const SecretShare&) = delete;

    const Parameters& parameters() const { return *parameters_; }
    const KeyId& key_id() const { return key_id_; }

    // Messages of wire.hpp.
    Bytes public_key(const Block& common) const;
    Bytes rotation_key(const Block& common, std::int64_t steps, std::size_t level) const;
    Bytes first_relinearisation(const Block& common, std::size_t level) const;
    // `sum` is that of all first shares, which were made with this common seed.
    Bytes second_relinearisation(const Block& common, ByteView sum) const;

    // Throw ParameterError for a ciphertext of another key and for a mask that its level has no room for.
    Bytes decryption(const Ciphertext& ciphertext, int mask_bits) const;
    // The two parts of a refresh, with one mask.
    Bytes refresh_opening(const Ciphertext& ciphertext, int mask_bits) const;
    Bytes refresh(const Ciphertext& ciphertext, int mask_bits, const Block& common, std::size_t level) const;
    // The mask of a decryption, N coefficients.
    Integers mask(const Ciphertext& ciphertext, int mask_bits) const;

private:
    friend struct Probe;  // tests look at the secret through it

    // A stream for what `purpose` and the numbers name.
    Prg stream(const char* purpose, std::initializer_list<std::uint64_t> numbers) const;
    Prg stream(const Header& header, std::uint64_t more = 0) const;
    SecretRows once(const Block& common, std::size_t level) const;
    void check(const Ciphertext& ciphertext, int mask_bits) const;
    Integers mask(const char* purpose, const Ciphertext& ciphertext, int mask_bits) const;
    Bytes masked_product(const Ciphertext& ciphertext, const Integers& hidden) const;

    SharedParameters parameters_;
    KeyId key_id_;
    std::array<std::uint8_t, kSeedBytes> root_{};  // all randomness follows from it
    SecretRows secret_;                            // transforms modulo all rows
};

// All that follows is public. Each throws MalformedError or LengthError for a malformed share, and MalformedError for
// shares that are not of one key, one step, one level and one common seed.

// The public key or rotation key of the shares, or the sum of the first shares of a relinearisation key.
Bytes add_key_shares(const Parameters& parameters, const std::vector<ByteView>& shares);
// The relinearisation key of the second shares. Throws MalformedError for shares that answer another sum.
Bytes add_second_shares(const Parameters& parameters, ByteView sum, const std::vector<ByteView>& shares);

// c_0 and the shares of a decryption added up: the message, its noise and the sum of the masks. N/2 values.
std::vector<double> open_values(const Ciphertext& ciphertext, const std::vector<ByteView>& shares);
// The same as N coefficients modulo each of the rows 0 ... level.
std::vector<std::uint64_t> open_residues(const Ciphertext& ciphertext, const std::vector<ByteView>& shares);
// The same as N integers, around zero. Throws ParameterError for a level whose modulus has more than 127 bits, and
// MalformedError where one is 2^opened_bits or more in magnitude, as it is for most shares that no secret of the key gives.
Integers open_integers(const Ciphertext& ciphertext, const std::vector<ByteView>& shares, int opened_bits);
// The ciphertext with its noise at a higher level, as a seeded message. `fresh` are the shares of refresh(), in any order.
// Throws MalformedError where an opened integer is 2^opened_bits or more in magnitude.
Bytes refreshed(const Ciphertext& ciphertext, const std::vector<ByteView>& shares, const std::vector<ByteView>& fresh,
                int opened_bits);

}  // namespace mpc::ckks
