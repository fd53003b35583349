// The circuits of the protocol; see circuits.hpp.
#include "core/circuits.hpp"

#include <string>
#include <utility>
#include <vector>

#include "core/builder.hpp"
#include "core/error.hpp"

namespace capc::mpc::circuits {

namespace {

constexpr unsigned kMaxWords = 4096;

void require(bool holds, const std::string& text) {
    if (!holds) throw ParameterError(text);
}

// a + b + carry mod 2^width with one AND a bit: carry' = c ^ ((a ^ c) & (b ^ c)) (Kolesnikov, Sadeghi, Schneider,
// "Improved garbled circuit building blocks", CANS 2009, section 3.1).
Word sum(Builder& build, const Word& a, const Word& b, Wire carry) {
    Word result;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const Wire differ = build.exclusive_or(a[i], carry);
        result.push_back(build.exclusive_or(differ, b[i]));
        if (i + 1 == a.size()) break;  // the last carry is not wanted
        carry = build.exclusive_or(carry, build.both(differ, build.exclusive_or(b[i], carry)));
    }
    return result;
}

Word sum(Builder& build, const Word& a, const Word& b) { return sum(build, a, b, Builder::constant(false)); }

Word inverted(const Word& word) {
    Word result;
    for (const Wire w : word) result.push_back(~w);
    return result;
}

// a - b = a + ~b + 1.
Word difference(Builder& build, const Word& a, const Word& b) {
    return sum(build, a, inverted(b), Builder::constant(true));
}

// a > b, signed, with one AND a bit. a > b unsigned is the carry out of a + ~b, and each carry is the majority of a bit of
// a, a bit of ~b and the carry before; for signed words the two sign bits swap roles (same paper, section 3.2).
Wire greater(Builder& build, const Word& a, const Word& b) {
    Wire carry = Builder::constant(false);
    for (std::size_t i = 0; i < a.size(); ++i) {
        const bool is_sign = i + 1 == a.size();
        const Wire x = is_sign ? b[i] : a[i];
        const Wire y = is_sign ? a[i] : b[i];
        const Wire step = build.both(build.exclusive_or(x, carry), build.exclusive_or(~y, carry));
        carry = build.exclusive_or(carry, step);
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
    std::vector<Word> a;
    std::vector<Word> b;
    for (unsigned j = 0; j < count; ++j) a.push_back(build.garbler_word(bits));
    for (unsigned j = 0; j < count; ++j) b.push_back(build.evaluator_word(bits));
    std::vector<Word> z;
    for (unsigned j = 0; j < count; ++j) z.push_back(sum(build, a[j], b[j]));
    return z;
}

// One-hot of the first largest word. A running best is carried on; `beats[j]` says that word j is larger than all
// before it, so the winner is the last word that beats.
Word one_hot_argmax(Builder& build, const std::vector<Word>& words) {
    std::vector<Wire> beats{Builder::constant(true)};
    Word best = words.front();
    for (std::size_t j = 1; j < words.size(); ++j) {
        beats.push_back(greater(build, words[j], best));
        if (j + 1 < words.size()) best = chosen(build, beats.back(), words[j], best);
    }
    Word hot(words.size());
    Wire still_open = Builder::constant(true);  // no later word beats
    for (std::size_t j = words.size(); j-- > 0;) {
        hot[j] = build.both(beats[j], still_open);
        still_open = build.exclusive_or(still_open, hot[j]);
    }
    return hot;
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

Circuit shifted(const std::string& name, unsigned ring_bits, unsigned shift, bool rectify) {
    require(shift < ring_bits, name + ": the shift must be smaller than the ring's bits");
    Builder build;
    const Word a = build.garbler_word(ring_bits);
    const Word b = build.evaluator_word(ring_bits);
    const Word next_mask = build.evaluator_word(ring_bits);
    const Word z = sum(build, a, b);
    const Wire sign = z.back();
    Word y;
    for (std::size_t i = shift; i + 1 < ring_bits; ++i) y.push_back(rectify ? build.both(z[i], ~sign) : z[i]);
    y.resize(ring_bits, rectify ? Builder::constant(false) : sign);
    build.output(difference(build, y, next_mask));
    return build.build(title(name, ring_bits, shift));
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
    w.build.output({greater(w.build, w.b, w.a)});
    return w.build.build("less_than(" + std::to_string(width) + ")");
}

Circuit select(unsigned width) {
    TwoWords w(width);
    const Word pick = w.build.evaluator_word(1);
    w.build.output(chosen(w.build, pick[0], w.a, w.b));
    return w.build.build("select(" + std::to_string(width) + ")");
}

Circuit relu(unsigned ring_bits, unsigned shift) { return shifted("relu", ring_bits, shift, true); }

Circuit rescale(unsigned ring_bits, unsigned shift) { return shifted("rescale", ring_bits, shift, false); }

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
    Word index;
    for (unsigned bit = 0; bit == 0 || ((classes - 1) >> bit) != 0; ++bit) {
        Wire set = Builder::constant(false);  // exactly one entry is hot, so XOR collects it
        for (unsigned j = 0; j < classes; ++j) {
            if (((j >> bit) & 1) != 0) set = build.exclusive_or(set, hot[j]);
        }
        index.push_back(set);
    }
    build.output(index);
    return build.build(title("sum_histogram", classes, width));
}

}  // namespace capc::mpc::circuits
