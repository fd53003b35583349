// Makes keys, encrypts and decrypts; see keys.hpp.
#include "core/ckks/keys.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/ckks/samples.hpp"
#include "core/ckks/wire.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::ckks {

using namespace lattice;

std::size_t steps_to_left(const Parameters& parameters, std::int64_t steps) {
    const auto slots = static_cast<std::int64_t>(parameters.slots());
    if (steps <= -slots || steps >= slots) {
        throw ParameterError("expected a rotation by less than " + std::to_string(slots) + " slots, found " +
                             std::to_string(steps));
    }
    return static_cast<std::size_t>(steps < 0 ? steps + slots : steps);
}

// Entry j of a transform is the value at psi^e with e = 2 r + 1, where r is j with its bits reversed, and the image's
// value there is the value at psi^(e g).
std::vector<std::uint32_t> rotation_map(std::size_t degree, std::size_t steps) {
    std::vector<std::uint32_t> reversed(degree), map(degree);
    for (std::size_t i = 0, j = 0; i < degree; ++i) {
        reversed[i] = static_cast<std::uint32_t>(j);
        std::size_t bit = degree / 2;
        for (; bit != 0 && (j & bit) != 0; bit /= 2) j ^= bit;
        j ^= bit;
    }
    std::size_t power = 1;
    for (std::size_t i = 0; i < steps; ++i) power = power * 5 % (2 * degree);
    for (std::size_t j = 0; j < degree; ++j) {
        const std::size_t exponent = (2 * std::size_t{reversed[j]} + 1) * power % (2 * degree);
        map[j] = reversed[exponent / 2];
    }
    return map;
}

// ---- keys

SecretKey::SecretKey(SharedParameters parameters, ByteView seed, const std::optional<Block>& injected)
    : parameters_(std::move(parameters)), seeds_(std::make_unique<SeedSource>(injected)),
      secret_(parameters_->rows().size() * parameters_->degree()) {
    if (seed.size() != kSeedBytes) {
        throw ParameterError("expected a seed of 32 bytes, found " + std::to_string(seed.size()));
    }
    const auto hashed = [&](const char* purpose) {
        Sha256 hash;
        hash.update(purpose, std::strlen(purpose)).update(parameters_->digest().data(), Sha256::kDigestBytes);
        return hash.update(seed.data(), seed.size()).digest();
    };
    const Sha256::Digest name = hashed("capc ckks key id 1");
    std::copy_n(name.begin(), key_id_.size(), key_id_.begin());
    Sha256::Digest derived = hashed("capc ckks secret 1");
    Prg prg(load_block(derived.data()), load_block(derived.data() + sizeof(Block)));
    wipe(derived.data(), derived.size());
    SignedWords secret(parameters_->degree());
    ternary(prg, secret);
    lift_and_transform(*parameters_, secret, parameters_->rows().size(), secret_.data());
}

Bytes SecretKey::public_key() const {
    Header header(*parameters_, Kind::public_key, key_id_, parameters_->depth());
    header.seed = seeds_->next();
    Prg uniform(header.seed), hidden = seeds_->stream();
    const Rows b = public_rows(*parameters_, uniform, hidden, secret_);
    return write(*parameters_, header, {b.data()});
}

Bytes SecretKey::relinearisation_key(std::size_t level) const {
    SecretRows square(secret_.size());
    for (std::size_t i = 0; i < parameters_->rows().size(); ++i) {
        const std::uint64_t* const s = &secret_[i * parameters_->degree()];
        parameters_->row(i).inner_product(&s, &s, 1, &square[i * parameters_->degree()]);
    }
    return switching_key(square, secret_, 0, level);
}

Bytes SecretKey::rotation_key(std::int64_t steps, std::size_t level) const {
    const std::size_t left = steps_to_left(*parameters_, steps);
    if (left == 0) throw ParameterError("expected a rotation by some slots, found 0");
    const std::vector<std::uint32_t> back = rotation_map(parameters_->degree(), parameters_->slots() - left);
    return switching_key(secret_, permuted(secret_, back), static_cast<std::int64_t>(left), level);
}

Bytes SecretKey::switching_key(const SecretRows& from, const SecretRows& to, std::int64_t steps,
                               std::size_t level) const {
    parameters_->check_level(level);
    Header header(*parameters_, steps == 0 ? Kind::relinearisation_key : Kind::rotation_key, key_id_, level);
    header.steps = steps;
    header.seed = seeds_->next();
    Prg uniform(header.seed), hidden = seeds_->stream();
    const Rows b = switching_rows(*parameters_, level, uniform, hidden, &from, to);
    return write(*parameters_, header, {b.data()});
}

// ---- encryption and decryption

Bytes SecretKey::encrypt(View<const double> values, std::size_t level, const Scale& scale) const {
    parameters_->check_level(level);
    const std::size_t degree = parameters_->degree();
    Header header(*parameters_, Kind::seeded, key_id_, level);
    header.scale = scale.exponents();
    header.seed = seeds_->next();
    Prg uniform(header.seed), hidden = seeds_->stream();
    SignedWords error(degree);
    centred_binomial(hidden, error);
    SecretRows message((level + 1) * degree), spare(2 * degree);
    encode(*parameters_, encoder_of(degree), values, level, scale, false, message.data());
    for (std::size_t i = 0; i <= level; ++i) {
        const Ntt& row = parameters_->row(i);
        std::uint64_t* const out = &message[i * degree];
        for (std::size_t n = 0; n < degree; ++n) out[n] += lift(error[n], row.p());  // below 2 p
        row.forward(out);
        uniform_residues(uniform, row.modulus(), spare.data(), degree);
        subtract_product(row, spare.data(), &secret_[i * degree], spare.data() + degree, out);
    }
    return write(*parameters_, header, {message.data()});
}

SecretRows SecretKey::decrypt_residues(const Ciphertext& ciphertext) const {
    if (ciphertext.parameters->digest() != parameters_->digest()) {
        throw ParameterError("expected a ciphertext of this key's parameters, found one of others");
    }
    if (ciphertext.key_id != key_id_) {
        throw ParameterError("expected a ciphertext of key " + hex_of(key_id_) + ", found one of key " +
                             hex_of(ciphertext.key_id));
    }
    const std::size_t degree = parameters_->degree();
    SecretRows message((ciphertext.level + 1) * degree);
    for (std::size_t i = 0; i <= ciphertext.level; ++i) {
        const Ntt& row = parameters_->row(i);
        const std::uint64_t *const c0 = &ciphertext.first[i * degree], *const c1 = &ciphertext.second[i * degree];
        const std::uint64_t* const s = &secret_[i * degree];
        std::uint64_t* const out = &message[i * degree];
        row.inner_product(&c1, &s, 1, out);
        for (std::size_t n = 0; n < degree; ++n) out[n] = add(out[n], c0[n], row.p());
        row.inverse(out);
    }
    return message;
}

std::vector<double> SecretKey::decrypt(const Ciphertext& ciphertext) const {
    const std::size_t degree = parameters_->degree();
    SecretRows message = decrypt_residues(ciphertext);
    std::vector<double> values(degree / 2);
    decode(*parameters_, encoder_of(degree), ciphertext.level, ciphertext.scale, message.data(), values.data());
    return values;
}

PublicKey::PublicKey(SharedParameters parameters, ByteView message, const std::optional<Block>& injected)
    : parameters_(std::move(parameters)), seeds_(std::make_unique<SeedSource>(injected)) {
    Message read(*parameters_, message, {Kind::public_key}, "public key");
    key_id_ = read.header.key_id;
    b_ = std::move(read.parts.at(0));
    a_ = std::move(read.parts.at(1));
}

Ciphertext PublicKey::encrypt(View<const double> values, std::size_t level, const Scale& scale) const {
    parameters_->check_level(level);
    const std::size_t degree = parameters_->degree();
    SecretRows message((level + 1) * degree);
    encode(*parameters_, encoder_of(degree), values, level, scale, false, message.data());
    return encrypt_rows(message, level, scale);
}

Ciphertext PublicKey::encrypt_integers(View<const std::int64_t> coefficients, std::size_t level, const Scale& scale,
                                       int shift) const {
    parameters_->check_level(level);
    const std::size_t degree = parameters_->degree();
    if (coefficients.size() != degree) {
        throw ParameterError("coefficients: expected " + std::to_string(degree) + ", found " +
                             std::to_string(coefficients.size()));
    }
    if (shift < 0 || shift > 127) {
        throw ParameterError("shift: expected 0 to 127 bits, found " + std::to_string(shift));
    }
    SecretRows message((level + 1) * degree);
    for (std::size_t i = 0; i <= level; ++i) {
        const Modulus& modulus = parameters_->row(i).modulus();
        const Factor factor = modulus.factor(power(2, static_cast<std::uint64_t>(shift), modulus.p));
        for (std::size_t n = 0; n < degree; ++n) {
            const std::uint64_t residue = reduce_signed(static_cast<std::uint64_t>(coefficients[n]), modulus);
            message[i * degree + n] = multiply(residue, factor, modulus.p);
        }
    }
    return encrypt_rows(message, level, scale);
}

Ciphertext PublicKey::encrypt_residues(View<const std::uint64_t> residues, std::size_t level, const Scale& scale) const {
    parameters_->check_level(level);
    const std::size_t degree = parameters_->degree(), words = (level + 1) * degree;
    if (residues.size() != words) {
        throw ParameterError("residues: expected " + std::to_string(words) + ", found " + std::to_string(residues.size()));
    }
    SecretRows message(words);
    std::uint64_t all_below = ~std::uint64_t{0}, any = 0;  // in the highest bit; the residues may be secret
    for (std::size_t i = 0; i < words; ++i) {
        all_below &= residues[i] - parameters_->row(i / degree).p();
        any |= residues[i];
        message[i] = residues[i];
    }
    if (all_below >> 63 == 0 || any >> 63 != 0) {
        throw ParameterError("residues: expected numbers below their primes, found a larger one");
    }
    return encrypt_rows(message, level, scale);
}

// (b v + e_0 + m, a v + e_1).
Ciphertext PublicKey::encrypt_rows(const SecretRows& message, std::size_t level, const Scale& scale) const {
    const std::size_t degree = parameters_->degree(), words = (level + 1) * degree;
    Prg hidden = seeds_->stream();
    SignedWords once(degree), error(degree), other(degree);
    ternary(hidden, once);
    centred_binomial(hidden, error);
    centred_binomial(hidden, other);
    SecretRows spare(2 * degree);
    Ciphertext made{parameters_, key_id_, level, scale, Rows(words), Rows(words)};
    for (std::size_t i = 0; i <= level; ++i) {
        const Ntt& row = parameters_->row(i);
        std::uint64_t *const v = spare.data(), *const small = v + degree;
        for (std::size_t n = 0; n < degree; ++n) v[n] = lift(once[n], row.p());
        row.forward(v);
        for (const bool second : {false, true}) {
            for (std::size_t n = 0; n < degree; ++n) {
                small[n] = second ? lift(other[n], row.p()) : message[i * degree + n] + lift(error[n], row.p());
            }
            row.forward(small);
            const std::uint64_t* const key = &(second ? a_ : b_)[i * degree];
            const std::uint64_t* const factor = v;
            std::uint64_t* const out = &(second ? made.second : made.first)[i * degree];
            row.inner_product(&key, &factor, 1, out);
            for (std::size_t n = 0; n < degree; ++n) out[n] = add(out[n], small[n], row.p());
        }
    }
    return made;
}

}  // namespace mpc::ckks
