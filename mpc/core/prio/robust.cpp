// Prio with Shamir's shares; see robust.hpp.
#include "core/prio/robust.hpp"

#include <cstring>
#include <string>

#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"
#include "core/prio/flp.hpp"
#include "core/prio/xof.hpp"

namespace mpc::prio {

class RobustSteps {
public:
    virtual ~RobustSteps() = default;
    virtual RobustSizes sizes() const = 0;
    virtual void deal(ByteView context, WordView measurement, ByteView nonce, ByteView randomness,
                      MutableByteView public_share, MutableByteView shares) const = 0;
    virtual Checked check(ByteView context, std::size_t number, ByteView nonce, ByteView public_share,
                          ByteView share) const = 0;
    virtual Checked verifier(ByteView context, ByteView nonce, ByteView public_share, ByteView share, ByteView coin,
                             MutableByteView verifier) const = 0;
    virtual bool decide(ByteView verifier) const = 0;
    virtual void output(ByteView share, MutableByteView out) const = 0;
};

namespace {

constexpr std::uint8_t kClass = 0xc0;  // of the domain separation tags. The draft's are 0, 1 and 2.
enum Usage : std::uint8_t {
    sharing_randomness = 1,
    measurement_hash = 2,
    joint_seed = 3,
    joint_randomness = 4,
    prove_randomness = 5,
    share_hash = 6,
    check_randomness = 7,
    query_randomness = 8,
    blinds = 9,
};

constexpr std::uint8_t kZeros[kSeedBytes] = {};

template <class F>
class RobustOf final : public RobustSteps {
public:
    using Element = typename F::Element;
    using Factor = typename F::Factor;

    explicit RobustOf(const RobustOptions& options)
        : options_(options),
          flp_(make_circuit<F>(options.circuit)),
          masks_(F::kBytes == 8 ? 2 : 1),  // in the small field one would leave a chance of 2^-64 times the length
          dealt_(flp_.shape().measurement + flp_.shape().proof()),
          values_(dealt_ + masks_) {}

    RobustSizes sizes() const override {
        RobustSizes sizes;
        sizes.words = flp_.shape().words;
        sizes.share = values_ * F::kBytes + kSeedBytes;
        sizes.public_share = 2 * hashes() + masks_ * coefficients() * F::kBytes;
        sizes.verifier = flp_.shape().verifier() * F::kBytes;
        sizes.aggregate = flp_.shape().output * F::kBytes;
        sizes.element = F::kBytes;
        return sizes;
    }

    void deal(ByteView context, WordView measurement, ByteView nonce, ByteView randomness, MutableByteView public_share,
              MutableByteView shares) const override {
        const Shape& s = flp_.shape();
        const std::size_t size = sizes().share, n = options_.aggregators, t = options_.threshold;
        Secrets<Element> dealt(values_), high(values_ * t), seeds(s.arity);
        flp_.circuit().encode(measurement.data(), dealt.data());
        expand_to(high.data(), high.size(), context, sharing_randomness, randomness, {nonce});
        expand_to(dealt.data() + dealt_, masks_, context, sharing_randomness, randomness, {nonce, one_byte(1)});
        Secrets<std::uint8_t> blinding(n * kSeedBytes);
        std::uint8_t* const blinding_out[1] = {blinding.data()};
        const Bytes tag = tag_of(context, blinds);
        Xof(input(tag, randomness, {nonce})).read(blinding_out, blinding.size());

        // Coefficient d of polynomial k is high[(d - 1) * values_ + k].
        const auto share_values = [&](std::size_t first, std::size_t count) {
            for (std::size_t j = 1; j <= n; ++j) {
                const Factor x = F::factor(j);
                for (std::size_t k = first; k < first + count; ++k) {
                    Element value = t > 0 ? high[(t - 1) * values_ + k] : F::element(0);
                    for (std::size_t d = t; d-- > 0;)
                        value = F::add(F::multiply(x, value), d > 0 ? high[(d - 1) * values_ + k] : dealt[k]);
                    std::memcpy(shares.data() + (j - 1) * size + k * F::kBytes, &value, F::kBytes);
                }
            }
        };
        share_values(0, s.measurement);
        for (std::size_t j = 0; j < n; ++j) {
            std::uint8_t* const share = shares.data() + j * size;
            std::memcpy(share + size - kSeedBytes, blinding.data() + j * kSeedBytes, kSeedBytes);
            hash_measurement(context, j + 1, nonce, {share, size}, public_share.data() + j * kSeedBytes);
        }
        const auto joint = joint_of(context, nonce, public_share);
        expand_to(seeds.data(), seeds.size(), context, prove_randomness, randomness, {nonce});
        typename Flp<F>::Scratch scratch(flp_);
        flp_.prove(dealt.data(), seeds.data(), joint.data(), scratch, dealt.data() + s.measurement);
        share_values(s.measurement, s.proof() + masks_);
        for (std::size_t j = 0; j < n; ++j)
            hash_share(context, j + 1, nonce, {shares.data() + j * size, size},
                       public_share.data() + hashes() + j * kSeedBytes);

        const auto rho = challenges(context, nonce, public_share);
        for (std::size_t i = 0; i < masks_; ++i) {
            for (std::size_t d = 0; d <= t; ++d) {
                const Element* const row = d == 0 ? dealt.data() : high.data() + (d - 1) * values_;
                const Element c = combined(rho[i], row, row[dealt_ + i]);
                std::memcpy(public_share.data() + 2 * hashes() + (i * coefficients() + d) * F::kBytes, &c, F::kBytes);
            }
        }
    }

    Checked check(ByteView context, std::size_t number, ByteView nonce, ByteView public_share,
                  ByteView share) const override {
        const Secrets<Element> values = values_of(share);
        Secrets<Element> published(masks_ * coefficients());
        std::memcpy(published.data(), public_share.data() + 2 * hashes(), published.size() * F::kBytes);
        bool canonical = true;
        for (const Element& value : values) canonical &= F::is_canonical(value);
        for (const Element& value : published) canonical &= F::is_canonical(value);
        if (!canonical) return Checked::not_canonical;
        std::uint8_t hash[kSeedBytes];
        hash_measurement(context, number, nonce, share, hash);
        const std::uint8_t* const named = public_share.data() + (number - 1) * kSeedBytes;
        bool same = std::memcmp(hash, named, kSeedBytes) == 0;
        hash_share(context, number, nonce, share, hash);
        same = same && std::memcmp(hash, named + hashes(), kSeedBytes) == 0;
        if (!same) return Checked::hash;
        const auto rho = challenges(context, nonce, public_share);
        const Factor x = F::factor(number);
        for (std::size_t i = 0; i < masks_; ++i) {
            Element c = F::element(0);
            for (std::size_t d = coefficients(); d-- > 0;)
                c = F::add(F::multiply(x, c), published[i * coefficients() + d]);
            if (!(c == combined(rho[i], values.data(), values[dealt_ + i]))) return Checked::polynomial;
        }
        return Checked::ok;
    }

    Checked verifier(ByteView context, ByteView nonce, ByteView public_share, ByteView share, ByteView coin,
                     MutableByteView verifier) const override {
        const Shape& s = flp_.shape();
        const Secrets<Element> values = values_of(share);
        Secrets<Element> query(s.query_randomness()), words(s.verifier());
        expand_to(query.data(), query.size(), context, query_randomness, coin, {nonce});
        const auto joint = joint_of(context, nonce, public_share);
        typename Flp<F>::Scratch scratch(flp_);
        // The share of 1 is 1, the value of a constant polynomial.
        if (!flp_.query(values.data(), values.data() + s.measurement, query.data(), joint.data(), F::element(1),
                        scratch, words.data()))
            return Checked::test_point;
        std::memcpy(verifier.data(), words.data(), verifier.size());
        return Checked::ok;
    }

    bool decide(ByteView verifier) const override {
        std::vector<Element> words(flp_.shape().verifier());
        std::memcpy(words.data(), verifier.data(), verifier.size());
        for (const Element& word : words)
            if (!F::is_canonical(word)) return false;
        return flp_.decide(words.data());
    }

    void output(ByteView share, MutableByteView out) const override {
        const Secrets<Element> values = values_of(share);
        Secrets<Element> output(flp_.shape().output);
        flp_.circuit().truncate(values.data(), output.data());
        std::memcpy(out.data(), output.data(), out.size());
    }

private:
    std::size_t hashes() const { return options_.aggregators * kSeedBytes; }
    std::size_t coefficients() const { return options_.threshold + 1; }

    Secrets<Element> values_of(ByteView share) const {
        Secrets<Element> values(values_);
        std::memcpy(values.data(), share.data(), values_ * F::kBytes);
        return values;
    }

    Bytes tag_of(ByteView context, Usage usage) const {
        const std::uint32_t a = options_.algorithm;
        Bytes tag = {1, kClass};
        for (unsigned shift = 32; shift > 0; shift -= 8)
            tag.push_back(static_cast<std::uint8_t>(a >> (shift - 8) & 0xff));
        for (const std::size_t part : {std::size_t{usage}, options_.aggregators, options_.threshold})
            tag.push_back(static_cast<std::uint8_t>(part));
        tag.insert(tag.end(), context.begin(), context.end());
        return tag;
    }
    static ByteView one_byte(std::size_t value) {
        static const auto all = [] {
            std::array<std::uint8_t, 256> bytes{};
            for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
            return bytes;
        }();
        return {all.data() + value, 1};
    }
    // `tag` must outlive what is returned.
    static XofInput input(const Bytes& tag, ByteView seed, std::initializer_list<ByteView> binder) {
        XofInput one(tag, LaneBytes::same(seed), {}, 1);
        std::size_t next = 0;
        for (const ByteView piece : binder) one.binder[next++] = LaneBytes::same(piece);
        return one;
    }
    void expand_to(Element* elements, std::size_t count, ByteView context, Usage usage, ByteView seed,
                   std::initializer_list<ByteView> binder) const {
        const Bytes tag = tag_of(context, usage);
        Element* const out[1] = {elements};
        expand<F>(input(tag, seed, binder), out, count);
    }
    void derive(std::uint8_t* out, ByteView context, Usage usage, ByteView seed,
                std::initializer_list<ByteView> binder) const {
        const Bytes tag = tag_of(context, usage);
        std::uint8_t* const place[1] = {out};
        derive_seed(input(tag, seed, binder), place);
    }

    void hash_measurement(ByteView context, std::size_t number, ByteView nonce, ByteView share,
                          std::uint8_t* out) const {
        derive(out, context, measurement_hash, share.slice(share.size() - kSeedBytes, kSeedBytes),
               {one_byte(number), nonce, share.slice(0, flp_.shape().measurement * F::kBytes)});
    }
    void hash_share(ByteView context, std::size_t number, ByteView nonce, ByteView share, std::uint8_t* out) const {
        derive(out, context, share_hash, share.slice(share.size() - kSeedBytes, kSeedBytes),
               {one_byte(number), nonce, share.slice(0, values_ * F::kBytes)});
    }
    // From the hashes of all measurements, which are made before the proof.
    std::vector<Factor> joint_of(ByteView context, ByteView nonce, ByteView public_share) const {
        std::uint8_t seed[kSeedBytes];
        derive(seed, context, joint_seed, {kZeros, kSeedBytes}, {nonce, public_share.slice(0, hashes())});
        std::vector<Element> drawn(flp_.shape().joint_randomness);
        expand_to(drawn.data(), drawn.size(), context, joint_randomness, {seed, kSeedBytes}, {});
        std::vector<Factor> joint;
        for (const Element& element : drawn) joint.push_back(F::to_factor(element));
        return joint;
    }
    // rho, from the hashes of all shares, which are made before the coefficients are published.
    std::vector<Factor> challenges(ByteView context, ByteView nonce, ByteView public_share) const {
        std::vector<Element> drawn(masks_);
        expand_to(drawn.data(), drawn.size(), context, check_randomness, {kZeros, kSeedBytes},
                  {nonce, public_share.slice(0, 2 * hashes())});
        std::vector<Factor> rho;
        for (const Element& element : drawn) rho.push_back(F::to_factor(element));
        return rho;
    }
    // sum over k of rho^(k + 1) row[k], and the mask.
    Element combined(Factor rho, const Element* row, Element mask) const {
        Element sum = F::element(0);
        for (std::size_t k = dealt_; k-- > 0;) sum = F::multiply(rho, F::add(sum, row[k]));
        return F::add(sum, mask);
    }

    RobustOptions options_;
    Flp<F> flp_;
    std::size_t masks_, dealt_, values_;
};

std::unique_ptr<RobustSteps> steps_of(const RobustOptions& options) {
    const std::size_t n = options.aggregators, t = options.threshold;
    if (n < 2 || n > 255) throw ParameterError("n: expected 2 to 255 aggregators, found " + std::to_string(n));
    if (t < 1 || t >= n)
        throw ParameterError("t: expected 1 to " + std::to_string(n - 1) + ", found " + std::to_string(t));
    if (options.field_bits == 64) return std::make_unique<RobustOf<Field64>>(options);
    if (options.field_bits == 128) return std::make_unique<RobustOf<Field128>>(options);
    throw ParameterError("a field: expected one of 64 or 128 bits, found " + std::to_string(options.field_bits));
}

void require_size(const char* what, std::size_t found, std::size_t expected) {
    if (found != expected) throw LengthError(std::string(what) + " in bytes", expected, found);
}

}  // namespace

Robust::Robust(const RobustOptions& options) : aggregators_(options.aggregators), steps_(steps_of(options)) {
    sizes_ = steps_->sizes();
}
Robust::~Robust() = default;

void Robust::deal(ByteView context, WordView measurement, ByteView nonce, ByteView randomness,
                  MutableByteView public_share, MutableByteView shares) const {
    require_size("a measurement", measurement.size() * 8, sizes_.words * 8);
    require_size("a nonce", nonce.size(), sizes_.nonce);
    require_size("randomness", randomness.size(), sizes_.randomness);
    require_size("a public share", public_share.size(), sizes_.public_share);
    require_size("shares", shares.size(), aggregators_ * sizes_.share);
    steps_->deal(context, measurement, nonce, randomness, public_share, shares);
}

Checked Robust::check(ByteView context, std::size_t number, ByteView nonce, ByteView public_share,
                      ByteView share) const {
    if (number < 1 || number > aggregators_)
        throw ParameterError("an aggregator's number: expected 1 to " + std::to_string(aggregators_) + ", found " +
                             std::to_string(number));
    require_size("a nonce", nonce.size(), sizes_.nonce);
    require_size("a public share", public_share.size(), sizes_.public_share);
    require_size("a share", share.size(), sizes_.share);
    return steps_->check(context, number, nonce, public_share, share);
}

Checked Robust::verifier(ByteView context, ByteView nonce, ByteView public_share, ByteView share, ByteView coin,
                         MutableByteView verifier) const {
    require_size("a nonce", nonce.size(), sizes_.nonce);
    require_size("a public share", public_share.size(), sizes_.public_share);
    require_size("a share", share.size(), sizes_.share);
    require_size("a coin", coin.size(), sizes_.coin);
    require_size("verifier words", verifier.size(), sizes_.verifier);
    return steps_->verifier(context, nonce, public_share, share, coin, verifier);
}

bool Robust::decide(ByteView verifier) const {
    require_size("verifier words", verifier.size(), sizes_.verifier);
    return steps_->decide(verifier);
}

void Robust::output(ByteView share, MutableByteView out) const {
    require_size("a share", share.size(), sizes_.share);
    require_size("an output share", out.size(), sizes_.aggregate);
    steps_->output(share, out);
}

}  // namespace mpc::prio
