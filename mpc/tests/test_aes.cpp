// AES-128 on every CPU level: FIPS 197 appendix B, NIST SP 800-38A F.1.1 and F.5.1, AESAVS vectors, agreement.
#include "core/aes/aes.hpp"
#include "core/aes/prg.hpp"
#include "core/base/blocks.hpp"
#include "tests/check.hpp"

using mpc::Aes128;
using mpc::Block;
using mpc::Blocks;

namespace {

Block block(const std::string& hex) { return mpc::load_block(check::unhex(hex).data()); }

std::string encrypted(const std::string& key, const std::string& plain) {
    Block b = block(plain);
    Aes128(block(key)).encrypt(&b, &b, 1);
    return check::hex(&b, sizeof b);
}

void published_vectors() {
    CHECK(encrypted("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734") ==
          "3925841d02dc09fbdc118597196a0b32");
    CHECK(encrypted("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff") ==
          "69c4e0d86a7b0430d8cdb78070b4c55a");
    const std::string key = "2b7e151628aed2a6abf7158809cf4f3c";
    CHECK(encrypted(key, "6bc1bee22e409f96e93d7e117393172a") == "3ad77bb40d7a3660a89ecaf32466ef97");
    CHECK(encrypted(key, "ae2d8a571e03ac9c9eb76fac45af8e51") == "f5d3d58503b9699de785895a96fdbaaf");
    CHECK(encrypted(key, "30c81c46a35ce411e5fbc1191a0a52ef") == "43b1cd7f598ece23881b00e3ed030688");
    CHECK(encrypted(key, "f69f2445df4f9b17ad2b417be66c3710") == "7b0c785e27e8ad3f8223207104725dd4");
    // AESAVS: GFSbox, KeySbox, VarTxt.
    CHECK(encrypted("00000000000000000000000000000000", "f34481ec3cc627bacd5dc3fb08f273e6") ==
          "0336763e966d92595a567cc9ce537f5e");
    CHECK(encrypted("10a58869d74be5a374cf867cfb473859", "00000000000000000000000000000000") ==
          "6d251e6944b051e04eaa6fb4dbf78465");
    CHECK(encrypted("00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff") ==
          "3f5b8cc9ea855a0afa7347d23e8d664e");
}

// Every length around the group sizes, in place and apart, against one block at a time.
void many_blocks_as_one_by_one() {
    const Aes128 aes(Block{0x0123456789abcdef, 0xfedcba9876543210});
    for (std::size_t count = 0; count < 80; ++count) {
        Blocks in(count + 1), out(count + 1), counters(count + 1);
        for (std::size_t i = 0; i < count; ++i) in[i] = Block{~std::uint64_t{2} + i, 77};
        const Block guard{42, 42};
        out[count] = counters[count] = guard;
        aes.encrypt(in.data(), out.data(), count);
        aes.counter_mode(~std::uint64_t{2}, 77, counters.data(), count);
        for (std::size_t i = 0; i < count; ++i) {
            Block one;
            aes.encrypt(&in[i], &one, 1);
            CHECK(out[i] == one);
            CHECK(counters[i] == one);
        }
        CHECK(out[count] == guard && counters[count] == guard);
        aes.encrypt(in.data(), in.data(), count);
        for (std::size_t i = 0; i < count; ++i) CHECK(in[i] == out[i]);
    }
}

void levels_agree_on_random_keys() {
    Blocks keys(50);
    mpc::Prg(Block{1, 2}).fill_blocks(keys.data(), keys.size());
    const auto usual = mpc::cpu::level();
    for (const Block& key : keys) {
        std::vector<Blocks> results;
        for (const auto level : mpc::cpu::available()) {
            mpc::cpu::force_level(level);
            results.emplace_back(keys);
            Aes128(key).encrypt(keys.data(), results.back().data(), keys.size());
            CHECK(results.back() == results.front());
        }
    }
    mpc::cpu::force_level(usual);
}

void prg_stream() {
    mpc::Prg prg(Block{5, 6});
    std::uint8_t bytes[40];
    prg.fill(bytes, sizeof bytes);
    const Block fourth = prg.block();
    Block expected[4];
    Aes128(Block{5, 6}).counter_mode(0, 0, expected, 4);
    CHECK(check::hex(bytes, sizeof bytes) == check::hex(expected, sizeof bytes));
    CHECK(fourth == expected[3]);
    CHECK(mpc::system_random_block() != mpc::system_random_block());
    std::vector<std::uint8_t> big(100001, 0);
    mpc::system_random(big.data(), big.size());
    CHECK(check::hex(big.data() + 99985, 16) != std::string(32, '0'));
}

}  // namespace

int main() {
    check::run_on_all_levels("published vectors", published_vectors);
    check::run_on_all_levels("many blocks as one by one", many_blocks_as_one_by_one);
    check::run("levels agree on random keys", levels_agree_on_random_keys);
    check::run_on_all_levels("generator stream", prg_stream);
    return check::result();
}
