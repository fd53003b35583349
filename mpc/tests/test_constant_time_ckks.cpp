// Shows that no branch and no address of CKKS's key holder, or of an owner of a joint key, depends on a secret. The seed
// of the key, the secret, messages and what is decrypted are marked as undefined memory for valgrind's memcheck
// (test_constant_time.cpp). Without valgrind this runs as a plain test. The check of a message's range is left out, as
// its outcome is seen by all. Noise goes through the samplers of test_constant_time_rlwe.cpp.
#include "core/ckks/threshold.hpp"
#include "tests/check.hpp"
#include "tests/ckks_setting.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;
using namespace mpc::ckks;

namespace mpc::ckks {

// Reaches what an object keeps to itself.
struct Probe {
    static SecretRows& secret(SecretKey& key) { return key.secret_; }
    static KeyId& key_id(SecretKey& key) { return key.key_id_; }
    static SecretRows& secret(SecretShare& share) { return share.secret_; }
    // Of a mask whose range has been checked, as that outcome is seen by all.
    static Ciphertext encrypt_rows(const PublicKey& key, const SecretRows& mask, std::size_t level) {
        return key.encrypt_rows(mask, level, key.parameters().scale());
    }
};

}  // namespace mpc::ckks

namespace {

template <class Values>
void make_secret(Values& values) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof values[0]);
}
template <class Values>
void make_public(Values& values) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof values[0]);
}

// From a secret seed to keys.
void keys_are_made() {
    for (const std::size_t specials : {1u, 2u}) {
        const SharedParameters parameters = of_depth(1024, 3, specials);
        Bytes seed(kSeedBytes, 7);
        make_secret(seed);
        SecretKey key(parameters, seed, Block{1, 2});
        make_public(Probe::key_id(key));  // it is sent
        Bytes open = key.public_key(), products = key.relinearisation_key(3), rotation = key.rotation_key(5, 2);
        make_public(open);
        make_public(products);
        make_public(rotation);
        CHECK(open.size() > 0 && products.size() > open.size() && rotation.size() > open.size());
        make_public(Probe::secret(key));
    }
}

void messages_are_hidden_and_opened() {
    const SharedParameters parameters = of_depth(1024, 2, 1);
    SecretKey key(parameters, Bytes(kSeedBytes, 7), Block{1, 2});
    const std::vector<double> values = random_values(1, 512);
    make_secret(Probe::secret(key));
    Bytes sent = key.encrypt(values, 2, parameters->scale());
    make_public(sent);
    std::vector<double> found = key.decrypt(read_ciphertext(parameters, sent));
    make_public(found);
    CHECK(largest_difference(found, values) < 1e-8);
}

// Masks and floods, which their maker encrypts with the public key, and masked results as the key's holder reads them.
void polynomials_are_hidden_and_opened() {
    const SharedParameters parameters = of_depth(1024, 2, 1);
    SecretKey key(parameters, Bytes(kSeedBytes, 7), Block{1, 2});
    const PublicKey open(parameters, key.public_key(), Block{3, 4});
    std::vector<std::int64_t> flood(1024);
    SecretRows mask(3 * 1024);
    Prg prg(Block{5, 6});
    for (std::int64_t& number : flood) number = static_cast<std::int64_t>(prg.word());
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = prg.word() % parameters->row(i / 1024).p();
    const SecretRows known = mask;
    make_secret(flood);
    make_secret(mask);
    make_secret(Probe::secret(key));
    Ciphertext flooded = open.encrypt_integers(flood, 2, parameters->scale(), 40), masked = Probe::encrypt_rows(open, mask, 2);
    for (Ciphertext* made : {&flooded, &masked}) {
        make_public(made->first);
        make_public(made->second);
    }
    SecretRows found = key.decrypt_residues(masked);
    make_public(found);
    const auto most = static_cast<std::uint64_t>(parameters->fresh_noise(false));
    for (std::size_t i = 0; i < found.size(); ++i) {
        const std::uint64_t p = parameters->row(i / 1024).p(), off = (found[i] + p - known[i]) % p;
        CHECK(std::min(off, p - off) <= most);
    }
    CHECK(flooded.first != masked.first);
}

void messages_are_encoded_and_decoded() {
    const SharedParameters parameters = of_depth(1024, 2, 1);
    const std::vector<double> values = random_values(2, 512);
    std::vector<double> hidden = values, found(512);
    make_secret(hidden);
    SecretRows rows(3 * 1024);
    encode_unchecked(*parameters, encoder_of(1024), hidden, 2, parameters->scale(), true, rows.data());
    for (std::size_t i = 0; i <= 2; ++i) parameters->row(i).inverse(&rows[i * 1024]);
    decode(*parameters, encoder_of(1024), 2, parameters->scale(), rows.data(), found.data());
    make_public(found);
    CHECK(largest_difference(found, values) < 1e-9);
}

// From two owners' secret seeds to all their shares. What each sends is public once it is made.
void shares_are_made() {
    for (const std::size_t specials : {1u, 2u}) {
        const SharedParameters parameters = of_depth(1024, 3, specials);
        const Block common{3, 4};
        const auto public_of = [](Bytes message) {
            make_public(message);
            return message;
        };
        std::vector<std::unique_ptr<SecretShare>> owners;
        std::vector<Bytes> open, first, second, rotation, closed, fresh;
        for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
            Bytes seed(kSeedBytes, number);
            make_secret(seed);
            owners.push_back(std::make_unique<SecretShare>(parameters, seed, KeyId{7}));
            open.push_back(public_of(owners.back()->public_key(common)));
            first.push_back(public_of(owners.back()->first_relinearisation(common, 2)));
            rotation.push_back(public_of(owners.back()->rotation_key(common, 5, 2)));
        }
        const auto views = [](const std::vector<Bytes>& messages) {
            return std::vector<ByteView>(messages.begin(), messages.end());
        };
        const Bytes sum = add_key_shares(*parameters, views(first));
        for (const auto& owner : owners) second.push_back(public_of(owner->second_relinearisation(common, sum)));
        const Bytes products = add_second_shares(*parameters, sum, views(second));
        const Bytes turned = add_key_shares(*parameters, views(rotation));
        const std::vector<double> values = random_values(1, 512);
        const PublicKey key(parameters, add_key_shares(*parameters, views(open)), Block{5, 6});
        const Ciphertext sent = key.encrypt(values, 2, parameters->scale());
        const Evaluator evaluator(parameters, ByteView(products), {ByteView(turned)});
        const Ciphertext squared = evaluator.dot({&sent}, {&sent}, true);
        for (const auto& owner : owners) {
            closed.push_back(public_of(owner->refresh_opening(squared, 70)));
            fresh.push_back(public_of(owner->refresh(squared, 70, common, 3)));
        }
        const Ciphertext higher = read_ciphertext(parameters, refreshed(squared, views(closed), views(fresh), 71));
        std::vector<Bytes> last;
        for (const auto& owner : owners) last.push_back(public_of(owner->decryption(higher, 4)));
        const std::vector<double> found = open_values(higher, views(last));
        double largest = 0;
        for (std::size_t i = 0; i < 512; ++i) largest = std::max(largest, std::fabs(found[i] - values[i] * values[i]));
        CHECK(largest < 1e-6);
        for (const auto& owner : owners) make_public(Probe::secret(*owner));
    }
}

}  // namespace

int main() {
    std::printf("valgrind: %s, transforms in doubles: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no",
                lattice::uses_fma() ? "yes" : "no");
    check::run_on_all_levels("keys are made", keys_are_made);
    check::run_on_all_levels("shares are made", shares_are_made);
    check::run_on_all_levels("messages are hidden and opened", messages_are_hidden_and_opened);
    check::run_on_all_levels("polynomials are hidden and opened", polynomials_are_hidden_and_opened);
    check::run_on_all_levels("messages are encoded and decoded", messages_are_encoded_and_decoded);
    return check::result();
}
