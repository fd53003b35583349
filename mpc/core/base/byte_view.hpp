// Views of memory that somebody else owns. Pointer and length travel together, and slices stay inside. Messages of the
// peer and values of the caller come in as views, so that no length is lost on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/block.hpp"  // MPC_INLINE

namespace mpc {

using Bytes = std::vector<std::uint8_t>;

// Throws LengthError: a slice that ends beyond its view.
[[noreturn]] void refuse_slice(std::size_t end, std::size_t size);

// `size` elements from `data` on, which must outlive the view. Any container that has data() and size() turns into one.
template <typename T>
class View {
public:
    View() = default;
    MPC_INLINE View(T* data, std::size_t size) : data_(data), size_(size) {}
    template <typename Container,
              typename = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container&>().data()), T*>>>
    MPC_INLINE View(Container&& container) : data_(container.data()), size_(container.size()) {}

    MPC_INLINE T* data() const { return data_; }
    MPC_INLINE std::size_t size() const { return size_; }
    MPC_INLINE T& operator[](std::size_t place) const { return data_[place]; }
    MPC_INLINE T* begin() const { return data_; }
    MPC_INLINE T* end() const { return data_ + size_; }

    // Part of the view. Both throw LengthError if it does not lie inside.
    MPC_INLINE View slice(std::size_t first, std::size_t count) const {
        if (first > size_ || count > size_ - first) refuse_slice(first + count, size_);
        return View(data_ + first, count);
    }
    MPC_INLINE View from(std::size_t first) const { return slice(first, first > size_ ? 0 : size_ - first); }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

using ByteView = View<const std::uint8_t>;
using MutableByteView = View<std::uint8_t>;
using WordView = View<const std::uint64_t>;

}  // namespace mpc
