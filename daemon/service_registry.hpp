#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "compat/ipvs/control.hpp"
#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/error.hpp"
#include "compat/ipvs/service.hpp"
#include "daemon/destination_tracker.hpp"
#include "daemon/destination_trash.hpp"
#include "daemon/registered.hpp"
#include "forwarding/config/configuration.hpp"

namespace nlvs::daemon {

/// The authoritative services and destinations with the kernel's rules: which command is refused
/// for which reason and in which order, what an edit merges, what a re-added destination inherits.
///
/// Listings go by sequence number, services in order of creation, destinations newest first, so a
/// cursor is the number of the next entry and survives any change in between. No command costs
/// more than O(log services + destinations of the touched service).
/// Thread: control.
class ServiceRegistry {
public:
    using AddressTypeOf = std::function<AddressType(const net::IpAddress&)>;

    explicit ServiceRegistry(AddressTypeOf address_type);

    ipvs::Result<RegisteredService*> add_service(
        const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
    );
    ipvs::Result<RegisteredService*> edit_service(
        const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
    );
    /// Forgets the service; its destinations go to the trash.
    ipvs::Result<void> remove_service(const ipvs::ServiceKey& key);

    RegisteredService* find(const ipvs::ServiceKey& key) noexcept;
    const RegisteredService* find(const ipvs::ServiceKey& key) const noexcept;

    /// The service that a packet with this mark to this endpoint is for.
    /// Linux: ip_vs_ctl.c ip_vs_service_find.
    const RegisteredService* find_for(
        const ipvs::EndpointKey& endpoint, std::uint32_t mark
    ) const noexcept;

    struct AddedDestination {
        RegisteredDestination* destination = nullptr;
        Origin origin = Origin::created;
    };

    /// Whether the kernel would take the address is asked once, when it is first configured.
    enum class Address : std::uint8_t { asked, accepted_before };

    ipvs::Result<AddedDestination> add_destination(
        RegisteredService& service, const ipvs::DestinationSpec& spec,
        Address address = Address::asked
    );
    ipvs::Result<RegisteredDestination*> edit_destination(
        RegisteredService& service, const ipvs::DestinationSpec& spec
    );
    /// Moves the destination to the trash.
    void trash_destination(RegisteredService& service, RegisteredDestination& destination);
    /// Takes back an add_destination that created the entry.
    void discard_destination(RegisteredService& service, RegisteredDestination& destination);

    /// Calls visitor(const RegisteredService&) → bool in order of creation; see Control.
    template <class Visitor>
    ipvs::Cursor visit_services(ipvs::Cursor from, Visitor&& visitor) const {
        for (auto i = by_sequence_.lower_bound(from); i != by_sequence_.end(); ++i) {
            if (!visitor(*i->second)) return i->first;
        }
        return ipvs::Control::end;
    }

    std::uint32_t count(net::Family family) const noexcept;

    std::size_t size() const noexcept { return services_.size(); }

    /// Destinations whose family differs from their service's exist.
    bool has_mixed_families() const noexcept { return mixed_destinations_ > 0; }

    /// While a sync daemon runs, no new destination may differ from its service's family.
    void set_mixed_families_allowed(bool allowed) noexcept { mixed_families_allowed_ = allowed; }

    /// A service has had this scheduler; the kernel keeps its module loaded from then on.
    bool has_used_scheduler(std::string_view name) const noexcept;

    DestinationTrash& trash() noexcept { return trash_; }

private:
    void note_scheduler(std::string_view name) noexcept;
    ipvs::Result<void> check_destination(
        const RegisteredService& service, const ipvs::DestinationSpec& spec
    ) const;
    void unlink(RegisteredService& service, const RegisteredDestination& destination);

    struct KeyHash {
        std::size_t operator()(const ipvs::ServiceKey& key) const noexcept {
            return forwarding::ServiceTraits::hash(key);
        }
    };

    AddressTypeOf address_type_;
    std::unordered_map<ipvs::ServiceKey, std::unique_ptr<RegisteredService>, KeyHash> services_;
    std::map<std::uint64_t, RegisteredService*> by_sequence_;
    DestinationTrash trash_;
    std::bitset<32> used_schedulers_;  ///< by place in the list of names
    std::uint64_t next_sequence_ = 1;
    std::uint32_t services_v4_ = 0;
    std::uint32_t mixed_destinations_ = 0;
    bool mixed_families_allowed_ = true;
};

}  // namespace nlvs::daemon
