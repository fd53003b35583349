// The projection's kernels against projection.hpp written out bit by bit, on every CPU level. Ciphertexts have 1 to 64
// bits in rows of 1 to 33 instances, wherever the message ends.
#include <algorithm>

#include "core/aes/hash.hpp"
#include "core/garbling/projection.hpp"
#include "tests/check.hpp"
#include "tests/setting.hpp"

using namespace mpc;

namespace {

// Labels of outputs, no circuit before them.
struct Outputs {
    Widths widths;
    std::size_t n;
    ProjectionRing ring_of;
    Prg prg;
    Block delta, salt;
    Values values;
    Blocks zero_labels, labels;
    Bytes message;  // as specified
    Values mine;    // the garbler's shares, n x words

    Outputs(Widths words, std::size_t instances, ProjectionRing in, std::uint64_t seed)
        : widths(std::move(words)), n(instances), ring_of(in), prg(Block{seed, 2}), delta(prg.block()),
          salt(prg.block()), values(random_values(widths, n, prg)), zero_labels(n * total_bits(widths)),
          mine(n * widths.size()) {
        delta.lo |= 1;
        prg.fill_blocks(zero_labels.data(), zero_labels.size());
        labels = zero_labels;
        const Bytes bits = pack_values(widths, values, n);
        for (std::size_t k = 0; k < labels.size(); ++k) {
            if (get_bits(bits.data(), k, 1) != 0) labels[k] ^= delta;
        }
        write_out();
    }

    // Formulas of projection.hpp, one bit of one instance after the other, the message bit by bit.
    void write_out() {
        std::size_t bits = 0;
        for_each_bit([&](std::size_t, std::size_t, std::size_t, unsigned k) { bits += ring_of.width - k; });
        message.resize(bytes_of_bits(bits));
        std::size_t place = 0, label = 0;
        for_each_bit([&](std::size_t row, std::size_t instance, std::size_t word, unsigned k) {
            const bool negative = ring_of.signed_words && k + 1 == widths[word];
            const std::uint64_t weight = negative ? ~std::uint64_t{0} : 1;
            const Block& zero = zero_labels[label++];
            const bool p = zero.colour() != 0;
            const std::uint64_t m = (p ? weight : 0) - pad(row, p ? zero ^ delta : zero);
            const std::uint64_t c = (p ? 0 : weight) - m - pad(row, p ? zero : zero ^ delta);
            for (unsigned b = 0; b < ring_of.width - k; ++b, ++place) {
                message[place / 8] = static_cast<std::uint8_t>(message[place / 8] | ((c >> b) & 1) << (place % 8));
            }
            std::uint64_t& share = mine[instance * widths.size() + word];
            share = (share + (m << k)) & ring(ring_of.width);
        });
    }

    template <class Body>
    void for_each_bit(Body body) const {
        std::size_t row = 0;
        for (std::size_t first = 0; first < n; first += kTile) {
            for (std::size_t word = 0; word < widths.size(); ++word) {
                for (unsigned k = 0; k < widths[word]; ++k, ++row) {
                    for (std::size_t i = first; i < std::min(n, first + kTile); ++i) body(row, i, word, k);
                }
            }
        }
    }

    std::uint64_t pad(std::size_t row, const Block& label) const {
        return hash(salt, kFirstIndex + row, label).lo;
    }

    ProjectionRun run(const Blocks& of, Values& shares) const {
        ProjectionRun made{};
        made.labels = of.data();
        made.n = n;
        made.word_widths = widths.data();
        made.words = widths.size();
        made.rows = (n + kTile - 1) / kTile * total_bits(widths);
        made.width = ring_of.width;
        made.signed_words = ring_of.signed_words;
        made.salt = salt;
        made.index = kFirstIndex;
        made.message_bytes = message.size();
        made.shares = shares.data();
        return made;
    }
};

void both_sides_as_specified(const Outputs& outputs) {
    Values shares(outputs.mine.size()), theirs(outputs.mine.size());
    Bytes message(outputs.message.size());
    garbling_kernels().project(outputs.run(outputs.zero_labels, shares), outputs.delta, message.data());
    CHECK(message == outputs.message);
    CHECK(shares == outputs.mine);
    garbling_kernels().open_projection(outputs.run(outputs.labels, theirs), message.data());
    const std::uint64_t mask = ring(outputs.ring_of.width);
    for (std::size_t i = 0; i < theirs.size(); ++i) {
        const unsigned top = outputs.widths[i % outputs.widths.size()] - 1;
        std::uint64_t value = outputs.values[i];
        if (outputs.ring_of.signed_words) value -= (value >> top) << top << 1;
        CHECK(theirs[i] <= mask);
        CHECK(((shares[i] + theirs[i]) & mask) == (value & mask));
    }
}

void every_width_and_row() {
    for (unsigned width = 1; width <= 64; ++width) {
        for (std::size_t n = 1; n <= kTile + 1; ++n) {
            const unsigned second = std::min(width, 2u);
            both_sides_as_specified(Outputs({1, second, 1}, n, {width, n % 2 == 0}, 100 * width + n));
        }
    }
}

// Many rows: more than a batch of keys, in each tile and over several.
void long_words() {
    for (const std::size_t n : {1u, 7u, 8u, 16u, 24u, 31u, 32u, 33u, 40u, 64u, 90u}) {
        both_sides_as_specified(Outputs({64}, n, {64, false}, n));
        both_sides_as_specified(Outputs({33, 5, 41}, n, {41, true}, n));
        both_sides_as_specified(Outputs({1}, n, {16, false}, n));
    }
    both_sides_as_specified(Outputs({}, 40, {16, false}, 1));
    both_sides_as_specified(Outputs({9}, 0, {16, false}, 1));
}

}  // namespace

int main() {
    check::run_on_all_levels("every width and row", every_width_and_row);
    check::run_on_all_levels("long words", long_words);
    return check::result();
}
