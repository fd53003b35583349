// Shows that no branch and no address of Prio3 depends on a measurement, a share or a seed, on the client's side and on
// an aggregator's. They are marked as undefined memory for valgrind's memcheck (test_constant_time.cpp). The pieces are
// tried one by one, because between them stand two branches that are meant: whether a sponge's word is a field element,
// which says nothing of those that are, and whether a proof is accepted.
#include <vector>

#include "core/prio/encodings.hpp"
#include "core/prio/field128.hpp"
#include "core/prio/field64.hpp"
#include "core/prio/flp.hpp"
#include "core/prio/xof.hpp"
#include "tests/check.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;
using namespace mpc::prio;

namespace {

template <class Values>
void make_secret(Values& values) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof values[0]);
}
template <class Values>
void make_public(Values& values) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof values[0]);
}

void sponges() {
    for (std::size_t lanes = 1; lanes <= kLanes; ++lanes) {
        Bytes seed(kSeedBytes, 3), binder(500, 4), out(kLanes * 400);
        make_secret(seed);
        make_secret(binder);
        Xof xof(XofInput({}, LaneBytes::same(seed), {LaneBytes::same(binder)}, lanes));
        std::uint8_t* place[kLanes];
        for (std::size_t lane = 0; lane < kLanes; ++lane) place[lane] = out.data() + 400 * lane;
        xof.read(place, 400);
        make_public(out);
        CHECK(out[0] == out[400 * (lanes - 1)] && out[399] == out[400 * (lanes - 1) + 399]);
    }
}

template <class F>
void proofs() {
    using Element = typename F::Element;
    for (const Kind kind :
         {Kind::count, Kind::sum, Kind::sum_vec, Kind::histogram, Kind::multihot_count_vec, Kind::linear_regression}) {
        CircuitOptions options;
        options.kind = kind;
        options.length = 3;
        options.max_measurement = options.bits = 5;
        options.chunk_length = options.max_weight = 2;
        const Flp<F> flp(make_circuit<F>(options));
        const Shape& s = flp.shape();
        std::vector<Element> measurement(s.measurement), seeds(s.arity, F::element(77)), proof(s.proof());
        std::vector<Element> output(s.output), verifier(s.verifier());
        const std::vector<Element> query(s.query_randomness(), F::element(123456789));
        const std::vector<typename F::Factor> joint(s.joint_randomness, F::factor(987654321));
        std::vector<std::uint64_t> words(s.words, 0);
        flp.circuit().encode(words.data(), measurement.data());  // its one branch is the refusal
        make_secret(measurement);
        make_secret(seeds);
        typename Flp<F>::Scratch scratch(flp);
        flp.prove(measurement.data(), seeds.data(), joint.data(), scratch, proof.data());
        const bool queried = flp.query(measurement.data(), proof.data(), query.data(), joint.data(), F::element(1),
                                       scratch, verifier.data());
        flp.circuit().truncate(measurement.data(), output.data());
        make_public(verifier);
        make_public(output);
        CHECK(queried);
        CHECK(flp.decide(verifier.data()));  // zeros are a valid measurement of all of them, the histogram's too
        CHECK(F::is_canonical(output[0]));
    }
}

// How an integer becomes weighted bits.
void encodings() {
    const RangeCheckedInteger<Field64> integer(100);
    std::vector<std::uint64_t> value = {77};
    make_secret(value);
    std::vector<Field64::Element> bits(integer.bits());
    integer.encode(value[0], bits.data());
    Field64::Element back = integer.decode(bits.data());
    (void)VALGRIND_MAKE_MEM_DEFINED(&back, sizeof back);
    CHECK(back.value == 77);
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run_on_all_levels("sponges", sponges);
    check::run("proofs 64", proofs<Field64>);
    check::run("proofs 128", proofs<Field128>);
    check::run("encodings", encodings);
    return check::result();
}
