// Vectors of words for polynomials. They are aligned for the widest loads, and wiped when freed, since most of them
// hold secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "core/base/block.hpp"

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

// The same where whoever takes memory writes before reading, so that it is not zeroed.
template <class T>
struct UnsetAllocator : WipingAllocator<T> {
    template <class U>
    struct rebind {
        using other = UnsetAllocator<U>;
    };
    UnsetAllocator() = default;
    template <class U>
    explicit UnsetAllocator(const UnsetAllocator<U>&) {}

    void construct(T*) {}
    template <class... Values>
    void construct(T* place, Values&&... values) {
        ::new (static_cast<void*>(place)) T(std::forward<Values>(values)...);
    }
};

// For many polynomials at once.
using LargeWords = std::vector<std::uint64_t, UnsetAllocator<std::uint64_t>>;

}  // namespace mpc::lattice
