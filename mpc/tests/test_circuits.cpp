// Every circuit against plain integers, for widths 1..64 with random and edge values. AND counts and refusals are here
// too.
#include <algorithm>
#include <tuple>

#include "core/aes/prg.hpp"
#include "core/base/bit_matrix.hpp"
#include "core/base/error.hpp"
#include "core/circuits/builder.hpp"
#include "core/circuits/circuits.hpp"
#include "tests/check.hpp"

using namespace mpc;
using Values = std::vector<std::uint64_t>;

namespace {

std::uint64_t ring(unsigned bits) { return ~std::uint64_t{0} >> (64 - bits); }

std::int64_t as_signed(std::uint64_t value, unsigned bits) {
    return static_cast<std::int64_t>(value << (64 - bits)) >> (64 - bits);
}

// Random values of the widths, every fourth an edge: 0, 1, all ones, sign bit, largest positive.
Values values_for(const Widths& widths, std::size_t n, Prg& prg) {
    Values values;
    for (std::size_t i = 0; i < n; ++i) {
        for (const unsigned width : widths) {
            const std::uint64_t edges[5] = {0, 1, ~std::uint64_t{0}, std::uint64_t{1} << (width - 1),
                                            ring(width) >> 1};
            const std::uint64_t choice = prg.word();
            values.push_back((choice % 4 == 0 ? edges[(choice >> 8) % 5] : prg.word()) & ring(width));
        }
    }
    return values;
}

// Runs n instances and compares with `expected(garbler row, evaluator row)`.
template <class Expected>
void compare(const Circuit& circuit, Expected expected, std::size_t n = 130) {
    Prg prg(Block{circuit.gates().size(), circuit.output_bits()});
    const Values garbler = values_for(circuit.garbler_widths(), n, prg);
    const Values evaluator = values_for(circuit.evaluator_widths(), n, prg);
    const Values found = circuit.run(garbler, evaluator, n);
    const std::size_t words = circuit.output_widths().size();
    CHECK(found.size() == n * words);
    for (std::size_t i = 0; i < n; ++i) {
        const Values wanted = expected(garbler.data() + i * circuit.garbler_widths().size(),
                                       evaluator.data() + i * circuit.evaluator_widths().size());
        CHECK(wanted == Values(found.begin() + static_cast<std::ptrdiff_t>(i * words),
                               found.begin() + static_cast<std::ptrdiff_t>((i + 1) * words)));
    }
}

void building_blocks() {
    for (unsigned w = 1; w <= 64; ++w) {
        const std::uint64_t mask = ring(w);
        const auto add = circuits::add(w);
        compare(add, [&](auto* a, auto* b) { return Values{(a[0] + b[0]) & mask}; });
        CHECK(add.and_gates() == w - 1);
        const auto subtract = circuits::subtract(w);
        compare(subtract, [&](auto* a, auto* b) { return Values{(a[0] - b[0]) & mask}; });
        CHECK(subtract.and_gates() == w - 1);
        const auto less = circuits::less_than(w);
        compare(less, [&](auto* a, auto* b) { return Values{as_signed(a[0], w) < as_signed(b[0], w) ? 1u : 0u}; });
        CHECK(less.and_gates() == w);
        const auto select = circuits::select(w);
        compare(select, [&](auto* a, auto* b) { return Values{b[1] != 0 ? a[0] : b[0]}; });
        CHECK(select.and_gates() == w);
    }
}

void relu_and_rescale() {
    for (unsigned bits = 1; bits <= 64; ++bits) {
        for (const unsigned shift : {0u, 1u, 12u, bits / 2, bits - 1}) {
            if (shift >= bits) continue;
            const auto shifted = [&](const std::uint64_t* a, const std::uint64_t* b) {
                return as_signed((a[0] + b[0]) & ring(bits), bits) >> shift;
            };
            compare(circuits::relu(bits, shift), [&](auto* a, auto* b) {
                const std::int64_t y = std::max<std::int64_t>(0, shifted(a, b));
                return Values{static_cast<std::uint64_t>(y)};
            });
            compare(circuits::rescale(bits, shift), [&](auto* a, auto* b) {
                return Values{static_cast<std::uint64_t>(shifted(a, b)) & ring(bits - shift)};
            });
        }
    }
    CHECK(circuits::relu(41, 12).and_gates() == 2 * 41 - 12 - 2);
    CHECK(circuits::relu(64, 0).and_gates() == 2 * 64 - 2);
    CHECK(circuits::rescale(41, 12).and_gates() == 41 - 1);
}

std::size_t first_largest(const std::uint64_t* a, const std::uint64_t* b, unsigned count, unsigned bits) {
    std::size_t best = 0;
    const auto z = [&](std::size_t j) { return as_signed((a[j] + b[j]) & ring(bits), bits); };
    for (std::size_t j = 1; j < count; ++j) best = z(j) > z(best) ? j : best;
    return best;
}

void argmax_and_histogram() {
    for (const unsigned bits : {1u, 2u, 7u, 20u, 37u, 63u, 64u}) {
        for (const unsigned classes : {1u, 2u, 3u, 5u, 10u, 17u}) {
            const auto argmax = circuits::argmax(classes, bits);
            compare(argmax, [&](auto* a, auto* b) {
                Values hot(classes, 0);
                hot[first_largest(a, b, classes, bits)] = 1;
                return hot;
            });
            CHECK(argmax.has_bit_outputs());
            const auto histogram = circuits::sum_histogram(classes, bits);
            compare(histogram, [&](auto* a, auto* b) { return Values{first_largest(a, b, classes, bits)}; });
            CHECK(histogram.and_gates() == argmax.and_gates());
            if (classes > 1) {
                CHECK(argmax.and_gates() == classes * (bits - 1) + (classes - 1) * bits + (classes - 2) * bits +
                                                (classes - 2));
            }
        }
    }
    CHECK(circuits::argmax(10, 37).and_gates() == 997);
    CHECK(circuits::sum_histogram(10, 20).output_widths() == Widths{4});
    CHECK(circuits::sum_histogram(16, 20).output_widths() == Widths{4});
    CHECK(circuits::sum_histogram(17, 20).output_widths() == Widths{5});
    CHECK(circuits::sum_histogram(1, 20).output_widths() == Widths{1});
}

void leaky_relus() {
    for (const unsigned bits : {2u, 9u, 41u, 64u}) {
        using Slope = std::pair<std::uint64_t, unsigned>;
        for (const auto& [slope, slope_bits] : {Slope{1, 1}, Slope{41, 12}, Slope{4095, 12}, Slope{6, 4}}) {
            const unsigned shift = bits / 4;
            const auto leaky = circuits::leaky_relu(bits, shift, slope, slope_bits);
            compare(leaky, [&, slope = slope, slope_bits = slope_bits](auto* a, auto* b) {
                const std::int64_t v = as_signed((a[0] + b[0]) & ring(bits), bits) >> shift;
                const std::int64_t y =
                    v >= 0 ? v : static_cast<std::int64_t>((__extension__ static_cast<__int128>(v) *
                                                            static_cast<std::int64_t>(slope)) >> slope_bits);
                return Values{static_cast<std::uint64_t>(y) & ring(bits - shift)};
            });
        }
    }
    CHECK(circuits::leaky_relu(41, 12, 41, 12).and_gates() == circuits::relu(41, 12).and_gates() + 2 * 28);
}

void max_pooling() {
    for (const unsigned bits : {1u, 9u, 41u, 64u}) {
        for (const unsigned window : {1u, 2u, 3u, 4u, 9u}) {
            for (const bool rectify : {false, true}) {
                const unsigned shift = bits / 3;
                const auto pool = circuits::max_pool(window, bits, shift, rectify);
                compare(pool, [&](auto* a, auto* b) {
                    const std::size_t best = first_largest(a, b, window, bits);
                    const std::int64_t y = as_signed((a[best] + b[best]) & ring(bits), bits) >> shift;
                    const std::int64_t kept = rectify ? std::max<std::int64_t>(0, y) : y;
                    return Values{static_cast<std::uint64_t>(kept) & ring(bits - shift)};
                });
                const auto one = rectify ? circuits::relu(bits, shift) : circuits::rescale(bits, shift);
                if (bits == 1 || window == 1) continue;
                CHECK(pool.and_gates() == one.and_gates() + (window - 1) * (3 * bits - 1) - shift);
            }
        }
    }
}

// Every pair of equal entries, the largest included: the lowest index wins.
void ties() {
    const auto argmax = circuits::argmax(4, 3);
    Values garbler, evaluator;
    for (std::uint64_t code = 0; code < 4096; ++code) {
        for (unsigned j = 0; j < 4; ++j) {
            garbler.push_back((code >> (3 * j)) & 7);
            evaluator.push_back((code * 5 + j) & 7);
        }
    }
    const Values found = argmax.run(garbler, evaluator, 4096);
    for (std::size_t i = 0; i < 4096; ++i) {
        const std::size_t best = first_largest(&garbler[4 * i], &evaluator[4 * i], 4, 3);
        for (std::size_t j = 0; j < 4; ++j) CHECK(found[4 * i + j] == (j == best ? 1u : 0u));
    }
}

void thresholds() {
    for (const unsigned bits : {1u, 2u, 8u, 37u, 64u}) {
        const auto threshold = circuits::threshold(5, bits);
        compare(threshold, [&](auto* a, auto* b) {
            Values over;
            for (unsigned j = 0; j < 5; ++j) over.push_back(as_signed((a[j] + b[j]) & ring(bits), bits) > 0 ? 1 : 0);
            return over;
        });
        if (bits > 1) CHECK(threshold.and_gates() == 5 * (2 * bits - 2));
    }
}

__extension__ typedef unsigned __int128 Wide;

// Shares of numbers in and around the range, and of random ones. With those of the first kind alone all are opened.
void noisy_releases() {
    struct Case {
        Wide modulus;
        unsigned shift, range_bits, noise_bits;
    };
    const Wide wide = (Wide{1} << 87) - 67, full = ~Wide{0} >> 1;
    for (const Case& c : {Case{(std::uint64_t{1} << 47) - 115, 22, 24, 18}, Case{wide, 44, 24, 30}, Case{full, 100, 20, 2},
                          Case{11, 1, 2, 1}, Case{3, 0, 1, 62}, Case{(Wide{1} << 64) - 59, 1, 62, 5}}) {
        const unsigned count = 3, bits = c.modulus >> 64 != 0 ? 65 : 64, width = std::max(c.range_bits, c.noise_bits + 1) + 1;
        const auto low = static_cast<std::uint64_t>(c.modulus), high = static_cast<std::uint64_t>(c.modulus >> 64);
        const auto circuit = circuits::noisy_release(count, low, high, c.shift, c.range_bits, c.noise_bits);
        CHECK(circuit.output_widths() == Widths({width, width, width, 1}));
        const Wide range = Wide{1} << (c.shift + c.range_bits);
        Prg prg(Block{c.shift, c.noise_bits});
        const auto drawn = [&] { return ((Wide{prg.word()} << 64) | prg.word()) % c.modulus; };
        std::size_t opened = 0, refused = 0;
        for (int round = 0; round < 400; ++round) {
            Values garbler, evaluator, expected;
            bool fits = true;
            for (unsigned j = 0; j < count; ++j) {
                const Wide edges[4] = {0, range - 1, range % c.modulus, c.modulus - 1};
                const Wide within = drawn() % range, edge = edges[prg.word() % (round % 4 == 0 ? 4 : 2)];
                const Wide u = prg.word() % 3 == 0 ? edge : round % 4 == 0 ? drawn() : within;
                const Wide h = prg.word() % 5 == 0 ? u : drawn(), p = (u + c.modulus - h) % c.modulus;
                const std::uint64_t a = prg.word() & ring(c.noise_bits), b = prg.word() & ring(c.noise_bits);
                for (const auto& [share, noise, words] : {std::tuple{p, a, &garbler}, std::tuple{h, b, &evaluator}}) {
                    words->push_back(static_cast<std::uint64_t>(share));
                    if (bits > 64) words->push_back(static_cast<std::uint64_t>(share >> 64));
                    words->push_back(noise);
                }
                fits = fits && u < range;
                const std::int64_t number = static_cast<std::int64_t>(u >> c.shift) - (std::int64_t{1} << (c.range_bits - 1));
                const std::int64_t noisy = number + as_signed(a, c.noise_bits) + as_signed(b, c.noise_bits);
                expected.push_back(static_cast<std::uint64_t>(noisy) & ring(width));
            }
            expected.push_back(1);
            CHECK(circuit.run(garbler, evaluator, 1) == (fits ? expected : Values{0, 0, 0, 0}));
            ++(fits ? opened : refused);
        }
        CHECK(opened > 200 && refused > 20);
    }
}

void builder_folds() {
    Builder build;
    const Wire a = build.garbler_word(1)[0];
    const Wire b = build.evaluator_word(1)[0];
    const Wire zero = Builder::constant(false);
    const Wire one = Builder::constant(true);
    CHECK(build.exclusive_or(a, a) == zero && build.exclusive_or(a, ~a) == one);
    CHECK(build.exclusive_or(a, zero) == a && build.exclusive_or(one, a) == ~a);
    CHECK(build.both(a, one) == a && build.both(zero, a) == zero && build.both(a, ~a) == zero && build.both(a, a) == a);
    CHECK(build.either(a, zero) == a && build.either(one, a) == one);
    const Wire also_b = build.exclusive_or(build.exclusive_or(a, b), ~a);  // ~b by another way
    CHECK(build.exclusive_or(also_b, b) == one && build.both(also_b, b) == zero && build.both(b, ~also_b).id == b.id);
    (void)build.both(a, b);  // reaches no output
    build.output({a, ~b, zero, one, build.both(~a, b)});
    CHECK_THROWS(build.garbler_word(3), OrderError);
    const Circuit circuit = build.build("folds");
    CHECK(circuit.and_gates() == 1 && circuit.gates().size() == 1);
    for (std::uint64_t x = 0; x < 2; ++x) {
        for (std::uint64_t y = 0; y < 2; ++y) {
            CHECK(circuit.run({x}, {y}, 1) == Values{x | ((1 - y) << 1) | 8 | (((1 - x) & y) << 4)});
        }
    }
}

// Random networks of XOR, AND and NOT with random outputs, against the gates as they were asked for: merging XORs into
// their neighbours, dropping dead gates and reusing slots must not show.
void random_networks() {
    Prg prg(Block{31, 41});
    for (int round = 0; round < 400; ++round) {
        Builder build;
        Word wires = build.garbler_word(4);
        const Word more = build.evaluator_word(4);
        wires.insert(wires.end(), more.begin(), more.end());
        Values bits(8, 0);  // bit i of bits[w]: the value of wire w in instance i
        const Values garbler{prg.word() & 15, prg.word() & 15, prg.word() & 15};
        const Values evaluator{prg.word() & 15, prg.word() & 15, prg.word() & 15};
        for (std::size_t w = 0; w < 8; ++w) {
            for (std::size_t i = 0; i < 3; ++i) bits[w] |= (((w < 4 ? garbler : evaluator)[i] >> (w % 4)) & 1) << i;
        }
        const std::uint64_t size = 1 + prg.word() % 60;
        for (std::uint64_t g = 0; g < size; ++g) {
            const std::uint64_t draw = prg.word();
            std::size_t from[2] = {static_cast<std::size_t>((draw >> 8) % wires.size()),
                                   static_cast<std::size_t>((draw >> 24) % wires.size())};
            const Wire a = ((draw >> 40) & 1) != 0 ? ~wires[from[0]] : wires[from[0]];
            const Wire b = ((draw >> 41) & 1) != 0 ? ~wires[from[1]] : wires[from[1]];
            const std::uint64_t x = ((draw >> 40) & 1) != 0 ? ~bits[from[0]] : bits[from[0]];
            const std::uint64_t y = ((draw >> 41) & 1) != 0 ? ~bits[from[1]] : bits[from[1]];
            const bool is_and = draw % 3 == 0;
            wires.push_back(is_and ? build.both(a, b) : build.exclusive_or(a, b));
            bits.push_back(is_and ? x & y : x ^ y);
        }
        std::vector<std::size_t> chosen;
        Word word;
        for (std::uint64_t k = 0; k < 1 + prg.word() % 8; ++k) {
            chosen.push_back(static_cast<std::size_t>(prg.word() % wires.size()));
            word.push_back(wires[chosen.back()]);
        }
        build.output(word);
        const Values found = build.build("random").run(garbler, evaluator, 3);
        for (std::size_t k = 0; k < chosen.size(); ++k) {
            for (std::size_t i = 0; i < 3; ++i) CHECK(((found[i] >> k) & 1) == ((bits[chosen[k]] >> i) & 1));
        }
    }
}

// An adder is one gate for the carry and one for the sum a bit; nothing else walks a row.
void xors_are_merged() {
    CHECK(circuits::add(40).gates().size() == 39 + 40);
    CHECK(circuits::less_than(40).gates().size() == 40);
    CHECK(circuits::select(40).gates().size() == 40);
}

// What builder.hpp promises of AND gates, on finished circuits: random labels, of which XORs are exact sums.
void operands_are_independent() {
    std::vector<Circuit> all;
    for (const unsigned bits : {2u, 3u, 9u, 41u, 64u}) {
        all.insert(all.end(), {circuits::add(bits), circuits::subtract(bits), circuits::less_than(bits),
                               circuits::select(bits), circuits::relu(bits, 1), circuits::rescale(bits, 0),
                               circuits::max_pool(4, bits, 1, true), circuits::leaky_relu(bits, 1, 41, 12),
                               circuits::leaky_relu(bits, 0, 5, 3), circuits::argmax(5, bits),
                               circuits::threshold(3, bits), circuits::sum_histogram(6, bits)});
    }
    all.push_back(circuits::noisy_release(3, (std::uint64_t{1} << 47) - 115, 0, 22, 24, 18));
    all.push_back(circuits::noisy_release(2, 5, 1 << 20, 44, 24, 18));
    Prg prg(Block{10, 10});
    for (const Circuit& circuit : all) {
        std::vector<Block> rows(circuit.first_slot_row() + circuit.slot_count());
        prg.fill_blocks(rows.data() + 1, circuit.first_slot_row() - 1);
        for (const Gate& gate : circuit.gates()) {
            const Block a = rows[gate.a] ^ rows[gate.x], b = rows[gate.b] ^ rows[gate.y];
            const bool is_and = (gate.kind & Gate::is_and) != 0;
            if (is_and) CHECK(a != Block{} && b != Block{} && a != b);
            rows[circuit.first_slot_row() + gate.out] = is_and ? prg.block() ^ rows[gate.z] : a ^ b;
        }
    }
}

void slots_are_reused() {
    CHECK(circuits::relu(41, 12).slot_count() <= 41 + 2);
    CHECK(circuits::argmax(10, 41).slot_count() <= 10 * 41 + 20);
}

void refusals() {
    CHECK_THROWS(circuits::add(0), ParameterError);
    CHECK_THROWS(circuits::add(65), ParameterError);
    CHECK_THROWS(circuits::relu(41, 41), ParameterError);
    CHECK_THROWS(circuits::argmax(0, 41), ParameterError);
    CHECK_THROWS(circuits::argmax(5000, 41), ParameterError);
    CHECK_THROWS(circuits::threshold(0, 41), ParameterError);
    CHECK_THROWS(circuits::sum_histogram(3, 70), ParameterError);
    CHECK_THROWS(circuits::noisy_release(0, 97, 0, 1, 3, 4), ParameterError);
    CHECK_THROWS(circuits::noisy_release(2, 1, 0, 0, 1, 4), ParameterError);
    CHECK_THROWS(circuits::noisy_release(2, 97, std::uint64_t{1} << 63, 1, 3, 4), ParameterError);
    CHECK_THROWS(circuits::noisy_release(2, 97, 0, 1, 6, 4), ParameterError);  // 7 bits
    CHECK_THROWS(circuits::noisy_release(2, 97, 0, 7, 1, 4), ParameterError);
    CHECK_THROWS(circuits::noisy_release(2, 97, 0, 1, 3, 63), ParameterError);
    CHECK_THROWS(circuits::max_pool(0, 41, 1, true), ParameterError);
    CHECK_THROWS(circuits::leaky_relu(41, 12, 4096, 12), ParameterError);
    CHECK_THROWS(circuits::leaky_relu(41, 12, 0, 12), ParameterError);
    CHECK_THROWS(circuits::leaky_relu(41, 41, 1, 12), ParameterError);
    const auto add = circuits::add(8);
    CHECK_THROWS(add.run({1, 2}, {1}, 1), LengthError);
    CHECK_THROWS(add.run({1}, {1, 2}, 1), LengthError);
    CHECK_THROWS(add.run({256}, {1}, 1), ParameterError);
    CHECK(add.run({}, {}, 0).empty());
}

void packing() {
    const Widths widths{1, 64, 5, 41};
    Prg prg(Block{9, 9});
    for (const std::size_t n : {0u, 1u, 2u, 7u, 31u, 32u, 33u, 64u, 65u, 100u}) {
        const Values values = values_for(widths, n, prg);
        const auto packed = pack_values(widths, values, n);
        CHECK(packed.size() == bytes_of_bits(n * 111));
        CHECK(unpack_values(widths, packed, n) == values);
        CHECK_THROWS(unpack_values(widths, {packed.data(), packed.size() + 1}, n), LengthError);
        for (std::size_t i = 0; i < n; ++i) {  // the formula of bit_matrix.hpp, for bit 70 (word 2, bit 5)
            const std::size_t tile = i / kTile;
            const std::size_t lanes = std::min(kTile, n - tile * kTile);
            const std::size_t place = tile * kTile * 111 + 69 * lanes + i % kTile;
            CHECK(get_bits(packed.data(), place, 1) == ((values[4 * i + 2] >> 4) & 1));
        }
        if (n * 111 % 8 != 0) {
            auto bad = packed;
            bad.back() = static_cast<std::uint8_t>(bad.back() | 0x80);
            CHECK_THROWS(unpack_values(widths, bad, n), MalformedError);
        }
    }
}

}  // namespace

int main() {
    check::run("building blocks, widths 1..64", building_blocks);
    check::run("relu and rescale", relu_and_rescale);
    check::run("argmax and histogram", argmax_and_histogram);
    check::run("max pooling", max_pooling);
    check::run("leaky relu", leaky_relus);
    check::run("random networks", random_networks);
    check::run("xors are merged", xors_are_merged);
    check::run("ties go to the lowest index", ties);
    check::run("threshold", thresholds);
    check::run("noisy releases", noisy_releases);
    check::run("builder folds constants", builder_folds);
    check::run("operands are independent", operands_are_independent);
    check::run("slots are reused", slots_are_reused);
    check::run("refusals", refusals);
    check::run("packing", packing);
    return check::result();
}
