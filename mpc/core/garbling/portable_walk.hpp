// The walk through the gates of a tile without any AES instruction, for both table formats (kernels_portable.cpp,
// three_halves.cpp). It works in plain words, and no branch or address depends on a secret.
#pragma once

#include "core/aes/bitsliced_aes.hpp"
#include "core/aes/kernels.hpp"
#include "core/garbling/kernels.hpp"

namespace mpc::portable {

// The schedules of one AND gate after the other, out of batches that are expanded ahead.
template <std::size_t per_and>
class KeySource {
public:
    KeySource(const Block& salt, std::uint64_t index) : salt_(salt), index_(index) {}

    void next_gate(std::size_t gates_left, bitsliced::Schedule* keys) {
        if (used_ == filled_) refill(gates_left);
        for (std::size_t k = 0; k < per_and; ++k) keys[k] = bitsliced::spread(batch_[used_ + k]);
        used_ += per_and;
    }

private:
    void refill(std::size_t gates_left) {
        constexpr std::size_t most = kKeyBatch / per_and;
        filled_ = per_and * (gates_left < most ? gates_left : most);
        used_ = 0;
        Block keys[kKeyBatch];
        for (std::size_t i = 0; i < filled_; ++i) keys[i] = salt_ ^ Block{index_ + i, 0};
        bitsliced::expand_keys(keys, filled_, batch_);
        index_ += filled_;
    }

    Block salt_;
    std::uint64_t index_;
    RoundKeys batch_[kKeyBatch];
    std::size_t used_ = 0;
    std::size_t filled_ = 0;
};

// `handle_and(gate, a, b, schedules)` does one AND gate, whose operands were summed up into a and b, and leaves the
// output row without z in `a`.
template <TableFormat format, class HandleAnd>
std::size_t walk(GateRun& run, HandleAnd handle_and) {
    constexpr std::size_t per_and = keys_per_and(format);
    KeySource<per_and> keys(run.salt, run.index);
    bitsliced::Schedule schedules[per_and];
    std::size_t ands = 0;
    std::size_t done = 0;
    for (; done < run.gate_count; ++done) {
        const Gate& gate = run.gates[done];
        const Block* const* rows = run.rows;
        Block* out = run.slots + gate.out * run.stride;
        if ((gate.kind & Gate::is_and) == 0) {
            for (std::size_t i = 0; i < run.lanes; ++i) out[i] = rows[gate.a][i] ^ rows[gate.b][i] ^ rows[gate.x][i];
            continue;
        }
        if (ands == run.and_limit) break;
        keys.next_gate(run.and_limit - ands, schedules);
        Block a[kTile], b[kTile];
        for (std::size_t i = 0; i < run.lanes; ++i) {
            a[i] = rows[gate.a][i] ^ rows[gate.x][i];
            b[i] = rows[gate.b][i] ^ rows[gate.y][i];
        }
        handle_and(gate, a, b, schedules);
        for (std::size_t i = 0; i < run.lanes; ++i) out[i] = a[i] ^ rows[gate.z][i];
        run.tables += row_bytes(format, run.lanes);
        run.index += per_and;
        ++ands;
    }
    return done;
}

// The zero labels of operands that the gate reads inverted.
inline void apply_inversions(const Gate& gate, const Block& delta, std::size_t lanes, Block* a, Block* b) {
    const Block flip_a = mask_of((gate.kind & Gate::invert_a) != 0) & delta;
    const Block flip_b = mask_of((gate.kind & Gate::invert_b) != 0) & delta;
    for (std::size_t i = 0; i < lanes; ++i) {
        a[i] ^= flip_a;
        b[i] ^= flip_b;
    }
}

}  // namespace mpc::portable
