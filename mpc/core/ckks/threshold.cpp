// Makes shares of keys and of decryptions, and adds them up; see threshold.hpp.
#include "core/ckks/threshold.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/ckks/encoding.hpp"
#include "core/ckks/samples.hpp"
#include "core/ckks/wire.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::ckks {

using namespace lattice;

namespace {

constexpr const char* kRefreshMask = "mask of a refresh";

void hash_text(Sha256& hash, const char* text) { hash.update(text, std::strlen(text) + 1); }

// The residue of an integer in two's complement.
std::uint64_t residue(Wide integer, const Modulus& modulus) {
    const std::uint64_t above = reduce_signed(static_cast<std::uint64_t>(integer >> 64), modulus);
    const std::uint64_t below = multiply(static_cast<std::uint64_t>(integer), modulus.one, modulus.p);
    return add(multiply(above, modulus.two_to_64, modulus.p), below, modulus.p);
}

// out = s x + e for each digit, at the rows of a switching key.
Rows products(const Parameters& parameters, std::size_t level, const Rows& x, const SecretRows& s, Prg& hidden) {
    const std::size_t degree = parameters.degree();
    const std::vector<std::size_t> rows = rows_of(parameters, Kind::rotation_key, level);
    SignedWords error(degree);
    SecretRows spare(degree);
    Rows made(x.size());
    for (std::size_t d = 0, at = 0; d < parameters.digits(level); ++d) {
        centred_binomial(hidden, error);
        for (const std::size_t i : rows) {
            const Ntt& row = parameters.row(i);
            std::uint64_t* const out = &made[at];
            const std::uint64_t *const first = &x[at], *const second = &s[i * degree];
            for (std::size_t n = 0; n < degree; ++n) spare[n] = lift(error[n], row.p());
            row.forward(spare.data());
            row.inner_product(&first, &second, 1, out);
            for (std::size_t n = 0; n < degree; ++n) out[n] = add(out[n], spare[n], row.p());
            at += degree;
        }
    }
    return made;
}

SecretRows difference(const Parameters& parameters, const SecretRows& x, const SecretRows* y) {
    SecretRows made(x.size());
    for (std::size_t i = 0, at = 0; i < parameters.rows().size(); ++i) {
        for (std::size_t n = 0; n < parameters.degree(); ++n, ++at) {
            made[at] = y == nullptr ? subtract(0, x[at], parameters.row(i).p())
                                    : subtract(x[at], (*y)[at], parameters.row(i).p());
        }
    }
    return made;
}

[[noreturn]] void refuse(const std::string& why) { throw MalformedError("share: " + why); }

// Throws unless the headers agree, so that no share of another key, step, level or ciphertext is added.
void check_alike(const Header& expected, const Header& found) {
    if (found.key_id != expected.key_id) {
        refuse("expected one of key " + hex_of(expected.key_id) + ", found one of " + hex_of(found.key_id));
    }
    if (found.kind != expected.kind || found.level != expected.level || found.steps != expected.steps) {
        refuse("expected one of level " + std::to_string(expected.level) + " and of rotation " +
               std::to_string(expected.steps) + ", found level " + std::to_string(found.level) + " and rotation " +
               std::to_string(found.steps));
    }
    if (found.seed != expected.seed) refuse("expected one for the same step, found one for another");
    if (found.scale != expected.scale) refuse("expected one of the same scale, found one of another");
}

// Adds part by part, at the rows of the kind.
void add_parts(const Parameters& parameters, const Header& header, const std::vector<Rows>& from,
               std::vector<Rows>& to) {
    const std::size_t degree = parameters.degree();
    const std::vector<std::size_t> rows = rows_of(parameters, header.kind, header.level);
    for (std::size_t part = 0; part < to.size(); ++part) {
        for (std::size_t at = 0; at < to[part].size(); ++at) {
            const std::uint64_t p = parameters.row(rows[at / degree % rows.size()]).p();
            to[part][at] = add(to[part][at], from[part][at], p);
        }
    }
}

void check_some(const std::vector<ByteView>& shares) {
    if (shares.empty()) throw ParameterError("expected the shares of all owners, found none");
}

// The sum of shares that are all like `expected`, or like the first one.
Message sum_of(const Parameters& parameters, const std::vector<ByteView>& shares, std::initializer_list<Kind> kinds,
               const Header* expected) {
    check_some(shares);
    Message sum(parameters, shares[0], kinds, "share");
    check_alike(expected != nullptr ? *expected : sum.header, sum.header);
    for (std::size_t i = 1; i < shares.size(); ++i) {
        const Message next(parameters, shares[i], kinds, "share");
        check_alike(sum.header, next.header);
        add_parts(parameters, sum.header, next.parts, sum.parts);
    }
    return sum;
}

Header decryption_header(const Ciphertext& ciphertext) {
    Header header(*ciphertext.parameters, Kind::decryption_share, ciphertext.key_id, ciphertext.level);
    header.scale = ciphertext.scale.exponents();
    header.seed = digest_of(ciphertext);
    return header;
}

// c_0 and the shares, as coefficients modulo the rows 0 ... level.
SecretRows opened(const Ciphertext& ciphertext, const std::vector<ByteView>& shares) {
    const Parameters& parameters = *ciphertext.parameters;
    const Header expected = decryption_header(ciphertext);
    const Message sum = sum_of(parameters, shares, {Kind::decryption_share}, &expected);
    SecretRows rows(sum.parts[0].size());
    for (std::size_t i = 0, at = 0; i <= ciphertext.level; ++i) {
        const Ntt& row = parameters.row(i);
        std::uint64_t* const out = &rows[at];
        for (std::size_t n = 0; n < parameters.degree(); ++n, ++at) {
            out[n] = add(ciphertext.first[at], sum.parts[0][at], row.p());
        }
        row.inverse(out);
    }
    return rows;
}

}  // namespace

Block digest_of(ByteView message) {
    const Sha256::Digest digest = Sha256().update(message.data(), message.size()).digest();
    return load_block(digest.data());
}

Block digest_of(const Ciphertext& ciphertext) { return digest_of(write(ciphertext)); }

// ---- an owner's side

SecretShare::SecretShare(SharedParameters parameters, ByteView seed, const KeyId& joint)
    : parameters_(std::move(parameters)), key_id_(joint), secret_(parameters_->rows().size() * parameters_->degree()) {
    if (seed.size() != kSeedBytes) {
        throw ParameterError("expected a seed of 32 bytes, found " + std::to_string(seed.size()));
    }
    Sha256 hash;
    hash_text(hash, "capc ckks secret share 1");
    hash.update(parameters_->digest().data(), Sha256::kDigestBytes).update(joint.data(), joint.size());
    root_ = hash.update(seed.data(), seed.size()).digest();
    Prg prg = stream("secret", {});
    SignedWords secret(parameters_->degree());
    ternary(prg, secret);
    lift_and_transform(*parameters_, secret, parameters_->rows().size(), secret_.data());
}

SecretShare::~SecretShare() { wipe(root_.data(), root_.size()); }

Prg SecretShare::stream(const char* purpose, std::initializer_list<std::uint64_t> numbers) const {
    Sha256 hash;
    hash_text(hash, "capc ckks share randomness 1");
    hash.update(root_.data(), root_.size());
    hash_text(hash, purpose);
    for (const std::uint64_t number : numbers) hash.update(&number, sizeof number);
    Sha256::Digest derived = hash.digest();
    const Prg prg(load_block(derived.data()), load_block(derived.data() + sizeof(Block)));
    wipe(derived.data(), derived.size());
    return prg;
}

Prg SecretShare::stream(const Header& header, std::uint64_t more) const {
    return stream("noise", {static_cast<std::uint64_t>(header.kind), header.level,
                            static_cast<std::uint64_t>(header.steps), header.seed.lo, header.seed.hi, more});
}

Bytes SecretShare::public_key(const Block& common) const {
    Header header(*parameters_, Kind::public_key_share, key_id_, parameters_->depth());
    header.seed = common;
    Prg uniform(common), hidden = stream(header);
    const Rows b = public_rows(*parameters_, uniform, hidden, secret_);
    return write(*parameters_, header, {b.data()});
}

Bytes SecretShare::rotation_key(const Block& common, std::int64_t steps, std::size_t level) const {
    parameters_->check_level(level);
    const std::size_t left = steps_to_left(*parameters_, steps);
    if (left == 0) throw ParameterError("expected a rotation by some slots, found 0");
    Header header(*parameters_, Kind::rotation_key_share, key_id_, level);
    header.steps = static_cast<std::int64_t>(left);
    header.seed = common;
    Prg uniform(common), hidden = stream(header);
    const SecretRows to = permuted(secret_, rotation_map(parameters_->degree(), parameters_->slots() - left));
    const Rows b = switching_rows(*parameters_, level, uniform, hidden, &secret_, to);
    return write(*parameters_, header, {b.data()});
}

// u_i, which serves in both rounds of one relinearisation key.
SecretRows SecretShare::once(const Block& common, std::size_t level) const {
    Prg prg = stream("once", {level, common.lo, common.hi});
    SignedWords drawn(parameters_->degree());
    ternary(prg, drawn);
    SecretRows rows(secret_.size());
    lift_and_transform(*parameters_, drawn, parameters_->rows().size(), rows.data());
    return rows;
}

Bytes SecretShare::first_relinearisation(const Block& common, std::size_t level) const {
    parameters_->check_level(level);
    Header header(*parameters_, Kind::first_relinearisation_share, key_id_, level);
    header.seed = common;
    Prg hidden = stream(header), uniform(common), same(common);
    const Rows h0 = switching_rows(*parameters_, level, uniform, hidden, &secret_, once(common, level));
    const SecretRows minus = difference(*parameters_, secret_, nullptr);
    const Rows h1 = switching_rows(*parameters_, level, same, hidden, nullptr, minus);
    return write(*parameters_, header, {h0.data(), h1.data()});
}

Bytes SecretShare::second_relinearisation(const Block& common, ByteView sum) const {
    const Message read(*parameters_, sum, {Kind::first_relinearisation_share}, "sum of shares");
    Header expected = read.header;
    expected.key_id = key_id_;
    expected.seed = common;
    check_alike(expected, read.header);
    Header header(*parameters_, Kind::second_relinearisation_share, key_id_, read.header.level);
    header.seed = digest_of(sum);
    Prg hidden = stream(header);
    const SecretRows rest = difference(*parameters_, once(common, header.level), &secret_);
    const Rows h0 = products(*parameters_, header.level, read.parts[0], secret_, hidden);
    const Rows h1 = products(*parameters_, header.level, read.parts[1], rest, hidden);
    return write(*parameters_, header, {h0.data(), h1.data()});
}

void SecretShare::check(const Ciphertext& ciphertext, int mask_bits) const {
    if (ciphertext.parameters->digest() != parameters_->digest()) {
        throw ParameterError("expected a ciphertext of this key's parameters, found one of others");
    }
    if (ciphertext.key_id != key_id_) {
        throw ParameterError("expected a ciphertext of key " + hex_of(key_id_) + ", found one of key " +
                             hex_of(ciphertext.key_id));
    }
    const double room = parameters_->level_bits(ciphertext.level) - 1;
    if (mask_bits < 1 || mask_bits > kMostMaskBits || mask_bits > room) {
        throw ParameterError("expected a mask of 1 to " + std::to_string(kMostMaskBits) + " bits, for which level " +
                             std::to_string(ciphertext.level) + " has room for " + std::to_string(room) + ", found " +
                             std::to_string(mask_bits));
    }
}

Integers SecretShare::mask(const Ciphertext& ciphertext, int mask_bits) const {
    return mask("mask of a decryption", ciphertext, mask_bits);
}

Integers SecretShare::mask(const char* purpose, const Ciphertext& ciphertext, int mask_bits) const {
    check(ciphertext, mask_bits);
    const Block digest = digest_of(ciphertext);
    Prg prg = stream(purpose, {digest.lo, digest.hi, static_cast<std::uint64_t>(mask_bits)});
    Integers made(parameters_->degree());
    prg.fill(made.data(), made.size() * sizeof made[0]);
    const Wide half = Wide{1} << (mask_bits - 1), all = 2 * half - 1;
    for (Wide& integer : made) integer = (integer & all) - half;
    return made;
}

Bytes SecretShare::decryption(const Ciphertext& ciphertext, int mask_bits) const {
    return masked_product(ciphertext, mask(ciphertext, mask_bits));
}

Bytes SecretShare::refresh_opening(const Ciphertext& ciphertext, int mask_bits) const {
    return masked_product(ciphertext, mask(kRefreshMask, ciphertext, mask_bits));
}

Bytes SecretShare::masked_product(const Ciphertext& ciphertext, const Integers& hidden) const {
    const std::size_t degree = parameters_->degree();
    Rows made((ciphertext.level + 1) * degree);
    SecretRows spare(degree);
    for (std::size_t i = 0; i <= ciphertext.level; ++i) {
        const Ntt& row = parameters_->row(i);
        for (std::size_t n = 0; n < degree; ++n) spare[n] = residue(hidden[n], row.modulus());
        row.forward(spare.data());
        std::uint64_t* const out = &made[i * degree];
        const std::uint64_t *const c1 = &ciphertext.second[i * degree], *const s = &secret_[i * degree];
        row.inner_product(&c1, &s, 1, out);
        for (std::size_t n = 0; n < degree; ++n) out[n] = add(out[n], spare[n], row.p());
    }
    return write(*parameters_, decryption_header(ciphertext), {made.data()});
}

Bytes SecretShare::refresh(const Ciphertext& ciphertext, int mask_bits, const Block& common, std::size_t level) const {
    parameters_->check_level(level);
    const Integers hidden = mask(kRefreshMask, ciphertext, mask_bits);
    Header header(*parameters_, Kind::refresh_share, key_id_, level);
    header.scale = ciphertext.scale.exponents();
    header.seed = common;
    // The mask depends on the ciphertext, so the noise does, too.
    const Block digest = digest_of(ciphertext);
    Prg uniform(common), noise = stream(header, digest.lo ^ static_cast<std::uint64_t>(mask_bits));
    const std::size_t degree = parameters_->degree();
    SignedWords error(degree);
    centred_binomial(noise, error);
    Rows made((level + 1) * degree);
    SecretRows spare(2 * degree);
    for (std::size_t i = 0; i <= level; ++i) {
        const Ntt& row = parameters_->row(i);
        std::uint64_t* const out = &made[i * degree];
        for (std::size_t n = 0; n < degree; ++n) {
            const std::uint64_t masked = residue(hidden[n], row.modulus());
            out[n] = subtract(lift(error[n], row.p()), masked, row.p());
        }
        row.forward(out);
        uniform_residues(uniform, row.modulus(), spare.data(), degree);
        subtract_product(row, spare.data(), &secret_[i * degree], spare.data() + degree, out);
    }
    return write(*parameters_, header, {made.data()});
}

// ---- what shares add up to

Bytes add_key_shares(const Parameters& parameters, const std::vector<ByteView>& shares) {
    Message sum = sum_of(parameters, shares,
                         {Kind::public_key_share, Kind::rotation_key_share, Kind::first_relinearisation_share}, nullptr);
    Header& header = sum.header;
    if (header.kind == Kind::first_relinearisation_share) {
        return write(parameters, header, {sum.parts[0].data(), sum.parts[1].data()});
    }
    header.kind = header.kind == Kind::public_key_share ? Kind::public_key : Kind::rotation_key;
    return write(parameters, header, {sum.parts[0].data()});
}

Bytes add_second_shares(const Parameters& parameters, ByteView sum, const std::vector<ByteView>& shares) {
    const Message first(parameters, sum, {Kind::first_relinearisation_share}, "sum of shares");
    Header expected(parameters, Kind::second_relinearisation_share, first.header.key_id, first.header.level);
    expected.seed = digest_of(sum);
    Message second = sum_of(parameters, shares, {Kind::second_relinearisation_share}, &expected);
    std::vector<Rows> b{std::move(second.parts[0])};
    add_parts(parameters, expected, {second.parts[1]}, b);
    const Header header(parameters, Kind::joint_relinearisation_key, expected.key_id, expected.level);
    return write(parameters, header, {b[0].data(), first.parts[1].data()});
}

std::vector<double> open_values(const Ciphertext& ciphertext, const std::vector<ByteView>& shares) {
    const Parameters& parameters = *ciphertext.parameters;
    SecretRows rows = opened(ciphertext, shares);
    std::vector<double> values(parameters.slots());
    decode(parameters, encoder_of(parameters.degree()), ciphertext.level, ciphertext.scale, rows.data(), values.data());
    return values;
}

std::vector<std::uint64_t> open_residues(const Ciphertext& ciphertext, const std::vector<ByteView>& shares) {
    const SecretRows rows = opened(ciphertext, shares);
    return std::vector<std::uint64_t>(rows.begin(), rows.end());
}

// Mixed radix digits u_k = (x_k - sum_(i<k) u_i r_i) / r_k modulo q_k with r_k = q_0 ... q_(k-1). Their sum is in [0, Q)
// and then taken around zero.
Integers open_integers(const Ciphertext& ciphertext, const std::vector<ByteView>& shares, int opened_bits) {
    const Parameters& parameters = *ciphertext.parameters;
    const std::size_t degree = parameters.degree(), level = ciphertext.level;
    if (parameters.level_bits(level) > kMostOpenedBits) {
        throw ParameterError("expected a level whose modulus has at most 127 bits, found " +
                             std::to_string(parameters.level_bits(level)) + " at level " + std::to_string(level));
    }
    if (opened_bits < 1 || opened_bits > kMostOpenedBits - 1) {
        throw ParameterError("expected a bound of 1 to 126 bits on opened integers, found " +
                             std::to_string(opened_bits));
    }
    SecretRows rows = opened(ciphertext, shares);
    Integers sums(degree, 0);
    Wide radix = 1;
    for (std::size_t k = 0; k <= level; ++k) {
        const Modulus& modulus = parameters.row(k).modulus();
        std::uint64_t* const digits = &rows[k * degree];
        const Factor unit = modulus.factor(inverse(static_cast<std::uint64_t>(radix % modulus.p), modulus.p));
        for (std::size_t n = 0; n < degree; ++n) {
            const std::uint64_t below = reduce_wide(sums[n], modulus);
            sums[n] += radix * multiply(subtract(digits[n], below, modulus.p), unit, modulus.p);
        }
        radix *= modulus.p;
    }
    Wide wider = 0;  // not zero where an integer is not in [-2^opened_bits, 2^opened_bits)
    for (Wide& sum : sums) {
        const Wide beyond = (radix / 2 - sum) >> 127;  // 1 for a sum above half of the modulus
        sum -= radix & (Wide{0} - beyond);
        wider |= (sum + (Wide{1} << opened_bits)) >> (opened_bits + 1);
    }
    if (wider != 0) {
        refuse("expected shares that open to integers below 2^" + std::to_string(opened_bits) +
               ", found a larger one: some share is of another secret, or the value is larger than it may be");
    }
    return sums;
}

Bytes refreshed(const Ciphertext& ciphertext, const std::vector<ByteView>& shares, const std::vector<ByteView>& fresh,
                int opened_bits) {
    const Parameters& parameters = *ciphertext.parameters;
    const std::size_t degree = parameters.degree();
    if (shares.size() != fresh.size()) {
        throw ParameterError("expected as many shares of the refreshed ciphertext as of the decryption, " +
                             std::to_string(shares.size()) + ", found " + std::to_string(fresh.size()));
    }
    const Integers masked = open_integers(ciphertext, shares, opened_bits);
    Message sum = sum_of(parameters, fresh, {Kind::refresh_share}, nullptr);
    Header expected = sum.header;
    expected.key_id = ciphertext.key_id;
    expected.scale = ciphertext.scale.exponents();
    check_alike(expected, sum.header);
    Rows spare(degree);
    for (std::size_t i = 0; i <= sum.header.level; ++i) {
        const Ntt& row = parameters.row(i);
        for (std::size_t n = 0; n < degree; ++n) spare[n] = residue(masked[n], row.modulus());
        row.forward(spare.data());
        std::uint64_t* const out = &sum.parts[0][i * degree];
        for (std::size_t n = 0; n < degree; ++n) out[n] = add(out[n], spare[n], row.p());
    }
    sum.header.kind = Kind::seeded;
    return write(parameters, sum.header, {sum.parts[0].data()});
}

}  // namespace mpc::ckks
