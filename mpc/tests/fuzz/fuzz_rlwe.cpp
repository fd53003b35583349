// Fuzzes what the encrypted linear layers read. The answering party reads a public key and uploads, the querying party
// replies, and both the positions of results, which come with the architecture.
#include <memory>

#include "core/bfv/linear.hpp"
#include "tests/fuzz/input.hpp"

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;
using fuzz::Input;
using fuzz::refused;

namespace {

constexpr std::size_t kDegree = 4096;
constexpr int kBits = 20;
constexpr std::uint64_t kRing = (std::uint64_t{1} << kBits) - 1;

struct Honest {
    SharedParameters parameters = std::make_shared<Parameters>(
        kDegree, kBits, std::vector<LayerBound>{{std::uint64_t{1} << 20, std::uint64_t{1} << 30}}, 40);
    SecretKey key{parameters, Block{1, 2}};
    fuzz::Bytes public_key = key.public_key();
    Evaluator evaluator{parameters, public_key, Block{3, 4}};
    Weights weights = loaded();
    Words messages = Words(kDegree, 6);
    fuzz::Bytes upload = key.encrypt(messages);

    Weights loaded() const {  // twice the identity, and minus the identity
        SignedWords both(2 * kDegree);
        both[0] = 2;
        both[kDegree] = -1;
        return evaluator.load(both.data(), 2, 1, 0);
    }
};

// Usually one result in each of the two polynomials of a reply.
std::vector<std::int64_t> some_positions(Input& input) {
    std::vector<std::int64_t> positions{0, kDegree};
    switch (input.below(4)) {
        case 0: positions = {static_cast<std::int64_t>(input.word() % kDegree), 2 * kDegree - 1}; break;
        case 1:
            for (std::int64_t& position : positions) {
                const fuzz::Bytes any = input.bytes(sizeof position);
                std::memcpy(&position, any.data(), sizeof position);
            }
            break;
        case 2: positions.assign(input.below(5), static_cast<std::int64_t>(input.word())); break;
        default: break;
    }
    return positions;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Honest honest;
    Input input(data, size);
    if (input.below(4) == 3) {
        const fuzz::Bytes key = input.message(honest.public_key);
        const bool wrong = refused([&] { Evaluator(honest.parameters, key, Block{3, 4}); });
        REQUIRE(!wrong || key != honest.public_key);
        return 0;
    }
    const std::vector<std::int64_t> positions = some_positions(input);
    std::unique_ptr<Selection> selection;
    if (refused([&] { selection = std::make_unique<Selection>(positions, 2, kDegree); })) return 0;
    const std::vector<std::uint64_t> masks(selection->results(), 1000);

    const fuzz::Bytes upload = input.message(honest.upload);
    fuzz::Bytes reply;
    const auto apply = [&](const fuzz::Bytes& message) {
        reply = honest.evaluator.apply(honest.weights, message, masks, *selection);
    };
    const bool upload_refused = refused([&] { apply(upload); });
    REQUIRE(!upload_refused || upload != honest.upload);
    if (upload_refused) apply(honest.upload);

    const fuzz::Bytes received = input.message(reply);
    std::vector<std::uint64_t> opened;
    const auto open = [&](const fuzz::Bytes& message) {
        opened = honest.key.decrypt(message, *selection);
    };
    const bool reply_refused = refused([&] { open(received); });
    REQUIRE(!reply_refused || received != reply);
    if (reply_refused) open(reply);
    REQUIRE(opened.size() == selection->results());
    if ((!upload_refused && upload != honest.upload) || (!reply_refused && received != reply)) return 0;
    for (std::size_t r = 0; r < selection->begin(1); ++r) REQUIRE(opened[r] == 1000 + 12);
    for (std::size_t r = selection->begin(1); r < selection->results(); ++r) REQUIRE(opened[r] == (kRing & (1000 - 6)));
    return 0;
}
