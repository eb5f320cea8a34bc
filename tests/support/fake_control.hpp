#pragma once

#include "compat/ipvs/control.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace nlvs::test {

/// An ipvs::Control in memory with the kernel's checks (their order included) and no data path:
/// what tests of the doors talk to. Interfaces and broadcast addresses are those of the recorded
/// sessions.
class FakeControl final : public ipvs::Control {
public:
    struct Entry {
        ipvs::Cursor number = 0;
        ipvs::ServiceView view;
        std::deque<std::pair<ipvs::Cursor, ipvs::DestinationView>> destinations;
    };

    ipvs::Result<void> add_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec)
        override;
    ipvs::Result<void> edit_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec)
        override;
    ipvs::Result<void> remove_service(const ipvs::ServiceKey& key) override;
    ipvs::Result<ipvs::ServiceView> find_service(const ipvs::ServiceKey& key) const override;
    bool has_service(const ipvs::ServiceKey& key) const override;
    ipvs::Cursor visit_services(ipvs::Cursor from, const ServiceVisitor& visitor) const override;
    std::uint32_t count_services(ipvs::Family family) const override;
    ipvs::Result<void> add_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
    ) override;
    ipvs::Result<void> edit_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
    ) override;
    ipvs::Result<void> remove_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationKey& destination
    ) override;
    ipvs::Cursor visit_destinations(
        const ipvs::ServiceKey& key, ipvs::Cursor from, const DestinationVisitor& visitor
    ) const override;
    ipvs::Result<void> zero(const std::optional<ipvs::ServiceKey>& key) override;

    void flush() override { services.clear(); }

    ipvs::Timeouts timeouts() const override { return current_timeouts; }

    ipvs::Result<void> set_timeouts(const ipvs::Timeouts& timeouts) override;
    bool mixes_families() const override;
    ipvs::Result<void> start_daemon(const ipvs::SyncDaemonConfig& config) override;
    ipvs::Result<void> stop_daemon(std::uint32_t state) override;

    std::vector<ipvs::SyncDaemonConfig> daemons() const override { return running; }

    ipvs::Information information() const override { return {}; }

    ipvs::Statistics totals() const override { return {}; }

    std::vector<Entry> services;
    std::vector<ipvs::SyncDaemonConfig> running;
    ipvs::Timeouts current_timeouts;
    /// What zero() was called with, in order.
    std::vector<std::optional<ipvs::ServiceKey>> zeroed;

private:
    Entry* find(const ipvs::ServiceKey& key);
    const Entry* find(const ipvs::ServiceKey& key) const;
    ipvs::Result<void> check(const Entry& service, const ipvs::DestinationSpec& spec) const;

    ipvs::Cursor next_number_ = 1;
};

}  // namespace nlvs::test
