// Arithmetic on arrays of shares, on every CPU level, against plain loops.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "core/aes/prg.hpp"
#include "core/base/error.hpp"
#include "core/tensor/bit_words.hpp"
#include "core/tensor/key_stream.hpp"
#include "core/tensor/matmul.hpp"
#include "core/tensor/patches.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/wide.hpp"
#include "core/tensor/words.hpp"
#include "tests/check.hpp"

using namespace mpc;
using namespace mpc::tensor;

namespace {

template <class T>
std::vector<T> random_words(std::size_t count, std::uint64_t seed) {
    std::vector<T> words(count);
    Prg(Block{seed, 1}).fill(words.data(), count * sizeof(T));
    return words;
}

template <class T>
std::vector<T> plain_product(const Matrix<const T>& a, const Matrix<const T>& b) {
    std::vector<T> c(a.rows * b.columns);
    for (std::size_t i = 0; i < a.rows; ++i) {
        for (std::size_t j = 0; j < b.columns; ++j) {
            T sum = 0;
            for (std::size_t k = 0; k < a.columns; ++k) {
                const auto row = static_cast<std::ptrdiff_t>(i), column = static_cast<std::ptrdiff_t>(j);
                const auto place = static_cast<std::ptrdiff_t>(k);
                sum = static_cast<T>(sum + a.data[row * a.row_step + place * a.column_step] *
                                               b.data[place * b.row_step + column * b.column_step]);
            }
            c[i * b.columns + j] = sum;
        }
    }
    return c;
}

// Into memory with a margin, by rows and by columns: the product is right and the margin is left alone.
template <class T>
void check_product(const Matrix<const T>& a, const Matrix<const T>& b) {
    const std::size_t m = a.rows, n = b.columns, margin = 3;
    const std::vector<T> wanted = plain_product(a, b);
    for (const bool by_rows : {true, false}) {
        const std::size_t lines = by_rows ? m : n, length = (by_rows ? n : m) + margin;
        std::vector<T> memory(lines * length, T{7});
        Matrix<T> c{memory.data(), m, n, static_cast<std::ptrdiff_t>(length), 1};
        if (!by_rows) std::swap(c.row_step, c.column_step);
        matmul(a, b, c);
        bool right = true, untouched = true;
        for (std::size_t line = 0; line < lines; ++line) {
            for (std::size_t place = 0; place < length; ++place) {
                const T found = memory[line * length + place];
                if (place + margin < length) {
                    right = right && found == wanted[by_rows ? line * n + place : place * n + line];
                } else {
                    untouched = untouched && found == T{7};
                }
            }
        }
        CHECK(right);
        CHECK(untouched);
        matmul(a, b, c, true);
        bool twice = true;
        for (std::size_t i = 0; i < m * n; ++i)
            twice = twice && memory[by_rows ? i / n * length + i % n : i % n * length + i / n] == T(wanted[i] * 2);
        CHECK(twice);
    }
}

template <class T>
void products_of_every_shape() {
    const std::size_t sizes[] = {0, 1, 2, 3, 7, 8, 17, 31};
    const std::vector<T> left = random_words<T>(64 * 64, 1), right = random_words<T>(64 * 64, 2);
    for (const std::size_t m : sizes) {
        for (const std::size_t k : sizes) {
            for (const std::size_t n : sizes) {
                const auto step = static_cast<std::ptrdiff_t>(k), other = static_cast<std::ptrdiff_t>(n);
                check_product<T>({left.data(), m, k, step, 1}, {right.data(), k, n, other, 1});
            }
        }
    }
}

// Transposed, with gaps, reversed, and broadcast along a row.
template <class T>
void products_of_every_layout() {
    const std::vector<T> left = random_words<T>(64 * 64, 3), right = random_words<T>(64 * 64, 4);
    const std::ptrdiff_t layouts[][2] = {{64, 1}, {1, 64}, {64, 3}, {2, 64}, {0, 1}, {1, 0}};
    for (const auto& a : layouts) {
        for (const auto& b : layouts) {
            check_product<T>({left.data(), 18, 21, a[0], a[1]}, {right.data(), 21, 19, b[0], b[1]});
            check_product<T>({left.data() + 17 * a[0], 18, 21, -a[0], a[1]},
                             {right.data() + 18 * b[1], 21, 19, b[0], -b[1]});
        }
    }
}

// Beyond one block in each direction, where entries are the largest and carries the longest.
template <class T>
void products_of_many_blocks() {
    const struct {
        std::size_t m, k, n;
    } shapes[] = {{131, 517, 37}, {5, 3, 2053}, {2053, 300, 1}, {129, 256, 8}, {1, 1031, 2050}};
    for (const auto& shape : shapes) {
        const std::vector<T> left = random_words<T>(shape.m * shape.k, 5);
        const std::vector<T> right = random_words<T>(shape.k * shape.n, 6);
        const auto step = static_cast<std::ptrdiff_t>(shape.k), other = static_cast<std::ptrdiff_t>(shape.n);
        check_product<T>({left.data(), shape.m, shape.k, step, 1}, {right.data(), shape.k, shape.n, other, 1});
        const std::vector<T> ones(std::max(shape.m, shape.n) * shape.k, static_cast<T>(~T{0}));
        check_product<T>({ones.data(), shape.m, shape.k, step, 1}, {ones.data(), shape.k, shape.n, other, 1});
    }
}

void shapes_that_do_not_fit() {
    std::vector<std::uint64_t> words(100);
    const Matrix<std::uint64_t> c{words.data(), 3, 5, 5, 1};
    const auto in = [&](std::size_t rows, std::size_t columns) {
        return Matrix<const std::uint64_t>{words.data() + 50, rows, columns, static_cast<std::ptrdiff_t>(columns), 1};
    };
    matmul(in(3, 4), in(4, 5), c);
    CHECK_THROWS(matmul(in(3, 4), in(5, 5), c), LengthError);
    CHECK_THROWS(matmul(in(2, 4), in(4, 5), c), LengthError);
    CHECK_THROWS(matmul(in(3, 4), in(4, 6), c), LengthError);
}

std::uint64_t bit(std::uint64_t word, std::size_t place) { return (word >> place) & 1; }

// Whole groups of 512 values, part of one, a single one and none; the memory behind is left alone.
void planes_hold_every_bit() {
    for (const std::size_t n : {0, 1, 63, 64, 65, 511, 512, 513, 1100}) {
        const std::vector<std::uint64_t> words = random_words<std::uint64_t>(n, 7);
        for (const unsigned bits : {1u, 7u, 32u, 41u, 64u}) {
            std::vector<std::uint64_t> planes(bits * plane_words(n) + 1, 7), back(n + 1, 7);
            planes_of_words(words.data(), n, bits, planes.data());
            bool right = true;
            for (std::size_t b = 0; b < bits; ++b) {
                for (std::size_t i = 0; i < 64 * plane_words(n); ++i) {
                    const std::uint64_t found = bit(planes[b * plane_words(n) + i / 64], i % 64);
                    right = right && found == (i < n ? bit(words[i], b) : 0);
                }
            }
            CHECK(right);
            // What stands behind value n of a plane does not count.
            for (std::size_t b = 0; n % 64 != 0 && b < bits; ++b)
                planes[(b + 1) * plane_words(n) - 1] |= ~std::uint64_t{0} << (n % 64);
            words_of_planes(planes.data(), n, bits, back.data());
            for (std::size_t i = 0; i < n; ++i) CHECK(back[i] == (words[i] & (~std::uint64_t{0} >> (64 - bits))));
            CHECK(planes.back() == 7 && back.back() == 7);
        }
    }
    CHECK_THROWS(planes_of_words(nullptr, 0, 0, nullptr), ParameterError);
    CHECK_THROWS(words_of_planes(nullptr, 0, 65, nullptr), ParameterError);
}

// Three parties hold shares of triples. Their results are shares of the products.
void layers_multiply_shares() {
    for (const std::size_t n : {0, 1, 3, 64, 257}) {
        const auto words = [n](std::uint64_t seed) { return random_words<std::uint64_t>(n, seed); };
        const std::vector<std::uint64_t> x = words(20), y = words(21), a = words(22), b = words(23);
        std::vector<std::uint64_t> d(n), e(n), binary_d(n), binary_e(n), sum(n, 0), exclusive(n, 0);
        for (std::size_t i = 0; i < n; ++i) {
            d[i] = x[i] - a[i];
            e[i] = y[i] - b[i];
            binary_d[i] = x[i] ^ a[i];
            binary_e[i] = y[i] ^ b[i];
        }
        const auto last = [n](const std::vector<std::uint64_t>& whole, std::uint64_t seed, bool binary, bool is_last) {
            std::vector<std::uint64_t> one = random_words<std::uint64_t>(n, seed);
            const std::vector<std::uint64_t> two = random_words<std::uint64_t>(n, seed + 1);
            if (!is_last) return one;
            for (std::size_t i = 0; i < n; ++i)
                one[i] = binary ? whole[i] ^ one[i] ^ two[i] : whole[i] - one[i] - two[i];
            return one;
        };
        std::vector<std::uint64_t> c(n), binary_c(n);
        for (std::size_t i = 0; i < n; ++i) {
            c[i] = a[i] * b[i];
            binary_c[i] = a[i] & b[i];
        }
        for (std::size_t party = 0; party < 3; ++party) {
            const bool is_last = party == 2;
            const std::uint64_t own = is_last ? 0 : party;
            for (const bool binary : {false, true}) {
                const auto mine_a = last(a, 30 + own, binary, is_last), mine_b = last(b, 40 + own, binary, is_last);
                auto z = last(binary ? binary_c : c, 50 + own, binary, is_last);
                const Triple triple{binary ? binary_d.data() : d.data(), binary ? binary_e.data() : e.data(),
                                    mine_a.data(), mine_b.data(), z.data()};
                if (binary) {
                    and_layer(triple, party == 1, n, z.data());
                    for (std::size_t i = 0; i < n; ++i) exclusive[i] ^= z[i];
                } else {
                    multiply_layer(triple, party == 1, n, z.data());
                    for (std::size_t i = 0; i < n; ++i) sum[i] += z[i];
                }
            }
        }
        for (std::size_t i = 0; i < n; ++i) {
            CHECK(sum[i] == x[i] * y[i]);
            CHECK(exclusive[i] == (x[i] & y[i]));
        }
    }
}

void words_without_gaps() {
    for (unsigned bits = 1; bits <= 64; ++bits) {
        const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
        for (const std::size_t n : {0, 1, 2, 7, 64, 131}) {
            const std::vector<std::uint64_t> words = random_words<std::uint64_t>(n, bits);
            std::vector<std::uint8_t> packed(packed_bytes(n, bits) + 1, 0xAB);
            pack_words(words.data(), n, bits, packed.data());
            CHECK(packed.back() == 0xAB);
            packed.pop_back();
            bool right = packed.size() == (n * bits + 7) / 8;
            for (std::size_t place = 0; place < 8 * packed.size(); ++place) {
                const std::uint64_t found = bit(packed[place / 8], place % 8);
                right = right && found == (place < n * bits ? bit(words[place / bits], place % bits) : 0);
            }
            CHECK(right);
            std::vector<std::uint64_t> back(n + 1, 7);
            unpack_words(packed, n, bits, back.data());
            for (std::size_t i = 0; i < n; ++i) CHECK(back[i] == (words[i] & mask));
            CHECK(back.back() == 7);
            for (std::size_t place = n * bits; place < 8 * packed.size(); ++place) {
                std::vector<std::uint8_t> altered = packed;
                altered[place / 8] = static_cast<std::uint8_t>(altered[place / 8] | 1 << place % 8);
                CHECK_THROWS(unpack_words(altered, n, bits, back.data()), MalformedError);
            }
            packed.push_back(0);
            CHECK_THROWS(unpack_words(packed, n, bits, back.data()), LengthError);
        }
    }
    CHECK_THROWS(packed_bytes(1, 0), ParameterError);
    CHECK_THROWS(packed_bytes(1, 65), ParameterError);
    CHECK_THROWS(packed_bytes(~std::size_t{0} / 8, 9), ParameterError);
}

// Against the definition, with windows that stand half or wholly in the padding, and steps that leave words out.
void patches_and_back() {
    for (const Patches& p :
         {Patches{2, 3, 6, 5, 2, 3, 1, 0}, Patches{1, 2, 5, 7, 3, 5, 2, 1}, Patches{2, 1, 1, 2, 2, 1, 3, 4},
          Patches{1, 1, 9, 9, 1, 8, 1, 0}, Patches{0, 2, 4, 4, 2, 2, 1, 0}, Patches{1, 1, 0, 0, 1, 1, 1, 1}}) {
        check_patches(p);
        const std::vector<std::uint64_t> images =
            random_words<std::uint64_t>(p.count * p.channels * p.height * p.width, 60);
        std::vector<std::uint64_t> words(p.patches() * p.words() + 1, 7), sums(images.size() + 1, 7);
        std::vector<std::uint64_t> wanted(images.size());
        patches_of_images(p, images.data(), words.data());
        images_of_patches(p, words.data(), sums.data());
        bool right = true;
        for (std::size_t place = 0; place + 1 < words.size(); ++place) {
            const std::size_t patch = place / p.words(), word = place % p.words();
            const std::size_t image = patch / (p.rows() * p.columns());
            const std::size_t channel = word / (p.window_height * p.window_width);
            const std::size_t y = patch / p.columns() % p.rows() * p.stride + word / p.window_width % p.window_height;
            const std::size_t x = patch % p.columns() * p.stride + word % p.window_width;
            const bool inside =
                y >= p.padding && y - p.padding < p.height && x >= p.padding && x - p.padding < p.width;
            if (inside) {
                const std::size_t from =
                    ((image * p.channels + channel) * p.height + y - p.padding) * p.width + x - p.padding;
                right = right && words[place] == images[from];
                wanted[from] += words[place];
            } else {
                right = right && words[place] == 0;
            }
        }
        CHECK(right);
        CHECK(std::equal(wanted.begin(), wanted.end(), sums.begin()));
        CHECK(words.back() == 7 && sums.back() == 7);
    }
    CHECK_THROWS(check_patches({1, 1, 4, 4, 5, 1, 1, 0}), ParameterError);
    CHECK_THROWS(check_patches({1, 1, 4, 4, 1, 0, 1, 0}), ParameterError);
    CHECK_THROWS(check_patches({1, 1, 4, 4, 1, 1, 0, 0}), ParameterError);
}

// NIST SP 800-38A, F.5.1 has a counter with the highest byte first, so the known answer is AES itself (FIPS 197, C.1).
void key_streams_are_the_cipher() {
    const auto seed = check::unhex("000102030405060708090a0b0c0d0e0f00112233445566778899aabbccddeeff");
    KeyStream stream(seed);
    std::uint64_t words[4];
    stream.fill(words, 4);
    CHECK(check::hex(words, 16) == "69c4e0d86a7b0430d8cdb78070b4c55a");
    Block second = load_block(seed.data() + 16);
    second.lo ^= 1;
    Aes128(load_block(seed.data())).encrypt(&second, &second, 1);
    CHECK(check::hex(words + 2, 16) == check::hex(&second, 16));
}

// Every way to use a stream takes the same words, wherever they go.
void key_streams_move_on() {
    const std::vector<std::uint8_t> seed = check::unhex(std::string(62, '5') + "0a");
    Prg plain(load_block(seed.data()), load_block(seed.data() + 16));
    KeyStream filling(seed), subtracting(seed), excluding(seed);
    std::vector<std::uint64_t> memory(3000);
    std::uint64_t blocks = 0;
    for (const std::size_t n : {1, 2, 3, 0, 511, 512, 513, 2001}) {
        std::vector<std::uint64_t> wanted(n), zero(n, 0), three(n, 3);
        plain.fill(wanted.data(), 8 * n);
        blocks += (n + 1) / 2;
        std::uint64_t* const odd = memory.data() + (reinterpret_cast<std::uintptr_t>(memory.data()) % 16 == 0 ? 1 : 0);
        KeyStream aside(seed);
        aside.skip(2 * filling.position());
        filling.fill(zero.data(), n);
        aside.fill(odd, n);
        CHECK(zero == wanted);
        CHECK(std::equal(wanted.begin(), wanted.end(), odd));
        subtracting.subtract_from(three.data(), n);
        bool right = true;
        for (std::size_t i = 0; i < n; ++i) right = right && three[i] == 3 - wanted[i];
        excluding.exclusive_or_into(zero.data(), n);
        for (std::size_t i = 0; i < n; ++i) right = right && zero[i] == 0;
        CHECK(right);
        for (const KeyStream* stream : {&filling, &subtracting, &excluding, &aside})
            CHECK(stream->position() == blocks);
    }
}

void key_streams_end() {
    const std::vector<std::uint8_t> seed(32, 9);
    KeyStream stream(seed);
    std::uint64_t words[4];
    stream.skip(2 * (kStreamBlocks - 1));
    CHECK_THROWS(stream.fill(words, 3), LimitError);
    stream.fill(words, 2);
    CHECK_THROWS(stream.fill(words, 1), LimitError);
    CHECK_THROWS(stream.skip(~std::uint64_t{0}), LimitError);
    CHECK(stream.position() == kStreamBlocks);
    CHECK_THROWS(KeyStream(ByteView(seed).slice(0, 31)), ParameterError);
}

// Both processes would give the same words.
void key_streams_belong_to_one_process() {
    KeyStream stream(std::vector<std::uint8_t>(32, 9));
    const pid_t child = ::fork();
    if (child == 0) {
        std::uint64_t word;
        try {
            stream.fill(&word, 1);
        } catch (const OrderError&) {
            ::_exit(0);
        }
        ::_exit(1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child && status == 0);
}

__extension__ typedef unsigned __int128 Wide;

// With whole and partial panels and blocks, and in both layouts, at the largest words too.
void wide_products_keep_their_upper_words() {
    for (const std::size_t rows : {1, 5, 259}) {
        for (const std::size_t depth : {0, 1, 7, 513, 1030}) {
            for (const std::size_t columns : {1, 4, 6, 35}) {
                std::vector<std::uint64_t> a = random_words<std::uint64_t>(rows * depth, rows + depth);
                std::vector<std::uint64_t> b = random_words<std::uint64_t>(depth * columns, columns);
                for (std::size_t k = 0; k < depth / 2; ++k) a[k] = b[k] = ~std::uint64_t{0};
                if (rows == 5) {  // the largest sums that there are
                    std::fill(a.begin(), a.end(), columns == 4 ? 0xffffffff : ~std::uint64_t{0});
                    std::fill(b.begin(), b.end(), ~std::uint64_t{0});
                }
                const auto step = static_cast<std::ptrdiff_t>(depth);
                const Matrix<const std::uint64_t> left{a.data(), rows, depth, step, 1};
                const Matrix<const std::uint64_t> right{b.data(), depth, columns, 1, step};
                std::vector<std::uint64_t> low(rows * columns, 9), high(rows * columns, 9);
                matmul_wide(left, right, low.data(), high.data());
                std::vector<std::uint64_t> twice_low = low, twice_high = high;
                matmul_wide(left, right, twice_low.data(), twice_high.data(), true);
                bool same = true;
                for (std::size_t i = 0; i < rows * columns; ++i) {
                    const Wide once = Wide{high[i]} << 64 | low[i];
                    same = same && (Wide{twice_high[i]} << 64 | twice_low[i]) == once + once;
                }
                for (std::size_t i = 0; i < rows; ++i) {
                    for (std::size_t j = 0; j < columns; ++j) {
                        Wide sum = 0;
                        for (std::size_t k = 0; k < depth; ++k) sum += Wide{a[i * depth + k]} * b[j * depth + k];
                        same = same && low[i * columns + j] == static_cast<std::uint64_t>(sum) &&
                               high[i * columns + j] == static_cast<std::uint64_t>(sum >> 64);
                    }
                }
                CHECK(same);
            }
        }
    }
    const std::uint64_t word = 1;
    std::uint64_t low, high;
    CHECK_THROWS(matmul_wide({&word, 1, 1, 1, 1}, {&word, 0, 1, 1, 1}, &low, &high), LengthError);
}

void sums_of_polynomials() {
    const std::vector<std::uint64_t> a = random_words<std::uint64_t>(100, 1), b = random_words<std::uint64_t>(100, 2);
    Wide expected = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (unsigned t = 0; t < 64; ++t) {
            if ((b[i] >> t & 1) != 0) expected ^= Wide{a[i]} << t;
        }
    }
    std::uint64_t sum[2];
    carryless_sum(a.data(), b.data(), a.size(), sum);
    CHECK(sum[0] == static_cast<std::uint64_t>(expected) && sum[1] == static_cast<std::uint64_t>(expected >> 64));
    carryless_sum(a.data(), b.data(), 0, sum);
    CHECK(sum[0] == 0 && sum[1] == 0);
    Wide total = 0;
    for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * (Wide{a[i]} << 64 | b[i]);
    wide_sum(a.data(), b.data(), a.data(), a.size(), sum);
    CHECK(sum[0] == static_cast<std::uint64_t>(total) && sum[1] == static_cast<std::uint64_t>(total >> 64));
}

void numbers_of_two_words() {
    constexpr std::size_t n = 3 * 331;  // more than a piece at a time, and no multiple of a register
    std::vector<std::uint64_t> a = random_words<std::uint64_t>(n, 1), b = random_words<std::uint64_t>(n, 2);
    const std::vector<std::uint64_t> c = random_words<std::uint64_t>(n, 3), d = random_words<std::uint64_t>(n, 4);
    a[0] = b[0] = a[1] = ~std::uint64_t{0};
    b[1] = 1;
    constexpr std::size_t kinds = 8;
    std::vector<std::uint64_t> low[kinds], high[kinds];
    for (std::size_t k = 0; k < kinds; ++k) low[k] = high[k] = std::vector<std::uint64_t>(n);
    wide_add({a.data(), c.data()}, {b.data(), d.data()}, n, low[0].data(), high[0].data());
    wide_subtract({a.data(), c.data()}, {b.data(), d.data()}, n, low[1].data(), high[1].data());
    wide_times({a.data(), c.data()}, b.data(), n / 3, n, low[2].data(), high[2].data());
    wide_times({a.data(), c.data()}, b.data(), 1, n, low[3].data(), high[3].data());
    wide_products(a.data(), b.data(), n, low[4].data(), high[4].data());
    wide_keyed(a.data(), ~std::uint64_t{0}, n, low[5].data(), high[5].data());
    const std::uint64_t key[2] = {~std::uint64_t{0}, 5};
    wide_macs({a.data(), c.data()}, key, {b.data(), d.data()}, n, low[6].data(), high[6].data());
    wide_sum_of_products({a.data(), c.data()}, b.data(), {b.data(), d.data()}, a.data(), {d.data(), a.data()}, n / 3, n,
                         low[7].data(), high[7].data());
    bool same = true;
    for (std::size_t i = 0; i < n; ++i) {
        const Wide x = Wide{c[i]} << 64 | a[i], y = Wide{d[i]} << 64 | b[i];
        const Wide z = Wide{a[i]} << 64 | d[i], longest = ~std::uint64_t{0};
        const Wide expected[kinds] = {x + y,
                                      x - y,
                                      x * b[i % (n / 3)],
                                      x * b[0],
                                      Wide{a[i]} * b[i],
                                      a[i] * longest,
                                      x * (Wide{5} << 64 | longest) - y,
                                      x * b[i % (n / 3)] + y * a[i % (n / 3)] + z};
        for (std::size_t k = 0; k < kinds; ++k)
            same = same && (Wide{high[k][i]} << 64 | low[k][i]) == expected[k];
    }
    CHECK(same);
}

// Each number chosen from a table whose rows have one bit of their own.
void words_that_are_chosen() {
    constexpr std::size_t rows = 7, n = 300;
    const std::uint64_t one = std::uint64_t{1} << 40;
    std::vector<std::uint64_t> table(rows * n), number(n), less(n), equal(n);
    for (std::size_t i = 0; i < n; ++i) {
        number[i] = i % (rows + 1);
        for (std::size_t v = 1; v <= rows; ++v) table[(v - 1) * n + i] = std::uint64_t{1} << v;
    }
    chosen_words(table.data(), rows, n, number.data(), one, less.data(), equal.data());
    bool same = true;
    for (std::size_t i = 0; i < n; ++i) {
        std::uint64_t above = 0, all = 0;
        for (std::size_t v = 1; v <= rows; ++v) {
            all |= std::uint64_t{1} << v;
            if (v > number[i]) above |= std::uint64_t{1} << v;
        }
        same = same && less[i] == above && equal[i] == (number[i] == 0 ? all | one : std::uint64_t{1} << number[i]);
    }
    CHECK(same);
}

// With every place in a word of a plane, and lengths that are no multiple of a register.
void bits_of_the_provider() {
    for (const std::size_t n : {0, 1, 7, 8, 64, 203}) {
        const std::vector<std::uint64_t> words = random_words<std::uint64_t>(n, 1);
        const std::vector<std::uint64_t> plane = random_words<std::uint64_t>(plane_words(n), 2);
        const std::uint64_t ones = ~std::uint64_t{0}, key = 0x123456789abcdef1;
        std::vector<std::uint64_t> numbers(n), hot(3 * n), planes(n), bits(n), rest(n);
        std::vector<std::uint8_t> flags(n), packed(6 * n + 1, 0xAB);
        for (std::size_t i = 0; i < n; ++i) {
            numbers[i] = i % 5 == 4 ? std::uint64_t{1} << 63 | 1 : i % 5;
            flags[i] = static_cast<std::uint8_t>(7 * i);
        }
        number_planes(numbers.data(), n, 3, hot.data());
        bit_planes(words.data(), flags.data(), n, planes.data());
        pack_bit_words(planes.data(), words.data(), key, n, 6, packed.data());
        open_words(plane.data(), words.data(), key, n, bits.data(), rest.data());
        CHECK(packed.back() == 0xAB);
        bool same = true;
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t v = 1; v <= 3; ++v) same = same && hot[(v - 1) * n + i] == (numbers[i] == v ? ones : 0);
            same = same && planes[i] == ((words[i] + flags[i]) % 2 == 1 ? ones : 0);
            const std::uint64_t sent = (planes[i] == 0 ? 0 : key) ^ words[i];
            for (std::size_t j = 0; j < 6; ++j) same = same && packed[6 * i + j] == (sent >> 8 * j & 0xff);
            const bool open = (plane[i / 64] >> i % 64 & 1) != 0;
            same = same && bits[i] == (open ? ones : 0) && rest[i] == (words[i] ^ (open ? key : 0));
        }
        CHECK(same);
        CHECK_THROWS(pack_bit_words(planes.data(), words.data(), key, n, 0, packed.data()), ParameterError);
        CHECK_THROWS(pack_bit_words(planes.data(), words.data(), key, n, 9, packed.data()), ParameterError);
    }
}

// Of five bits in 70 words of planes, with a share of zeros, so that what is chosen is the truth.
void planes_that_are_chosen() {
    constexpr unsigned bits = 5;
    constexpr std::size_t words = 70, rows = 16;
    CHECK(table_rows(bits) == rows && table_rows(4) == 15 && table_rows(64) == 16 * 15);
    const std::vector<std::uint64_t> secret = random_words<std::uint64_t>(bits * words, 1);
    const std::vector<std::uint64_t> open = random_words<std::uint64_t>(bits * words, 2);
    std::vector<std::uint64_t> table(rows * words), less(2 * words), equal(2 * words);
    tables_of_planes({secret.data(), words}, bits, words, {table.data(), words});
    chosen_planes({table.data(), words}, {open.data(), words}, bits, words, ~std::uint64_t{0}, {less.data(), words},
                  {equal.data(), words});
    bool same = true;
    for (std::size_t i = 0; i < 64 * words; ++i) {
        const auto number = [i](const std::vector<std::uint64_t>& planes, unsigned first, unsigned count) {
            std::uint64_t found = 0;
            for (unsigned b = 0; b < count; ++b)
                found |= (planes[(first + b) * words + i / 64] >> (i % 64) & 1) << b;
            return found;
        };
        for (unsigned group = 0; group < 2; ++group) {
            const unsigned count = group == 0 ? 4 : 1;
            const std::uint64_t c = number(open, 4 * group, count), s = number(secret, 4 * group, count);
            same = same && number(less, group, 1) == (c < s ? 1 : 0) && number(equal, group, 1) == (c == s ? 1 : 0);
        }
    }
    CHECK(same);
}

// Of known masks, so that every set's product is known, too.
void products_of_opened_bits() {
    constexpr std::size_t n = 200;
    const std::vector<std::uint64_t> opened = random_words<std::uint64_t>(3 * n, 1);
    const std::vector<std::uint64_t> masks = random_words<std::uint64_t>(3 * n, 2);
    std::vector<std::uint64_t> dealt(4 * n), out(2 * n, 5);
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t a = masks[i], b = masks[n + i], c = masks[2 * n + i];
        dealt[i] = a & b;
        dealt[n + i] = a & c;
        dealt[2 * n + i] = b & c;
        dealt[3 * n + i] = a & b & c;
    }
    const std::vector<BitTerm> terms = {
        {0, {2, 0}, {0, 3, 1, 5}}, {1, {0, 1, 2}, {0, 1, 2, 4, 3, 5, 6, 7}}, {0, {1}, {0, 2}}};
    bit_products({opened.data(), masks.data(), 3, dealt.data(), ~std::uint64_t{0}}, terms, n, 2, out.data());
    bool same = true;
    for (std::size_t i = 0; i < n; ++i) {
        std::uint64_t bit[3];
        for (std::size_t j = 0; j < 3; ++j) bit[j] = opened[j * n + i] ^ masks[j * n + i];
        same = same && out[i] == ((bit[2] & bit[0]) ^ bit[1]) && out[n + i] == (bit[0] & bit[1] & bit[2]);
    }
    CHECK(same);
}

}  // namespace

int main() {
    check::run_on_all_levels("products_of_every_shape 64", products_of_every_shape<std::uint64_t>);
    check::run_on_all_levels("products_of_every_shape 32", products_of_every_shape<std::uint32_t>);
    check::run_on_all_levels("products_of_every_layout 64", products_of_every_layout<std::uint64_t>);
    check::run_on_all_levels("products_of_every_layout 32", products_of_every_layout<std::uint32_t>);
    check::run_on_all_levels("products_of_many_blocks 64", products_of_many_blocks<std::uint64_t>);
    check::run_on_all_levels("products_of_many_blocks 32", products_of_many_blocks<std::uint32_t>);
    check::run("shapes_that_do_not_fit", shapes_that_do_not_fit);
    check::run_on_all_levels("planes_hold_every_bit", planes_hold_every_bit);
    check::run_on_all_levels("layers_multiply_shares", layers_multiply_shares);
    check::run_on_all_levels("wide_products_keep_their_upper_words", wide_products_keep_their_upper_words);
    check::run_on_all_levels("sums_of_polynomials", sums_of_polynomials);
    check::run_on_all_levels("numbers_of_two_words", numbers_of_two_words);
    check::run_on_all_levels("words_that_are_chosen", words_that_are_chosen);
    check::run_on_all_levels("bits_of_the_provider", bits_of_the_provider);
    check::run_on_all_levels("planes_that_are_chosen", planes_that_are_chosen);
    check::run_on_all_levels("products_of_opened_bits", products_of_opened_bits);
    check::run("words_without_gaps", words_without_gaps);
    check::run("patches_and_back", patches_and_back);
    check::run_on_all_levels("key_streams_are_the_cipher", key_streams_are_the_cipher);
    check::run_on_all_levels("key_streams_move_on", key_streams_move_on);
    check::run("key_streams_end", key_streams_end);
    check::run("key_streams_belong_to_one_process", key_streams_belong_to_one_process);
    return check::result();
}
