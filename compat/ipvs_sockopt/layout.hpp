#pragma once

// The blobs of the get/setsockopt interface are the structs of <linux/ip_vs.h>; their layout is
// the same on every 64-bit architecture.

#include <cstddef>
#include <cstdint>

#include <linux/ip_vs.h>
#include <netinet/in.h>

namespace nlvs::ipvs_sockopt {

static_assert(sizeof(ip_vs_service_user) == 44 && offsetof(ip_vs_service_user, fwmark) == 12);
static_assert(sizeof(ip_vs_dest_user) == 24 && offsetof(ip_vs_dest_user, conn_flags) == 8);
static_assert(sizeof(ip_vs_stats_user) == 56 && offsetof(ip_vs_stats_user, inbytes) == 16);
static_assert(sizeof(ip_vs_service_entry) == 104 && offsetof(ip_vs_service_entry, stats) == 48);
static_assert(sizeof(ip_vs_dest_entry) == 96 && offsetof(ip_vs_dest_entry, stats) == 40);
static_assert(sizeof(ip_vs_get_services) == 8 && sizeof(ip_vs_get_dests) == 24);
static_assert(sizeof(ip_vs_getinfo) == 12 && sizeof(ip_vs_timeout_user) == 12);
static_assert(sizeof(ip_vs_daemon_user) == 24 && offsetof(ip_vs_daemon_user, syncid) == 20);

/// ADDDEST, EDITDEST, DELDEST: a service followed by a destination.
struct ServiceAndDestination {
    ip_vs_service_user service;
    ip_vs_dest_user destination;
};

static_assert(sizeof(ServiceAndDestination) == 68);

}  // namespace nlvs::ipvs_sockopt
