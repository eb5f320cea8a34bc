#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace nlvs::daemon {

/// Hands out dense slot numbers, the most recently freed first.
/// Thread: control.
template <class Id>
class SlotAllocator {
public:
    explicit SlotAllocator(std::uint32_t capacity) noexcept : capacity_{capacity} {}

    /// Empty when all slots are taken.
    std::optional<Id> allocate() {
        if (!free_.empty()) {
            const Id id{free_.back()};
            free_.pop_back();
            return id;
        }
        if (next_ == capacity_) return std::nullopt;
        return Id{next_++};
    }

    void release(Id id) { free_.push_back(id.value); }

    std::uint32_t in_use() const noexcept {
        return next_ - static_cast<std::uint32_t>(free_.size());
    }

private:
    std::uint32_t capacity_;
    std::uint32_t next_ = 0;
    std::vector<std::uint32_t> free_;
};

}  // namespace nlvs::daemon
