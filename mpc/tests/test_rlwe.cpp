// Encrypted linear maps have exact results at the bounds, strict reading and known bytes. Their noise is tested in
// test_rlwe_noise.cpp.
#include <algorithm>
#include <memory>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/lattice/packing.hpp"
#include "tests/check.hpp"
#include "tests/rlwe_setting.hpp"

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;

namespace {

void results_are_exact() {
    struct Case {
        std::size_t degree;
        int plain_bits, weight_bits;
        std::size_t outputs, inputs, batch;
    };
    for (const Case& c : {Case{4096, 20, 7, 2, 3, 2}, Case{4096, 36, 8, 1, 1, 1}, Case{8192, 44, 11, 1, 2, 1},
                          Case{8192, 2, 3, 1, 1, 1}, Case{8192, 54, 11, 1, 1, 1}}) {
        const std::uint64_t norm = (c.inputs * c.degree) << (2 * c.weight_bits);
        const Run run(c.degree, c.plain_bits, {{norm, c.batch * c.outputs * c.degree}});
        Prg prg = seeded(c.degree + static_cast<std::size_t>(c.plain_bits));
        const auto messages = random_words(prg, c.plain_bits, c.batch * c.inputs * c.degree);
        const auto weights = random_weights(prg, c.weight_bits, c.outputs * c.inputs * c.degree);
        const std::size_t replies = c.batch * c.outputs;
        const Selection selection = select(all_positions(replies * c.degree), replies, c.degree);
        const auto masks = random_words(prg, c.plain_bits, selection.results());
        const Weights loaded = run.evaluator.load(weights.data(), c.outputs, c.inputs, 0);
        const Bytes upload = run.key.encrypt(messages);
        const Bytes reply = run.reply(loaded, upload, masks, selection);
        CHECK(upload.size() == upload_bytes(*run.parameters, c.batch * c.inputs));
        CHECK(reply.size() == reply_bytes(*run.parameters, selection));
        const auto opened = run.opened(reply, selection);
        const std::uint64_t mask = (std::uint64_t{1} << c.plain_bits) - 1;
        for (std::size_t q = 0; q < c.batch; ++q) {
            for (std::size_t o = 0; o < c.outputs; ++o) {
                const std::size_t block = c.inputs * c.degree;
                const auto expected =
                    plain_product(&weights[o * block], &messages[q * block], c.inputs, c.degree, c.plain_bits);
                bool equal = true;
                for (std::size_t n = 0; n < c.degree; ++n) {
                    const std::size_t r = (q * c.outputs + o) * c.degree + n;
                    equal = equal && opened[r] == ((expected[n] + masks[r]) & mask);
                }
                CHECK(equal);
            }
        }
    }
}

// Messages, weights and masks at their largest, the norm bound met exactly; one beyond each is refused.
void bounds_hold_and_end() {
    constexpr std::size_t degree = 4096;
    constexpr int bits = 40;
    constexpr std::uint64_t top = (std::uint64_t{1} << bits) - 1;
    const std::uint64_t norm = 64 * 2047 * 2047;
    const Run run(degree, bits, {{norm, 7}});
    std::vector<std::int64_t> weights(degree, 0);
    for (std::size_t i = 0; i < 64; ++i) weights[61 * i] = i % 2 == 0 ? 2047 : -2047;
    std::vector<std::uint64_t> messages(degree, top);
    const Selection selection = select({0, 77, degree - 1}, 1, degree);
    const std::vector<std::uint64_t> masks{0, top, top / 2 + 1};
    const Weights loaded = run.evaluator.load(weights.data(), 1, 1, 0);
    Bytes upload = run.key.encrypt(messages);
    const Bytes reply = run.reply(loaded, upload, masks, selection);
    const auto opened = run.opened(reply, selection);
    const auto expected = plain_product(weights.data(), messages.data(), 1, degree, bits);
    for (std::size_t r = 0; r < 3; ++r) CHECK(opened[r] == ((expected[selection.coefficient(r)] + masks[r]) & top));

    messages[5] = top + 1;
    CHECK_THROWS(run.key.encrypt(messages), ParameterError);
    CHECK_THROWS(run.reply(loaded, upload, {0, top + 1, 0}, selection), ParameterError);
    // Three of seven results are gone: five more are refused and cost nothing, four more and no other are given.
    CHECK_THROWS(run.reply(loaded, upload, {0, 0, 0, 0, 0}, select({0, 1, 2, 3, 4}, 1, degree)), LimitError);
    CHECK(!run.reply(loaded, upload, {0, 0, 0, 0}, select({0, 1, 2, 3}, 1, degree)).empty());
    CHECK_THROWS(run.reply(loaded, upload, {0}, select({0}, 1, degree)), LimitError);
    CHECK_THROWS(run.evaluator.load(weights.data(), 1, 1, 1), ParameterError);
    CHECK_THROWS(run.evaluator.load(weights.data(), 0, 1, 0), ParameterError);
    weights[1] = 1;
    CHECK_THROWS(run.evaluator.load(weights.data(), 1, 1, 0), ParameterError);
    weights[0] = std::int64_t{1} << 62;
    CHECK_THROWS(run.evaluator.load(weights.data(), 1, 1, 0), ParameterError);
    const Run other(degree, bits, {{norm, 3}});
    CHECK_THROWS(other.reply(loaded, upload, masks, selection), ParameterError);
}

void malformed_messages_are_refused() {
    constexpr std::size_t degree = 4096;
    const Run run(degree, 31, {{std::uint64_t{1} << 30, 500}});
    const std::vector<std::uint64_t> messages(2 * degree, 1), masks(10, 3);
    std::vector<std::int64_t> weights(degree, 0);
    weights[0] = 1;
    const Weights loaded = run.evaluator.load(weights.data(), 1, 1, 0);
    const Selection selection =
        select({0, 1, 2, 3, 9, degree, degree + 1, degree + 2, degree + 3, degree + 9}, 2, degree);
    const Bytes upload = run.key.encrypt(messages);
    const Bytes reply = run.reply(loaded, upload, masks, selection);
    CHECK(run.opened(reply, selection) == std::vector<std::uint64_t>(10, 4));

    for (const std::ptrdiff_t change : {-1, 1, -16}) {
        Bytes longer = upload;
        longer.resize(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(upload.size()) + change));
        CHECK_THROWS(run.reply(loaded, longer, masks, selection), LengthError);
        longer = reply;
        longer.resize(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(reply.size()) + change));
        CHECK_THROWS(run.opened(longer, selection), LengthError);
        longer = run.key.public_key();
        longer.resize(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(longer.size()) + change));
        CHECK_THROWS(Evaluator(run.parameters, longer), LengthError);
    }
    CHECK_THROWS(run.reply(loaded, upload, {3, 3}, select({0, 1}, 1, degree)), LengthError);
    CHECK_THROWS(run.reply(loaded, upload, {3}, selection), ParameterError);
    CHECK_THROWS(run.key.encrypt(WordView(messages).from(1)), ParameterError);
    CHECK_THROWS(run.opened(reply, select({0, 1}, 1, degree)), LengthError);

    // A residue equal to its prime, in every place that a polynomial has for a prime; p - 1 passes.
    const std::size_t offset = sizeof(Block) + polynomial_bytes(*run.parameters);
    for (std::size_t i = 0, at = offset; i < run.parameters->primes().size(); ++i) {
        const Modulus& modulus = run.parameters->primes()[i].modulus();
        const std::size_t bytes = packed_bytes(degree, modulus.bits);
        std::vector<std::uint64_t> residues(degree);
        unpack(ByteView(upload).slice(at, bytes), modulus.bits, residues, "test");
        for (const std::size_t n : {std::size_t{0}, std::size_t{1000}, degree - 1}) {
            for (const std::uint64_t bad : {modulus.p - 1, modulus.p, (std::uint64_t{1} << modulus.bits) - 1}) {
                Bytes changed = upload;
                std::vector<std::uint64_t> words = residues;
                words[n] = bad;
                pack(words, modulus.bits, MutableByteView(changed).slice(at, bytes));
                if (bad < modulus.p) {
                    CHECK(run.reply(loaded, changed, masks, selection).size() == reply.size());
                } else {
                    CHECK_THROWS(run.reply(loaded, changed, masks, selection), MalformedError);
                }
            }
        }
        at += bytes;
    }
    Bytes key = run.key.public_key();
    std::fill(key.begin() + sizeof(Block), key.end(), 0xFF);
    CHECK_THROWS(Evaluator(run.parameters, key), MalformedError);

    // Five words of 41 bits leave three bits of a reply's last byte, which must be zero.
    Bytes changed = reply;
    changed.back() = static_cast<std::uint8_t>(changed.back() | 0x80);
    CHECK_THROWS(run.opened(changed, selection), MalformedError);

    CHECK_THROWS(select({1, 1}, 1, degree), ParameterError);
    CHECK_THROWS(select({2, 1}, 1, degree), ParameterError);
    CHECK_THROWS(select({-1}, 1, degree), ParameterError);
    CHECK_THROWS(select({degree}, 1, degree), ParameterError);
    CHECK_THROWS(select({0}, 2, degree), ParameterError);
    CHECK_THROWS(select({degree}, 2, degree), ParameterError);
    CHECK_THROWS(select({}, 1, degree), ParameterError);
}

std::string digest(const Bytes& bytes) {
    const Sha256::Digest d = Sha256().update(bytes.data(), bytes.size()).digest();
    return check::hex(d.data(), d.size());
}

// The bytes on the wire under injected seeds, on every CPU level.
void bytes_are_the_known_ones() {
    const Run run(4096, 38, {{std::uint64_t{1} << 35, 12}, {1000, 1}});
    Prg prg = seeded(9);
    const auto messages = random_words(prg, 38, 2 * 4096);
    const auto weights = random_weights(prg, 10, 2 * 2 * 4096);
    const auto masks = random_words(prg, 38, 3);
    const Weights loaded = run.evaluator.load(weights.data(), 2, 2, 0);
    const Bytes upload = run.key.encrypt(messages);
    const Bytes reply = run.reply(loaded, upload, masks, select({7, 4095, 4096 + 11}, 2, 4096));
    CHECK(digest(run.key.public_key()) == "2d1377848fb6ca211bd6a99872ea469770d1b6aebb6704734a59b6cc3dac5104");
    CHECK(digest(upload) == "2b7f294cc8cb8cfc603a9bea882e10a217a1a2e97e34584a96f76bbd530c8d31");
    CHECK(digest(reply) == "9370e7cef211b910eaf459019a5598c8f95f35f087f9c67ce80ac6ecd08abc4e");
}

void keys_and_uploads_are_fresh() {
    const auto parameters = std::make_shared<Parameters>(4096, 20, std::vector<LayerBound>{{1000, 1}}, 40);
    const SecretKey one(parameters), two(parameters);
    CHECK(one.public_key() != two.public_key());
    const std::vector<std::uint64_t> zero(4096, 0);
    const Bytes first = one.encrypt(zero), second = one.encrypt(zero);
    CHECK(!std::equal(first.begin(), first.begin() + 16, second.begin()));
    std::size_t equal = 0;
    for (std::size_t i = 0; i < first.size(); ++i) equal += first[i] == second[i] ? 1 : 0;
    CHECK(equal < first.size() / 200);
}

}  // namespace

int main() {
    check::run_on_all_levels("results are exact", results_are_exact);
    check::run("bounds hold and end", bounds_hold_and_end);
    check::run("malformed messages are refused", malformed_messages_are_refused);
    check::run_on_all_levels("bytes are the known ones", bytes_are_the_known_ones);
    check::run("keys and uploads are fresh", keys_and_uploads_are_fresh);
    return check::result();
}
