// Both sides of the encrypted linear layers; see linear.hpp. They stand in the order upload, reply, opening.
#include "core/bfv/linear.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/lattice/packing.hpp"
#include "core/lattice/sampling.hpp"

namespace mpc::bfv {

using namespace lattice;

namespace {

constexpr std::size_t kMostAtOnce = 32;  // polynomials of a reply, which share what is read of weights and inputs

// One check of secret words, without a branch on any single one.
void check_plain(WordView words, const Parameters& parameters, const char* what) {
    const int bits = parameters.plain_bits();
    std::uint64_t all = 0, above = 0;
    for (const std::uint64_t word : words) {
        all |= word;
        above |= parameters.plain_prime() - 1 - word;  // for a prime
    }
    const bool larger = parameters.plain_prime() != 0 ? ((all | above) >> 63) != 0 : bits < 64 && all >> bits != 0;
    if (larger) {
        throw ParameterError(std::string("expected ") + what + " of " + std::to_string(bits) +
                             " bits, found larger ones");
    }
}

// Uniform in [0, t), for a prime up to a statistical distance of 2^-81 each.
void uniform_plain(Prg& prg, const Parameters& parameters, Words& out, Words& spare) {
    const std::uint64_t prime = parameters.plain_prime();
    uniform_words(prg, prime != 0 ? 64 : parameters.plain_bits(), out.data(), out.size());
    if (prime == 0) return;
    spare.resize(out.size());
    uniform_words(prg, 64, spare.data(), spare.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<std::uint64_t>((Wide{out[i]} * prime + ((Wide{spare[i]} * prime) >> 64)) >> 64);
    }
}

// Packs words to the beginning of `out` and returns what is behind them.
MutableByteView packed(WordView words, int bits, MutableByteView out) {
    const std::size_t bytes = packed_bytes(words.size(), bits);
    pack(words, bits, out.slice(0, bytes));
    return out.from(bytes);
}

// The inverse.
ByteView unpacked(ByteView in, int bits, View<std::uint64_t> words, const char* what) {
    const std::size_t bytes = packed_bytes(words.size(), bits);
    unpack(in.slice(0, bytes), bits, words, what);
    return in.from(bytes);
}

// Packs words of a reply, the lowest 64 bits of all of them before the bits above.
MutableByteView packed_reply(WordView low, WordView high, int bits, MutableByteView out) {
    out = packed(low, std::min(bits, 64), out);
    return bits > 64 ? packed(high, bits - 64, out) : out;
}

// The inverse. `high` stays as it is where there is nothing above.
ByteView unpacked_reply(ByteView in, int bits, View<std::uint64_t> low, View<std::uint64_t> high) {
    in = unpacked(in, std::min(bits, 64), low, "reply");
    return bits > 64 ? unpacked(in, bits - 64, high, "reply") : in;
}

// The transform of a polynomial with small signed coefficients.
void lift_and_transform(const Ntt& prime, const SignedWords& small, std::uint64_t* out) {
    for (std::size_t i = 0; i < small.size(); ++i) out[i] = lift(small[i], prime.p());
    prime.forward(out);
}

// The transform of a polynomial with signed words for coefficients.
void reduce_and_transform(const Ntt& prime, const SignedWords& words, std::uint64_t* out) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        out[i] = reduce_signed(static_cast<std::uint64_t>(words[i]), prime.modulus());
    }
    prime.forward(out);
}

}  // namespace

// ---- querying party: key and upload

SecretKey::SecretKey(SharedParameters parameters, const std::optional<Block>& injected)
    : parameters_(std::move(parameters)), scaling_(*parameters_), seeds_(std::make_unique<SeedSource>(injected)),
      secret_(parameters_->words()) {
    SignedWords secret(parameters_->degree());
    Prg prg = seeds_->stream();
    ternary(prg, secret);
    for (std::size_t i = 0; i < parameters_->primes().size(); ++i) {
        lift_and_transform(parameters_->primes()[i], secret, &secret_[i * parameters_->degree()]);
    }
    const std::uint64_t first = parameters_->primes()[0].p(), second = parameters_->primes()[1].p();
    inverse_of_first_ = parameters_->primes()[1].modulus().factor(inverse(first % second, second));
    const Words zero(parameters_->degree());
    public_key_ = encrypt(zero);
}

Bytes SecretKey::encrypt(WordView messages) const {
    const std::size_t degree = parameters_->degree(), polynomials = messages.size() / degree;
    if (messages.size() % degree != 0) throw ParameterError("expected messages of N coefficients each");
    check_plain(messages, *parameters_, "messages");
    Bytes upload(upload_bytes(*parameters_, polynomials));
    const Block public_seed = seeds_->next();
    store_block(upload.data(), public_seed);
    MutableByteView rest = MutableByteView(upload).from(sizeof public_seed);
    Prg uniform(public_seed), hidden = seeds_->stream();
    SignedWords error(degree);
    Words dither(degree), spare, first(degree), second(degree);
    for (std::size_t j = 0; j < polynomials; ++j) {
        const WordView message = messages.slice(j * degree, degree);
        centred_binomial(hidden, error);
        uniform_plain(hidden, *parameters_, dither, spare);
        for (std::size_t i = 0; i < parameters_->primes().size(); ++i) {
            const Ntt& prime = parameters_->primes()[i];
            for (std::size_t n = 0; n < degree; ++n) {
                first[n] = scaling_.up(message[n], dither[n], i) + lift(error[n], prime.p());  // below 2p
            }
            prime.forward(first.data());
            uniform_residues(uniform, prime.modulus(), second.data(), degree);
            const std::uint64_t* const a = second.data();
            const std::uint64_t* const s = &secret_[i * degree];
            prime.inner_product(&a, &s, 1, second.data());
            for (std::size_t n = 0; n < degree; ++n) first[n] = subtract(first[n], second[n], prime.p());
            rest = packed(first, prime.modulus().bits, rest);
        }
    }
    return upload;
}

// ---- answering party: weights and reply

Evaluator::Evaluator(SharedParameters parameters, ByteView public_key, const std::optional<Block>& injected)
    : parameters_(std::move(parameters)), scaling_(*parameters_), seeds_(std::make_unique<SeedSource>(injected)),
      public_key_(read_upload(*parameters_, public_key, 1, "public key")),
      answered_(std::make_unique<std::atomic<std::uint64_t>[]>(parameters_->layers().size())) {}

Weights Evaluator::load(const std::int64_t* weights, std::size_t outputs, std::size_t inputs, std::size_t layer) const {
    constexpr std::int64_t kLargest = std::int64_t{1} << 30;
    const std::size_t degree = parameters_->degree(), block = inputs * degree;
    if (layer >= parameters_->layers().size()) throw ParameterError("no such layer: " + std::to_string(layer));
    if (outputs == 0 || inputs == 0 || inputs >= Ntt::kMaxTerms) {
        throw ParameterError("expected 1 to " + std::to_string(Ntt::kMaxTerms - 1) + " inputs and at least one output");
    }
    if (parameters_->for_words()) {
        check_words(weights, outputs, block);
    }
    for (std::size_t o = 0; o < outputs && !parameters_->for_words(); ++o) {
        Wide norm_squared = 0;
        for (std::size_t n = 0; n < block; ++n) {
            const std::int64_t w = weights[o * block + n];
            if (w <= -kLargest || w >= kLargest) {
                throw ParameterError("expected weights below 2^30, found a larger one");
            }
            norm_squared += static_cast<std::uint64_t>(w * w);
        }
        if (norm_squared > parameters_->layers()[layer].norm_squared) {
            throw ParameterError("the weights of output " + std::to_string(o) + " exceed the bound of layer " +
                                 std::to_string(layer));
        }
    }
    Weights loaded;
    loaded.parameters_ = parameters_;
    loaded.outputs_ = outputs;
    loaded.inputs_ = inputs;
    loaded.layer_ = layer;
    loaded.transforms_.resize(outputs * inputs * parameters_->words());
    SignedWords small(degree);
    std::uint64_t* out = loaded.transforms_.data();
    for (std::size_t k = 0; k < outputs * inputs; ++k) {
        std::copy_n(weights + k * degree, degree, small.begin());
        for (const Ntt& prime : parameters_->primes()) {
            parameters_->for_words() ? reduce_and_transform(prime, small, out) : lift_and_transform(prime, small, out);
            out += degree;
        }
    }
    return loaded;
}

// Counts the weights behind each output by their places, which are public, without a branch on a weight. With a prime t
// all places count, and a word must lie within t / 2.
void Evaluator::check_words(const std::int64_t* weights, std::size_t outputs, std::size_t block) const {
    const std::uint64_t terms = parameters_->products().terms, prime = parameters_->plain_prime();
    std::uint64_t outside = 0;
    for (std::size_t o = 0; o < outputs; ++o) {
        std::uint64_t found = 0;
        for (std::size_t n = 0; n < block; ++n) {
            const auto w = static_cast<std::uint64_t>(weights[o * block + n]);
            found += (w | (std::uint64_t{0} - w)) >> 63;
            if (prime != 0) outside |= (w + prime / 2) | (prime / 2 - w);
        }
        if (found > terms) {
            throw ParameterError("expected at most " + std::to_string(terms) + " words behind output " +
                                 std::to_string(o) + ", found " + std::to_string(found));
        }
    }
    if (outside >> 63 != 0) throw ParameterError("expected words within half of the prime, found larger ones");
}

Evaluator::Draws::Draws(const Parameters& parameters, std::size_t results, Prg& prg)
    : blinding(parameters.degree()), noise(parameters.degree()), low(results), middle(results), top(results),
      high(results) {
    const FloodWidth& width = parameters.flood();
    ternary(prg, blinding);
    centred_binomial(prg, noise);
    if (results == 0) return;
    uniform_words(prg, std::min(width.shift, 64), low.data(), results);
    if (width.shift > 64) uniform_words(prg, std::min(width.shift - 64, 64), middle.data(), results);
    if (width.shift > 128) uniform_words(prg, width.shift - 128, top.data(), results);
    uniform_below(prg, width.multiplier, high.data(), results);
}

Evaluator::Scratch::Scratch(const Parameters& parameters, std::size_t polynomials)
    : first(polynomials * parameters.words()), second(polynomials * parameters.words()), blinding(parameters.degree()),
      product(parameters.degree()), reply(parameters.degree()), reply_high(parameters.degree()) {}

// (c_0, c_1) = sum_j w_oj c_j + u p + (0, e_1) of each polynomial, all coefficients; c_1 up to multiples of its primes.
void Evaluator::combine(const Weights& weights, const Group& group, const Ciphertexts& inputs,
                        const std::vector<Draws>& draws, Scratch& scratch) const {
    const std::size_t degree = parameters_->degree(), words = parameters_->words(), count = weights.inputs();
    std::vector<const std::uint64_t*> terms(2 * group.instances * count), factors(group.outputs * count);
    std::vector<std::uint64_t*> sums(2 * group.polynomials());  // c_0 of all polynomials, then c_1
    for (std::size_t i = 0; i < parameters_->primes().size(); ++i) {
        const Ntt& prime = parameters_->primes()[i];
        const std::size_t row = i * degree, half = group.instances * count, all = group.polynomials();
        for (std::size_t j = 0; j < half; ++j) {
            terms[j] = &inputs.first[(group.instance * count + j) * words + row];
            terms[half + j] = &inputs.second[(group.instance * count + j) * words + row];
        }
        for (std::size_t j = 0; j < factors.size(); ++j) {
            factors[j] = &weights.transforms_[(group.output * count + j) * words + row];
        }
        for (std::size_t polynomial = 0; polynomial < all; ++polynomial) {
            sums[polynomial] = &scratch.first[polynomial * words + row];
            sums[all + polynomial] = &scratch.second[polynomial * words + row];
        }
        prime.inner_products(terms.data(), 2 * group.instances, factors.data(), group.outputs, count, sums.data());
        for (std::size_t polynomial = 0; polynomial < all; ++polynomial) {
            lift_and_transform(prime, draws[polynomial].blinding, scratch.blinding.data());
            const std::uint64_t* const blinding = scratch.blinding.data();
            for (const bool second : {false, true}) {
                const std::uint64_t* const key = &(second ? public_key_.second : public_key_.first)[row];
                std::uint64_t* const out = sums[second ? all + polynomial : polynomial];
                prime.inner_product(&key, &blinding, 1, scratch.product.data());
                for (std::size_t n = 0; n < degree; ++n) out[n] += scratch.product[n];  // below 2p
                prime.inverse(out);
            }
            std::uint64_t* const c1 = sums[all + polynomial];
            for (std::size_t n = 0; n < degree; ++n) c1[n] += lift(draws[polynomial].noise[n], prime.p());
        }
    }
}

// c_0 += round(q mask / t) + flood at the coefficients of this polynomial's results; up to multiples of the primes.
void Evaluator::hide(const std::uint64_t* masks, const Selection& selection, std::size_t polynomial,
                     const Draws& draws, std::uint64_t* first) const {
    const std::size_t degree = parameters_->degree(), begin = selection.begin(polynomial);
    const std::size_t results = selection.begin(polynomial + 1) - begin;
    const FloodWidth& width = parameters_->flood();
    for (std::size_t i = 0; i < parameters_->primes().size(); ++i) {
        const Modulus& modulus = parameters_->primes()[i].modulus();
        const Factor scale = modulus.factor(power(2, static_cast<std::uint64_t>(width.shift), modulus.p));
        const Factor above = modulus.factor(power(2, 128, modulus.p));
        const Factor half = modulus.factor(power(2, static_cast<std::uint64_t>(width.shift - 1), modulus.p));
        const std::uint64_t centre = multiply(width.multiplier, half, modulus.p);
        std::uint64_t* const c0 = first + i * degree;
        for (std::size_t r = 0; r < results; ++r) {
            const Wide low = (Wide{draws.middle[r]} << 64) + draws.low[r];
            const std::uint64_t drawn =
                add(add(reduce_wide(low, modulus), multiply(draws.top[r], above, modulus.p), modulus.p),
                    multiply(draws.high[r], scale, modulus.p), modulus.p);
            const std::uint64_t flood = subtract(drawn, centre, modulus.p);
            const std::uint64_t mask = scaling_.up(masks[begin + r], scaling_.half(), i);
            c0[selection.coefficient(begin + r)] += flood + mask;
        }
    }
}

// Counts results before they are answered: the flood is wide enough for so many.
void Evaluator::charge(std::size_t layer, std::size_t results) const {
    const std::uint64_t allowed = parameters_->layers()[layer].results;
    const std::uint64_t before = answered_[layer].fetch_add(results);
    if (before > allowed || results > allowed - before) {
        answered_[layer].fetch_sub(results);
        throw LimitError("expected at most " + std::to_string(allowed) + " results of layer " + std::to_string(layer) +
                         " in all, found " + std::to_string(results) + " more after " + std::to_string(before));
    }
}

Bytes Evaluator::apply(const Weights& weights, ByteView upload, WordView masks, const Selection& selection) const {
    process_.require("encrypted linear map");
    if (weights.parameters_ != parameters_) throw ParameterError("expected weights loaded under the same parameters");
    const std::size_t outputs = weights.outputs(), batch = selection.polynomials() / outputs;
    if (batch == 0 || batch * outputs != selection.polynomials()) {
        throw ParameterError("expected results in a multiple of " + std::to_string(outputs) + " polynomials, found " +
                             std::to_string(selection.polynomials()));
    }
    if (masks.size() != selection.results()) {
        throw ParameterError("masks: expected one a position, " + std::to_string(selection.results()) + ", found " +
                             std::to_string(masks.size()));
    }
    check_plain(masks, *parameters_, "masks");
    const Ciphertexts inputs = read_upload(*parameters_, upload, batch * weights.inputs(), "upload");
    charge(weights.layer(), selection.results());

    const std::size_t degree = parameters_->degree();
    const int bits = parameters_->reply_bits();
    Bytes reply(reply_bytes(*parameters_, selection));
    MutableByteView rest = reply;
    const std::size_t at_once = std::min(outputs, kMostAtOnce), words = parameters_->words();
    const std::size_t instances = at_once < outputs ? 1 : std::min(batch, std::max<std::size_t>(1, kMostAtOnce / outputs));
    Scratch scratch(*parameters_, instances * at_once);
    Prg prg = seeds_->stream();
    for (std::size_t start = 0; start < selection.polynomials();) {
        const std::size_t output = start % outputs;
        const Group group{start / outputs, std::min(instances, batch - start / outputs), output,
                          std::min(at_once, outputs - output)};
        std::vector<Draws> draws;
        for (std::size_t polynomial = start; polynomial < start + group.polynomials(); ++polynomial) {
            draws.emplace_back(*parameters_, selection.begin(polynomial + 1) - selection.begin(polynomial), prg);
        }
        combine(weights, group, inputs, draws, scratch);
        for (std::size_t number = 0; number < group.polynomials(); ++number) {
            const std::size_t polynomial = start + number, begin = selection.begin(polynomial);
            const std::size_t results = selection.begin(polynomial + 1) - begin;
            std::uint64_t *const first = &scratch.first[number * words], *const second = &scratch.second[number * words];
            hide(masks.data(), selection, polynomial, draws[number], first);
            for (std::size_t n = 0; n < degree; ++n) scratch.put(n, scaling_.down(second + n, degree));
            rest = packed_reply(scratch.reply, scratch.reply_high, bits, rest);
            for (std::size_t r = 0; r < results; ++r) {
                scratch.put(r, scaling_.down(first + selection.coefficient(begin + r), degree));
            }
            rest = packed_reply(WordView(scratch.reply).slice(0, results),
                                WordView(scratch.reply_high).slice(0, results), bits, rest);
        }
        start += group.polynomials();
    }
    return reply;
}

// ---- querying party: opening

// Residues of c s modulo the first two primes, for c with coefficients below 2^k; |c s| < N 2^k, and the product of
// the two primes is more than twice that (parameters.cpp).
void SecretKey::times_secret_mod_two_primes(const std::uint64_t* c, std::uint64_t* low, std::uint64_t* high) const {
    const std::size_t degree = parameters_->degree();
    for (std::size_t i = 0; i < 2; ++i) {
        const Ntt& prime = parameters_->primes()[i];
        std::uint64_t* const out = i == 0 ? low : high;
        for (std::size_t n = 0; n < degree; ++n) out[n] = multiply_lazy(c[n], prime.modulus().one, prime.p());
        prime.forward(out);
        const std::uint64_t* const x = out;
        const std::uint64_t* const s = &secret_[i * degree];
        prime.inner_product(&x, &s, 1, out);
        prime.inverse(out);
    }
}

// Gives `take` each selected result's c_0 + c_1 s modulo 2^k, in order.
template <class Take>
void SecretKey::open(ByteView reply, const Selection& selection, Take take) const {
    const std::size_t expected = reply_bytes(*parameters_, selection);
    if (reply.size() != expected) throw LengthError("reply in bytes", expected, reply.size());
    const std::size_t degree = parameters_->degree();
    const int bits = parameters_->reply_bits(), part = parameters_->opening_bits();
    const Wide mask = ~Wide{0} >> (128 - bits);
    const std::uint64_t p = parameters_->primes()[0].p(), q = parameters_->primes()[1].p();
    const Wide product = Wide{p} * q, middle = product / 2;
    Words c1(degree), c1_high(degree), c0(degree), c0_high(degree), low(degree), high(degree);
    WideWords sum(degree);
    for (std::size_t polynomial = 0; polynomial < selection.polynomials(); ++polynomial) {
        const std::size_t begin = selection.begin(polynomial), results = selection.begin(polynomial + 1) - begin;
        reply = unpacked_reply(reply, bits, c1, c1_high);
        reply = unpacked_reply(reply, bits, View<std::uint64_t>(c0).slice(0, results),
                               View<std::uint64_t>(c0_high).slice(0, results));
        for (std::size_t r = 0; r < results; ++r) sum[r] = (Wide{c0_high[r]} << 64) + c0[r];
        if (part < bits) {  // c_1 in two halves, the higher one first
            for (std::size_t n = 0; n < degree; ++n) {
                const Wide whole = (Wide{c1_high[n]} << 64) + c1[n];
                c1_high[n] = static_cast<std::uint64_t>(whole >> part);
                c1[n] = static_cast<std::uint64_t>(whole) & (~std::uint64_t{0} >> (64 - part));
            }
        }
        for (int shift = part < bits ? part : 0; shift >= 0; shift -= part) {
            times_secret_mod_two_primes(shift == 0 ? c1.data() : c1_high.data(), low.data(), high.data());
            for (std::size_t r = 0; r < results; ++r) {
                const std::size_t n = selection.coefficient(begin + r);
                // Chinese remainder: x = low + p ((high - low) / p mod q), then the representative around zero.
                const std::uint64_t difference = high[n] + (p / q + 1) * q - low[n];
                const Wide x = low[n] + Wide{p} * multiply(difference, inverse_of_first_, q);
                const Wide negative = Wide{0} - ((middle - x) >> 127);
                sum[r] += (x - (product & negative)) << shift;
            }
        }
        for (std::size_t r = 0; r < results; ++r) take(sum[r] & mask);
    }
}

std::vector<std::uint64_t> SecretKey::phases(ByteView reply, const Selection& selection) const {
    if (parameters_->reply_bits() > 64) throw ParameterError("expected replies of at most 64 bits for phases");
    std::vector<std::uint64_t> opened;
    opened.reserve(selection.results());
    open(reply, selection, [&](Wide phase) { opened.push_back(static_cast<std::uint64_t>(phase)); });
    return opened;
}

std::vector<std::uint64_t> SecretKey::decrypt(ByteView reply, const Selection& selection) const {
    std::vector<std::uint64_t> opened;
    opened.reserve(selection.results());
    const int bits = parameters_->reply_bits();
    const std::uint64_t prime = parameters_->plain_prime();
    if (prime != 0) {
        open(reply, selection, [&](Wide phase) {
            const Wide scaled = phase * prime + (Wide{1} << (bits - 1));
            opened.push_back(reduce_once(static_cast<std::uint64_t>(scaled >> bits), prime));
        });
    } else {
        const std::uint64_t mask = ~std::uint64_t{0} >> (64 - parameters_->plain_bits());
        open(reply, selection, [&](Wide phase) {
            const Wide rounded = (phase + (Wide{1} << (kReplyGuardBits - 1))) >> kReplyGuardBits;
            opened.push_back(static_cast<std::uint64_t>(rounded) & mask);
        });
    }
    return opened;
}

}  // namespace mpc::bfv
