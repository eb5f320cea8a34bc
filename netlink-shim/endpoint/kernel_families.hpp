#pragma once

#include "netlink-shim/endpoint/message_handler.hpp"

#include <vector>

namespace nlvs::shim {

/// The kernel's own list of generic netlink families, each datagram as the kernel packed it but
/// with `sequence` and `port` of the client who asked, without the closing DONE and without an
/// entry for IPVS (ip_vs may be loaded; here it is not the one that serves). Empty if the kernel
/// does not answer. Does not wait: the kernel answers a dump while it is read.
std::vector<Datagram> kernel_families(std::uint32_t sequence, std::uint32_t port);

}  // namespace nlvs::shim
