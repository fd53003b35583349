// Shows that no branch and no address of the arithmetic on shares depends on a share, a mask or the seed of a key
// stream. They are marked as undefined memory for valgrind's memcheck (test_constant_time.cpp). Without valgrind this
// runs as a plain test. Valgrind knows no AVX-512, so that level is out of its sight.
#include <vector>

#include "core/aes/prg.hpp"
#include "core/tensor/binary_field.hpp"
#include "core/tensor/bit_words.hpp"
#include "core/tensor/cuts.hpp"
#include "core/tensor/key_stream.hpp"
#include "core/tensor/matmul.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/wide.hpp"
#include "core/tensor/words.hpp"
#include "tests/check.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) (void)(address)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) (void)(address)
#endif

using namespace mpc;
using namespace mpc::tensor;

namespace {

template <class Values>
void make_secret(Values& values) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof values[0]);
}
template <class Values>
void make_public(Values& values) {
    (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof values[0]);
}

template <class T>
std::vector<T> secret_words(std::size_t count) {
    std::vector<T> words(count);
    Prg(Block{count, 3}).fill(words.data(), count * sizeof(T));
    make_secret(words);
    return words;
}

// With whole and partial tiles, an odd depth, and both kinds of layout.
template <class T>
void products() {
    const std::vector<T> a = secret_words<T>(19 * 33), b = secret_words<T>(33 * 37);
    std::vector<T> c(19 * 37), transposed(37 * 19), narrow(19 * 2);
    const Matrix<const T> left{a.data(), 19, 33, 33, 1}, right{b.data(), 33, 37, 37, 1};
    matmul(left, right, Matrix<T>{c.data(), 19, 37, 37, 1});
    matmul(right.transposed(), left.transposed(), Matrix<T>{transposed.data(), 37, 19, 19, 1});
    matmul(left, Matrix<const T>{b.data(), 33, 2, 37, 1}, Matrix<T>{narrow.data(), 19, 2, 2, 1});
    make_public(c);
    make_public(transposed);
    make_public(narrow);
    for (std::size_t i = 0; i < 19; ++i) {
        for (std::size_t j = 0; j < 37; ++j) CHECK(c[i * 37 + j] == transposed[j * 19 + i]);
        for (std::size_t j = 0; j < 2; ++j) CHECK(c[i * 37 + j] == narrow[i * 2 + j]);
    }
}

void words_and_planes() {
    constexpr std::size_t n = 1000;  // whole bytes of 41 bits each
    std::vector<std::uint64_t> words = secret_words<std::uint64_t>(n), back(n), planes(41 * plane_words(n));
    planes_of_words(words.data(), n, 41, planes.data());
    words_of_planes(planes.data(), n, 41, back.data());
    std::vector<std::uint8_t> packed(packed_bytes(n, 41));
    pack_words(back.data(), n, 41, packed.data());
    unpack_words(packed, n, 41, back.data());
    make_public(words);
    make_public(back);
    for (std::size_t i = 0; i < n; ++i) CHECK(back[i] == (words[i] & ((std::uint64_t{1} << 41) - 1)));
}

void layers() {
    std::vector<std::uint64_t> d = secret_words<std::uint64_t>(77), a = secret_words<std::uint64_t>(77), z(77), y(77);
    const Triple triple{d.data(), d.data(), a.data(), a.data(), a.data()};
    and_layer(triple, true, 77, z.data());
    multiply_layer(triple, true, 77, y.data());
    for (std::vector<std::uint64_t>* words : {&d, &a, &z, &y}) make_public(*words);
    for (std::size_t i = 0; i < 77; ++i) {
        CHECK(z[i] == (a[i] ^ (d[i] & a[i]) ^ (a[i] & d[i]) ^ d[i]));
        CHECK(y[i] == a[i] + 2 * a[i] * d[i] + d[i] * d[i]);
    }
}

void cuts() {
    const Cut cut{64, 16};
    std::vector<std::uint64_t> a = secret_words<std::uint64_t>(77), opened = secret_words<std::uint64_t>(77);
    std::vector<std::uint64_t> u(77), top(77), out(77);
    cut_masks(cut, a.data(), 77, u.data(), top.data());
    cut_shares(cut, opened.data(), 5, u.data(), top.data(), true, 77, out.data());
    for (std::vector<std::uint64_t>* words : {&a, &opened, &u, &top, &out}) make_public(*words);
    for (std::size_t i = 0; i < 77; ++i) {
        const std::uint64_t r = std::uint64_t{0} - a[i], c = opened[i] + 5;
        CHECK(top[i] == r >> 63 && u[i] == (top[i] << 48) - (r >> 16));
        CHECK(out[i] == u[i] - ((c >> 63) * top[i] << 48) + (c >> 16) - (std::uint64_t{1} << 46));
    }
}

void wide_products() {
    const std::vector<std::uint64_t> a = secret_words<std::uint64_t>(19 * 33), b = secret_words<std::uint64_t>(33 * 6);
    std::vector<std::uint64_t> low(19 * 6), high(19 * 6), transposed_low(6 * 19), transposed_high(6 * 19), sum(2);
    const Matrix<const std::uint64_t> left{a.data(), 19, 33, 33, 1}, right{b.data(), 33, 6, 6, 1};
    matmul_wide(left, right, low.data(), high.data());
    matmul_wide(right.transposed(), left.transposed(), transposed_low.data(), transposed_high.data());
    carryless_sum(a.data(), b.data(), 33 * 6, sum.data());
    for (std::vector<std::uint64_t>* words : {&low, &high, &transposed_low, &transposed_high, &sum}) make_public(*words);
    for (std::size_t i = 0; i < 19; ++i) {
        for (std::size_t j = 0; j < 6; ++j)
            CHECK(low[i * 6 + j] == transposed_low[j * 19 + i] && high[i * 6 + j] == transposed_high[j * 19 + i]);
    }
    wide_sum(a.data(), b.data(), b.data(), b.size(), sum.data());
    make_public(sum);
    CHECK(sum.size() == 2);
    const WideWords x{a.data(), b.data()}, y{b.data(), a.data()};
    wide_add(x, y, low.size(), low.data(), high.data());
    wide_subtract(x, y, low.size(), transposed_low.data(), transposed_high.data());
    wide_times(x, b.data(), low.size() / 2, low.size(), low.data(), high.data());
    tensor::wide_products(a.data(), b.data(), low.size(), low.data(), high.data());
    wide_keyed(a.data(), b[0], low.size(), low.data(), high.data());
    wide_macs(x, b.data(), y, low.size(), low.data(), high.data());
    wide_sum_of_products(x, a.data(), y, b.data(), x, low.size(), low.size(), low.data(), high.data());
    for (std::vector<std::uint64_t>* words : {&low, &high, &transposed_low, &transposed_high}) make_public(*words);
    CHECK(low.size() == high.size());
}

void bits_in_words() {
    const std::vector<std::uint64_t> a = secret_words<std::uint64_t>(3 * 33), b = secret_words<std::uint64_t>(33);
    std::vector<std::uint64_t> number(33, 2), less(33), equal(33), sum(33);
    chosen_words(a.data(), 3, 33, number.data(), b[0], less.data(), equal.data());
    bit_products({b.data(), a.data(), 1, a.data(), b[1]}, {{0, {0}, {0, 1}}}, 33, 1, sum.data());
    for (std::vector<std::uint64_t>* words : {&less, &equal, &sum}) make_public(*words);
    CHECK(less.size() == sum.size());
    std::vector<std::uint64_t> hot(3 * 33), planes(33), bits(33), rest(33);
    std::vector<std::uint8_t> flags(33, 1), packed(6 * 33);
    make_secret(flags);
    number_planes(b.data(), 33, 3, hot.data());
    bit_planes(b.data(), flags.data(), 33, planes.data());
    pack_bit_words(planes.data(), b.data(), a[0], 33, 6, packed.data());
    open_words(a.data(), b.data(), a[1], 33, bits.data(), rest.data());
    for (std::vector<std::uint64_t>* words : {&hot, &planes, &bits, &rest}) make_public(*words);
    CHECK(hot.size() == 3 * planes.size());
    std::vector<std::uint64_t> table(table_rows(3) * 33);
    tables_of_planes({a.data(), 33}, 3, 33, {table.data(), 33});
    const std::vector<std::uint64_t> open(3 * 33, 2);
    chosen_planes({table.data(), 33}, {open.data(), 33}, 3, 33, b[0], {less.data(), 33}, {equal.data(), 33});
    for (std::vector<std::uint64_t>* words : {&table, &less, &equal}) make_public(*words);
    CHECK(less.size() == equal.size());
}

void sums_in_the_field() {
    const std::vector<std::uint64_t> u = secret_words<std::uint64_t>(37), v = secret_words<std::uint64_t>(37),
                                     e = secret_words<std::uint64_t>(4 * 37), table = secret_words<std::uint64_t>(16);
    std::vector<std::uint64_t> chosen(16), gram(256), combined(4 * 37), products(4 * 37);
    field_chosen(u.data(), e.data(), u.size(), chosen.data());
    field_gram(u.data(), u.data(), e.data(), u.size(), gram.data());
    field_combined(v.data(), table.data(), v.size(), combined.data());
    field_products(e.data(), combined.data(), e.size(), products.data());
    for (std::vector<std::uint64_t>* words : {&chosen, &gram, &combined, &products}) make_public(*words);
    CHECK(chosen.size() * chosen.size() == gram.size());
}

void streams() {
    std::vector<std::uint8_t> seed(kStreamSeedBytes, 5);
    make_secret(seed);
    KeyStream one(seed), other(seed);
    std::vector<std::uint64_t> words(1001), same(1001);
    one.fill(words.data(), words.size());
    other.exclusive_or_into(same.data(), same.size());
    make_public(words);
    make_public(same);
    CHECK(words == same);
}

}  // namespace

int main() {
    std::printf("valgrind: %s\n", RUNNING_ON_VALGRIND != 0 ? "yes" : "no");
    check::run_on_all_levels("products 64", products<std::uint64_t>);
    check::run_on_all_levels("products 32", products<std::uint32_t>);
    check::run_on_all_levels("words_and_planes", words_and_planes);
    check::run_on_all_levels("layers", layers);
    check::run_on_all_levels("cuts", cuts);
    check::run_on_all_levels("wide_products", wide_products);
    check::run_on_all_levels("bits_in_words", bits_in_words);
    check::run_on_all_levels("sums_in_the_field", sums_in_the_field);
    check::run_on_all_levels("streams", streams);
    return check::result();
}
