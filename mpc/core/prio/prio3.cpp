// Prio3; see prio3.hpp. Reports go through in groups of kLanes, whose sponges stand side by side.
#include "core/prio/prio3.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"
#include "core/prio/flp.hpp"
#include "core/prio/xof.hpp"

namespace mpc::prio {

// What the bytes of a table are, for either field.
class Steps {
public:
    virtual ~Steps() = default;
    virtual Sizes sizes() const = 0;
    virtual void shard(ByteView context, WordView measurements, ByteView nonces, ByteView randomness,
                       MutableByteView public_shares, MutableByteView leader_shares,
                       MutableByteView helper_shares) const = 0;
    virtual void verify_init(ByteView verify_key, ByteView context, std::size_t aggregator, ByteView nonces,
                             ByteView public_shares, ByteView input_shares, MutableByteView states,
                             MutableByteView verifier_shares, View<Status> statuses) const = 0;
    virtual void to_messages(ByteView context, ByteView verifier_shares, MutableByteView messages,
                             View<Status> statuses) const = 0;
    virtual bool add(ByteView rows, View<const Status> statuses, MutableByteView aggregate) const = 0;
};

namespace {

constexpr std::uint8_t kVersion = 18;  // of the domain separation tag, in drafts 18 to 20
enum Usage : std::uint8_t {
    measurement_share = 1,
    proof_share = 2,
    joint_randomness = 3,
    prove_randomness = 4,
    query_randomness = 5,
    joint_randomness_seed = 6,
    joint_randomness_part = 7,
};

void require_size(const char* what, std::size_t found, std::size_t expected) {
    if (found != expected) throw LengthError(std::string(what) + " in bytes", expected, found);
}

template <class F>
class StepsOf final : public Steps {
public:
    using Element = typename F::Element;
    using Factor = typename F::Factor;

    explicit StepsOf(const Options& options)
        : options_(options),
          flp_(make_circuit<F>(options.circuit)),
          one_(F::to_element(inverse<F>(F::factor(options.shares)))) {}

    Sizes sizes() const override {
        const Shape& s = flp_.shape();
        const std::size_t seed = s.joint_randomness > 0 ? kSeedBytes : 0;
        Sizes sizes;
        sizes.words = s.words;
        sizes.element = F::kBytes;
        sizes.randomness = options_.shares * (kSeedBytes + seed);
        sizes.public_share = options_.shares * seed;
        sizes.leader_share = (s.measurement + s.proof() * options_.proofs) * F::kBytes + seed;
        sizes.helper_share = kSeedBytes + seed;
        sizes.verifier_share = s.verifier() * options_.proofs * F::kBytes + seed;
        sizes.verifier_message = seed;
        sizes.aggregate = s.output * F::kBytes;
        sizes.state = sizes.aggregate + seed;
        return sizes;
    }

    void shard(ByteView context, WordView measurements, ByteView nonces, ByteView randomness,
               MutableByteView public_shares, MutableByteView leader_shares,
               MutableByteView helper_shares) const override {
        const Sizes z = sizes();
        const std::size_t n = nonces.size() / z.nonce;
        const Tags tags(context, options_.algorithm);
        Group group(*this);
        Secrets<Element> proofs(kLanes * proofs_length()), prove(kLanes * options_.proofs * flp_.shape().arity);
        for (std::size_t first = 0; first < n; first += kLanes) {
            const std::size_t lanes = std::min(kLanes, n - first);
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                const std::size_t report = first + lane;
                try {
                    flp_.circuit().encode(measurements.data() + report * z.words, group.measurement(lane));
                } catch (const ParameterError& error) {
                    throw ParameterError("report " + std::to_string(report) + ": " + error.what());
                }
            }
            const std::size_t per_helper = z.helper_share / kSeedBytes, helpers = options_.shares - 1;
            const auto seeds = [&](std::size_t number) {
                return LaneBytes::rows(randomness.data() + first * z.randomness + number * kSeedBytes, z.randomness,
                                       kSeedBytes, lanes);
            };
            const LaneBytes blind = seeds(helpers * per_helper);  // the leader's, where there is joint randomness
            const LaneBytes prove_seed = seeds(helpers * per_helper + per_helper - 1);
            const std::size_t length = flp_.shape().measurement;

            // The leader has what the helpers' shares leave.
            Secrets<Element> leader(group.measurements.begin(), group.measurements.end()), helper(kLanes * length);
            for (std::size_t j = 1; j <= helpers; ++j) {
                const LaneBytes seed = seeds((j - 1) * per_helper);
                expand_rows(helper.data(), length, tags.of(measurement_share), seed, {byte(j)}, lanes);
                for (std::size_t i = 0; i < lanes * length; ++i) leader[i] = F::subtract(leader[i], helper[i]);
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    std::uint8_t* const row = helper_shares.data() + ((j - 1) * n + first + lane) * z.helper_share;
                    std::memcpy(row, seed.at[lane], z.helper_share);  // the blind lies behind the seed
                }
                if (has_joint())
                    derive_part(tags, j, seeds((j - 1) * per_helper + 1), nonces, helper.data(), first, lanes,
                                public_shares);
            }
            if (has_joint()) {
                derive_part(tags, 0, blind, nonces, leader.data(), first, lanes, public_shares);
                derive_joint(tags, public_shares.data() + first * z.public_share, lanes, group);
            }

            const std::size_t arity = flp_.shape().arity, proof = flp_.shape().proof();
            expand_rows(prove.data(), options_.proofs * arity, tags.of(prove_randomness), prove_seed,
                        {byte(options_.proofs)}, lanes);
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                for (std::size_t i = 0; i < options_.proofs; ++i)
                    flp_.prove(group.measurement(lane), prove.data() + (lane * options_.proofs + i) * arity,
                               group.joint_of(lane, i), group.scratch,
                               proofs.data() + lane * proofs_length() + i * proof);
            }
            for (std::size_t j = 1; j <= helpers; ++j) {
                expand_rows(group.proofs.data(), proofs_length(), tags.of(proof_share), seeds((j - 1) * per_helper),
                            {byte(options_.proofs), byte(j)}, lanes);
                for (std::size_t i = 0; i < lanes * proofs_length(); ++i)
                    proofs[i] = F::subtract(proofs[i], group.proofs[i]);
            }
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                std::uint8_t* row = leader_shares.data() + (first + lane) * z.leader_share;
                row = put(row, leader.data() + lane * length, length);
                row = put(row, proofs.data() + lane * proofs_length(), proofs_length());
                if (has_joint()) std::memcpy(row, blind.at[lane], kSeedBytes);
            }
        }
    }

    void verify_init(ByteView verify_key, ByteView context, std::size_t aggregator, ByteView nonces,
                     ByteView public_shares, ByteView input_shares, MutableByteView states,
                     MutableByteView verifier_shares, View<Status> statuses) const override {
        const Sizes z = sizes();
        const Shape& s = flp_.shape();
        const std::size_t n = statuses.size(), stride = z.input_share(aggregator);
        const std::size_t query = s.query_randomness() * options_.proofs, length = s.measurement;
        const Tags tags(context, options_.algorithm);
        Group group(*this);
        Bytes parts(kLanes * z.public_share);
        Secrets<Element> queries(kLanes * query), output(s.output), verifier(s.verifier() * options_.proofs);
        for (std::size_t first = 0; first < n; first += kLanes) {
            const std::size_t lanes = std::min(kLanes, n - first);
            const std::uint8_t* const shares = input_shares.data() + first * stride;
            for (std::size_t lane = 0; lane < lanes; ++lane) statuses[first + lane] = Status::ok;
            if (aggregator == 0) {
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    const std::uint8_t* const row = shares + lane * stride;
                    const bool measured = take(row, group.measurement(lane), length);
                    const bool proved = take(row + length * F::kBytes, group.proof(lane), proofs_length());
                    if (!(measured && proved)) statuses[first + lane] = Status::not_canonical;
                }
            } else {
                const LaneBytes seeds = LaneBytes::rows(shares, stride, kSeedBytes, lanes);
                expand_rows(group.measurements.data(), length, tags.of(measurement_share), seeds, {byte(aggregator)},
                            lanes);
                expand_rows(group.proofs.data(), proofs_length(), tags.of(proof_share), seeds,
                            {byte(options_.proofs), byte(aggregator)}, lanes);
            }
            if (has_joint()) {
                std::memcpy(parts.data(), public_shares.data() + first * z.public_share, lanes * z.public_share);
                const LaneBytes blinds = LaneBytes::rows(shares + stride - kSeedBytes, stride, kSeedBytes, lanes);
                derive_part(tags, aggregator, blinds, nonces.from(first * z.nonce), group.measurements.data(), 0, lanes,
                            parts);
                derive_joint(tags, parts.data(), lanes, group);
            }
            const LaneBytes key = LaneBytes::same(verify_key);
            const LaneBytes nonce = LaneBytes::rows(nonces.data() + first * z.nonce, z.nonce, z.nonce, lanes);
            expand_rows(queries.data(), query, tags.of(query_randomness), key, {byte(options_.proofs), nonce}, lanes);
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                const std::size_t report = first + lane;
                std::uint8_t* state = states.data() + report * z.state;
                std::uint8_t* out = verifier_shares.data() + report * z.verifier_share;
                for (std::size_t i = 0; i < options_.proofs && statuses[report] == Status::ok; ++i) {
                    if (!flp_.query(group.measurement(lane), group.proof(lane) + i * s.proof(),
                                    queries.data() + lane * query + i * s.query_randomness(), group.joint_of(lane, i),
                                    one_, group.scratch, verifier.data() + i * s.verifier()))
                        statuses[report] = Status::test_point;
                }
                if (statuses[report] != Status::ok) {
                    std::memset(state, 0, z.state);
                    std::memset(out, 0, z.verifier_share);
                    continue;
                }
                flp_.circuit().truncate(group.measurement(lane), output.data());
                state = put(state, output.data(), s.output);
                out = put(out, verifier.data(), s.verifier() * options_.proofs);
                if (has_joint()) {
                    std::memcpy(state, group.seeds + lane * kSeedBytes, kSeedBytes);
                    std::memcpy(out, parts.data() + lane * z.public_share + aggregator * kSeedBytes, kSeedBytes);
                }
            }
        }
    }

    void to_messages(ByteView context, ByteView verifier_shares, MutableByteView messages,
                     View<Status> statuses) const override {
        const Sizes z = sizes();
        const std::size_t n = statuses.size(), length = flp_.shape().verifier();
        const Tags tags(context, options_.algorithm);
        Secrets<Element> sum(length * options_.proofs), share(sum.size());
        Bytes parts(z.public_share);
        for (std::size_t report = 0; report < n; ++report) {
            Status status = Status::ok;
            std::fill(sum.begin(), sum.end(), F::element(0));
            for (std::size_t j = 0; j < options_.shares; ++j) {
                const std::uint8_t* const row = verifier_shares.data() + (j * n + report) * z.verifier_share;
                if (!take(row, share.data(), share.size())) status = Status::not_canonical;
                for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = F::add(sum[i], share[i]);
                if (has_joint())
                    std::memcpy(parts.data() + j * kSeedBytes, row + z.verifier_share - kSeedBytes, kSeedBytes);
            }
            for (std::size_t i = 0; i < options_.proofs && status == Status::ok; ++i)
                if (!flp_.decide(sum.data() + i * length)) status = Status::invalid_proof;
            statuses[report] = status;
            if (!has_joint()) continue;
            std::uint8_t* const message = messages.data() + report * z.verifier_message;
            if (status == Status::ok)
                derive_seed_of_parts(tags, parts.data(), 1, message);
            else
                std::memset(message, 0, z.verifier_message);
        }
    }

    bool add(ByteView rows, View<const Status> statuses, MutableByteView aggregate) const override {
        const std::size_t length = flp_.shape().output, size = length * F::kBytes, n = statuses.size();
        Secrets<Element> sum(length), row(length);
        std::fill(sum.begin(), sum.end(), F::element(0));
        for (std::size_t report = 0; report < n; ++report) {
            if (statuses[report] != Status::ok) continue;
            if (!take(rows.data() + report * size, row.data(), length)) return false;
            for (std::size_t i = 0; i < length; ++i) sum[i] = F::add(sum[i], row[i]);
        }
        put(aggregate.data(), sum.data(), length);
        return true;
    }

private:
    // VERSION, class 0, the algorithm, the usage and the context (draft-20, section 6.2.3).
    class Tags {
    public:
        Tags(ByteView context, std::uint32_t algorithm) : size_(8 + context.size()), bytes_(8 * size_) {
            for (std::uint8_t usage = 0; usage < 8; ++usage) {
                std::uint8_t* const tag = bytes_.data() + usage * size_;
                tag[0] = kVersion;
                for (std::size_t i = 0; i < 4; ++i)
                    tag[2 + i] = static_cast<std::uint8_t>(algorithm >> (24 - 8 * i) & 0xff);
                tag[7] = usage;
                std::copy(context.begin(), context.end(), tag + 8);
            }
        }
        ByteView of(Usage usage) const { return {bytes_.data() + usage * size_, size_}; }

    private:
        std::size_t size_;
        Bytes bytes_;
    };

    // What kLanes reports are worked on with.
    struct Group {
        explicit Group(const StepsOf& steps)
            : length(steps.flp_.shape().measurement),
              proofs_length(steps.proofs_length()),
              joint_length(steps.flp_.shape().joint_randomness),
              proofs_of_each(steps.options_.proofs),
              measurements(kLanes * length),
              proofs(kLanes * proofs_length),
              drawn(kLanes * joint_length * proofs_of_each),
              joint(drawn.size()),
              scratch(steps.flp_) {}
        Element* measurement(std::size_t lane) { return measurements.data() + lane * length; }
        Element* proof(std::size_t lane) { return proofs.data() + lane * proofs_length; }
        const Factor* joint_of(std::size_t lane, std::size_t proof_number) const {
            return joint.data() + (lane * proofs_of_each + proof_number) * joint_length;
        }
        std::size_t length, proofs_length, joint_length, proofs_of_each;
        Secrets<Element> measurements, proofs, drawn;
        Secrets<Factor> joint;
        std::uint8_t seeds[kLanes * kSeedBytes] = {};  // of the joint randomness
        typename Flp<F>::Scratch scratch;
    };

    bool has_joint() const { return flp_.shape().joint_randomness > 0; }
    std::size_t proofs_length() const { return flp_.shape().proof() * options_.proofs; }

    // One byte, the same in each lane.
    static LaneBytes byte(std::size_t value) {
        static const auto all = [] {
            std::array<std::uint8_t, 256> bytes{};
            for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
            return bytes;
        }();
        return LaneBytes::same({all.data() + value, 1});
    }

    static void expand_rows(Element* table, std::size_t length, ByteView tag, LaneBytes seeds,
                            std::initializer_list<LaneBytes> binder, std::size_t lanes) {
        Element* out[kLanes];
        for (std::size_t lane = 0; lane < kLanes; ++lane) out[lane] = table + lane * length;
        expand<F>(XofInput(tag, seeds, binder, lanes), out, length);
    }

    // The aggregator's part of the joint randomness, to its place in the rows `first` and following of `parts`.
    void derive_part(const Tags& tags, std::size_t aggregator, LaneBytes blinds, ByteView nonces,
                     const Element* measurements, std::size_t first, std::size_t lanes, MutableByteView parts) const {
        const std::size_t row = options_.shares * kSeedBytes, size = flp_.shape().measurement * F::kBytes;
        constexpr std::size_t nonce = 16;
        std::uint8_t* out[kLanes] = {};
        for (std::size_t lane = 0; lane < lanes; ++lane)
            out[lane] = parts.data() + (first + lane) * row + aggregator * kSeedBytes;
        derive_seed(XofInput(tags.of(joint_randomness_part), blinds,
                             {byte(aggregator), LaneBytes::rows(nonces.data() + first * nonce, nonce, nonce, lanes),
                              LaneBytes::rows(reinterpret_cast<const std::uint8_t*>(measurements), size, size, lanes)},
                             lanes),
                    out);
    }

    void derive_seed_of_parts(const Tags& tags, const std::uint8_t* parts, std::size_t lanes,
                              std::uint8_t* seeds) const {
        static constexpr std::uint8_t zeros[kSeedBytes] = {};
        const std::size_t row = options_.shares * kSeedBytes;
        std::uint8_t* out[kLanes] = {};
        for (std::size_t lane = 0; lane < lanes; ++lane) out[lane] = seeds + lane * kSeedBytes;
        derive_seed(XofInput(tags.of(joint_randomness_seed), LaneBytes::same({zeros, kSeedBytes}),
                             {LaneBytes::rows(parts, row, row, lanes)}, lanes),
                    out);
    }

    void derive_joint(const Tags& tags, const std::uint8_t* parts, std::size_t lanes, Group& group) const {
        derive_seed_of_parts(tags, parts, lanes, group.seeds);
        expand_rows(group.drawn.data(), flp_.shape().joint_randomness * options_.proofs, tags.of(joint_randomness),
                    LaneBytes::rows(group.seeds, kSeedBytes, kSeedBytes, lanes), {byte(options_.proofs)}, lanes);
        for (std::size_t i = 0; i < lanes * group.joint_length * group.proofs_of_each; ++i)
            group.joint[i] = F::to_factor(group.drawn[i]);
    }

    static std::uint8_t* put(std::uint8_t* out, const Element* elements, std::size_t count) {
        std::memcpy(out, elements, count * F::kBytes);
        return out + count * F::kBytes;
    }
    // Whether all elements are canonical.
    static bool take(const std::uint8_t* in, Element* elements, std::size_t count) {
        std::memcpy(elements, in, count * F::kBytes);
        bool all = true;
        for (std::size_t i = 0; i < count; ++i) all &= F::is_canonical(elements[i]);
        return all;
    }

    Options options_;
    Flp<F> flp_;
    Element one_;  // the share of 1
};

std::unique_ptr<Steps> steps_of(const Options& options) {
    if (options.shares < 2 || options.shares > 255)
        throw ParameterError("shares: expected 2 to 255, found " + std::to_string(options.shares));
    if (options.proofs < 1 || options.proofs > 255)
        throw ParameterError("proofs: expected 1 to 255, found " + std::to_string(options.proofs));
    if (options.field_bits == 64) return std::make_unique<StepsOf<Field64>>(options);
    if (options.field_bits == 128) return std::make_unique<StepsOf<Field128>>(options);
    throw ParameterError("a field: expected one of 64 or 128 bits, found " + std::to_string(options.field_bits));
}

}  // namespace

Prio3::Prio3(const Options& options) : options_(options), steps_(steps_of(options)) { sizes_ = steps_->sizes(); }
Prio3::~Prio3() = default;

void Prio3::shard(ByteView context, WordView measurements, ByteView nonces, ByteView randomness,
                  MutableByteView public_shares, MutableByteView leader_shares, MutableByteView helper_shares) const {
    const Sizes& z = sizes_;
    const std::size_t n = nonces.size() / z.nonce;
    require_size("nonces", nonces.size(), n * z.nonce);
    require_size("measurements", measurements.size() * 8, n * z.words * 8);
    require_size("randomness", randomness.size(), n * z.randomness);
    require_size("public shares", public_shares.size(), n * z.public_share);
    require_size("leader's shares", leader_shares.size(), n * z.leader_share);
    require_size("helpers' shares", helper_shares.size(), n * (options_.shares - 1) * z.helper_share);
    steps_->shard(context, measurements, nonces, randomness, public_shares, leader_shares, helper_shares);
}

void Prio3::verify_init(ByteView verify_key, ByteView context, std::size_t aggregator, ByteView nonces,
                        ByteView public_shares, ByteView input_shares, MutableByteView states,
                        MutableByteView verifier_shares, View<Status> statuses) const {
    const Sizes& z = sizes_;
    const std::size_t n = statuses.size();
    if (aggregator >= options_.shares)
        throw ParameterError("an aggregator's number: expected 0 to " + std::to_string(options_.shares - 1) +
                             ", found " + std::to_string(aggregator));
    require_size("the verification key", verify_key.size(), z.verify_key);
    require_size("nonces", nonces.size(), n * z.nonce);
    require_size("public shares", public_shares.size(), n * z.public_share);
    require_size("input shares", input_shares.size(), n * z.input_share(aggregator));
    require_size("states", states.size(), n * z.state);
    require_size("verifier shares", verifier_shares.size(), n * z.verifier_share);
    steps_->verify_init(verify_key, context, aggregator, nonces, public_shares, input_shares, states, verifier_shares,
                        statuses);
}

void Prio3::verifier_shares_to_messages(ByteView context, ByteView verifier_shares, MutableByteView messages,
                                        View<Status> statuses) const {
    require_size("verifier shares", verifier_shares.size(), statuses.size() * options_.shares * sizes_.verifier_share);
    require_size("verifier messages", messages.size(), statuses.size() * sizes_.verifier_message);
    steps_->to_messages(context, verifier_shares, messages, statuses);
}

void Prio3::verify_next(ByteView states, ByteView messages, MutableByteView output_shares,
                        View<Status> statuses) const {
    const Sizes& z = sizes_;
    const std::size_t n = statuses.size(), seed = z.verifier_message;
    require_size("states", states.size(), n * z.state);
    require_size("verifier messages", messages.size(), n * seed);
    require_size("output shares", output_shares.size(), n * z.aggregate);
    for (std::size_t report = 0; report < n; ++report) {
        const std::uint8_t* const state = states.data() + report * z.state;
        std::uint8_t* const out = output_shares.data() + report * z.aggregate;
        std::uint8_t differences = 0;
        for (std::size_t i = 0; i < seed; ++i)
            differences |= static_cast<std::uint8_t>(state[z.aggregate + i] ^ messages[report * seed + i]);
        statuses[report] = differences == 0 ? Status::ok : Status::joint_randomness;
        if (differences == 0)
            std::memcpy(out, state, z.aggregate);
        else
            std::memset(out, 0, z.aggregate);
    }
}

bool Prio3::add(ByteView rows, View<const Status> statuses, MutableByteView aggregate) const {
    require_size("an aggregate share", aggregate.size(), sizes_.aggregate);
    require_size("shares", rows.size(), statuses.size() * sizes_.aggregate);
    return steps_->add(rows, statuses, aggregate);
}

}  // namespace mpc::prio
