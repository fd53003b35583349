// Base OTs and their extension. Keys agree, the correlation holds, the wire is reproducible, and bad points are
// refused.
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/circuits/builder.hpp"
#include "core/garbling/garbling.hpp"
#include "core/ot/base_ot.hpp"
#include "core/ot/ot_check.hpp"
#include "core/ot/ot_extension.hpp"
#include "tests/check.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

using namespace mpc;

namespace {

std::string sha256(const std::vector<std::uint8_t>& bytes) {
    const Sha256::Digest digest = Sha256().update(bytes.data(), bytes.size()).digest();
    return check::hex(digest.data(), digest.size());
}

constexpr Block kSalt{77, 78};

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
        receiver = std::make_unique<CotReceiver>(base.finish(points), kSalt, trees);
        sender = std::make_unique<CotSender>(delta, keys, kSalt, trees);
        CHECK(sender->trees_agree());
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
        CHECK(pair.sender->extend(blocks, message, q.data()) == 0);
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

// Any bit of the columns, of R(U_0) or of the hash.
void a_changed_extension_is_refused() {
    for (const std::size_t blocks : {1u, 15u, 16u, 33u}) {
        Bytes message(extension_bytes(blocks));
        Blocks t(128 * blocks), q(128 * blocks), u(blocks);
        for (std::size_t place = 0; place < message.size(); place += 1 + message.size() / 23) {
            Pair pair;
            pair.receiver->extend(blocks, message, t.data(), u.data());
            message[place] = static_cast<std::uint8_t>(message[place] ^ (1u << (place % 8)));
            CHECK(pair.sender->extend(blocks, message, q.data()) != 0);
        }
        for (std::size_t place = kColumnBytes * (blocks + 1); place < message.size(); ++place) {
            Pair pair;
            pair.receiver->extend(blocks, message, t.data(), u.data());
            message[place] = static_cast<std::uint8_t>(message[place] ^ 0x80);
            CHECK(pair.sender->extend(blocks, message, q.data()) != 0);
        }
    }
    Pair pair;  // a message once more, at another position
    Bytes message(extension_bytes(2)), other(extension_bytes(2));
    Blocks t(256), q(256), u(2);
    pair.receiver->extend(2, message, t.data(), u.data());
    CHECK(pair.sender->extend(2, message, q.data()) == 0);
    CHECK(pair.sender->extend(2, message, q.data()) != 0);
    for (const std::size_t bytes : {0u, 48u, 543u, 544u, 1039u, 1041u}) CHECK_THROWS(extension_blocks(bytes), LengthError);
    CHECK(extension_blocks(1040) == 1 && extension_blocks(extension_bytes(40)) == 40);
}

// What a receiver does that deviates. Of the columns of tree i the message says U_0 + 1 for that tree alone, so that
// the sender's q is off by alpha_i there. Of 16 labels one then opens a gate. With the check taken out this gives all
// of delta.
void delta_is_safe_from_a_changed_extension() {
    constexpr std::size_t a_tree = 40, n = kTrees * a_tree, blocks = n / 128;
    Pair pair;
    Bytes message(extension_bytes(blocks));
    Blocks t(n), q(n), u(blocks);
    pair.receiver->extend(blocks, message, t.data(), u.data());
    for (std::size_t i = 1; i < kTrees; ++i) {
        for (std::size_t c = i * a_tree; c < (i + 1) * a_tree; ++c) {
            const std::size_t tile = c / 2048, in_tile = std::min<std::size_t>(16, blocks + 1 - 16 * tile);
            const std::size_t place = kColumnBytes * 16 * tile + (i - 1) * 16 * in_tile + c % 2048 / 8;
            message[place] = static_cast<std::uint8_t>(message[place] ^ (1u << (c % 8)));
        }
    }
    const bool refused = pair.sender->extend(blocks, message, q.data()) != 0;
    CHECK(refused);

    // The check taken out: the sender garbles with this q.
    Builder build;
    const Wire a = build.garbler_word(1)[0], b = build.evaluator_word(1)[0];
    build.output({build.both(a, b)});
    const Circuit circuit = build.build("and");
    Bytes corrections(n / 8);  // the receiver chooses 0 everywhere, so that the output is 0
    std::memcpy(corrections.data(), u.data(), corrections.size());
    const GarblingKeys keys{pair.delta, Block{8, 8}, {kSalt, 0}};
    Garbling garbling(circuit, n, keys, corrected_labels(q, corrections, pair.delta));
    Bytes tables(static_cast<std::size_t>(garbling.table_bytes()));
    garbling.next_tables(tables);
    const Bytes labels = garbling.input_labels(std::vector<std::uint64_t>(n, 1)), decoding = garbling.decoding();
    Block found{};
    for (std::uint64_t x = 0; x < kLeaves; ++x) {
        Blocks guess = t;
        for (std::size_t c = 0; c < n; ++c) {
            const std::size_t bit = kTreeDepth * (c / a_tree);
            (bit < 64 ? guess[c].lo : guess[c].hi) ^= x << (bit % 64);
        }
        Evaluation evaluation(circuit, n, keys.hash);
        evaluation.set_labels(labels, guess);
        evaluation.feed(tables);
        const std::vector<std::uint64_t> opened = evaluation.decode(decoding);
        for (std::size_t i = 1; i < kTrees; ++i) {
            const auto first = opened.begin() + static_cast<std::ptrdiff_t>(i * a_tree);
            if (std::count(first, first + a_tree, 0u) != static_cast<std::ptrdiff_t>(a_tree)) continue;
            const std::size_t bit = kTreeDepth * i;
            (bit < 64 ? found.lo : found.hi) |= x << (bit % 64);
        }
    }
    CHECK(found.hi == pair.delta.hi && (found.lo | 15) == (pair.delta.lo | 15));  // all but tree 0
}

// A sum that the sender does not use may be wrong: that is a guess at a bit of delta, and all else stays right.
void trees_that_do_not_agree_are_refused() {
    std::size_t refused = 0;
    constexpr std::size_t sums = kTreeSumsBytes / sizeof(Block);
    for (std::size_t k = 0; k < kTreeMessageBytes / sizeof(Block); ++k) {
        Prg one(Block{1, 0}), two(Block{2, 0});
        BaseOtSender base(one);
        Block delta = two.block();
        delta.lo |= 1;
        Bytes points(kBaseOts * kPointBytes), trees(kTreeMessageBytes);
        const Blocks keys = base_ot_receive(base.message(), CotSender::base_choices(delta), two, points);
        CotReceiver receiver(base.finish(points), kSalt, trees);
        const std::size_t place = sizeof(Block) * k + k % sizeof(Block);
        trees[place] = static_cast<std::uint8_t>(trees[place] ^ 4);
        CotSender sender(delta, keys, kSalt, trees);
        const std::size_t tree = k / 6, level = 1 + k % 6 / 2, bit = kTreeDepth * tree + kTreeDepth - 1 - level;
        const bool used = k >= sums || ((bit < 64 ? delta.lo : delta.hi) >> (bit % 64) & 1) != k % 2;
        CHECK(sender.trees_agree() == !used);
        refused += used ? 1 : 0;
        if (used) continue;
        Bytes message(extension_bytes(1));
        Blocks t(128), q(128), u(1);
        receiver.extend(1, message, t.data(), u.data());
        CHECK(sender.extend(1, message, q.data()) == 0);
    }
    CHECK(refused > kTreeMessageBytes / sizeof(Block) / 2);
}

// The product in GF(2)[x] / (x^128 + x^7 + x^2 + x + 1), bit by bit.
Block product(const Block& a, Block x) {
    Block sum{};
    for (std::size_t bit = 0; bit < 128; ++bit) {
        sum ^= mask_of((bit < 64 ? a.lo : a.hi) >> (bit % 64)) & x;
        const std::uint64_t top = x.hi >> 63;
        x = Block{(x.lo << 1) ^ (0x87 & (std::uint64_t{0} - top)), (x.hi << 1) | (x.lo >> 63)};
    }
    return sum;
}

// A receiver that deviates, written down a second time from what the header says. In one tree it sends the columns of
// U_0 + e, and it names the hashes that fit if the tree's bits of delta are `guess`.
struct Deviating {
    Block u[2], v[kBaseOts][2];  // U_0 and the rows of V, of one column block and the one for the check
    Bytes message = Bytes(extension_bytes(1));

    // A twin that makes one block more gives away the columns that serve the check alone.
    explicit Deviating(Pair& pair) {
        Pair twin;
        Bytes longer(extension_bytes(2));
        Blocks t(256), more(256);
        Blocks none(1);
        twin.receiver->extend(2, longer, t.data(), u);
        pair.receiver->extend(1, message, more.data(), none.data());
        CHECK(none[0] == u[0] && more[5] == t[5]);
        for (std::size_t r = 0; r < kBaseOts; ++r) {
            for (std::size_t b = 0; b < 2; ++b) {
                Block row{};
                for (std::size_t c = 0; c < 128; ++c) {
                    const Block& column = t[128 * b + c];
                    const std::uint64_t bit = ((r < 64 ? column.lo : column.hi) >> (r % 64)) & 1;
                    (c < 64 ? row.lo : row.hi) |= bit << (c % 64);
                }
                v[r][b] = row;
            }
        }
    }

    void change(std::size_t tree, const Block& e) {
        Block columns = load_block(&message[(tree - 1) * 32]);
        store_block(&message[(tree - 1) * 32], columns ^= e);
    }

    Block challenge() const {
        constexpr std::uint64_t bytes = 2 * kColumnBytes, position = 0;
        const Sha256::Digest one = Sha256().update(message.data(), bytes / 2).digest();
        const Sha256::Digest two = Sha256().update(message.data() + bytes / 2, bytes / 2).digest();
        Sha256 hash;
        hash.update("capc OT extension 1", 19).update(&kSalt, 16).update(&position, 8).update(&bytes, 8);
        return load_block(hash.update(one.data(), 32).update(two.data(), 32).digest().data());
    }

    // The check, for an error e in one tree.
    void write_check(std::size_t tree, const Block& e, std::uint64_t guess) {
        const Block chosen = challenge();
        Block chi;
        Aes128(chosen).counter_mode(0, 0, &chi, 1);
        const auto hashed = [&](const Block* row) { return product(chi, row[0]) ^ row[1]; };
        store_block(&message[2 * kColumnBytes], hashed(u));
        Sha256 hash;
        hash.update("capc OT rows 2", 14).update(&chosen, 16);
        for (std::size_t i = 0; i < kTrees; ++i) {
            Block value{};
            for (std::size_t b = 0; b < kTreeDepth; ++b)
                value ^= product(Block{std::uint64_t{1} << b, 0}, hashed(v[kTreeDepth * i + b]));
            if (i == tree) value ^= product(product(chi, e), Block{guess, 0});
            hash.update(&value, 16);
        }
        const Sha256::Digest digest = hash.digest();
        std::copy(digest.begin(), digest.end(), message.end() - 32);
    }
};

void the_check_is_what_the_header_says() {
    Pair pair;
    Deviating receiver(pair);
    const Bytes before = receiver.message;
    receiver.write_check(kTrees, Block{}, 0);
    CHECK(receiver.message == before);
}

// Of the sixteen guesses at a tree's bits of delta the right one passes, and no other.
void a_guess_at_delta_passes_if_it_is_right() {
    for (const std::size_t tree : {1u, 15u, 16u, 31u}) {
        const std::size_t bit = kTreeDepth * tree;
        std::size_t passed = 0;
        for (std::uint64_t guess = 0; guess < kLeaves; ++guess) {
            Pair pair;
            Deviating receiver(pair);
            const Block e{guess + 1, std::uint64_t{1} << 63};
            receiver.change(tree, e);
            receiver.write_check(tree, e, guess);
            Blocks q(128);
            const bool right = (((bit < 64 ? pair.delta.lo : pair.delta.hi) >> (bit % 64)) & 15) == guess;
            CHECK((pair.sender->extend(1, receiver.message, q.data()) == 0) == right);
            passed += right ? 1 : 0;
        }
        CHECK(passed == 1);
    }
}

// The hash of rows against that product, on every level.
void row_hash_is_a_product_in_the_field() {
    Prg prg(Block{4, 4});
    const Block challenge = prg.block();
    for (const std::size_t blocks : {1u, 2u, 16u, 37u}) {
        Blocks chi(blocks), row(blocks);
        Aes128(challenge).counter_mode(0, 0, chi.data(), blocks);
        chi[blocks - 1] = Block{1, 0};
        prg.fill_blocks(row.data(), blocks);
        Block expected{};
        for (std::size_t b = 0; b < blocks; ++b) expected ^= product(chi[b], row[b]);
        RowHash hash(challenge, blocks, 2);
        for (std::size_t first = 0; first < blocks; first += 16) {
            hash.add(1, first, row.data() + first, std::min<std::size_t>(16, blocks - first));
        }
        CHECK(hash.value(1) == expected && hash.value(0) == Block{});
    }
    for (const Block& a : {Block{1, 0}, Block{~std::uint64_t{0}, ~std::uint64_t{0}}, Block{0, std::uint64_t{1} << 63}})
        CHECK(times_x(a) == product(Block{2, 0}, a));
}

// Known answers under fixed seeds: a change of these digests is a change of the protocol.
void wire_is_reproducible() {
    Pair pair;
    CHECK(pair.first == "acf997a7afa52d089395c406d3b59380d558fd4478513da8dd8caf6304daeff9");
    CHECK(sha256(pair.points) == "ae8b0ab7e4122475fb8bf924c28aa0965a4ada7c3607d82d732b34bc750bcb60");
    CHECK(sha256(pair.trees) == "e88de4215c1d97ac423f641a255b25d8906beb180ceebc2806f5f2aa82d18b61");
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
    CHECK(sha256(wire) == "0f36220b8c22cbc443754bfbbc8382d40f2d9ab739ef4831bdf7849da5ad4c2f");
    CHECK(sha256(blocks) == "ff74c8b4444f4f24e712bad44731c1f464ef6ca8a4742792b60467bd2964a880");
}

}  // namespace

int main() {
    check::run("base_keys_match_choices", base_keys_match_choices);
    check::run("bad_points_are_refused", bad_points_are_refused);
    check::run_on_all_levels("correlation_holds", correlation_holds);
    check::run_on_all_levels("row_hash_is_a_product_in_the_field", row_hash_is_a_product_in_the_field);
    check::run_on_all_levels("the_check_is_what_the_header_says", the_check_is_what_the_header_says);
    check::run("a_guess_at_delta_passes_if_it_is_right", a_guess_at_delta_passes_if_it_is_right);
    check::run_on_all_levels("a_changed_extension_is_refused", a_changed_extension_is_refused);
    check::run("delta_is_safe_from_a_changed_extension", delta_is_safe_from_a_changed_extension);
    check::run("trees_that_do_not_agree_are_refused", trees_that_do_not_agree_are_refused);
    check::run_on_all_levels("wire_is_reproducible", wire_is_reproducible);
    return check::result();
}
