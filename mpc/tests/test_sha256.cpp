// SHA-256: the vectors of FIPS 180-4's examples and NIST's CAVP short messages.
#include "core/base/sha256.hpp"

#include "tests/check.hpp"

using mpc::Sha256;

namespace {

std::string digest_of(const std::string& text, std::size_t step) {
    Sha256 hash;
    for (std::size_t i = 0; i < text.size(); i += step) hash.update(text.data() + i, std::min(step, text.size() - i));
    const Sha256::Digest digest = hash.digest();
    return check::hex(digest.data(), digest.size());
}

void published_vectors() {
    struct Vector {
        std::string text, digest;
    };
    const Vector vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {"\xd3", "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"},
    };
    for (const Vector& v : vectors)
        for (const std::size_t step : {std::size_t{1} << 20, std::size_t{64}, std::size_t{63}, std::size_t{7}})
            CHECK(digest_of(v.text, step) == v.digest);
}

void two_side_by_side() {
    const std::string a(1001, 'a'), b(1001, 'b');
    const auto* const first = reinterpret_cast<const std::uint8_t*>(a.data());
    const auto* const second = reinterpret_cast<const std::uint8_t*>(b.data());
    for (const std::size_t bytes : {0u, 1u, 64u, 127u, 128u, 1000u}) {
        for (const std::size_t before : {0u, 1u}) {
            Sha256 one, two;
            one.update(first, before);
            Sha256::update_both(one, first, two, second, bytes);
            const Sha256::Digest x = one.digest(), y = two.digest();
            CHECK(check::hex(x.data(), x.size()) == digest_of(a.substr(0, bytes + before), 64));
            CHECK(check::hex(y.data(), y.size()) == digest_of(b.substr(0, bytes), 64));
        }
    }
}

}  // namespace

int main() {
    check::run_on_all_levels("two_side_by_side", two_side_by_side);
    check::run_on_all_levels("published_vectors", published_vectors);
    return check::result();
}
