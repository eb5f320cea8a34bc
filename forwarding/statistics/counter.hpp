#pragma once

#include <atomic>
#include <cstdint>

namespace nlvs::forwarding {

/// Crossing 3: one thread writes, any thread reads.
///
/// Memory order: relaxed. The value alone matters; it is monotonic and never used to infer that
/// other memory is ready. A plain load-add-store (no lock prefix) is enough with one writer.
class Counter {
public:
    void add(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    std::uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

static_assert(sizeof(Counter) == 8);

}  // namespace nlvs::forwarding
