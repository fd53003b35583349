// Shows that no branch and no address depends on a secret. Every secret is marked as undefined memory for valgrind's
// memcheck, which then reports any jump or address that depends on one (the idea of ctgrind). Without valgrind this
// runs as a plain test.
#include "core/circuits/circuits.hpp"
#include "core/garbling/projection.hpp"
#include "tests/check.hpp"
#include "tests/setting.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;

namespace {

template <class T, class A>
void make_secret(std::vector<T, A>& values) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof(T));
}

template <class T, class A>
void make_public(std::vector<T, A>& values) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof(T));
}

// Words stay known to be short: the check of their range is no leak.
void make_secret(Values& values, const Widths& widths) {
    make_secret(values);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] &= ring(widths[i % widths.size()]);
}

void one(const Circuit& circuit, std::size_t n, bool known, TableFormat format) {
    Setting setting(circuit, n, 11, format);
    setting.with_known_inputs(known);
    Values expected = setting.in_the_clear();
    make_secret(setting.garbler_values, circuit.garbler_widths());
    make_secret(setting.q);
    make_secret(setting.t);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&setting.label_seed, sizeof(Block));
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&setting.delta, sizeof(Block));
    setting.delta.lo |= 1;

    Garbling garbling = setting.garbling();
    Bytes tables = all_tables(garbling, 3000);
    make_public(tables);  // they are sent
    Evaluation evaluation = setting.evaluation();
    setting.give_labels(garbling, evaluation);
    evaluation.feed(tables);
    Bytes colours = evaluation.colours();
    make_public(colours);
    Values found = garbling.decode(colours);
    GarblerProjection mine = project(garbling, {20});
    make_public(mine.message);
    make_public(mine.shares);
    Values theirs = open_projection(evaluation, {20}, mine.message);
    make_public(theirs);
    for (std::size_t i = 0; i < theirs.size(); ++i) {
        CHECK(((theirs[i] + mine.shares[i]) & ring(20)) == expected[i]);
    }
    make_public(found);
    CHECK(found == expected);
}

void nothing_depends_on_a_secret() {
    for (const std::size_t n : {1u, 39u}) {
        for (const TableFormat format : {TableFormat::half_gates, TableFormat::three_halves}) {
            one(circuits::relu(13, 4), n, n > 1, format);
            one(circuits::argmax(3, 5), n, n == 1, format);
        }
    }
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run_on_all_levels("nothing depends on a secret", nothing_depends_on_a_secret);
    return check::result();
}
