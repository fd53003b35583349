// The chunks behind labels, OTs, keys and tables; see blocks.hpp.
#include "core/base/blocks.hpp"

#include <cstdint>
#include <cstdlib>
#include <mutex>

#include "core/base/sanitizers.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mpc {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kLarge = std::size_t{64} << 10;  // from here on chunks are kept
constexpr std::size_t kHugePage = std::size_t{2} << 20;

constexpr bool kKeep = !kSanitized;  // a sanitizer shall see a use after the end

std::size_t rounded(std::size_t bytes) {
    std::size_t unit = bytes < kLarge ? kLine : kLarge;
    // The end of a chunk is a huge page too only if it fills half of one.
    if (bytes >= kHugePage && bytes % kHugePage >= kHugePage / 2) unit = kHugePage;
    return (bytes + unit - 1) / unit * unit;
}

#if defined(__linux__)
constexpr bool is_mapped(std::size_t bytes) { return kKeep && bytes >= kHugePage; }

// From a huge page's boundary on, and no longer than it has to be: what is not mapped takes no huge page.
void* map(std::size_t bytes) {
    void* const found = ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return nullptr;
    auto* const first = static_cast<std::uint8_t*>(found);
    const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(found) % kHugePage) % kHugePage;
    if (before > 0) (void)::munmap(first, before);
    (void)::munmap(first + before + bytes, kHugePage - before);
    (void)::madvise(first + before, bytes, MADV_HUGEPAGE);  // advice: it may be refused
    return first + before;
}

// Of a mapping, or of its end from a page's boundary on.
void unmap(void* memory, std::size_t bytes) { (void)::munmap(memory, bytes); }
#else
constexpr bool is_mapped(std::size_t) { return false; }
void* map(std::size_t) { return nullptr; }
void unmap(void*, std::size_t) {}
#endif

// The largest are mappings of their own: on the heap each would leave a hole before the next boundary. Smaller ones are
// not, as all would then start at the same place of a page, and so in the same lines of the caches.
void* allocate(std::size_t bytes) { return is_mapped(bytes) ? map(bytes) : std::aligned_alloc(kLine, bytes); }

void release(void* memory, std::size_t bytes) { is_mapped(bytes) ? unmap(memory, bytes) : std::free(memory); }

struct Chunk {
    void* memory;
    std::size_t bytes;
};

// Whether a kept chunk serves. A mapping of up to twice the size does, without its end: polynomials get shorter while a
// program runs, and zeroing fresh pages costs more than most of what is done with them.
bool fits(std::size_t kept, std::size_t wanted) {
    return kept == wanted || (is_mapped(wanted) && kept > wanted && kept / 2 <= wanted);
}

// Freed chunks, the latest last; the earliest go first when there are too many.
class Kept {
public:
    void* take(std::size_t bytes) {
        const std::lock_guard<std::mutex> hold(mutex_);
        std::size_t best = chunks_.size();
        for (std::size_t k = chunks_.size(); k-- > 0;) {
            const bool smallest = best == chunks_.size() || chunks_[k].bytes < chunks_[best].bytes;
            if (smallest && fits(chunks_[k].bytes, bytes)) best = k;
        }
        if (best == chunks_.size()) return nullptr;
        const Chunk found = chunks_[best];
        chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(best));
        bytes_ -= found.bytes;
        if (found.bytes > bytes) unmap(static_cast<std::uint8_t*>(found.memory) + bytes, found.bytes - bytes);
        return found.memory;
    }

    void give(void* memory, std::size_t bytes) {
        const std::lock_guard<std::mutex> hold(mutex_);
        chunks_.push_back({memory, bytes});
        bytes_ += bytes;
        while (bytes_ > kKeptBytes) {
            release(chunks_.front().memory, chunks_.front().bytes);
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
    const std::size_t bytes = rounded(wanted);
    void* memory = kKeep && bytes >= kLarge ? kept().take(bytes) : nullptr;
    if (memory == nullptr) memory = allocate(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void give_chunk(void* memory, std::size_t wanted) {
    const std::size_t bytes = rounded(wanted);
    if (kKeep && bytes >= kLarge && bytes <= kKeptBytes) {
        kept().give(memory, bytes);
    } else {
        release(memory, bytes);
    }
}

}  // namespace mpc
