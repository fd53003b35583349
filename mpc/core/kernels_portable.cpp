// The kernels without any AES instruction: bitsliced AES, plain words, no secret-dependent branch or address.
#include "core/bitsliced_aes.hpp"
#include "core/kernels.hpp"

namespace capc::mpc {

namespace {

constexpr std::size_t kChunk = bitsliced::kBlocks;

// sigma of hash.hpp: (L || R) -> (L ^ R) || L, the high half being L.
CAPC_INLINE Block sigma(const Block& x) { return Block{x.hi, x.hi ^ x.lo}; }

void expand_key(const Block& key, RoundKeys* out) { bitsliced::expand_keys(&key, 1, out); }

void encrypt_spread(const bitsliced::Schedule& schedule, const Block* in, Block* out, std::size_t count) {
    std::size_t i = 0;
    for (; i + kChunk <= count; i += kChunk) bitsliced::encrypt(schedule, in + i, out + i);
    if (i < count) {
        Block rest[kChunk] = {};
        std::memcpy(rest, in + i, (count - i) * sizeof(Block));
        bitsliced::encrypt(schedule, rest, rest);
        std::memcpy(out + i, rest, (count - i) * sizeof(Block));
    }
}

void encrypt(const RoundKeys& keys, const Block* in, Block* out, std::size_t count) {
    encrypt_spread(bitsliced::spread(keys), in, out, count);
}

void counter_mode(const RoundKeys& keys, std::uint64_t first, std::uint64_t high, Block* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out[i] = Block{first + i, high};
    encrypt(keys, out, out, count);
}

void hash_spread(const bitsliced::Schedule& schedule, const Block* in, Block* out, std::size_t count) {
    Block chunk[kChunk] = {};
    Block cipher[kChunk];
    for (std::size_t i = 0; i < count; i += kChunk) {
        const std::size_t now = count - i < kChunk ? count - i : kChunk;
        for (std::size_t j = 0; j < now; ++j) chunk[j] = sigma(in[i + j]);
        bitsliced::encrypt(schedule, chunk, cipher);
        for (std::size_t j = 0; j < now; ++j) out[i + j] = cipher[j] ^ chunk[j];
    }
}

void hash(const Block& salt, std::uint64_t counter, const Block* in, Block* out, std::size_t count) {
    RoundKeys keys;
    expand_key(salt ^ Block{counter, 0}, &keys);
    hash_spread(bitsliced::spread(keys), in, out, count);
}

// The two schedules of one AND gate out of a batch that is expanded ahead.
class KeySource {
public:
    KeySource(const Block& salt, std::uint64_t counter) : salt_(salt), counter_(counter) {}

    void next_gate(std::size_t gates_left, bitsliced::Schedule* garbler_half, bitsliced::Schedule* evaluator_half) {
        if (used_ == filled_) refill(gates_left);
        *garbler_half = bitsliced::spread(batch_[used_]);
        *evaluator_half = bitsliced::spread(batch_[used_ + 1]);
        used_ += 2;
    }

private:
    void refill(std::size_t gates_left) {
        filled_ = gates_left < kKeyBatch / 2 ? 2 * gates_left : kKeyBatch;
        used_ = 0;
        Block keys[kKeyBatch];
        for (std::size_t i = 0; i < filled_; ++i) keys[i] = salt_ ^ Block{counter_ + i, 0};
        bitsliced::expand_keys(keys, filled_, batch_);
        counter_ += filled_;
    }

    Block salt_;
    std::uint64_t counter_;
    RoundKeys batch_[kKeyBatch];
    std::size_t used_ = 0;
    std::size_t filled_ = 0;
};

void exclusive_or(const Gate& gate, const GateRun& run) {
    const Block* a = run.slots + gate.a * run.stride;
    const Block* b = run.slots + gate.b * run.stride;
    Block* out = run.slots + gate.out * run.stride;
    for (std::size_t i = 0; i < run.lanes; ++i) out[i] = a[i] ^ b[i];
}

std::size_t garble(GateRun& run, const Block& delta) {
    KeySource keys(run.salt, run.counter);
    bitsliced::Schedule garbler_half;
    bitsliced::Schedule evaluator_half;
    std::size_t ands = 0;
    std::size_t done = 0;
    for (; done < run.gate_count; ++done) {
        const Gate& gate = run.gates[done];
        if ((gate.kind & Gate::is_and) == 0) {
            exclusive_or(gate, run);
            continue;
        }
        if (ands == run.and_limit) break;
        keys.next_gate(run.and_limit - ands, &garbler_half, &evaluator_half);
        const Block flip_a = mask_of((gate.kind & Gate::invert_a) != 0) & delta;
        const Block flip_b = mask_of((gate.kind & Gate::invert_b) != 0) & delta;
        Block zero_a[kTile], zero_b[kTile], pair[2 * kTile], hash_a[2 * kTile], hash_b[2 * kTile];
        for (std::size_t i = 0; i < run.lanes; ++i) {
            zero_a[i] = run.slots[gate.a * run.stride + i] ^ flip_a;
            zero_b[i] = run.slots[gate.b * run.stride + i] ^ flip_b;
            pair[2 * i] = zero_a[i];
            pair[2 * i + 1] = zero_a[i] ^ delta;
        }
        hash_spread(garbler_half, pair, hash_a, 2 * run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            pair[2 * i] = zero_b[i];
            pair[2 * i + 1] = zero_b[i] ^ delta;
        }
        hash_spread(evaluator_half, pair, hash_b, 2 * run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block select_a = mask_of(zero_a[i].colour());
            const Block select_b = mask_of(zero_b[i].colour());
            const Block garbler_row = hash_a[2 * i] ^ hash_a[2 * i + 1] ^ (select_b & delta);
            const Block both = hash_b[2 * i] ^ hash_b[2 * i + 1];
            store_block(run.tables + i * sizeof(Block), garbler_row);
            store_block(run.tables + (run.lanes + i) * sizeof(Block), both ^ zero_a[i]);
            run.slots[gate.out * run.stride + i] =
                hash_a[2 * i] ^ (select_a & garbler_row) ^ hash_b[2 * i] ^ (select_b & both);
        }
        run.tables += 2 * run.lanes * sizeof(Block);
        run.counter += 2;
        ++ands;
    }
    return done;
}

std::size_t evaluate(GateRun& run) {
    KeySource keys(run.salt, run.counter);
    bitsliced::Schedule garbler_half;
    bitsliced::Schedule evaluator_half;
    std::size_t ands = 0;
    std::size_t done = 0;
    for (; done < run.gate_count; ++done) {
        const Gate& gate = run.gates[done];
        if ((gate.kind & Gate::is_and) == 0) {
            exclusive_or(gate, run);
            continue;
        }
        if (ands == run.and_limit) break;
        keys.next_gate(run.and_limit - ands, &garbler_half, &evaluator_half);
        const Block* a = run.slots + gate.a * run.stride;
        const Block* b = run.slots + gate.b * run.stride;
        Block hash_a[kTile], hash_b[kTile];
        hash_spread(garbler_half, a, hash_a, run.lanes);
        hash_spread(evaluator_half, b, hash_b, run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block garbler_row = load_block(run.tables + i * sizeof(Block));
            const Block evaluator_row = load_block(run.tables + (run.lanes + i) * sizeof(Block));
            run.slots[gate.out * run.stride + i] = hash_a[i] ^ (mask_of(a[i].colour()) & garbler_row) ^ hash_b[i] ^
                                              (mask_of(b[i].colour()) & (evaluator_row ^ a[i]));
        }
        run.tables += 2 * run.lanes * sizeof(Block);
        run.counter += 2;
        ++ands;
    }
    return done;
}

}  // namespace

const Kernels kernels_portable = {expand_key, encrypt, counter_mode, hash, garble, evaluate};

}  // namespace capc::mpc
