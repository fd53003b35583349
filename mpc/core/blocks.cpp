// The chunks behind labels, OTs, keys and tables; see blocks.hpp.
#include "core/blocks.hpp"

#include <cstdlib>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace capc::mpc {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kLarge = std::size_t{64} << 10;  // from here on chunks are kept
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Under a sanitizer nothing is kept, so that it sees a use after the end.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeep = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kKeep = false;
#else
constexpr bool kKeep = true;
#endif
#else
constexpr bool kKeep = true;
#endif

std::size_t unit_of(std::size_t bytes) { return bytes < kLarge ? kLine : bytes < kHugePage ? kLarge : kHugePage; }

struct Chunk {
    void* memory;
    std::size_t bytes;
};

// Freed chunks, the latest last; the earliest go first when there are too many.
class Kept {
public:
    void* take(std::size_t bytes) {
        const std::lock_guard<std::mutex> hold(mutex_);
        for (std::size_t k = chunks_.size(); k-- > 0;) {
            if (chunks_[k].bytes != bytes) continue;
            void* memory = chunks_[k].memory;
            chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(k));
            bytes_ -= bytes;
            return memory;
        }
        return nullptr;
    }

    void give(void* memory, std::size_t bytes) {
        const std::lock_guard<std::mutex> hold(mutex_);
        chunks_.push_back({memory, bytes});
        bytes_ += bytes;
        while (bytes_ > kKeptBytes) {
            std::free(chunks_.front().memory);
            bytes_ -= chunks_.front().bytes;
            chunks_.erase(chunks_.begin());
        }
    }

private:
    std::mutex mutex_;
    std::vector<Chunk> chunks_;
    std::size_t bytes_ = 0;
};

// Never destroyed: chunks may be given back while the process ends.
Kept& kept() {
    static Kept* const chunks = new Kept;
    return *chunks;
}

}  // namespace

void* take_chunk(std::size_t wanted) {
    const std::size_t unit = unit_of(wanted);
    const std::size_t bytes = (wanted + unit - 1) / unit * unit;
    if (kKeep && unit != kLine) {
        void* memory = kept().take(bytes);
        if (memory != nullptr) return memory;
    }
    void* memory = std::aligned_alloc(unit == kHugePage ? kHugePage : kLine, bytes);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (unit == kHugePage) (void)::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: it may be refused
#endif
    return memory;
}

void give_chunk(void* memory, std::size_t wanted) {
    const std::size_t unit = unit_of(wanted);
    const std::size_t bytes = (wanted + unit - 1) / unit * unit;
    if (kKeep && unit != kLine && bytes <= kKeptBytes) {
        kept().give(memory, bytes);
    } else {
        std::free(memory);
    }
}

}  // namespace capc::mpc
