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

void hash(const Block& salt, std::uint64_t index, const Block* in, Block* out, std::size_t count) {
    RoundKeys keys;
    expand_key(salt ^ Block{index, 0}, &keys);
    hash_spread(bitsliced::spread(keys), in, out, count);
}

std::uint64_t colours(const Block* row, std::size_t lanes) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < lanes; ++i) bits |= row[i].colour() << i;
    return bits;
}

// The two schedules of one AND gate out of a batch that is expanded ahead.
class KeySource {
public:
    KeySource(const Block& salt, std::uint64_t index) : salt_(salt), index_(index) {}

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

// Walks the gates of a run; `handle_and(gate, a, b, garbler's schedule, evaluator's schedule)` does one AND gate, whose
// operands were summed up into a and b, and returns the output row without z in `a`.
template <class HandleAnd>
std::size_t walk(GateRun& run, HandleAnd handle_and) {
    KeySource keys(run.salt, run.index);
    bitsliced::Schedule garbler_half;
    bitsliced::Schedule evaluator_half;
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
        keys.next_gate(run.and_limit - ands, &garbler_half, &evaluator_half);
        Block a[kTile], b[kTile];
        for (std::size_t i = 0; i < run.lanes; ++i) {
            a[i] = rows[gate.a][i] ^ rows[gate.x][i];
            b[i] = rows[gate.b][i] ^ rows[gate.y][i];
        }
        handle_and(gate, a, b, garbler_half, evaluator_half);
        for (std::size_t i = 0; i < run.lanes; ++i) out[i] = a[i] ^ rows[gate.z][i];
        run.tables += 2 * run.lanes * sizeof(Block);
        run.index += 2;
        ++ands;
    }
    return done;
}

// H(x) and H(x ^ delta) of every label, in pairs.
void hash_both(const bitsliced::Schedule& schedule, const Block* zero, const Block& delta, std::size_t lanes,
               Block* out) {
    Block pairs[2 * kTile];
    for (std::size_t i = 0; i < lanes; ++i) {
        pairs[2 * i] = zero[i];
        pairs[2 * i + 1] = zero[i] ^ delta;
    }
    hash_spread(schedule, pairs, out, 2 * lanes);
}

std::size_t garble(GateRun& run, const Block& delta) {
    return walk(run, [&](const Gate& gate, Block* a, Block* b, const bitsliced::Schedule& garbler_half,
                         const bitsliced::Schedule& evaluator_half) {
        const Block flip_a = mask_of((gate.kind & Gate::invert_a) != 0) & delta;
        const Block flip_b = mask_of((gate.kind & Gate::invert_b) != 0) & delta;
        for (std::size_t i = 0; i < run.lanes; ++i) {
            a[i] ^= flip_a;
            b[i] ^= flip_b;
        }
        Block hash_a[2 * kTile], hash_b[2 * kTile];
        hash_both(garbler_half, a, delta, run.lanes, hash_a);
        hash_both(evaluator_half, b, delta, run.lanes, hash_b);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block colour_a = mask_of(a[i].colour());
            const Block colour_b = mask_of(b[i].colour());
            const Block garbler_row = hash_a[2 * i] ^ hash_a[2 * i + 1] ^ (colour_b & delta);
            const Block differ_b = hash_b[2 * i] ^ hash_b[2 * i + 1];
            store_block(run.tables + i * sizeof(Block), garbler_row);
            store_block(run.tables + (run.lanes + i) * sizeof(Block), differ_b ^ a[i]);
            a[i] = hash_a[2 * i] ^ (colour_a & garbler_row) ^ hash_b[2 * i] ^ (colour_b & differ_b);
        }
    });
}

std::size_t evaluate(GateRun& run) {
    return walk(run, [&](const Gate&, Block* a, const Block* b, const bitsliced::Schedule& garbler_half,
                         const bitsliced::Schedule& evaluator_half) {
        Block hash_a[kTile], hash_b[kTile];
        hash_spread(garbler_half, a, hash_a, run.lanes);
        hash_spread(evaluator_half, b, hash_b, run.lanes);
        for (std::size_t i = 0; i < run.lanes; ++i) {
            const Block garbler_row = load_block(run.tables + i * sizeof(Block));
            const Block evaluator_row = load_block(run.tables + (run.lanes + i) * sizeof(Block));
            a[i] = hash_a[i] ^ (mask_of(a[i].colour()) & garbler_row) ^ hash_b[i] ^
                   (mask_of(b[i].colour()) & (evaluator_row ^ a[i]));
        }
    });
}

void streams(const RoundKeys* keys, std::size_t key_count, std::uint64_t first, Block* out, std::size_t stride,
             std::size_t count) {
    for (std::size_t k = 0; k < key_count; ++k) counter_mode(keys[k], first, 0, out + k * stride, count);
}

void shift(Block* blocks, const std::uint8_t* bits, std::size_t count, const Block& delta) {
    for (std::size_t i = 0; i < count; ++i) blocks[i] ^= mask_of(std::uint64_t{bits[i / 8]} >> (i % 8)) & delta;
}

}  // namespace

const Kernels kernels_portable = {expand_key, encrypt, counter_mode, streams, hash,
                                  shift,      colours, garble,       evaluate};

}  // namespace capc::mpc
