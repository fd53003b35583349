// Views keep pointer and length together, and refuse slices that end outside.
#include <array>

#include "core/base/byte_view.hpp"
#include "core/base/error.hpp"
#include "tests/check.hpp"

using namespace mpc;

namespace {

void slices_stay_inside() {
    Bytes bytes{1, 2, 3, 4, 5};
    const ByteView view = bytes;
    CHECK(view.size() == 5 && view.data() == bytes.data() && view[4] == 5);
    const ByteView part = view.slice(1, 3);
    CHECK(part.size() == 3 && part[0] == 2 && part.end() == bytes.data() + 4);
    CHECK(part.from(2).size() == 1 && part.from(2)[0] == 4 && part.from(3).size() == 0);
    CHECK(view.slice(5, 0).size() == 0);
    CHECK_THROWS(view.slice(1, 5), LengthError);
    CHECK_THROWS(view.slice(6, 0), LengthError);
    CHECK_THROWS(view.slice(2, ~std::size_t{0}), LengthError);
    CHECK_THROWS(view.from(6), LengthError);
    CHECK_THROWS(ByteView().slice(0, 1), LengthError);
}

void containers_turn_into_views() {
    Bytes bytes(3);
    const MutableByteView room = bytes;
    room.slice(1, 2)[0] = 7;
    CHECK(bytes == (Bytes{0, 7, 0}));
    const ByteView read = room;
    CHECK(read.data() == bytes.data() && read.size() == 3);
    const std::array<std::uint64_t, 2> words{8, 9};
    std::uint64_t sum = 0;
    for (const std::uint64_t word : WordView(words)) sum += word;
    CHECK(sum == 17);
}

}  // namespace

int main() {
    check::run("slices stay inside", slices_stay_inside);
    check::run("containers turn into views", containers_turn_into_views);
    return check::result();
}
