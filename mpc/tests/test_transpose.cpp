// The bit transposition on every CPU level against its definition.
#include "core/aes/prg.hpp"
#include "core/base/blocks.hpp"
#include "core/base/transpose.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

std::uint64_t bit(const Block& b, std::size_t i) { return ((i < 64 ? b.lo : b.hi) >> (i % 64)) & 1; }

void every_bit_moves() {
    static Block rows[128][kRowBlocks];
    Prg(Block{7, 7}).fill_blocks(rows[0], 128 * kRowBlocks);
    for (const std::size_t columns : {std::size_t{0}, std::size_t{1}, std::size_t{5}, kRowBlocks}) {
        Blocks out(128 * columns + 1);
        out.back() = Block{1, 2};
        transpose_rows(rows, columns, out.data());
        bool right = true;
        for (std::size_t c = 0; c < 128 * columns; ++c)
            for (std::size_t r = 0; r < 128; ++r)
                right = right && bit(out[c], r) == bit(rows[r][c / 128], c % 128);
        CHECK(right);
        CHECK((out.back() == Block{1, 2}));
    }
}

}  // namespace

int main() {
    check::run_on_all_levels("every_bit_moves", every_bit_moves);
    return check::result();
}
