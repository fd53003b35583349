// Fields against slow arithmetic, sponges against the draft's vectors, polynomials against their definition, and Prio3
// with clients that lie. The draft's vectors of Prio3 are replayed from Python (tests/mpc/commons).
#include "core/prio/prio3.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"
#include "core/prio/flp.hpp"
#include "core/prio/nodes.hpp"
#include "core/prio/robust.hpp"
#include "core/prio/xof.hpp"
#include "tests/check.hpp"

using namespace mpc;
using namespace mpc::prio;

namespace {

constexpr Wide wide(std::uint64_t low, std::uint64_t high = 0) { return (Wide{high} << 64) | low; }

template <class F>
struct Plain;  // a field by numbers
template <>
struct Plain<Field64> {
    static constexpr Wide p = wide(0xffffffff00000001);
    static Wide of(Field64::Element a) { return a.value; }
    static Field64::Element element(Wide a) { return {static_cast<std::uint64_t>(a)}; }
};
template <>
struct Plain<Field128> {
    static constexpr Wide p = wide(1, 0xffffffffffffffe4);
    static Wide of(Field128::Element a) { return wide(a.low, a.high); }
    static Field128::Element element(Wide a) {
        return {static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(a >> 64)};
    }
};

template <class F>
Wide add_slowly(Wide a, Wide b) {
    const Wide rest = Plain<F>::p - a;
    return b >= rest ? b - rest : a + b;
}
template <class F>
Wide multiply_slowly(Wide a, Wide b) {
    Wide product = 0;
    for (int bit = 127; bit >= 0; --bit) {
        product = add_slowly<F>(product, product);
        if ((b >> bit & 1) != 0) product = add_slowly<F>(product, a);
    }
    return product;
}

// Edges, and numbers that a sponge gave.
template <class F>
std::vector<typename F::Element> samples() {
    const Wide p = Plain<F>::p;
    std::vector<typename F::Element> all;
    for (const Wide edge : {Wide{0}, Wide{1}, Wide{2}, p - 1, p - 2, p / 2, p / 2 + 1, wide(0xffffffff), wide(1) << 32,
                            wide(~std::uint64_t{0}) % p, (Wide{1} << 64) % p, (p - 1) / 28, p - (Wide{1} << 63)})
        all.push_back(Plain<F>::element(edge));
    std::vector<typename F::Element> drawn(50);
    const std::uint8_t seed[kSeedBytes] = {7};
    typename F::Element* const out[1] = {drawn.data()};
    expand<F>(XofInput({}, LaneBytes::same({seed, kSeedBytes}), {}, 1), out, drawn.size());
    all.insert(all.end(), drawn.begin(), drawn.end());
    return all;
}

template <class F>
void field_laws() {
    const Wide p = Plain<F>::p;
    const auto all = samples<F>();
    Wide expected = 0;
    typename F::Sum products, elements;
    for (const auto a : all) {
        CHECK(F::is_canonical(a));
        CHECK(F::to_element(F::to_factor(a)) == a);
        for (const auto b : all) {
            const Wide x = Plain<F>::of(a), y = Plain<F>::of(b);
            CHECK(Plain<F>::of(F::add(a, b)) == add_slowly<F>(x, y));
            CHECK(F::add(F::subtract(a, b), b) == a);
            CHECK(Plain<F>::of(F::multiply(F::to_factor(a), b)) == multiply_slowly<F>(x, y));
            products.add_product(F::to_factor(a), b);
            elements.add_elements(a, b);
            expected = add_slowly<F>(expected, multiply_slowly<F>(x, y));
            CHECK(Plain<F>::of(products.value()) == expected);
            CHECK(Plain<F>::of(elements.value_of_elements()) == expected);
        }
        if (!(a == F::element(0)))
            CHECK(F::to_element(F::multiply(inverse<F>(F::to_factor(a)), F::to_factor(a))) == F::element(1));
    }
    typename F::Sum largest;  // sums that run through all of their words
    for (int i = 0; i < 100000; ++i) largest.add_elements(Plain<F>::element(p - 1), Plain<F>::element(p - 1));
    CHECK(Plain<F>::of(largest.value_of_elements()) == 100000);  // (-1)^2 each
    CHECK(!F::is_canonical(Plain<F>::element(p)));
    CHECK(!F::is_canonical(Plain<F>::element(~Wide{0})));
}

// ---- sponges --------------------------------------------------------------------------------------------------------

void sponges() {
    // XofTurboShake128.json of the draft.
    const auto seed = check::unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    const std::string tag = "domain separation tag", binder = "binder string";
    const ByteView dst(reinterpret_cast<const std::uint8_t*>(tag.data()), tag.size());
    const ByteView bound(reinterpret_cast<const std::uint8_t*>(binder.data()), binder.size());
    for (std::size_t lanes = 1; lanes <= kLanes; ++lanes) {
        const XofInput input(dst, LaneBytes::same(seed), {LaneBytes::same(bound)}, lanes);
        std::uint8_t derived[kLanes][kSeedBytes];
        std::vector<Field128::Element> elements(kLanes * 40);
        std::uint8_t* out[kLanes];
        Field128::Element* expanded[kLanes];
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            out[lane] = derived[lane];
            expanded[lane] = elements.data() + 40 * lane;
        }
        derive_seed(input, out);
        expand<Field128>(input, expanded, 40);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            CHECK(check::hex(derived[lane], kSeedBytes) ==
                  "b62ef0a2778190792d4d42d8c167ba20e0c37a3f319ba79645829c427d70eea5");
            CHECK(check::hex(expanded[lane], 16) == "b62ef0a2778190792d4d42d8c167ba20");
            CHECK(check::hex(expanded[lane] + 39, 16) == "fb9fcd02cea38089f239f68404814973");
        }
    }
    CHECK_THROWS(Xof(XofInput(Bytes(65536), LaneBytes::same(seed), {}, 1)), ParameterError);
}

// Lanes with messages of their own, of every length around a block, read in odd pieces.
void lanes_are_single_sponges() {
    const auto seed = check::unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    for (const std::size_t length : {0, 1, 100, 131, 132, 133, 134, 135, 168, 299, 300, 301, 302, 303, 1000}) {
        Bytes binders(kLanes * length + 1);
        for (std::size_t i = 0; i < binders.size(); ++i) binders[i] = static_cast<std::uint8_t>(i * i + length);
        const XofInput all({}, LaneBytes::same(seed), {LaneBytes::rows(binders.data(), length, length, kLanes)},
                           kLanes);
        Bytes together(kLanes * 700), alone(700);
        Xof xof(all);
        const std::size_t pieces[] = {1, 166, 1, 168, 300, 64};
        std::size_t done = 0;
        for (const std::size_t piece : pieces) {
            std::uint8_t* out[kLanes];
            for (std::size_t lane = 0; lane < kLanes; ++lane) out[lane] = together.data() + 700 * lane + done;
            xof.read(out, piece);
            done += piece;
        }
        CHECK(done == 700);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            std::uint8_t* const out[1] = {alone.data()};
            Xof(all.only(lane)).read(out, 700);
            CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<std::ptrdiff_t>(700 * lane)));
        }
    }
}

// The draft's own test (poc/tests/test_xof.py): among so many words there is one that is no element. The other lanes
// must not notice.
void words_that_are_no_element_are_skipped() {
    const auto seed = check::unhex("44341dc52d71a2ff2e4c305e9335da9b19afc68e10b8b543690dad9d3bbb46ba");
    const Bytes other(kSeedBytes, 1);
    constexpr std::size_t count = 13883;
    std::vector<Field64::Element> elements(3 * count), alone(count);
    LaneBytes seeds = LaneBytes::same(other);
    seeds.at[1] = seed.data();
    Field64::Element* const out[3] = {elements.data(), elements.data() + count, elements.data() + 2 * count};
    expand<Field64>(XofInput({}, seeds, {}, 3), out, count);
    CHECK(elements[2 * count - 1].value == 4857131209231097247u);
    Field64::Element* const one[1] = {alone.data()};
    expand<Field64>(XofInput({}, LaneBytes::same(other), {}, 1), one, count);
    CHECK(std::equal(alone.begin(), alone.end(), elements.begin()));
    CHECK(std::equal(alone.begin(), alone.end(), elements.begin() + 2 * count));
}

// ---- polynomials ----------------------------------------------------------------------------------------------------

template <class F>
void polynomials() {
    using Element = typename F::Element;
    for (const unsigned bits : {1u, 2u, 5u}) {
        const Nodes<F> nodes(bits);
        const std::size_t n = nodes.size();
        for (const std::size_t missing : {std::size_t{0}, std::size_t{1}}) {
            auto coefficients = samples<F>();
            coefficients.resize(n);
            if (missing != 0) coefficients[n - 1] = F::element(0);  // degree n - 2
            const auto at = [&](typename F::Factor x) {
                Element value = F::element(0);
                for (std::size_t i = n; i-- > 0;) value = F::add(F::multiply(x, value), coefficients[i]);
                return value;
            };
            auto values = coefficients;
            nodes.to_values(values.data());
            for (std::size_t k = 0; k < n; ++k) CHECK(values[k] == at(nodes.root(k)));
            const auto t = F::factor(123456789);
            std::vector<typename F::Factor> weights(n);
            nodes.coefficients(t, missing, weights.data());
            typename F::Sum sum;
            for (std::size_t k = 0; k < n - missing; ++k) sum.add_product(weights[k], values[k]);
            CHECK(sum.value() == at(t));
            nodes.to_coefficients(values.data());
            CHECK(values == coefficients);
            for (std::size_t k = 0; k < n; ++k) CHECK(nodes.is_node(nodes.root(k)));
            CHECK(!nodes.is_node(t));
        }
    }
}

// ---- proofs ---------------------------------------------------------------------------------------------------------

CircuitOptions options_of(Kind kind) {
    CircuitOptions options;
    options.kind = kind;
    options.length = kind == Kind::linear_regression ? 3 : 7;
    options.max_measurement = 100;
    options.chunk_length = 4;
    options.max_weight = 3;
    options.bits = 5;
    return options;
}
const Kind kinds[] = {
    Kind::count,        Kind::sum, Kind::sum_vec, Kind::histogram, Kind::multihot_count_vec, Kind::linear_regression,
    Kind::higher_degree};

// A proof by whoever has the whole of a measurement, looked at by one verifier with the whole of it. This is what a
// client with this encoded measurement can reach.
template <class F>
bool is_accepted(const Flp<F>& flp, const std::vector<typename F::Element>& measurement) {
    using Element = typename F::Element;
    const Shape& s = flp.shape();
    const auto drawn = samples<F>();
    std::vector<Element> proof(s.proof()), verifier(s.verifier()), randomness(s.arity, drawn[20]);
    const std::vector<Element> query(s.query_randomness() - 1, drawn[21]);
    std::vector<Element> all(query);
    all.push_back(drawn[22]);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) all[i] = drawn[23 + i % 20];
    std::vector<typename F::Factor> joint;
    for (std::size_t i = 0; i < s.joint_randomness; ++i) joint.push_back(F::to_factor(drawn[15 + i % 40]));
    typename Flp<F>::Scratch scratch(flp);
    flp.prove(measurement.data(), randomness.data(), joint.data(), scratch, proof.data());
    CHECK(
        flp.query(measurement.data(), proof.data(), all.data(), joint.data(), F::element(1), scratch, verifier.data()));
    return flp.decide(verifier.data());
}

// Honest encodings pass. With any one element changed to something that it cannot be, an honestly made proof fails.
template <class F>
void proofs() {
    for (const Kind kind : kinds) {
        const Flp<F> flp(make_circuit<F>(options_of(kind)));
        std::vector<std::uint64_t> words(flp.shape().words, 1);
        if (kind == Kind::multihot_count_vec) std::fill(words.begin() + 2, words.end(), 0);
        std::vector<typename F::Element> measurement(flp.shape().measurement);
        flp.circuit().encode(words.data(), measurement.data());
        CHECK(is_accepted(flp, measurement));
        for (std::size_t i = 0; i < measurement.size(); ++i) {
            auto wrong = measurement;
            wrong[i] = F::add(wrong[i], F::element(3));
            CHECK(!is_accepted(flp, wrong));
        }
    }
}

// Bits alone are not enough: these are bits, but not what the circuit allows.
void bits_that_do_not_fit() {
    const auto accepted = [](Kind kind, const std::vector<std::uint64_t>& encoded) {
        const Flp<Field128> flp(make_circuit<Field128>(options_of(kind)));
        std::vector<Field128::Element> measurement;
        for (const std::uint64_t value : encoded) measurement.push_back(Field128::element(value));
        CHECK(measurement.size() == flp.shape().measurement);
        return is_accepted(flp, measurement);
    };
    CHECK(accepted(Kind::histogram, {0, 0, 1, 0, 0, 0, 0}));
    CHECK(!accepted(Kind::histogram, {0, 0, 1, 0, 1, 0, 0}));                 // two buckets
    CHECK(!accepted(Kind::histogram, {0, 0, 0, 0, 0, 0, 0}));                 // none
    CHECK(accepted(Kind::multihot_count_vec, {1, 1, 1, 0, 0, 0, 0, 1, 1}));   // 3 = 1 + 2
    CHECK(!accepted(Kind::multihot_count_vec, {1, 1, 1, 0, 0, 0, 0, 1, 0}));  // 3 said to be 1
    CHECK(!accepted(Kind::multihot_count_vec, {1, 1, 1, 1, 0, 0, 0, 1, 1}));  // 4 cannot be said
}

// ---- the steps ------------------------------------------------------------------------------------------------------

void refusals() {
    Options options;
    for (const std::size_t shares : {std::size_t{0}, std::size_t{1}, std::size_t{256}}) {
        options.shares = shares;
        CHECK_THROWS(Prio3(options), ParameterError);
    }
    options.shares = 2;
    for (const std::size_t proofs : {std::size_t{0}, std::size_t{256}}) {
        options.proofs = proofs;
        CHECK_THROWS(Prio3(options), ParameterError);
    }
    options.proofs = 1;
    options.field_bits = 96;
    CHECK_THROWS(Prio3(options), ParameterError);
    for (const Kind kind : kinds) {
        if (kind == Kind::count || kind == Kind::higher_degree) continue;
        CircuitOptions none;
        none.kind = kind;
        CHECK_THROWS(make_circuit<Field128>(none), ParameterError);
    }
    CircuitOptions large = options_of(Kind::sum);
    large.max_measurement = std::uint64_t{1} << 63;
    CHECK_THROWS(make_circuit<Field64>(large), ParameterError);
    large = options_of(Kind::histogram);
    large.length = ~std::uint64_t{0};
    CHECK_THROWS(make_circuit<Field128>(large), ParameterError);

    options = Options();
    options.circuit = options_of(Kind::sum);
    const Prio3 prio3(options);
    const Sizes& z = prio3.sizes();
    Bytes nonces(5 * z.nonce), randomness(5 * z.randomness), leader(5 * z.leader_share), helper(5 * z.helper_share);
    std::vector<std::uint64_t> words(5, 100);
    prio3.shard({}, words, nonces, randomness, {}, leader, helper);
    words[3] = 101;
    CHECK_THROWS(prio3.shard({}, words, nonces, randomness, {}, leader, helper), ParameterError);
    words.pop_back();
    CHECK_THROWS(prio3.shard({}, words, nonces, randomness, {}, leader, helper), LengthError);
    Bytes states(5 * z.state), shares(5 * z.verifier_share), key(z.verify_key);
    std::vector<Status> statuses(5);
    prio3.verify_init(key, {}, 0, nonces, {}, leader, states, shares, statuses);
    CHECK(std::all_of(statuses.begin(), statuses.end(), [](Status s) { return s == Status::ok; }));
    std::fill_n(leader.begin() + static_cast<std::ptrdiff_t>(2 * z.leader_share), 8, 0xff);  // no element
    prio3.verify_init(key, {}, 0, nonces, {}, leader, states, shares, statuses);
    CHECK(statuses[2] == Status::not_canonical && statuses[1] == Status::ok && statuses[3] == Status::ok);
    CHECK_THROWS(prio3.verify_init(key, {}, 2, nonces, {}, leader, states, shares, statuses), ParameterError);
    CHECK_THROWS(prio3.verify_init(key, {}, 1, nonces, {}, leader, states, shares, statuses), LengthError);
    key.pop_back();
    CHECK_THROWS(prio3.verify_init(key, {}, 0, nonces, {}, leader, states, shares, statuses), LengthError);
}

// Shares of degree 2 among five. Any three words give the whole's, and another's share fails.
template <class F>
void robust_words() {
    RobustOptions options;
    options.circuit = options_of(Kind::sum);
    options.field_bits = 8 * F::kBytes;
    options.aggregators = 5;
    options.threshold = 2;
    const Robust robust(options);
    const RobustSizes& r = robust.sizes();
    const std::vector<std::uint64_t> measurement = {77};
    const Bytes nonce(r.nonce, 1), randomness(r.randomness, 2), coin(r.coin, 3);
    Bytes published(r.public_share), shares(5 * r.share);
    robust.deal({}, measurement, nonce, randomness, published, shares);
    const auto share = [&](std::size_t j) { return ByteView(shares).slice((j - 1) * r.share, r.share); };
    std::vector<std::vector<typename F::Element>> words;
    for (std::size_t j = 1; j <= 5; ++j) {
        CHECK(robust.check({}, j, nonce, published, share(j)) == Checked::ok);
        CHECK(robust.check({}, j, nonce, published, share(j % 5 + 1)) == Checked::hash);
        Bytes encoded(r.verifier);
        CHECK(robust.verifier({}, nonce, published, share(j), coin, encoded) == Checked::ok);
        words.emplace_back(r.verifier / F::kBytes);
        std::memcpy(words.back().data(), encoded.data(), encoded.size());
    }
    // The value at 0 of a polynomial of degree 2 is 3 f(1) - 3 f(2) + f(3), and also 10 f(3) - 15 f(4) + 6 f(5).
    const auto zero = [&](std::size_t k, std::size_t a, std::size_t b, std::size_t c, std::uint64_t x, std::uint64_t y,
                          std::uint64_t z) {
        const auto left = F::add(F::multiply(F::factor(x), words[a][k]), F::multiply(F::factor(z), words[c][k]));
        return F::subtract(left, F::multiply(F::factor(y), words[b][k]));
    };
    Bytes whole(r.verifier);
    for (std::size_t k = 0; k < words[0].size(); ++k) {
        const auto one = zero(k, 0, 1, 2, 3, 3, 1);
        CHECK(one == zero(k, 2, 3, 4, 10, 15, 6));
        std::memcpy(whole.data() + k * F::kBytes, &one, F::kBytes);
    }
    CHECK(robust.decide(whole));
    whole[F::kBytes] ^= 1;
    CHECK(!robust.decide(whole));
    CHECK_THROWS(robust.check({}, 0, nonce, published, share(1)), ParameterError);
    CHECK_THROWS(robust.check({}, 6, nonce, published, share(1)), ParameterError);
    CHECK_THROWS(robust.check({}, 1, nonce, published, share(1).slice(1, r.share - 1)), LengthError);
    options.threshold = 5;
    CHECK_THROWS(Robust{options}, ParameterError);
}

}  // namespace

int main() {
    check::run("field_laws 64", field_laws<Field64>);
    check::run("field_laws 128", field_laws<Field128>);
    check::run_on_all_levels("sponges", sponges);
    check::run_on_all_levels("lanes_are_single_sponges", lanes_are_single_sponges);
    check::run_on_all_levels("words_that_are_no_element_are_skipped", words_that_are_no_element_are_skipped);
    check::run("polynomials 64", polynomials<Field64>);
    check::run("polynomials 128", polynomials<Field128>);
    check::run("proofs 64", proofs<Field64>);
    check::run("proofs 128", proofs<Field128>);
    check::run("bits_that_do_not_fit", bits_that_do_not_fit);
    check::run("refusals", refusals);
    check::run("robust_words 64", robust_words<Field64>);
    check::run("robust_words 128", robust_words<Field128>);
    return check::result();
}
