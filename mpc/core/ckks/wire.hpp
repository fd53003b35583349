// What is sent and kept, byte for byte. Integers are little-endian.
//
//     "capcCKKS"  8        version 1   1       kind    1       level       2       zero   4
//     steps       8        of a rotation; zero otherwise
//     digest     16        of the parameters
//     key id     16        of the secret key
//     scale       8 * (depth + 2)     exponents of 2, q_0, ...; zero for keys
//     seed       16        of the uniform halves, or the digest of what a share answers; zero otherwise
//     checksum   16        SHA-256 of the header before it, cut
//     residues             packed, each row at the bits of its prime
//
// The kinds and their residues, in rows of N:
//
//     1  ciphertext            c_0, c_1 at rows 0 ... level
//     2  seeded ciphertext     c_0
//     3  public key            b at rows 0 ... depth
//     4  relinearisation key   for each digit b at rows 0 ... level and the special ones
//     5  rotation key          likewise
//
// Several owners of one key (threshold.hpp) send shares, and what these add up to.
//
//     6  share of a public key                 as 3
//     7  share of a rotation key               as 5
//     8  first share of a relinearisation key  h_0, then h_1, each as 4
//     9  second share of one                   likewise; the digest is that of the sum of all first ones
//    10  joint relinearisation key             b, then a, each as 4
//    11  share of a decryption                 d at rows 0 ... level; the digest is that of the ciphertext
//    12  share of a refreshed ciphertext       as 2
//
// Uniform halves are drawn from the seed in the order in which b is sent. Every length follows from the parameters, the
// kind and the level. A changed bit of the header is found by its checksum. Residues have none, as any below its prime
// is possible: whoever needs integrity signs the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/byte_view.hpp"
#include "core/ckks/ciphertext.hpp"

namespace mpc::ckks {

enum class Kind : std::uint8_t {
    ciphertext = 1,
    seeded,
    public_key,
    relinearisation_key,
    rotation_key,
    public_key_share,
    rotation_key_share,
    first_relinearisation_share,
    second_relinearisation_share,
    joint_relinearisation_key,
    decryption_share,
    refresh_share,
};

struct Header {
    Header() = default;
    // With zeros for steps, scale and seed.
    Header(const Parameters& parameters, Kind kind, const KeyId& key_id, std::size_t level);

    Kind kind = Kind::ciphertext;
    std::size_t level = 0;
    std::int64_t steps = 0;
    KeyId key_id{};
    std::vector<std::int64_t> scale;
    Block seed{};
};

std::string hex_of(const KeyId& key_id);

// The rows that one polynomial of a message has, in order.
std::vector<std::size_t> rows_of(const Parameters& parameters, Kind kind, std::size_t level);
std::size_t header_bytes(const Parameters& parameters);
std::size_t message_bytes(const Parameters& parameters, Kind kind, std::size_t level);

// Writes a header and the parts behind it: c_0 and c_1, or one part with all polynomials of b, or two such.
Bytes write(const Parameters& parameters, const Header& header, std::initializer_list<const std::uint64_t*> parts);

// A message that was read: its header, and its parts. Where a seed gives one, which shares leave out, it comes last.
struct Message {
    // Throws LengthError for another length, and MalformedError for another magic, version, kind or digest, a header
    // that the checksum does not fit or with a field that its kind has not, a level above the depth and a residue that
    // is not below its prime. `what` names the message in the sentence.
    Message(const Parameters& parameters, ByteView message, std::initializer_list<Kind> kinds, const char* what);

    Header header;
    std::vector<Rows> parts;
};

Bytes write(const Ciphertext& ciphertext);
Ciphertext read_ciphertext(SharedParameters parameters, ByteView message);
// Of a rotation, or of products: of one owner's key or of several owners' joint one.
SwitchingKey read_rotation_key(SharedParameters parameters, ByteView message);
SwitchingKey read_relinearisation_key(SharedParameters parameters, ByteView message);

}  // namespace mpc::ckks
