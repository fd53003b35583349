// Arrays of blocks that hold labels, OTs and keys: wiped when they are freed, wherever that happens, and on huge pages
// when they are large (a first touch of fresh memory costs more than the cryptography of the labels in it).
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/block.hpp"

namespace capc::mpc {

template <typename T>
struct SecretAllocator {
    using value_type = T;
    static constexpr std::size_t kHugePage = std::size_t{2} << 20;

    SecretAllocator() = default;
    template <typename U>
    SecretAllocator(const SecretAllocator<U>&) {}

    static std::size_t rounded(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

    T* allocate(std::size_t count) {
        const std::size_t bytes = count * sizeof(T), unit = bytes < kHugePage ? 64 : kHugePage;
        if (count > (~std::size_t{0} - kHugePage) / sizeof(T)) throw std::bad_alloc();
        void* memory = std::aligned_alloc(unit, rounded(bytes, unit));
        if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        if (unit == kHugePage) ::madvise(memory, rounded(bytes, unit), MADV_HUGEPAGE);
#endif
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t count) {
        wipe(memory, count * sizeof(T));
        std::free(memory);
    }

    friend bool operator==(const SecretAllocator&, const SecretAllocator&) { return true; }
    friend bool operator!=(const SecretAllocator&, const SecretAllocator&) { return false; }
};

using Blocks = std::vector<Block, SecretAllocator<Block>>;

}  // namespace capc::mpc
