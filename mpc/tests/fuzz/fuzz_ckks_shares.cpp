// Fuzzes what owners of a joint CKKS key send each other: shares of public, rotation and relinearisation keys, of
// decryptions and of refreshed ciphertexts. One owner is honest, and the other's messages are the input's. What was
// added up serves in a computation.
#include <memory>
#include <optional>

#include "core/ckks/evaluate.hpp"
#include "core/ckks/keys.hpp"
#include "core/ckks/threshold.hpp"
#include "core/ckks/wire.hpp"
#include "tests/fuzz/input.hpp"

using namespace mpc;
using namespace mpc::ckks;
using fuzz::Input;
using fuzz::refused;

namespace {

constexpr int kMaskBits = 60, kOpenedBits = 70;
constexpr std::size_t kLow = 1, kHigh = 2;
const Block kCommon{5, 6};

struct Honest {
    SharedParameters parameters = std::make_shared<const Parameters>(64, std::vector<int>{47, 36, 36},
                                                                     std::vector<int>{47}, 36, true);
    KeyId joint{9};
    SecretShare one{parameters, fuzz::Bytes(kSeedBytes, 1), joint}, other{parameters, fuzz::Bytes(kSeedBytes, 2), joint};
    fuzz::Bytes open = add_key_shares(*parameters, {one.public_key(kCommon), other.public_key(kCommon)});
    fuzz::Bytes first = other.first_relinearisation(kCommon, kHigh);
    fuzz::Bytes sum = add_key_shares(*parameters, {one.first_relinearisation(kCommon, kHigh), first});
    Ciphertext low = encrypted(kLow), high = encrypted(kHigh);

    Ciphertext encrypted(std::size_t level) const {
        return PublicKey(parameters, open, Block{3, 4}).encrypt(std::vector<double>(32, 0.5), level, parameters->scale());
    }
    // What the slots hold, with the masks of both owners taken from the coefficients of the decryption.
    bool holds(const Ciphertext& ciphertext, double expected) const {
        const Integers found = open_integers(
            ciphertext, {one.decryption(ciphertext, kMaskBits), other.decryption(ciphertext, kMaskBits)}, kOpenedBits);
        const Integers mine = one.mask(ciphertext, kMaskBits), theirs = other.mask(ciphertext, kMaskBits);
        for (std::size_t n = 0; n < found.size(); ++n) {
            // A constant is its own polynomial.
            const auto value = static_cast<double>(static_cast<std::int64_t>(found[n] - mine[n] - theirs[n]));
            const double off = value / ciphertext.scale.value() - (n == 0 ? expected : 0);
            if (!(off < 1e-3 && off > -1e-3)) return false;
        }
        return true;
    }
};

// Whether what `add` makes of a message serves `use`. The honest one has to, and to be right.
template <class Add, class Use>
void check(const fuzz::Bytes& message, const fuzz::Bytes& honest, Add add, Use use) {
    fuzz::Bytes made;
    bool right = false;
    const bool was_refused = refused([&] {
        made = add(message);
        right = use(made);
    });
    REQUIRE(message != honest || (!was_refused && right));
    // A refusal has changed nothing.
    REQUIRE(!was_refused || use(add(honest)));
}

void keys(const Honest& h, Input& input) {
    switch (input.below(3)) {
        case 0: {
            const fuzz::Bytes share = h.other.public_key(kCommon);
            const auto add = [&](const fuzz::Bytes& sent) {
                return add_key_shares(*h.parameters, {h.one.public_key(kCommon), sent});
            };
            return check(input.message(share), share, add, [&](const fuzz::Bytes& made) {
                const std::vector<double> values(32, 0.25);
                const PublicKey key(h.parameters, made, Block{3, 4});
                return h.holds(key.encrypt(values, kLow, h.parameters->scale()), 0.25);
            });
        }
        case 1: {
            const fuzz::Bytes share = h.other.rotation_key(kCommon, 3, kHigh);
            const auto add = [&](const fuzz::Bytes& sent) {
                return add_key_shares(*h.parameters, {h.one.rotation_key(kCommon, 3, kHigh), sent});
            };
            return check(input.message(share), share, add, [&](const fuzz::Bytes& made) {
                const Evaluator evaluator(h.parameters, std::nullopt, {made});
                return h.holds(evaluator.rotate_sum({&h.low, &h.low}, {0, 3}), 1.0);
            });
        }
        default: {  // the sum of the first shares, or the second share
            const bool of_sum = input.below(2) == 0;
            const fuzz::Bytes second = h.other.second_relinearisation(kCommon, h.sum);
            const fuzz::Bytes honest = of_sum ? h.sum : second;
            const auto add = [&](const fuzz::Bytes& sent) {
                const fuzz::Bytes& sum = of_sum ? sent : h.sum;
                return add_second_shares(*h.parameters, sum, {h.one.second_relinearisation(kCommon, sum),
                                                              of_sum ? h.other.second_relinearisation(kCommon, sum) : sent});
            };
            return check(input.message(honest), honest, add, [&](const fuzz::Bytes& made) {
                const Evaluator evaluator(h.parameters, ByteView(made), {});
                return h.holds(evaluator.dot({&h.high}, {&h.high}, true), 0.25);
            });
        }
    }
}

void first_shares(const Honest& h, Input& input) {
    const auto add = [&](const fuzz::Bytes& sent) {
        return add_key_shares(*h.parameters, {h.one.first_relinearisation(kCommon, kHigh), sent});
    };
    check(input.message(h.first), h.first, add, [&](const fuzz::Bytes& made) { return made == h.sum; });
}

void decryptions(const Honest& h, Input& input) {
    const fuzz::Bytes share = h.other.decryption(h.low, kMaskBits), sent = input.message(share);
    const std::vector<fuzz::Bytes> both{h.one.decryption(h.low, kMaskBits), sent};
    const std::vector<ByteView> shares(both.begin(), both.end());
    const bool was_refused = refused([&] {
        (void)open_values(h.low, shares);
        (void)open_residues(h.low, shares);
        (void)open_integers(h.low, shares, kOpenedBits);
    });
    REQUIRE(!was_refused || sent != share);
    REQUIRE(h.holds(h.low, 0.5));
}

void refreshes(const Honest& h, Input& input) {
    const fuzz::Bytes opening = h.other.refresh_opening(h.low, kMaskBits);
    const fuzz::Bytes share = h.other.refresh(h.low, kMaskBits, kCommon, kHigh);
    const fuzz::Bytes sent_opening = input.message(opening), sent = input.message(share);
    const auto add = [&](const fuzz::Bytes& one, const fuzz::Bytes& other) {
        return refreshed(h.low, {h.one.refresh_opening(h.low, kMaskBits), one},
                         {h.one.refresh(h.low, kMaskBits, kCommon, kHigh), other}, kOpenedBits);
    };
    const auto serves = [&](const fuzz::Bytes& made) {
        const Evaluator evaluator(h.parameters, std::nullopt, {});
        return h.holds(evaluator.drop(read_ciphertext(h.parameters, made), kLow), 0.5);
    };
    bool right = false;
    const bool was_refused = refused([&] { right = serves(add(sent_opening, sent)); });
    REQUIRE((sent_opening != opening || sent != share) || (!was_refused && right));
    REQUIRE(!was_refused || serves(add(opening, share)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Honest honest;
    Input input(data, size);
    switch (input.below(4)) {
        case 0: keys(honest, input); break;
        case 1: first_shares(honest, input); break;
        case 2: decryptions(honest, input); break;
        default: refreshes(honest, input); break;
    }
    return 0;
}
