#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "forwarding/config/published.hpp"

namespace nlvs::forwarding {

/// A hash table of pointers to immutable nodes: one writer, lock-free readers, O(1) change
/// whatever its size. Traits supply
///     static std::uint64_t hash(const Key&) noexcept;
///     static const Key& key(const Node&) noexcept  (anything comparable with Key);
/// Open addressing with linear probing; growth and clean-up of tombstones publish a new array.
///
/// Memory order: as Published. A reader that still walks a replaced array sees a consistent,
/// slightly older table, which lives until its grace period has passed.
///
/// Thread: insert/replace/remove control; find any registered worker (or control).
template <class Key, class Node, class Traits>
class PublishedTable {
public:
    PublishedTable() : array_{new Array(initial_slots)} {}
    PublishedTable(const PublishedTable&) = delete;
    PublishedTable& operator=(const PublishedTable&) = delete;

    ~PublishedTable() {
        const Array* array = array_.load(std::memory_order_relaxed);
        for (const auto& slot : array->slots) {
            const Node* node = slot.load(std::memory_order_relaxed);
            if (node != nullptr && node != tombstone()) delete node;
        }
        delete array;
    }

    const Node* find(const Key& key) const noexcept {
        const Array& array = *array_.load(std::memory_order_acquire);
        for (std::size_t i = Traits::hash(key) & array.mask;; i = (i + 1) & array.mask) {
            const Node* node = array.slots[i].load(std::memory_order_acquire);
            if (node == nullptr) return nullptr;
            if (node != tombstone() && Traits::key(*node) == key) return node;
        }
    }

    /// Publishes `node` under its key, replacing and retiring an older one.
    void insert(std::unique_ptr<const Node> node, Reclaimer& reclaimer) {
        if ((used_ + 1) * 2 > array_.load(std::memory_order_relaxed)->slots.size()) rebuild(reclaimer);
        Array& array = *array_.load(std::memory_order_relaxed);
        std::size_t free = array.slots.size();
        std::size_t i = Traits::hash(Traits::key(*node)) & array.mask;
        for (;; i = (i + 1) & array.mask) {
            const Node* here = array.slots[i].load(std::memory_order_relaxed);
            if (here == nullptr) break;
            if (here == tombstone()) {
                if (free == array.slots.size()) free = i;
                continue;
            }
            if (!(Traits::key(*here) == Traits::key(*node))) continue;
            array.slots[i].store(node.release(), std::memory_order_release);
            reclaimer.retire(std::unique_ptr<const Node>{here});
            return;
        }
        if (free == array.slots.size()) {
            free = i;
            ++used_;
        }
        array.slots[free].store(node.release(), std::memory_order_release);
        ++size_;
    }

    /// True if there was one.
    bool remove(const Key& key, Reclaimer& reclaimer) {
        Array& array = *array_.load(std::memory_order_relaxed);
        for (std::size_t i = Traits::hash(key) & array.mask;; i = (i + 1) & array.mask) {
            const Node* here = array.slots[i].load(std::memory_order_relaxed);
            if (here == nullptr) return false;
            if (here == tombstone() || !(Traits::key(*here) == key)) continue;
            array.slots[i].store(tombstone(), std::memory_order_release);
            reclaimer.retire(std::unique_ptr<const Node>{here});
            --size_;
            return true;
        }
    }

    std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::size_t initial_slots = 64;

    struct Array {
        explicit Array(std::size_t slot_count) : mask{slot_count - 1}, slots(slot_count) {}

        std::size_t mask;
        std::vector<std::atomic<const Node*>> slots;
    };

    static const Node* tombstone() noexcept {
        return reinterpret_cast<const Node*>(std::uintptr_t{1});  // never dereferenced
    }

    void rebuild(Reclaimer& reclaimer) {
        const Array* old = array_.load(std::memory_order_relaxed);
        auto next = std::make_unique<Array>(
            std::max(initial_slots, std::bit_ceil((size_ + 1) * 4))
        );
        for (const auto& slot : old->slots) {
            const Node* node = slot.load(std::memory_order_relaxed);
            if (node == nullptr || node == tombstone()) continue;
            std::size_t i = Traits::hash(Traits::key(*node)) & next->mask;
            while (next->slots[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & next->mask;
            next->slots[i].store(node, std::memory_order_relaxed);
        }
        used_ = size_;
        array_.store(next.release(), std::memory_order_release);
        reclaimer.retire(std::unique_ptr<const Array>{old});
    }

    std::atomic<Array*> array_;
    std::size_t size_ = 0;
    std::size_t used_ = 0;  ///< slots that are not empty, tombstones included
};

}  // namespace nlvs::forwarding
