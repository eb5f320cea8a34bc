#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"

#include <string>

namespace nlvs::procfs {

// /proc/net/ip_vs, appended entry by entry: the header, then every service followed by its
// destinations; services of addresses before those of firewall marks.
// Linux: ip_vs_ctl.c ip_vs_info_seq_show.

/// "IP Virtual Server version 1.2.1 (size=4096)", as GET_VERSION of the sockopt door says too.
std::string version_text(const ipvs::Information& information);

void append_services_header(std::string& out, const ipvs::Information& information);
void append_service(std::string& out, const ipvs::ServiceView& service);
void append_destination(std::string& out, const ipvs::DestinationView& destination);

}  // namespace nlvs::procfs
