// Base OTs and their extension. Keys agree, the correlation holds, the wire is reproducible, and bad points are
// refused.
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/ot/base_ot.hpp"
#include "core/ot/ot_extension.hpp"
#include "tests/check.hpp"

#include <memory>

using namespace mpc;

namespace {

std::string sha256(const std::vector<std::uint8_t>& bytes) {
    const Sha256::Digest digest = Sha256().update(bytes.data(), bytes.size()).digest();
    return check::hex(digest.data(), digest.size());
}

struct Pair {
    Block delta;
    std::vector<std::uint8_t> points = std::vector<std::uint8_t>(kBaseOts * kPointBytes);
    std::vector<std::uint8_t> trees = std::vector<std::uint8_t>(kTreeMessageBytes);
    std::string first;
    std::unique_ptr<CotReceiver> receiver;
    std::unique_ptr<CotSender> sender;

    Pair() {
        Prg one(Block{1, 0}), two(Block{2, 0});
        BaseOtSender base(one);
        first = check::hex(base.message().data(), kPointBytes);
        delta = two.block();
        delta.lo |= 1;
        const auto choices = CotSender::base_choices(delta);
        const auto keys = base_ot_receive(base.message(), choices, two, points);
        receiver = std::make_unique<CotReceiver>(base.finish(points), trees);
        sender = std::make_unique<CotSender>(delta, keys, trees);
    }
};

void base_keys_match_choices() {
    Prg one(Block{1, 1}), two(Block{2, 1});
    const BaseOtSender sender(one);
    const Bytes choices{0, 1, 1, 0, 1, 0, 0, 1};
    std::vector<std::uint8_t> points(8 * kPointBytes);
    const Blocks keys = base_ot_receive(sender.message(), choices, two, points);
    const std::vector<KeyPair> pairs = sender.finish(points);
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(keys[i] == pairs[i].key[choices[i]]);
        CHECK(keys[i] != pairs[i].key[1 - choices[i]]);
        for (std::size_t j = 0; j < i; ++j) CHECK(keys[i] != keys[j]);
    }
}

void bad_points_are_refused() {
    Prg prg(Block{3, 3});
    const BaseOtSender sender(prg);
    std::vector<std::uint8_t> points(2 * kPointBytes);
    const Bytes choices{0, 1};
    base_ot_receive(sender.message(), choices, prg, points);
    CHECK_THROWS(sender.finish(ByteView(points).from(1)), LengthError);
    CHECK_THROWS(base_ot_receive(sender.message(), choices, prg, MutableByteView(points).from(1)), LengthError);
    CHECK_THROWS(base_ot_receive(sender.message().from(1), choices, prg, points), LengthError);
    std::vector<std::uint8_t> small = points;
    std::fill(small.begin() + kPointBytes, small.end(), std::uint8_t{0});  // a point of order 4
    CHECK_THROWS(sender.finish(small), MalformedError);
    std::vector<std::uint8_t> off_curve = points;
    std::fill(off_curve.begin(), off_curve.begin() + kPointBytes, std::uint8_t{0});
    off_curve[0] = 2;
    CHECK_THROWS(sender.finish(off_curve), MalformedError);
    Bytes mixed(kPointBytes);  // G plus a point of order 2
    const Point order2{Field::zero(), field25519::negate(Field::one()), Field::one(), Field::zero()};
    const Point sum = base_point() + order2;
    encode_points(&sum, 1, mixed.data());
    std::vector<std::uint8_t> out(2 * kPointBytes);
    CHECK_THROWS(base_ot_receive(mixed, choices, prg, out), MalformedError);
    CHECK_THROWS(base_ot_receive(ByteView(small).from(kPointBytes), choices, prg, out), MalformedError);
}

// t = q xor u delta, over sizes around the tile, with every row and both choice bits in use.
void correlation_holds() {
    Pair pair;
    for (const std::size_t blocks : {1u, 3u, 15u, 16u, 17u, 40u}) {
        std::vector<std::uint8_t> message(extension_bytes(blocks));
        Blocks t(128 * blocks), q(128 * blocks), u(blocks);
        pair.receiver->extend(blocks, message, t.data(), u.data());
        pair.sender->extend(blocks, message, q.data());
        std::size_t ones = 0, wrong = 0;
        Block set{}, clear{};
        for (std::size_t i = 0; i < t.size(); ++i) {
            const std::uint64_t choice = ((i % 128 < 64 ? u[i / 128].lo : u[i / 128].hi) >> (i % 64)) & 1;
            ones += choice;
            wrong += t[i] != (q[i] ^ (mask_of(choice) & pair.delta));
            set.lo |= q[i].lo;
            set.hi |= q[i].hi;
            clear.lo |= ~q[i].lo;
            clear.hi |= ~q[i].hi;
        }
        CHECK(wrong == 0);
        CHECK(ones > 32 * blocks && ones < 96 * blocks);
        CHECK((set & clear) == (Block{~std::uint64_t{0}, ~std::uint64_t{0}}));
    }
}

// Known answers under fixed seeds: a change of these digests is a change of the protocol.
void wire_is_reproducible() {
    Pair pair;
    CHECK(pair.first == "acf997a7afa52d089395c406d3b59380d558fd4478513da8dd8caf6304daeff9");
    CHECK(sha256(pair.points) == "ae8b0ab7e4122475fb8bf924c28aa0965a4ada7c3607d82d732b34bc750bcb60");
    CHECK(sha256(pair.trees) == "4d38a8ed79f8b4755298e065c20b3fe82a0ef1a2cebf299a851fb7cd28301869");
    std::vector<std::uint8_t> wire, blocks;
    for (const std::size_t columns : {2u, 18u}) {
        std::vector<std::uint8_t> message(extension_bytes(columns));
        Blocks t(128 * columns), q(128 * columns), u(columns);
        pair.receiver->extend(columns, message, t.data(), u.data());
        pair.sender->extend(columns, message, q.data());
        wire.insert(wire.end(), message.begin(), message.end());
        const auto* raw = reinterpret_cast<const std::uint8_t*>(q.data());
        blocks.insert(blocks.end(), raw, raw + q.size() * sizeof(Block));
    }
    CHECK(sha256(wire) == "b3a550cc3abe82802cdf67271900123ec3639a47598a176e6fad31766c408584");
    CHECK(sha256(blocks) == "934d61aa67cd2e10d251fc5345e09935dcdb60e4b2013b35adf548a0bf192938");
}

}  // namespace

int main() {
    check::run("base_keys_match_choices", base_keys_match_choices);
    check::run("bad_points_are_refused", bad_points_are_refused);
    check::run_on_all_levels("correlation_holds", correlation_holds);
    check::run_on_all_levels("wire_is_reproducible", wire_is_reproducible);
    return check::result();
}
