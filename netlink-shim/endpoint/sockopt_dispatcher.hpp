#pragma once

#include "compat/ipvs/control.hpp"
#include "compat/ipvs_sockopt/layout.hpp"
#include "netlink-shim/endpoint/sockopt_server.hpp"

#include <cstdint>

namespace nlvs::shim {

/// The old get/setsockopt interface over ipvs::Control: one call in, errno and bytes out. No I/O.
/// Linux: ip_vs_ctl.c do_ip_vs_set_ctl, do_ip_vs_get_ctl.
/// Thread: control.
class SockoptDispatcher {
public:
    explicit SockoptDispatcher(ipvs::Control& control) noexcept : control_{control} {}

    SockoptResult operator()(const SockoptCall& call) { return handle(call); }

    SockoptResult handle(const SockoptCall& call);

private:
    using Bytes = std::span<const std::byte>;

    ipvs::Result<void> set(std::uint32_t option, Bytes argument);
    bool has_service(const ipvs::ServiceKey& key, const ip_vs_service_user& named) const;
    ipvs::Result<void> set_service(std::uint32_t option, Bytes argument);
    ipvs::Result<std::vector<std::byte>> get(const SockoptCall& call) const;
    ipvs::Result<std::vector<std::byte>> get_services(const SockoptCall& call) const;
    ipvs::Result<std::vector<std::byte>> get_service(Bytes argument) const;
    ipvs::Result<std::vector<std::byte>> get_destinations(const SockoptCall& call) const;

    ipvs::Control& control_;
};

}  // namespace nlvs::shim
