// Memory for labels, OTs, keys and tables. The first touch of fresh 4 KiB pages costs more than the cryptography of the
// labels in them, so three things differ from the usual. Memory is not zeroed first, and whoever takes it writes before
// reading. Freed chunks are kept for the next batch, up to kKeptBytes a process. Large chunks are mappings of their
// own, on huge pages. Memory that held secrets is wiped when it is freed, wherever that happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "core/base/block.hpp"

namespace mpc {

constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

// 64-byte aligned, from the kept chunks where one has that size; throws std::bad_alloc. `give_chunk` takes it back,
// with the same `bytes`. From any thread.
void* take_chunk(std::size_t bytes);
void give_chunk(void* memory, std::size_t bytes);

template <typename T, bool secret>
struct LargeAllocator {
    using value_type = T;
    template <typename U>
    struct rebind {
        using other = LargeAllocator<U, secret>;
    };
    LargeAllocator() = default;
    template <typename U>
    LargeAllocator(const LargeAllocator<U, secret>&) {}

    T* allocate(std::size_t count) {
        if (count > (~std::size_t{0} >> 1) / sizeof(T)) throw std::bad_alloc();
        return static_cast<T*>(take_chunk(count * sizeof(T)));
    }
    void deallocate(T* memory, std::size_t count) {
        if (secret) wipe(memory, count * sizeof(T));
        give_chunk(memory, count * sizeof(T));
    }
    // What resize() adds stays as it is; see above. T is trivially copyable.
    void construct(T*) {}
    template <typename... Values>
    void construct(T* place, Values&&... values) {
        ::new (static_cast<void*>(place)) T(std::forward<Values>(values)...);
    }

    friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
    friend bool operator!=(const LargeAllocator&, const LargeAllocator&) { return false; }
};

using Blocks = std::vector<Block, LargeAllocator<Block, true>>;
using StoredBytes = std::vector<std::uint8_t, LargeAllocator<std::uint8_t, false>>;

}  // namespace mpc
