#pragma once

#include "compat/netlink/operation.hpp"

#include <array>
#include <cstdint>

#include <linux/genetlink.h>
#include <linux/ip_vs.h>

namespace nlvs::ipvs_genl {

/// The commands of the family in the order in which nlctrl lists them. SET_INFO exists as a reply
/// only. Linux: ip_vs_ctl.c ip_vs_genl_ops.
inline constexpr auto operations = [] {
    constexpr std::uint32_t does = GENL_ADMIN_PERM | GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL;
    constexpr std::uint32_t dumps = GENL_ADMIN_PERM | GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL;
    return std::array<netlink::Operation, 16>{{
        {IPVS_CMD_NEW_SERVICE, does},
        {IPVS_CMD_SET_SERVICE, does},
        {IPVS_CMD_DEL_SERVICE, does},
        {IPVS_CMD_GET_SERVICE, does | dumps},
        {IPVS_CMD_NEW_DEST, does},
        {IPVS_CMD_SET_DEST, does},
        {IPVS_CMD_DEL_DEST, does},
        {IPVS_CMD_GET_DEST, dumps},
        {IPVS_CMD_NEW_DAEMON, does},
        {IPVS_CMD_DEL_DAEMON, does},
        {IPVS_CMD_GET_DAEMON, dumps},
        {IPVS_CMD_SET_CONFIG, does},
        {IPVS_CMD_GET_CONFIG, does},
        {IPVS_CMD_GET_INFO, does},
        {IPVS_CMD_ZERO, does},
        {IPVS_CMD_FLUSH, does},
    }};
}();

/// From this command on, the kernel checks the reserved field and the message flags.
/// Linux: ip_vs_ctl.c ip_vs_genl_family.resv_start_op.
inline constexpr std::uint8_t first_strict_command = IPVS_CMD_FLUSH + 1;

}  // namespace nlvs::ipvs_genl
