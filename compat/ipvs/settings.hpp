#pragma once

#include <cstdint>
#include <string>

#include "compat/net/ip_address.hpp"

namespace nlvs::ipvs {

/// SET_CONFIG/GET_CONFIG, seconds. In a request 0 means "keep".
struct Timeouts {
    std::uint32_t tcp = 900;
    std::uint32_t tcp_fin = 120;
    std::uint32_t udp = 300;

    friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

/// One sync daemon as commanded and listed. Zero means "default" in a request.
struct SyncDaemonConfig {
    std::uint32_t state = 0;  ///< 1 master, 2 backup; other values reach the registry's check
    std::string interface;
    std::uint32_t sync_id = 0;
    std::uint16_t max_length = 0;
    net::IpAddress group;  ///< any-address = default 224.0.0.81
    std::uint16_t port = 0;
    std::uint8_t ttl = 0;

    friend bool operator==(const SyncDaemonConfig&, const SyncDaemonConfig&) = default;
};

/// /proc/sys/net/ipv4/vs/*: names and defaults of Linux 6.1 (spec section 8). Values are plain
/// data; ranges are enforced by compat/procfs/sysctl.
struct Sysctls {
    std::int32_t amemthresh = 1024;
    std::int32_t am_droprate = 10;
    std::int32_t drop_entry = 0;
    std::int32_t drop_packet = 0;
    std::int32_t conntrack = 0;
    std::int32_t secure_tcp = 0;
    std::int32_t snat_reroute = 1;
    std::int32_t sync_version = 1;
    std::int32_t sync_ports = 1;
    std::int32_t sync_persist_mode = 0;
    std::uint64_t sync_qlen_max = 0;
    std::int32_t sync_sock_size = 0;
    std::int32_t cache_bypass = 0;
    std::int32_t expire_nodest_conn = 0;
    std::int32_t sloppy_tcp = 0;
    std::int32_t sloppy_sctp = 0;
    std::int32_t expire_quiescent_template = 0;
    std::int32_t sync_threshold = 3;
    std::int32_t sync_period = 50;
    std::int32_t sync_refresh_period = 0;
    std::int32_t sync_retries = 0;
    std::int32_t nat_icmp_send = 0;
    std::int32_t pmtu_disc = 1;
    std::int32_t backup_only = 0;
    std::int32_t conn_reuse_mode = 1;
    std::int32_t schedule_icmp = 0;
    std::int32_t ignore_tunneled = 0;
    std::int32_t run_estimation = 1;
    std::int32_t lblc_expiration = 86400;
    std::int32_t lblcr_expiration = 86400;
};

/// GET_INFO. Linux: IP_VS_VERSION_CODE 1.2.1, ip_vs_conn_tab_size.
struct Information {
    std::uint32_t version = 0x010201;
    std::uint32_t connection_table_size = 4096;
};

}  // namespace nlvs::ipvs
