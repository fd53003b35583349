// Fuzzes what CKKS reads: ciphertexts, seeded ones, public keys, and keys for products and rotations. What was read
// serves in a computation.
#include <memory>
#include <optional>

#include "core/ckks/evaluate.hpp"
#include "core/ckks/keys.hpp"
#include "core/ckks/wire.hpp"
#include "tests/fuzz/input.hpp"

using namespace mpc;
using namespace mpc::ckks;
using fuzz::Input;
using fuzz::refused;

namespace {

struct Honest {
    SharedParameters parameters = std::make_shared<const Parameters>(64, std::vector<int>{47, 36, 36},
                                                                     std::vector<int>{47}, 36, true);
    SecretKey key{parameters, fuzz::Bytes(kSeedBytes, 1), Block{1, 2}};
    std::vector<double> values = std::vector<double>(32, 0.5);
    fuzz::Bytes open = key.public_key(), products = key.relinearisation_key(2), rotation = key.rotation_key(3, 2);
    fuzz::Bytes seeded = key.encrypt(values, 2, parameters->scale());
    fuzz::Bytes whole = write(PublicKey(parameters, open, Block{3, 4}).encrypt(values, 1, parameters->scale()));
};

bool near(const std::vector<double>& found, double expected) {
    for (const double value : found) {
        if (!(value > expected - 1e-3 && value < expected + 1e-3)) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Honest honest;
    Input input(data, size);
    if (input.below(4) == 3) {
        const fuzz::Bytes open = input.message(honest.open);
        const bool wrong = refused([&] { PublicKey(honest.parameters, open, Block{3, 4}); });
        REQUIRE(!wrong || open != honest.open);
        return 0;
    }
    const fuzz::Bytes products = input.message(honest.products), rotation = input.message(honest.rotation);
    std::unique_ptr<Evaluator> evaluator;
    const auto load = [&](const fuzz::Bytes& one, const fuzz::Bytes& other) {
        evaluator = std::make_unique<Evaluator>(honest.parameters, ByteView(one), std::vector<ByteView>{other});
    };
    const bool keys_refused = refused([&] { load(products, rotation); });
    const bool keys_honest = products == honest.products && rotation == honest.rotation;
    REQUIRE(!keys_refused || !keys_honest);
    if (keys_refused) load(honest.products, honest.rotation);

    const fuzz::Bytes& sent = input.below(2) == 0 ? honest.seeded : honest.whole;
    const fuzz::Bytes message = input.message(sent);
    std::optional<Ciphertext> read;
    const bool refused_it = refused([&] { read = read_ciphertext(honest.parameters, message); });
    REQUIRE(!refused_it || message != sent);
    if (refused_it) read = read_ciphertext(honest.parameters, sent);
    std::optional<Ciphertext> result;
    const bool not_computed = refused([&] {
        result = evaluator->rotate_each(evaluator->dot({&*read}, {&*read}, true), {3}).front();
    });
    const bool all_honest = (keys_refused || keys_honest) && (refused_it || message == sent);
    REQUIRE(!not_computed || !all_honest);
    if (not_computed) return 0;
    std::vector<double> opened;
    const bool not_opened = refused([&] { opened = honest.key.decrypt(*result); });
    REQUIRE(!not_opened || !all_honest);
    REQUIRE(!all_honest || near(opened, 0.25));
    return 0;
}
