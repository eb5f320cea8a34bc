#pragma once

#include "compat/ipvs/connection.hpp"

#include <string>
#include <string_view>

namespace nlvs::procfs {

// /proc/net/ip_vs_conn and /proc/net/ip_vs_conn_sync, appended line by line after the header.
// Linux: ip_vs_conn.c ip_vs_conn_seq_show, ip_vs_conn_sync_seq_show.

inline constexpr std::string_view connections_header =
    "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";
inline constexpr std::string_view synced_connections_header =
    "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n";

void append_connection(std::string& out, const ipvs::ConnectionView& connection);
void append_synced_connection(std::string& out, const ipvs::ConnectionView& connection);

}  // namespace nlvs::procfs
