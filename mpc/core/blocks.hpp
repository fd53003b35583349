// Memory for labels, OTs, keys and tables: on huge pages when it is large (a first touch of fresh 4 KiB pages costs
// more than the cryptography of the labels in them), and wiped when it is freed, wherever that happens, if it held
// secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/block.hpp"

namespace capc::mpc {

template <typename T, bool secret>
struct LargeAllocator {
    using value_type = T;
    template <typename U>
    struct rebind {
        using other = LargeAllocator<U, secret>;
    };
    static constexpr std::size_t kHugePage = std::size_t{2} << 20;

    LargeAllocator() = default;
    template <typename U>
    LargeAllocator(const LargeAllocator<U, secret>&) {}

    T* allocate(std::size_t count) {
        if (count > (~std::size_t{0} - kHugePage) / sizeof(T)) throw std::bad_alloc();
        const std::size_t unit = count * sizeof(T) < kHugePage ? 64 : kHugePage;
        const std::size_t bytes = (count * sizeof(T) + unit - 1) / unit * unit;
        void* memory = std::aligned_alloc(unit, bytes);
        if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        if (unit == kHugePage) (void)::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: it may be refused
#endif
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t count) {
        if (secret) wipe(memory, count * sizeof(T));
        std::free(memory);
    }

    friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
    friend bool operator!=(const LargeAllocator&, const LargeAllocator&) { return false; }
};

using Blocks = std::vector<Block, LargeAllocator<Block, true>>;
using StoredBytes = std::vector<std::uint8_t, LargeAllocator<std::uint8_t, false>>;

}  // namespace capc::mpc
