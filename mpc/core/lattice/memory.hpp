// Vectors of words for polynomials. They are aligned for the widest loads, and wiped when freed, since most of them
// hold secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "core/base/block.hpp"
#include "core/base/blocks.hpp"

namespace mpc::lattice {

template <class T>
struct WipingAllocator {
    using value_type = T;
    static constexpr std::align_val_t kAlignment{64};

    WipingAllocator() = default;
    template <class U>
    explicit WipingAllocator(const WipingAllocator<U>&) {}

    T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kAlignment)); }
    void deallocate(T* memory, std::size_t count) {
        wipe(memory, count * sizeof(T));
        ::operator delete(memory, kAlignment);
    }
    friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
    friend bool operator!=(const WipingAllocator&, const WipingAllocator&) { return false; }
};

using Words = std::vector<std::uint64_t, WipingAllocator<std::uint64_t>>;
__extension__ typedef std::vector<unsigned __int128, WipingAllocator<unsigned __int128>> WideWords;
using SignedWords = std::vector<std::int64_t, WipingAllocator<std::int64_t>>;

// For many polynomials at once: not zeroed, and on huge pages (base/blocks.hpp).
using LargeWords = std::vector<std::uint64_t, LargeAllocator<std::uint64_t, true>>;

}  // namespace mpc::lattice
