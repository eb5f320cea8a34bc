#pragma once

#include <string_view>

namespace nlvs::forwarding {

/// The Call-ID of a SIP message, by which the persistence engine "sip" tells calls apart; a view
/// into `message`, empty when there is none that ends with its line and has at most 255 bytes.
/// RFC 3261 20.8, compact form 7.3.3. Linux: ip_vs_pe_sip.c get_callid,
/// nf_conntrack_sip.c ct_sip_get_header.
std::string_view find_call_id(std::string_view message) noexcept;

}  // namespace nlvs::forwarding
