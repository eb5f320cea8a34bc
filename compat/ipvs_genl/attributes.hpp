#pragma once

// The attribute tables of the IPVS family, in the order of Linux net/netfilter/ipvs/ip_vs_ctl.c
// (ip_vs_cmd_policy, ip_vs_daemon_policy, ip_vs_svc_policy, ip_vs_dest_policy). Numbers come from
// <linux/ip_vs.h>.

#include "compat/netlink/policy.hpp"

#include <linux/ip_vs.h>

namespace nlvs::ipvs_genl {

using netlink::Kind;
using netlink::Policy;

inline constexpr Policy<IPVS_CMD_ATTR_MAX> command_policy{
    {IPVS_CMD_ATTR_SERVICE, Kind::nested},
    {IPVS_CMD_ATTR_DEST, Kind::nested},
    {IPVS_CMD_ATTR_DAEMON, Kind::nested},
    {IPVS_CMD_ATTR_TIMEOUT_TCP, Kind::u32},
    {IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, Kind::u32},
    {IPVS_CMD_ATTR_TIMEOUT_UDP, Kind::u32},
};

inline constexpr Policy<IPVS_DAEMON_ATTR_MAX> daemon_policy{
    {IPVS_DAEMON_ATTR_STATE, Kind::u32},
    {IPVS_DAEMON_ATTR_MCAST_IFN, Kind::string, IP_VS_IFNAME_MAXLEN - 1},
    {IPVS_DAEMON_ATTR_SYNC_ID, Kind::u32},
    {IPVS_DAEMON_ATTR_SYNC_MAXLEN, Kind::u16},
    {IPVS_DAEMON_ATTR_MCAST_GROUP, Kind::u32},
    {IPVS_DAEMON_ATTR_MCAST_GROUP6, Kind::fixed, 16},
    {IPVS_DAEMON_ATTR_MCAST_PORT, Kind::u16},
    {IPVS_DAEMON_ATTR_MCAST_TTL, Kind::u8},
};

inline constexpr Policy<IPVS_SVC_ATTR_MAX> service_policy{
    {IPVS_SVC_ATTR_AF, Kind::u16},
    {IPVS_SVC_ATTR_PROTOCOL, Kind::u16},
    {IPVS_SVC_ATTR_ADDR, Kind::binary, 16},
    {IPVS_SVC_ATTR_PORT, Kind::u16},
    {IPVS_SVC_ATTR_FWMARK, Kind::u32},
    {IPVS_SVC_ATTR_SCHED_NAME, Kind::string, IP_VS_SCHEDNAME_MAXLEN - 1},
    {IPVS_SVC_ATTR_PE_NAME, Kind::string, IP_VS_PENAME_MAXLEN},
    {IPVS_SVC_ATTR_FLAGS, Kind::binary, sizeof(ip_vs_flags)},
    {IPVS_SVC_ATTR_TIMEOUT, Kind::u32},
    {IPVS_SVC_ATTR_NETMASK, Kind::u32},
    {IPVS_SVC_ATTR_STATS, Kind::nested},
};

inline constexpr Policy<IPVS_DEST_ATTR_MAX> destination_policy{
    {IPVS_DEST_ATTR_ADDR, Kind::binary, 16},
    {IPVS_DEST_ATTR_PORT, Kind::u16},
    {IPVS_DEST_ATTR_FWD_METHOD, Kind::u32},
    {IPVS_DEST_ATTR_WEIGHT, Kind::u32},
    {IPVS_DEST_ATTR_U_THRESH, Kind::u32},
    {IPVS_DEST_ATTR_L_THRESH, Kind::u32},
    {IPVS_DEST_ATTR_ACTIVE_CONNS, Kind::u32},
    {IPVS_DEST_ATTR_INACT_CONNS, Kind::u32},
    {IPVS_DEST_ATTR_PERSIST_CONNS, Kind::u32},
    {IPVS_DEST_ATTR_STATS, Kind::nested},
    {IPVS_DEST_ATTR_ADDR_FAMILY, Kind::u16},
    {IPVS_DEST_ATTR_TUN_TYPE, Kind::u8},
    {IPVS_DEST_ATTR_TUN_PORT, Kind::u16},
    {IPVS_DEST_ATTR_TUN_FLAGS, Kind::u16},
};

}  // namespace nlvs::ipvs_genl
