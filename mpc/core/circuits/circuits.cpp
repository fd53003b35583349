// Builds the circuits that the protocols evaluate; see circuits.hpp.
#include "core/circuits/circuits.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/circuits/builder.hpp"

namespace mpc::circuits {

namespace {

constexpr unsigned kMaxWords = 4096;

void require(bool holds, const std::string& text) {
    if (!holds) throw ParameterError(text);
}

// Many words are added, compared or chosen in lockstep, bit by bit: their carry chains are independent, so a processor
// that runs ahead overlaps them even when there is a single instance.
struct Pair {
    Word a;
    Word b;
};

// a + b + carry mod 2^width with one AND a bit: carry' = c ^ ((a ^ c) & (b ^ c)) (Kolesnikov, Sadeghi, Schneider,
// "Improved garbled circuit building blocks", CANS 2009, section 3.1).
std::vector<Word> sums(Builder& build, const std::vector<Pair>& pairs, Wire carry_in) {
    std::vector<Wire> carry(pairs.size(), carry_in);
    std::vector<Word> result(pairs.size());
    const std::size_t width = pairs.front().a.size();
    for (std::size_t i = 0; i < width; ++i) {
        for (std::size_t j = 0; j < pairs.size(); ++j) {
            const Wire b = pairs[j].b[i];
            const Wire differ = build.exclusive_or(pairs[j].a[i], carry[j]);
            result[j].push_back(build.exclusive_or(differ, b));
            if (i + 1 == width) continue;  // the last carry is not wanted
            carry[j] = build.exclusive_or(carry[j], build.both(differ, build.exclusive_or(b, carry[j])));
        }
    }
    return result;
}

Word sum(Builder& build, const Word& a, const Word& b) {
    return sums(build, {{a, b}}, Builder::constant(false)).front();
}

Word inverted(const Word& word) {
    Word result;
    for (const Wire w : word) result.push_back(~w);
    return result;
}

// a - b = a + ~b + 1.
Word difference(Builder& build, const Word& a, const Word& b) {
    return sums(build, {{a, inverted(b)}}, Builder::constant(true)).front();
}

// a > b, signed, with one AND a bit. a > b unsigned is the carry out of a + ~b, and each carry is the majority of a bit
// of a, a bit of ~b and the carry before; for signed words the two sign bits swap roles (same paper, section 3.2).
std::vector<Wire> greater(Builder& build, const std::vector<Pair>& pairs) {
    std::vector<Wire> carry(pairs.size(), Builder::constant(false));
    const std::size_t width = pairs.empty() ? 0 : pairs.front().a.size();
    for (std::size_t i = 0; i < width; ++i) {
        const bool is_sign = i + 1 == width;
        for (std::size_t j = 0; j < pairs.size(); ++j) {
            const Wire x = is_sign ? pairs[j].b[i] : pairs[j].a[i];
            const Wire y = is_sign ? pairs[j].a[i] : pairs[j].b[i];
            const Wire step = build.both(build.exclusive_or(x, carry[j]), build.exclusive_or(~y, carry[j]));
            carry[j] = build.exclusive_or(carry[j], step);
        }
    }
    return carry;
}

Word chosen(Builder& build, Wire pick, const Word& yes, const Word& no) {
    Word result;
    for (std::size_t i = 0; i < yes.size(); ++i) result.push_back(build.choose(pick, yes[i], no[i]));
    return result;
}

// z_j = a_j + b_j mod 2^bits for all j.
std::vector<Word> shared_words(Builder& build, unsigned count, unsigned bits) {
    std::vector<Pair> pairs(count);
    for (Pair& pair : pairs) pair.a = build.garbler_word(bits);
    for (Pair& pair : pairs) pair.b = build.evaluator_word(bits);
    return sums(build, pairs, Builder::constant(false));
}

// The largest word, by a knock-out tournament.
Word maximum(Builder& build, std::vector<Word> words) {
    while (words.size() > 1) {
        std::vector<Pair> pairs;
        for (std::size_t j = 0; j + 1 < words.size(); j += 2) pairs.push_back({words[j + 1], words[j]});
        const std::vector<Wire> beats = greater(build, pairs);
        std::vector<Word> winners;
        for (std::size_t k = 0; k < pairs.size(); ++k) {
            winners.push_back(chosen(build, beats[k], pairs[k].a, pairs[k].b));
        }
        if (words.size() % 2 == 1) winners.push_back(words.back());
        words = std::move(winners);
    }
    return words.front();
}

// One-hot of the first largest word, by a knock-out tournament. A match says whether its right side beats its left one,
// which holds the lower indices. Back from the final, "the winner is on this side" splits into the two sides of each
// match with one AND, the other side being the XOR.
Word one_hot_argmax(Builder& build, std::vector<Word> words) {
    struct Match {
        std::size_t left;
        std::size_t right;
        Wire right_wins;
    };
    const std::size_t count = words.size();
    std::vector<Match> matches;
    for (std::size_t step = 1; step < count; step *= 2) {  // entry j stands for the winner of j .. j + step - 1
        std::vector<Pair> pairs;
        for (std::size_t j = 0; j + step < count; j += 2 * step) pairs.push_back({words[j + step], words[j]});
        const std::vector<Wire> beats = greater(build, pairs);
        for (std::size_t k = 0; k < pairs.size(); ++k) {
            const std::size_t j = 2 * step * k;
            matches.push_back({j, j + step, beats[k]});
            if (2 * step < count) words[j] = chosen(build, beats[k], pairs[k].a, pairs[k].b);
        }
    }
    Word hot(count);
    hot[0] = Builder::constant(true);
    for (std::size_t m = matches.size(); m-- > 0;) {
        const Match& match = matches[m];
        hot[match.right] = build.both(hot[match.left], match.right_wins);
        hot[match.left] = build.exclusive_or(hot[match.left], hot[match.right]);
    }
    return hot;
}

Word index_of(Builder& build, const Word& hot) {
    Word index;
    for (unsigned bit = 0; bit == 0 || ((hot.size() - 1) >> bit) != 0; ++bit) {
        Wire set = Builder::constant(false);  // exactly one entry is hot, so XOR collects it
        for (std::size_t j = 0; j < hot.size(); ++j) {
            if (((j >> bit) & 1) != 0) set = build.exclusive_or(set, hot[j]);
        }
        index.push_back(set);
    }
    return index;
}

std::string title(const std::string& name, unsigned first, unsigned second) {
    return name + "(" + std::to_string(first) + ", " + std::to_string(second) + ")";
}

struct TwoWords {
    Builder build;
    Word a;
    Word b;

    explicit TwoWords(unsigned width) : a(build.garbler_word(width)), b(build.evaluator_word(width)) {}
};

// max_j z_j >> shift, with max(0, .) around the shifted value if `rectify`.
Circuit shifted_maximum(const std::string& name, unsigned window, unsigned ring_bits, unsigned shift, bool rectify) {
    require(window >= 1 && window <= kMaxWords, name + ": a window of 1 to 4096");
    require(shift < ring_bits, name + ": the shift must be smaller than the ring's bits");
    Builder build;
    std::vector<Pair> pairs(window);
    for (Pair& pair : pairs) pair.a = build.garbler_word(ring_bits);
    for (Pair& pair : pairs) pair.b = build.evaluator_word(ring_bits);
    const Word z = maximum(build, sums(build, pairs, Builder::constant(false)));
    const Wire sign = z.back();
    Word y;
    for (std::size_t i = shift; i + 1 < ring_bits; ++i) y.push_back(rectify ? build.both(z[i], ~sign) : z[i]);
    if (!rectify) y.push_back(sign);
    if (y.empty()) y.push_back(Builder::constant(false));  // all of it was dropped
    build.output(y);
    return build.build(name);
}

}  // namespace

Circuit add(unsigned width) {
    TwoWords w(width);
    w.build.output(sum(w.build, w.a, w.b));
    return w.build.build("add(" + std::to_string(width) + ")");
}

Circuit subtract(unsigned width) {
    TwoWords w(width);
    w.build.output(difference(w.build, w.a, w.b));
    return w.build.build("subtract(" + std::to_string(width) + ")");
}

Circuit less_than(unsigned width) {
    TwoWords w(width);
    w.build.output({greater(w.build, {{w.b, w.a}}).front()});
    return w.build.build("less_than(" + std::to_string(width) + ")");
}

Circuit select(unsigned width) {
    TwoWords w(width);
    const Word pick = w.build.evaluator_word(1);
    w.build.output(chosen(w.build, pick[0], w.a, w.b));
    return w.build.build("select(" + std::to_string(width) + ")");
}

Circuit relu(unsigned ring_bits, unsigned shift) {
    return shifted_maximum(title("relu", ring_bits, shift), 1, ring_bits, shift, true);
}

Circuit rescale(unsigned ring_bits, unsigned shift) {
    return shifted_maximum(title("rescale", ring_bits, shift), 1, ring_bits, shift, false);
}

Circuit max_pool(unsigned window, unsigned ring_bits, unsigned shift, bool rectify) {
    const std::string name = title(rectify ? "max_pool_relu" : "max_pool", ring_bits, shift);
    return shifted_maximum(name + " of " + std::to_string(window), window, ring_bits, shift, rectify);
}

Circuit leaky_relu(unsigned ring_bits, unsigned shift, std::uint64_t slope, unsigned slope_bits) {
    require(shift < ring_bits, "leaky_relu: the shift must be smaller than the ring's bits");
    require(slope_bits <= 32 && slope > 0 && slope < (std::uint64_t{1} << slope_bits),
            "leaky_relu: a slope between 0 and 1, of at most 32 bits");
    TwoWords w(ring_bits);
    const Word z = sum(w.build, w.a, w.b);
    const Wire sign = z.back();
    const Word v(z.begin() + shift, z.end());
    // The product by shifting and adding; below the current bit of the slope it is finished.
    Word product(v.size() + slope_bits, Builder::constant(false));
    bool first = true;
    for (unsigned place = 0; place < slope_bits; ++place) {
        if (((slope >> place) & 1) == 0) continue;
        Word term = v;
        term.resize(product.size() - place, sign);
        const auto tail = product.begin() + place;
        const Word added = first ? term : sum(w.build, Word(tail, product.end()), term);
        std::copy(added.begin(), added.end(), tail);
        first = false;
    }
    w.build.output(chosen(w.build, sign, Word(product.begin() + slope_bits, product.end()), v));
    return w.build.build("leaky_relu(" + std::to_string(ring_bits) + ", " + std::to_string(shift) + ", " +
                         std::to_string(slope) + "/2^" + std::to_string(slope_bits) + ")");
}

Circuit argmax(unsigned classes, unsigned ring_bits) {
    require(classes >= 1 && classes <= kMaxWords, "argmax: 1 to 4096 classes");
    Builder build;
    const Word hot = one_hot_argmax(build, shared_words(build, classes, ring_bits));
    for (const Wire bit : hot) build.output({bit});
    return build.build(title("argmax", classes, ring_bits));
}

Circuit threshold(unsigned labels, unsigned ring_bits) {
    require(labels >= 1 && labels <= kMaxWords, "threshold: 1 to 4096 labels");
    Builder build;
    for (const Word& z : shared_words(build, labels, ring_bits)) {
        Wire some = Builder::constant(false);  // some bit below the sign
        for (std::size_t i = 0; i + 1 < z.size(); ++i) some = build.either(some, z[i]);
        build.output({build.both(some, ~z.back())});
    }
    return build.build(title("threshold", labels, ring_bits));
}

Circuit sum_histogram(unsigned classes, unsigned width) {
    require(classes >= 1 && classes <= kMaxWords, "sum_histogram: 1 to 4096 classes");
    Builder build;
    const Word hot = one_hot_argmax(build, shared_words(build, classes, width));
    build.output(index_of(build, hot));
    return build.build(title("sum_histogram", classes, width));
}

// The sums p + h mod Q are S or S - Q, whichever is not negative. All words are in lockstep.
Circuit noisy_release(unsigned count, std::uint64_t modulus_low, std::uint64_t modulus_high, unsigned shift,
                      unsigned range_bits, unsigned noise_bits) {
    const auto bit_of_modulus = [&](unsigned i) {
        return i < 128 && (((i < 64 ? modulus_low : modulus_high) >> (i % 64)) & 1) != 0;
    };
    unsigned bits = 0;
    for (unsigned i = 0; i < 128; ++i) bits = bit_of_modulus(i) ? i + 1 : bits;
    const unsigned width = std::max(range_bits, noise_bits + 1) + 1;
    require(count >= 1 && count <= kMaxWords, "noisy_release: 1 to 4096 numbers");
    require(bits >= 2 && bits <= 127, "noisy_release: a modulus of 2 to 127 bits");
    require(noise_bits >= 1 && width <= 64, "noisy_release: numbers and noise whose sum has at most 64 bits");
    require(range_bits >= 1 && shift < bits && range_bits < bits - shift,
            "noisy_release: a range below the modulus after the shift");
    Builder build;
    std::vector<Pair> shares(count), noises(count);
    const auto declare = [&](auto word, Word Pair::*side) {
        for (unsigned j = 0; j < count; ++j) {
            Word& share = shares[j].*side;
            share = word(std::min(bits, 64u));
            if (bits > 64) {
                const Word high = word(bits - 64);
                share.insert(share.end(), high.begin(), high.end());
            }
            share.resize(bits + 2, Builder::constant(false));
            noises[j].*side = word(noise_bits);
        }
    };
    declare([&](unsigned w) { return build.garbler_word(w); }, &Pair::a);
    declare([&](unsigned w) { return build.evaluator_word(w); }, &Pair::b);
    const auto extended = [](Word word, unsigned wanted) {
        word.resize(wanted, word.back());
        return word;
    };
    const std::vector<Word> whole = sums(build, shares, Builder::constant(false));
    std::vector<Pair> reductions(count);
    for (unsigned j = 0; j < count; ++j) {
        reductions[j].a = whole[j];
        for (unsigned i = 0; i < bits + 2; ++i) reductions[j].b.push_back(Builder::constant(!bit_of_modulus(i)));
    }
    const std::vector<Word> reduced = sums(build, reductions, Builder::constant(true));
    Wire beyond = Builder::constant(false);
    for (unsigned j = 0; j < count; ++j) {
        const Wire below = reduced[j].back();  // S < Q
        Word number;
        for (unsigned i = shift; i <= bits; ++i) {
            const Wire bit = build.choose(below, whole[j][i], reduced[j][i]);
            if (i < shift + range_bits) {
                number.push_back(bit);
            } else {
                beyond = build.either(beyond, bit);
            }
        }
        number.back() = ~number.back();  // less 2^(range_bits - 1)
        shares[j] = {extended(number, width), extended(noises[j].a, width)};
        noises[j].b = extended(noises[j].b, width);
    }
    const std::vector<Word> once = sums(build, shares, Builder::constant(false));
    for (unsigned j = 0; j < count; ++j) noises[j].a = once[j];
    for (const Word& noisy : sums(build, noises, Builder::constant(false))) {
        Word opened;
        for (const Wire bit : noisy) opened.push_back(build.both(bit, ~beyond));
        build.output(opened);
    }
    build.output({~beyond});
    return build.build("noisy_release(" + std::to_string(count) + ", " + std::to_string(bits) + ", " +
                       std::to_string(shift) + ", " + std::to_string(range_bits) + ", " + std::to_string(noise_bits) +
                       ")");
}

}  // namespace mpc::circuits
