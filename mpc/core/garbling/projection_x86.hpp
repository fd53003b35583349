// The x86 kernels of projection.hpp, the garbler's directly above the evaluator's. Only the files that are compiled for
// one instruction set include this, as with gates_x86.hpp, whose rules hold here too.
#pragma once

#include "core/garbling/gates_x86.hpp"
#include "core/garbling/projection_rows.hpp"

namespace mpc {
namespace {
namespace projection_x86 {

template <class V>
MPC_INLINE void pack(const std::uint64_t* words, const ProjectedRow& row, std::uint8_t* message, std::size_t bytes) {
    pack_row(words, row, message, bytes);
}

template <class V>
MPC_INLINE void unpack(const std::uint8_t* message, std::size_t bytes, const ProjectedRow& row, std::uint64_t* words) {
    unpack_row(message, bytes, row, words);
}

#if defined(__AVX512VBMI2__)
// pack_eight and unpack_eight in registers, touching no byte beyond.
class EightWords {
public:
    explicit MPC_INLINE EightWords(unsigned bits) : bits_(bits), bytes_(~std::uint64_t{0} >> (64 - bits)) {
        const __m512i count = _mm512_set1_epi64(bits);
        places_ = _mm512_mul_epu32(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), count);
        skip_ = _mm512_and_si512(places_, _mm512_set1_epi64(7));
    }

    MPC_INLINE void pack(__m512i words, std::uint8_t* out) const {
        if (bits_ < 8) {  // a byte may hold more than two words
            const long long all = _mm512_reduce_or_epi64(_mm512_sllv_epi64(words, places_));
            _mm_mask_storeu_epi8(out, static_cast<__mmask16>(bytes_), _mm_cvtsi64_si128(all));
            return;
        }
        // Each word from the byte on in which it begins, whose first bits are the last of the word before; up to the
        // byte in which the next one begins.
        const __m512i before = _mm512_alignr_epi64(words, words, 7);
        const __m512i end = _mm512_sub_epi64(_mm512_set1_epi64(bits_), skip_);
        const __m512i shifted = _mm512_or_si512(_mm512_sllv_epi64(words, skip_), _mm512_srlv_epi64(before, end));
        const __m512i next = _mm512_add_epi64(places_, _mm512_set1_epi64(bits_));
        const __m512i length = _mm512_sub_epi64(_mm512_srli_epi64(next, 3), _mm512_srli_epi64(places_, 3));
        const __mmask64 kept = _mm512_cmplt_epu8_mask(bytes_of_word(), in_all_bytes(length));
        _mm512_mask_storeu_epi8(out, bytes_, _mm512_maskz_compress_epi8(kept, shifted));
    }

    MPC_INLINE __m512i unpack(const std::uint8_t* in) const {
        const __m512i packed = _mm512_maskz_loadu_epi8(bytes_, in);
        const __m512i from = _mm512_add_epi8(in_all_bytes(_mm512_srli_epi64(places_, 3)), bytes_of_word());
        __m512i words = _mm512_srlv_epi64(_mm512_permutexvar_epi8(from, packed), skip_);
        if (bits_ > 57) {  // a word may lie in nine bytes
            const __m512i rest = _mm512_permutexvar_epi8(_mm512_add_epi8(from, _mm512_set1_epi8(1)), packed);
            const __m512i back = _mm512_sub_epi64(_mm512_set1_epi64(8), skip_);
            words = _mm512_or_si512(words, _mm512_sllv_epi64(rest, back));
        }
        return _mm512_and_si512(words, _mm512_set1_epi64(static_cast<long long>(bytes_)));  // a mask of bits as well
    }

private:
    static MPC_INLINE __m512i bytes_of_word() { return _mm512_set1_epi64(0x0706050403020100); }
    static MPC_INLINE __m512i in_all_bytes(__m512i x) {
        return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0808080808080808, 0)));
    }

    unsigned bits_;
    std::uint64_t bytes_;
    __m512i places_;  // of the words, in bits
    __m512i skip_;    // bits before the word in its first byte
};
template <>
MPC_INLINE void pack<V512>(const std::uint64_t* words, const ProjectedRow& row, std::uint8_t* message,
                           std::size_t bytes) {
    if (!row.in_eights()) return pack_row(words, row, message, bytes);
    const EightWords eight(row.bits);
    std::uint8_t* out = message + row.place / 8;
    for (std::size_t i = 0; i < row.lanes; i += 8, out += row.bits) eight.pack(V512::load(words + i), out);
}

template <>
MPC_INLINE void unpack<V512>(const std::uint8_t* message, std::size_t bytes, const ProjectedRow& row,
                             std::uint64_t* words) {
    if (!row.in_eights()) return unpack_row(message, bytes, row, words);
    const EightWords eight(row.bits);
    const std::uint8_t* in = message + row.place / 8;
    for (std::size_t i = 0; i < row.lanes; i += 8, in += row.bits) V512::store(words + i, eight.unpack(in));
}
#endif

constexpr std::size_t kVectors = 4;  // of labels, at a time

// The keys of all rows in turn, and room for a row that is no multiple of what is done at a time.
template <class V>
class Rows {
public:
    static constexpr std::size_t together = kVectors * V::blocks;
    static_assert(kTile % together == 0, "whole tiles are not copied");

    explicit MPC_INLINE Rows(const ProjectionRun& run) : run_(run) {}
    MPC_INLINE ~Rows() { wipe(padded_, sizeof padded_); }

    // Makes the row's key the one in use, and returns its labels, some zeros behind the last.
    MPC_INLINE const Block* enter(const ProjectedRow& row) {
        if (row.number % kKeyBatch == 0) {
            const std::size_t count = row.left < kKeyBatch ? row.left : kKeyBatch;
            keys_.expand(run_.salt, run_.index + row.number, count);
        }
        key_ = row.number % kKeyBatch;
        if (row.lanes % together == 0) return row.labels;
        std::memcpy(padded_, row.labels, row.lanes * sizeof(Block));
        return padded_;
    }
    MPC_INLINE typename V::T key(std::size_t round) const { return V::repeat(&keys_.round[round][key_]); }

private:
    const ProjectionRun& run_;
    KeyBatch<V> keys_;
    std::size_t key_ = 0;
    Block padded_[kTile] = {};
};

// The shares and the ciphertexts of one group of labels.
template <class V>
MPC_INLINE void project_labels(const Rows<V>& rows, const ProjectedRow& row, const Block* zero, const Block& delta,
                               std::uint64_t* sums, std::uint64_t* sent) {
    using T = typename V::T;
    const T delta_everywhere = V::repeat(&delta);
    const T sigma_delta = V::sigma(delta_everywhere);
    T x[2 * kVectors], feed[kVectors];  // of the labels of colour 0, then of colour 1
    for (std::size_t i = 0; i < kVectors; ++i) {
        const T label = V::load(zero + i * V::blocks);
        x[i] = feed[i] = V::sigma(V::exclusive_where(V::colour(label), label, delta_everywhere));
        x[kVectors + i] = V::exclusive(feed[i], sigma_delta);
    }
    encrypt_vectors<V, 2 * kVectors>(x, [&rows](std::size_t round) { return rows.key(round); });
    const T weight = V::pair_constant(static_cast<long long>(row.weight));
    const T mask = V::pair_constant(static_cast<long long>(row.mask));
    for (std::size_t i = 0; i < kVectors; i += 2) {
        const std::size_t at = i * V::blocks;
        for (std::size_t k = i; k < i + 2; ++k) {
            x[k] = V::exclusive(x[k], feed[k]);
            x[kVectors + k] = V::exclusive(x[kVectors + k], V::exclusive(feed[k], sigma_delta));
        }
        const T pad = V::low_words(x[i], x[i + 1]);
        const T other_pad = V::low_words(x[kVectors + i], x[kVectors + i + 1]);
        const T labels = V::low_words(V::load(zero + at), V::load(zero + at + V::blocks));
        const T own = V::and_halves(V::spread(labels), weight);  // of the label of colour 0
        const T share = V::subtract_halves(own, pad);
        const T other = V::subtract_halves(V::subtract_halves(weight, own), V::add_halves(share, other_pad));
        V::store(sent + at, V::and_halves(other, mask));
        V::store(sums + at, V::add_halves(V::load(sums + at), V::shift_halves(share, row.shift)));
    }
}

template <class V>
void project(const ProjectionRun& run, const Block& delta, std::uint8_t* message) {
    Rows<V> rows(run);
    alignas(64) std::uint64_t sent[kTile];
    for_each_projected_row(run, [&](const ProjectedRow& row, std::uint64_t* sums) {
        const Block* const zero = rows.enter(row);
        for (std::size_t at = 0; at < row.lanes; at += Rows<V>::together) {
            project_labels(rows, row, zero + at, delta, sums + at, sent + at);
        }
        pack<V>(sent, row, message, run.message_bytes);
    });
}

template <class V>
MPC_INLINE void open_labels(const Rows<V>& rows, const ProjectedRow& row, const Block* own, const std::uint64_t* sent,
                            std::uint64_t* sums) {
    using T = typename V::T;
    T x[kVectors], feed[kVectors];
    for (std::size_t i = 0; i < kVectors; ++i) x[i] = feed[i] = V::sigma(V::load(own + i * V::blocks));
    encrypt_vectors<V, kVectors>(x, [&rows](std::size_t round) { return rows.key(round); });
    for (std::size_t i = 0; i < kVectors; i += 2) {
        const std::size_t at = i * V::blocks;
        const T pad = V::low_words(V::exclusive(x[i], feed[i]), V::exclusive(x[i + 1], feed[i + 1]));
        const T labels = V::low_words(V::load(own + at), V::load(own + at + V::blocks));
        const T share = V::add_halves(pad, V::and_halves(V::spread(labels), V::load(sent + at)));
        V::store(sums + at, V::add_halves(V::load(sums + at), V::shift_halves(share, row.shift)));
    }
}

template <class V>
void open(const ProjectionRun& run, const std::uint8_t* message) {
    Rows<V> rows(run);
    alignas(64) std::uint64_t sent[kTile] = {};
    for_each_projected_row(run, [&](const ProjectedRow& row, std::uint64_t* sums) {
        const Block* const own = rows.enter(row);
        unpack<V>(message, run.message_bytes, row, sent);
        for (std::size_t at = 0; at < row.lanes; at += Rows<V>::together) {
            open_labels(rows, row, own + at, sent + at, sums + at);
        }
    });
}

}  // namespace projection_x86
}  // namespace
}  // namespace mpc
