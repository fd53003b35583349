// Fuzzes what aggregators of Prio3 read: input shares, public shares, verifier shares and messages, and the shares of
// aggregators that may lie. A changed report is never accepted with another output share than the honest one's.
#include <algorithm>

#include "core/prio/prio3.hpp"
#include "core/prio/robust.hpp"
#include "tests/fuzz/input.hpp"

using namespace mpc;
using namespace mpc::prio;
using fuzz::Input;

namespace {

CircuitOptions histogram() {
    CircuitOptions options;
    options.kind = Kind::histogram;
    options.length = 3;
    options.chunk_length = 2;
    return options;
}

// One honest report.
struct Honest {
    Prio3 prio3{{histogram(), 4, 128, 2, 1}};
    const Sizes& z = prio3.sizes();
    fuzz::Bytes nonce = fuzz::Bytes(z.nonce, 1), public_share = fuzz::Bytes(z.public_share),
                key = fuzz::Bytes(z.verify_key, 2);
    fuzz::Bytes shares[2] = {fuzz::Bytes(z.leader_share), fuzz::Bytes(z.helper_share)};
    Robust robust{{histogram(), 4, 128, 4, 1}};
    const RobustSizes& r = robust.sizes();
    fuzz::Bytes robust_public = fuzz::Bytes(r.public_share), robust_shares = fuzz::Bytes(4 * r.share);

    Honest() {
        const std::vector<std::uint64_t> measurement = {1};
        prio3.shard({}, measurement, nonce, fuzz::Bytes(z.randomness, 3), public_share, shares[0], shares[1]);
        robust.deal({}, measurement, nonce, fuzz::Bytes(r.randomness, 3), robust_public, robust_shares);
    }
};

// Changes up to four bytes, and tells whether anything is another.
bool changed(Input& input, fuzz::Bytes& message) {
    const fuzz::Bytes before = message;
    for (std::size_t i = input.below(5); i > 0; --i)
        message[(256 * input.below(256) + input.byte()) % message.size()] ^= input.byte();
    return message != before;
}

void fuzz_prio3(Input& input, const Honest& honest) {
    const Sizes& z = honest.z;
    fuzz::Bytes public_share = honest.public_share, shares[2] = {honest.shares[0], honest.shares[1]};
    const bool different[2] = {changed(input, shares[0]), changed(input, shares[1])};
    changed(input, public_share);
    fuzz::Bytes states[2] = {fuzz::Bytes(z.state), fuzz::Bytes(z.state)}, verifiers(2 * z.verifier_share);
    Status status[1];
    for (std::size_t j = 0; j < 2; ++j) {
        honest.prio3.verify_init(honest.key, {}, j, honest.nonce, public_share, shares[j], states[j],
                                 {verifiers.data() + j * z.verifier_share, z.verifier_share}, {status, 1});
        if (status[0] != Status::ok) return;
    }
    changed(input, verifiers);
    fuzz::Bytes message(z.verifier_message);
    honest.prio3.verifier_shares_to_messages({}, verifiers, message, {status, 1});
    if (status[0] != Status::ok) return;
    changed(input, message);
    fuzz::Bytes out(z.aggregate);
    for (std::size_t j = 0; j < 2; ++j) {
        honest.prio3.verify_next(states[j], message, out, {status, 1});
        REQUIRE(status[0] != Status::ok || !(different[0] || different[1]));
        fuzz::Bytes sum(z.aggregate);
        REQUIRE(honest.prio3.add(out, {status, 1}, sum));
    }
}

void fuzz_robust(Input& input, const Honest& honest) {
    const RobustSizes& r = honest.r;
    const std::size_t number = 1 + input.below(4);
    fuzz::Bytes share(honest.robust_shares.begin() + static_cast<std::ptrdiff_t>((number - 1) * r.share),
                      honest.robust_shares.begin() + static_cast<std::ptrdiff_t>(number * r.share));
    fuzz::Bytes public_share = honest.robust_public;
    const bool share_differs = changed(input, share), public_differs = changed(input, public_share);
    const Checked found = honest.robust.check({}, number, honest.nonce, public_share, share);
    REQUIRE((found == Checked::ok) == !(share_differs || public_differs));
    fuzz::Bytes words(r.verifier), out(r.aggregate);
    (void)honest.robust.verifier({}, honest.nonce, public_share, share, fuzz::Bytes(r.coin, 5), words);
    changed(input, words);
    (void)honest.robust.decide(words);
    honest.robust.output(share, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Honest honest;
    Input input(data, size);
    if (input.byte() % 2 == 0)
        fuzz_prio3(input, honest);
    else
        fuzz_robust(input, honest);
    return 0;
}
