#include "daemon/own_addresses.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include <linux/rtnetlink.h>

namespace nlvs::daemon {
namespace {

struct Candidate {
    const kni::Address* address;

    bool is_host_route() const { return address->length == address->address.bits(); }

    /// Less is better; the address and its place make the order steady.
    auto rank() const {
        return std::tuple{
            is_host_route(), address->scope, address->secondary, address->address,
            address->interface, address->length};
    }
};

}  // namespace

std::unique_ptr<const forwarding::OwnAddresses> own_addresses(
    const kni::KernelState& state, const ShadowPorts& ports
) {
    std::vector<Candidate> candidates;
    for (const auto& [key, entry] : state.addresses) {
        const kni::Address& address = entry.value;
        if (address.tentative || address.scope >= RT_SCOPE_HOST ||
            !ports.has(address.interface)) {
            continue;
        }
        candidates.push_back({&address});
    }
    std::ranges::sort(candidates, {}, &Candidate::rank);
    auto result = std::make_unique<forwarding::OwnAddresses>();
    for (const Candidate& candidate : candidates) {
        const kni::Address& address = *candidate.address;
        const auto covered = [&address](const auto& entry) {
            return entry.interface == address.interface &&
                   entry.address.family() == address.address.family();
        };
        if (candidate.is_host_route() && std::ranges::any_of(result->entries, covered)) continue;
        result->entries.push_back(
            {address.interface, address.address, net::Prefix{address.address, address.length}}
        );
    }
    return result;
}

}  // namespace nlvs::daemon
