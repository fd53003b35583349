// SHA-256 (FIPS 180-4, section 6.2), the random oracle of the OTs.
//
// Its inputs are points that nobody else may learn. The function has no table and no branch on data, so it is constant
// time by nature. The fixed-key AES hash of the garbling is no random oracle over long inputs and is not used here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mpc {

class Sha256 {
public:
    static constexpr std::size_t kDigestBytes = 32;
    using Digest = std::array<std::uint8_t, kDigestBytes>;

    Sha256();
    ~Sha256();  // wipes the state
    Sha256(const Sha256&) = default;
    Sha256& operator=(const Sha256&) = default;

    Sha256& update(const void* data, std::size_t bytes);
    // Updates two hashes by as many bytes each, side by side, which takes little longer than one.
    static void update_both(Sha256& one, const std::uint8_t* first, Sha256& two, const std::uint8_t* second,
                            std::size_t bytes);
    Digest digest();  // ends the computation; the object is spent

private:
    void compress(const std::uint8_t* data, std::size_t blocks);

    std::uint32_t state_[8];
    std::uint8_t buffer_[64];
    std::size_t buffered_ = 0;
    std::uint64_t total_ = 0;
};

}  // namespace mpc
