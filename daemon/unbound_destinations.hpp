#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "compat/ipvs_sync/connection.hpp"
#include "daemon/publisher.hpp"
#include "daemon/registered.hpp"

namespace nlvs::daemon {

/// Stand-ins for the destinations of another director's connections that no service here has: a
/// slot for each real server and forwarding method, so that such a connection is forwarded like
/// any other. A template that leads to one is not used (Linux: ip_vs_check_template).
/// Linux: a connection whose `dest` is NULL.
/// Thread: control.
class UnboundDestinations {
public:
    using Clock = std::chrono::steady_clock;

    explicit UnboundDestinations(Publisher& publisher) noexcept : publisher_{publisher} {}

    UnboundDestinations(const UnboundDestinations&) = delete;
    UnboundDestinations& operator=(const UnboundDestinations&) = delete;

    /// None when there are too many, or slots are exhausted.
    std::optional<forwarding::DestinationId> find_or_make(
        const ipvs_sync::Connection& connection, Clock::time_point now
    );

    /// Gives back the slots that nothing has referred to for a while.
    void scan(Clock::time_point now);

    std::size_t size() const noexcept { return entries_.size(); }

private:
    struct Key {
        ipvs::DestinationKey destination;
        std::uint32_t method;
        bool is_template;

        friend auto operator<=>(const Key&, const Key&) = default;
    };

    struct Entry {
        std::unique_ptr<RegisteredDestination> destination;
        Clock::time_point used;
    };

    /// Messages on the wire cannot fill all memory with slots.
    static constexpr std::size_t maximum = 64 * 1024;
    /// Longer than a worker can sit on a request.
    static constexpr std::chrono::seconds idle_period{60};

    Publisher& publisher_;
    std::map<Key, Entry> entries_;
};

}  // namespace nlvs::daemon
