// One gate of three-halves garbling against the paper. The kernels' output in the paper's own matrices (Rosulek and
// Roy, eprint 2021/749, figures 3 and 4) solves its equation (4) for all permute bits and all dice. What the evaluator
// opens is distributed alike whatever the permute bits are. The test is exhaustive, as 16 instances are all (a, b, r_1,
// r_2). The matrices were taken from two independent implementations that cite those figures and agree
// (privacy-ethereum/mpz, PicoGRAM).
#include <array>

#include "core/aes/prg.hpp"
#include "core/garbling/three_halves.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

constexpr TableFormat kFormat = TableFormat::three_halves;
constexpr std::size_t kCases = 16;

// Matrices over GF(2), a row a number in binary. Two rows, left half and right, for each pair of colours (i, j) of
// the labels: 00, 01, 10, 11.
using Rows = std::array<unsigned, 8>;
// Columns C_L C_R G_0 G_1 G_2.
constexpr Rows kV{0b10000, 0b01000, 0b10001, 0b01011, 0b10101, 0b01001, 0b10100, 0b01010};
// Columns H(A_0) H(A_1) H(B_0) H(B_1) H(A_0 + B_0) H(A_0 + B_1).
constexpr Rows kM{0b100010, 0b001010, 0b100001, 0b000101, 0b010001, 0b001001, 0b010010, 0b000110};
// Columns A_L A_R B_L B_R delta_L delta_R. R = R_p + a R_a + b R_b + r_1 R_1 + r_2 R_2.
constexpr Rows kRp{0b001000, 0b010000, 0b001010, 0b000000, 0b000000, 0b010001, 0b000000, 0b000000};
constexpr Rows kRa{0b000000, 0b000000, 0b011111, 0b111010, 0b100110, 0b011101, 0b111001, 0b100111};
constexpr Rows kRb{0b000000, 0b000000, 0b111010, 0b100101, 0b011101, 0b111011, 0b100111, 0b011110};
constexpr Rows kR1{0b111000, 0b100100, 0b111010, 0b100101, 0b111011, 0b100110, 0b111001, 0b100111};
constexpr Rows kR2{0b100100, 0b011100, 0b100101, 0b011111, 0b100110, 0b011101, 0b100111, 0b011110};
// The same in the basis S_1, S_2 of the evaluator's part of R, two bits a pair of colours: the control bits.
constexpr unsigned kControlA[4] = {0b00, 0b11, 0b01, 0b10};
constexpr unsigned kControlB[4] = {0b00, 0b10, 0b11, 0b01};
constexpr unsigned kS1[2] = {0b1110, 0b1001}, kS2[2] = {0b1001, 0b0111};

template <std::size_t columns>
std::uint64_t row_times(unsigned row, const std::array<std::uint64_t, columns>& vector) {
    std::uint64_t sum = 0;
    for (std::size_t k = 0; k < columns; ++k) {
        if (((row >> (columns - 1 - k)) & 1) != 0) sum ^= vector[k];
    }
    return sum;
}

unsigned chosen(bool use, unsigned x) { return use ? x : 0; }

std::uint64_t doubled(std::uint64_t x) { return (x << 1) ^ ((x >> 63) != 0 ? 0x1Bu : 0u); }

// H_k of three_halves.hpp: the half that is kept, and the bit beside it.
struct Hashed {
    std::uint64_t half;
    unsigned bit;
};

struct Gates {
    Prg prg{Block{20, 21}};
    Block salt = prg.block(), delta = prg.block();
    std::uint64_t index = 77;
    Block zero_a[kCases], zero_b[kCases], out[kCases];  // labels of value zero
    std::uint64_t dice = 0;
    std::vector<std::uint8_t> row = std::vector<std::uint8_t>(row_bytes(kFormat, kCases));

    static bool a(std::size_t k) { return (k & 8) != 0; }  // the colours of the labels of value one
    static bool b(std::size_t k) { return (k & 4) != 0; }
    static bool r1(std::size_t k) { return (k & 2) != 0; }
    static bool r2(std::size_t k) { return (k & 1) != 0; }

    GateRun run(const Gate& gate, const Block* const* rows, const std::uint64_t* words) {
        return GateRun{&gate, 1, 1, rows, out, kCases, kCases, salt, index, row.data(), words};
    }

    Gates() {
        delta.lo |= 1;
        for (std::size_t k = 0; k < kCases; ++k) {
            zero_a[k] = prg.block();
            zero_b[k] = prg.block();
            zero_a[k].lo = (zero_a[k].lo & ~std::uint64_t{1}) | (a(k) ? 0 : 1);
            zero_b[k].lo = (zero_b[k].lo & ~std::uint64_t{1}) | (b(k) ? 0 : 1);
            dice |= std::uint64_t{(r1(k) ? 2u : 0u) | (r2(k) ? 1u : 0u)} << (2 * k);
        }
        const Block nothing[kCases] = {};
        const Block* rows[] = {nothing, zero_a, zero_b};
        const Gate gate{1, 0, 2, 0, 0, 0, Gate::is_and};
        GateRun work = run(gate, rows, &dice);
        CHECK(garbling_kernels().garble_three_halves(work, delta) == 1);
        CHECK(work.index == index + 3 && work.tables == row.data() + row.size() && work.dice == &dice + 1);
    }

    Block label_a(std::size_t k, bool colour) const { return zero_a[k] ^ (mask_of(colour == a(k)) & delta); }
    Block label_b(std::size_t k, bool colour) const { return zero_b[k] ^ (mask_of(colour == b(k)) & delta); }

    Hashed hash(std::uint64_t which, const Block& x) const {
        Block y;
        Aes128(salt ^ Block{index + which, 0}).encrypt(&x, &y, 1);
        if (which == 1) return {y.lo ^ doubled(x.lo), static_cast<unsigned>(y.hi & 1)};
        return {y.hi ^ doubled(x.hi), static_cast<unsigned>(y.lo & 1)};
    }

    // G_0, G_1, G_2 of instance k, and z.
    std::array<std::uint64_t, 3> halves(std::size_t k) const {
        const auto parts = three_halves_row(row.data(), kCases);
        const Block first = load_block(parts.halves + 16 * k);
        std::uint64_t third;
        std::memcpy(&third, parts.third + 8 * k, 8);
        return {first.hi, first.lo, third};
    }
    std::array<unsigned, 5> bits(std::size_t k) const {
        const auto parts = three_halves_row(row.data(), kCases);
        const auto bit = [](const std::uint8_t* list, std::size_t at) {
            return unsigned{list[at / 8]} >> (at % 8) & 1;
        };
        return {bit(parts.main, 2 * k + 1), bit(parts.main, 2 * k), bit(parts.side, 2 * k + 1), bit(parts.side, 2 * k),
                bit(parts.last, k)};
    }

    // The control bits that the evaluator opens, c_1 and c_2, and the same by the paper's matrices.
    unsigned opened(std::size_t k, bool i, bool j) const {
        const Block x = label_a(k, i), y = label_b(k, j);
        const unsigned ha = hash(0, x).bit, hb = hash(1, y).bit, hab = hash(2, x ^ y).bit;
        const auto z = bits(k);
        const unsigned c1 = ha ^ hab ^ z[0] ^ (i ? z[2] : 0) ^ (i != j ? z[4] : 0);
        const unsigned c2 = hb ^ hab ^ z[1] ^ (j ? z[3] : 0) ^ (i != j ? z[4] : 0);
        return 2 * c1 + c2;
    }
    static unsigned control(std::size_t k, std::size_t colours) {
        return chosen(a(k), kControlA[colours]) ^ chosen(b(k), kControlB[colours]) ^ (k & 3);
    }
};

void solves_the_papers_equation() {
    const Gates gates;
    for (std::size_t k = 0; k < kCases; ++k) {
        const Block a = gates.label_a(k, false), b = gates.label_b(k, false), d = gates.delta;
        const std::array<Hashed, 6> hashed{gates.hash(0, a), gates.hash(0, a ^ d), gates.hash(1, b),
                                           gates.hash(1, b ^ d), gates.hash(2, a ^ b), gates.hash(2, a ^ b ^ d)};
        std::array<std::uint64_t, 6> hashes{}, hash_bits{};
        for (std::size_t h = 0; h < 6; ++h) {
            hashes[h] = hashed[h].half;
            hash_bits[h] = hashed[h].bit;
        }
        const std::array<std::uint64_t, 6> inputs{a.hi, a.lo, b.hi, b.lo, d.hi, d.lo};
        const auto g = gates.halves(k);
        const std::array<std::uint64_t, 5> solution{gates.out[k].hi, gates.out[k].lo, g[0], g[1], g[2]};
        const auto z = gates.bits(k);
        const std::array<std::uint64_t, 5> bit_solution{z[0], z[1], z[2], z[3], z[4]};
        for (std::size_t row = 0; row < 8; ++row) {
            const bool left = row % 2 == 0, one = row / 2 == (gates.a(k) ? 2u : 0u) + (gates.b(k) ? 1u : 0u);
            const unsigned r = kRp[row] ^ chosen(gates.a(k), kRa[row]) ^ chosen(gates.b(k), kRb[row]) ^
                               chosen(gates.r1(k), kR1[row]) ^ chosen(gates.r2(k), kR2[row]);
            const unsigned t = chosen(one, left ? 0b10 : 0b01);
            CHECK(row_times(kV[row], solution) == (row_times(kM[row], hashes) ^ row_times(r ^ t, inputs)));
            const unsigned control = gates.control(k, row / 2) >> (left ? 1 : 0) & 1;
            CHECK(row_times(kV[row], bit_solution) == (row_times(kM[row], hash_bits) ^ control));
        }
    }
}

// The evaluator's part of R is R_p's, which is public, and what the control bits tell of S_1 and S_2; the columns of
// delta only turn labels of colour zero into those that it holds. So it learns nothing of R but two bits.
void evaluator_needs_two_bits_of_r() {
    for (std::size_t k = 0; k < kCases; ++k) {
        for (std::size_t row = 0; row < 8; ++row) {
            const unsigned i = row / 4 % 2, j = row / 2 % 2;
            const unsigned r = kRp[row] ^ chosen(Gates::a(k), kRa[row]) ^ chosen(Gates::b(k), kRb[row]) ^
                               chosen(Gates::r1(k), kR1[row]) ^ chosen(Gates::r2(k), kR2[row]);
            const unsigned control = Gates::control(k, row / 2);
            const unsigned seen = (kRp[row] >> 2) ^ chosen((control & 2) != 0, kS1[row % 2]) ^
                                  chosen((control & 1) != 0, kS2[row % 2]);
            CHECK(r >> 2 == seen);
            CHECK((r & 3) == ((i != 0 ? r >> 4 : 0) ^ (j != 0 ? r >> 2 & 3 : 0)));
        }
    }
}

// For each pair of colours that the evaluator may hold and all a, b: its two control bits take each value for exactly
// one of the four dice, so their distribution is the same, uniform, whatever a and b are. G_0, G_1, G_2 and the three
// other bits each contain the hash of a label that it does not hold, once, and no other such hash.
void control_bits_hide_the_permute_bits() {
    const Gates gates;
    for (std::size_t colours = 0; colours < 4; ++colours) {
        for (std::size_t permutation = 0; permutation < 4; ++permutation) {
            unsigned seen = 0;
            for (std::size_t rolled = 0; rolled < 4; ++rolled) {
                const std::size_t k = 4 * permutation + rolled;
                const unsigned opened = gates.opened(k, colours / 2 != 0, colours % 2 != 0);
                CHECK(opened == Gates::control(k, colours));
                seen |= 1u << opened;
            }
            CHECK(seen == 0b1111);
        }
    }
}

void evaluates_to_the_right_label() {
    Gates gates;
    const Gates original = gates;
    for (std::size_t colours = 0; colours < 4; ++colours) {
        const bool i = colours / 2 != 0, j = colours % 2 != 0;
        Block held_a[kCases], held_b[kCases];
        for (std::size_t k = 0; k < kCases; ++k) {
            held_a[k] = gates.label_a(k, i);
            held_b[k] = gates.label_b(k, j);
        }
        const Block nothing[kCases] = {};
        const Block* rows[] = {nothing, held_a, held_b};
        const Gate gate{1, 0, 2, 0, 0, 0, Gate::is_and};
        GateRun work = gates.run(gate, rows, nullptr);
        CHECK(garbling_kernels().evaluate_three_halves(work) == 1);
        for (std::size_t k = 0; k < kCases; ++k) {
            const bool one = i == gates.a(k) && j == gates.b(k);
            CHECK(gates.out[k] == (original.out[k] ^ (mask_of(one) & gates.delta)));
        }
    }
}

// GF(2^64) is one: X takes 64 squarings to come back to itself and X^(2^32) + X is invertible (Rabin's test; 64 is a
// power of two). And alpha = X is none of its subfield of four elements, the roots of x^4 = x.
void alpha_is_in_a_field_and_outside_the_field_of_four() {
    const auto times = [](std::uint64_t x, std::uint64_t y) {
        std::uint64_t product = 0;
        for (; y != 0; y >>= 1, x = doubled(x)) product ^= (y & 1) != 0 ? x : 0;
        return product;
    };
    std::uint64_t power = 2, halfway = 0;
    for (int squared = 1; squared <= 64; ++squared) {
        power = times(power, power);
        if (squared == 2) CHECK(power != 2);
        if (squared == 32) halfway = power ^ 2;
    }
    CHECK(power == 2);
    // y^(2^64 - 2), the inverse in a field of that size.
    std::uint64_t inverse = 1, square = halfway;
    for (int bit = 1; bit < 64; ++bit) {
        square = times(square, square);
        inverse = times(inverse, square);
    }
    CHECK(times(halfway, inverse) == 1);
}

}  // namespace

int main() {
    check::run_on_all_levels("solves the paper's equation", solves_the_papers_equation);
    check::run("evaluator needs two bits of R", evaluator_needs_two_bits_of_r);
    check::run_on_all_levels("control bits hide the permute bits", control_bits_hide_the_permute_bits);
    check::run_on_all_levels("evaluates to the right label", evaluates_to_the_right_label);
    check::run("alpha is outside the field of four", alpha_is_in_a_field_and_outside_the_field_of_four);
    return check::result();
}
