// Writes messages and reads them strictly; see wire.hpp.
#include "core/ckks/wire.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "core/aes/prg.hpp"
#include "core/base/error.hpp"
#include "core/lattice/packing.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::ckks {

using namespace lattice;

namespace {

constexpr char kMagic[] = "capcCKKS";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMagicBytes = 8, kDigestBytes = 16, kChecksumBytes = 16;
constexpr std::size_t kFixedBytes = kMagicBytes + 8 + 8 + kDigestBytes + sizeof(KeyId);  // before the scale

// What a kind holds.
struct Form {
    const char* name;
    std::size_t parts;  // that are sent
    bool expands;       // a seed gives one more
    bool switches;      // each part has a polynomial for each digit, with special rows
    bool scaled, seeded;
    bool rotates = false, whole = false;  // has steps, is at the highest level
};

const Form kForms[] = {
    {"a ciphertext", 2, false, false, true, false},
    {"a seeded ciphertext", 1, true, false, true, true},
    {"a public key", 1, true, false, false, true, false, true},
    {"a relinearisation key", 1, true, true, false, true},
    {"a rotation key", 1, true, true, false, true, true},
    {"a share of a public key", 1, false, false, false, true, false, true},
    {"a share of a rotation key", 1, false, true, false, true, true},
    {"a first share of a relinearisation key", 2, false, true, false, true},
    {"a second share of a relinearisation key", 2, false, true, false, true},
    {"a joint relinearisation key", 2, false, true, false, false},
    {"a share of a decryption", 1, false, false, true, true},
    {"a share of a refreshed ciphertext", 1, false, false, true, true},
};

const Form& form_of(Kind kind) { return kForms[static_cast<std::size_t>(kind) - 1]; }

// Polynomials in each part.
std::size_t polynomials(const Parameters& parameters, Kind kind, std::size_t level) {
    return form_of(kind).switches ? parameters.digits(level) : 1;
}

template <typename T>
std::uint8_t* put(std::uint8_t* out, const T& value) {
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

template <typename T>
const std::uint8_t* take(const std::uint8_t* in, T& value) {
    std::memcpy(&value, in, sizeof value);
    return in + sizeof value;
}

std::array<std::uint8_t, kChecksumBytes> checksum(const std::uint8_t* header, std::size_t bytes) {
    const Sha256::Digest digest = Sha256().update(header, bytes).digest();
    std::array<std::uint8_t, kChecksumBytes> cut{};
    std::copy_n(digest.begin(), cut.size(), cut.begin());
    return cut;
}

[[noreturn]] void refuse(const char* what, const std::string& why) { throw MalformedError(std::string(what) + ": " + why); }

std::string name_of(unsigned kind) {
    return kind >= 1 && kind <= std::size(kForms) ? kForms[kind - 1].name : "kind " + std::to_string(kind);
}

void write_header(const Parameters& parameters, const Header& header, std::uint8_t* out) {
    std::uint8_t* at = out;
    std::memcpy(at, kMagic, kMagicBytes);
    at = put(at + kMagicBytes, kVersion);
    at = put(at, static_cast<std::uint8_t>(header.kind));
    at = put(at, static_cast<std::uint16_t>(header.level));
    at = put(at, std::uint32_t{0});
    at = put(at, header.steps);
    std::memcpy(at, parameters.digest().data(), kDigestBytes);
    at = put(at + kDigestBytes, header.key_id);
    for (const std::int64_t exponent : header.scale) at = put(at, exponent);
    store_block(at, header.seed);
    at += sizeof(Block);
    (void)put(at, checksum(out, static_cast<std::size_t>(at - out)));
}

Header read_header(const Parameters& parameters, ByteView message, std::initializer_list<Kind> kinds,
                   const char* what) {
    const std::size_t bytes = header_bytes(parameters);
    if (message.size() < bytes) throw LengthError(std::string(what) + ", bytes of its header", bytes, message.size());
    const std::uint8_t* at = message.data();
    if (std::memcmp(at, kMagic, kMagicBytes) != 0) refuse(what, "expected a message of CKKS, found another beginning");
    std::uint8_t version = 0, kind = 0;
    std::uint16_t level = 0;
    std::uint32_t zero = 0;
    at = take(take(at + kMagicBytes, version), kind);
    at = take(take(at, level), zero);
    if (version != kVersion) refuse(what, "expected version 1, found version " + std::to_string(version));
    if (std::find(kinds.begin(), kinds.end(), static_cast<Kind>(kind)) == kinds.end()) {
        refuse(what, "expected " + name_of(static_cast<unsigned>(*kinds.begin())) + ", found " + name_of(kind));
    }
    if (std::memcmp(at + sizeof(std::int64_t), parameters.digest().data(), kDigestBytes) != 0) {
        refuse(what, "expected the parameters of this side, found others");
    }
    std::array<std::uint8_t, kChecksumBytes> sum{};
    (void)take(message.data() + bytes - kChecksumBytes, sum);
    if (sum != checksum(message.data(), bytes - kChecksumBytes)) {
        refuse(what, "expected a header that fits its checksum, found a changed one");
    }
    Header header;
    header.kind = static_cast<Kind>(kind);
    header.level = level;
    at = take(take(at, header.steps) + kDigestBytes, header.key_id);
    header.scale.resize(parameters.depth() + 2);
    for (std::int64_t& exponent : header.scale) at = take(at, exponent);
    header.seed = load_block(at);

    const bool unscaled = std::all_of(header.scale.begin(), header.scale.end(), [](std::int64_t e) { return e == 0; });
    const Form& form = form_of(header.kind);
    if (header.level > parameters.depth() || (form.whole && header.level != parameters.depth())) {
        refuse(what, "expected a level of at most " + std::to_string(parameters.depth()) + ", found " +
                         std::to_string(header.level));
    }
    if (zero != 0 || (!form.scaled && !unscaled) || (header.steps != 0) != form.rotates || header.steps < 0 ||
        header.steps >= static_cast<std::int64_t>(parameters.slots()) || (!form.seeded && header.seed != Block{})) {
        refuse(what, "expected the fields of " + name_of(kind) + ", found others");
    }
    return header;
}

// Residues of one row from its packed bytes.
ByteView read_row(const Ntt& row, ByteView in, std::uint64_t* out, const char* what) {
    const Modulus& modulus = row.modulus();
    const std::size_t bytes = packed_bytes(row.degree(), modulus.bits);
    unpack(in.slice(0, bytes), modulus.bits, View<std::uint64_t>(out, row.degree()), what);
    std::uint64_t all_below = ~std::uint64_t{0};  // in the highest bit
    for (std::size_t n = 0; n < row.degree(); ++n) all_below &= out[n] - modulus.p;
    if (all_below >> 63 == 0) refuse(what, "expected residues below their prime, found a larger one");
    return in.from(bytes);
}

// One part's rows, one after the other: sent, or drawn from a seed.
class PartReader {
public:
    PartReader(const Parameters& parameters, ByteView sent, const char* what)
        : parameters_(parameters), sent_(sent), what_(what) {}
    PartReader(const Parameters& parameters, const Block& seed) : parameters_(parameters), drawn_(seed) {}

    void next(std::size_t row, std::uint64_t* out) {
        const Ntt& ntt = parameters_.row(row);
        if (drawn_) {
            uniform_residues(*drawn_, ntt.modulus(), out, ntt.degree());
        } else {
            sent_ = read_row(ntt, sent_, out, what_);
        }
    }
    // As it is sent, or would be. Valid until the next row.
    ByteView next_packed(std::size_t row) {
        const Ntt& ntt = parameters_.row(row);
        const int bits = ntt.modulus().bits;
        const ByteView before = sent_;
        words_.resize(ntt.degree());
        next(row, words_.data());
        if (!drawn_) return before.slice(0, packed_bytes(ntt.degree(), bits));
        packed_.resize(packed_bytes(ntt.degree(), bits));
        pack(WordView(words_.data(), words_.size()), bits, packed_);
        return packed_;
    }

private:
    const Parameters& parameters_;
    ByteView sent_;
    const char* what_ = nullptr;
    std::optional<Prg> drawn_;
    Rows words_;
    StoredBytes packed_;
};

// The parts of a message with this header, which outlives them.
std::vector<PartReader> parts_of(const Parameters& parameters, ByteView message, const Header& header,
                                 const char* what) {
    const std::size_t expected = message_bytes(parameters, header.kind, header.level);
    if (message.size() != expected) throw LengthError(std::string(what) + " in bytes", expected, message.size());
    const Form& form = form_of(header.kind);
    const std::size_t first = header_bytes(parameters), each = (expected - first) / form.parts;
    std::vector<PartReader> parts;
    for (std::size_t place = 0; place < form.parts; ++place) {
        parts.emplace_back(parameters, message.slice(first + place * each, each), what);
    }
    if (form.expands) parts.emplace_back(parameters, header.seed);
    return parts;
}

}  // namespace

Header::Header(const Parameters& parameters, Kind wanted, const KeyId& id, std::size_t at)
    : kind(wanted), level(at), key_id(id), scale(parameters.depth() + 2, 0) {}

std::string hex_of(const KeyId& key_id) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : key_id) {
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    return text;
}

std::vector<std::size_t> rows_of(const Parameters& parameters, Kind kind, std::size_t level) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i <= level; ++i) rows.push_back(i);
    if (form_of(kind).switches) {
        for (std::size_t i = parameters.depth() + 1; i < parameters.rows().size(); ++i) rows.push_back(i);
    }
    return rows;
}

std::size_t header_bytes(const Parameters& parameters) {
    return kFixedBytes + 8 * (parameters.depth() + 2) + sizeof(Block) + kChecksumBytes;
}

std::size_t message_bytes(const Parameters& parameters, Kind kind, std::size_t level) {
    parameters.check_level(level);
    std::size_t bytes = 0;
    for (const std::size_t i : rows_of(parameters, kind, level)) {
        bytes += packed_bytes(parameters.degree(), parameters.row(i).modulus().bits);
    }
    return header_bytes(parameters) + form_of(kind).parts * polynomials(parameters, kind, level) * bytes;
}

Bytes write(const Parameters& parameters, const Header& header, std::initializer_list<const std::uint64_t*> parts) {
    Bytes message(message_bytes(parameters, header.kind, header.level));
    write_header(parameters, header, message.data());
    MutableByteView rest = MutableByteView(message).from(header_bytes(parameters));
    const std::vector<std::size_t> rows = rows_of(parameters, header.kind, header.level);
    const std::size_t each = polynomials(parameters, header.kind, header.level);
    for (const std::uint64_t* part : parts) {
        for (std::size_t k = 0; k < each; ++k) {
            for (const std::size_t i : rows) {
                const int bits = parameters.row(i).modulus().bits;
                const std::size_t bytes = packed_bytes(parameters.degree(), bits);
                pack(WordView(part, parameters.degree()), bits, rest.slice(0, bytes));
                rest = rest.from(bytes);
                part += parameters.degree();
            }
        }
    }
    return message;
}

Message::Message(const Parameters& parameters, ByteView message, std::initializer_list<Kind> kinds, const char* what)
    : header(read_header(parameters, message, kinds, what)) {
    const std::vector<std::size_t> rows = rows_of(parameters, header.kind, header.level);
    const std::size_t each = polynomials(parameters, header.kind, header.level);
    for (PartReader& reader : parts_of(parameters, message, header, what)) {
        Rows& part = parts.emplace_back(each * rows.size() * parameters.degree());
        std::uint64_t* out = part.data();
        for (std::size_t k = 0; k < each * rows.size(); ++k, out += parameters.degree()) {
            reader.next(rows[k % rows.size()], out);
        }
    }
}

Bytes write(const Ciphertext& ciphertext) {
    Header header(*ciphertext.parameters, Kind::ciphertext, ciphertext.key_id, ciphertext.level);
    header.scale = ciphertext.scale.exponents();
    return write(*ciphertext.parameters, header, {ciphertext.first.data(), ciphertext.second.data()});
}

Ciphertext read_ciphertext(SharedParameters parameters, ByteView message) {
    Message read(*parameters, message, {Kind::ciphertext, Kind::seeded}, "ciphertext");
    for (const std::int64_t exponent : read.header.scale) {
        if (exponent > Scale::kLargestExponent || exponent < -Scale::kLargestExponent) {
            refuse("ciphertext", "expected exponents of a scale within 2^40, found " + std::to_string(exponent));
        }
    }
    Scale scale = Scale::of_exponents(parameters->primes(), read.header.scale);
    return {std::move(parameters), read.header.key_id, read.header.level, std::move(scale), std::move(read.parts[0]),
            std::move(read.parts[1])};
}

namespace {

// The parts are b and a, digit by digit and row by row. Each row is put where it is read later on, so that a key's
// memory is taken once.
SwitchingKey read_switching_key(SharedParameters shared, ByteView message, std::initializer_list<Kind> kinds,
                                const char* what) {
    const Parameters& parameters = *shared;
    const Header header = read_header(parameters, message, kinds, what);
    std::vector<PartReader> parts = parts_of(parameters, message, header, what);
    const std::vector<std::size_t> rows = rows_of(parameters, header.kind, header.level);
    const std::size_t degree = parameters.degree(), digits = parameters.digits(header.level);
    std::size_t bytes = 0;
    std::vector<std::size_t> begins;
    for (const std::size_t row : rows) {
        begins.push_back(bytes);
        bytes += 2 * digits * packed_bytes(degree, parameters.row(row).modulus().bits);
    }
    StoredBytes pairs(bytes + kPairedSlack);
    std::fill(pairs.end() - kPairedSlack, pairs.end(), std::uint8_t{0});
    for (std::size_t d = 0; d < digits; ++d) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::size_t each = paired_bytes(parameters.row(rows[i]).modulus());
            for (const std::size_t part : {0u, 1u}) {
                const ByteView packed = parts[part].next_packed(rows[i]);
                std::uint8_t* out = &pairs[begins[i] + (2 * d + part) * each];
                for (std::size_t at = 0; at < packed.size(); at += each, out += 2 * digits * each) {
                    std::memcpy(out, packed.data() + at, each);
                }
            }
        }
    }
    return {std::move(shared), header.key_id, header.level, header.steps, std::move(pairs), std::move(begins)};
}

}  // namespace

SwitchingKey read_rotation_key(SharedParameters parameters, ByteView message) {
    return read_switching_key(std::move(parameters), message, {Kind::rotation_key}, "rotation key");
}

SwitchingKey read_relinearisation_key(SharedParameters parameters, ByteView message) {
    return read_switching_key(std::move(parameters), message,
                              {Kind::relinearisation_key, Kind::joint_relinearisation_key}, "relinearisation key");
}

}  // namespace mpc::ckks
