#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace nlvs::forwarding {

/// An array that grows in chunks and never moves an element, so that readers index it while
/// control grows it. T is value-initialised.
///
/// Memory order: a chunk pointer is released after the chunk is built; an index reaches a reader
/// only through a later publication, so a reader never meets a missing chunk.
///
/// Thread: ensure control; operator[] any.
template <class T, std::size_t ChunkSize = 1024, std::size_t MaxChunks = 4096>
class SlotArray {
public:
    static constexpr std::size_t capacity = ChunkSize * MaxChunks;

    SlotArray() = default;
    SlotArray(const SlotArray&) = delete;
    SlotArray& operator=(const SlotArray&) = delete;

    ~SlotArray() {
        for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
    }

    /// Makes `index` usable. False beyond capacity.
    bool ensure(std::uint32_t index) {
        if (index >= capacity) return false;
        auto& chunk = chunks_[index / ChunkSize];
        if (chunk.load(std::memory_order_relaxed) == nullptr) {
            chunk.store(std::make_unique<Chunk>().release(), std::memory_order_release);
        }
        return true;
    }

    T& operator[](std::uint32_t index) noexcept {
        return (*chunks_[index / ChunkSize].load(std::memory_order_acquire))[index % ChunkSize];
    }

    const T& operator[](std::uint32_t index) const noexcept {
        return (*chunks_[index / ChunkSize].load(std::memory_order_acquire))[index % ChunkSize];
    }

private:
    using Chunk = std::array<T, ChunkSize>;
    std::array<std::atomic<Chunk*>, MaxChunks> chunks_{};
};

}  // namespace nlvs::forwarding
