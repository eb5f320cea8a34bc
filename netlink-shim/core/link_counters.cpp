#include "netlink-shim/core/link_counters.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

namespace nlvs::shim {

namespace {

/// `Statistics`: rtnl_link_stats or rtnl_link_stats64. Short ones come from old kernels.
template <class Statistics>
void amend(char* payload, std::size_t size, const LinkCounters& counters) noexcept {
    Statistics statistics = {};
    if (size > sizeof(statistics)) size = sizeof(statistics);
    memcpy(&statistics, payload, size);
    const auto set = [](auto& field, std::uint64_t value) noexcept {
        field = static_cast<__typeof__(field + 0)>(value);
    };
    set(statistics.rx_packets, counters.received_packets);
    set(statistics.rx_bytes, counters.received_bytes);
    set(statistics.rx_errors, counters.receive_errors);
    set(statistics.rx_missed_errors, counters.missed);
    set(statistics.tx_packets, counters.transmitted_packets);
    set(statistics.tx_bytes, counters.transmitted_bytes);
    set(statistics.tx_errors, counters.transmit_errors);
    memcpy(payload, &statistics, size);
}

void amend_attributes(char* bytes, std::size_t size, const LinkCounters& counters) noexcept {
    for (std::size_t offset = 0; size - offset >= sizeof(rtattr);) {
        rtattr attribute;
        memcpy(&attribute, bytes + offset, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > size - offset) return;
        char* const payload = bytes + offset + RTA_LENGTH(0);
        const std::size_t length = attribute.rta_len - RTA_LENGTH(0);
        if (attribute.rta_type == IFLA_STATS) amend<rtnl_link_stats>(payload, length, counters);
        if (attribute.rta_type == IFLA_STATS64) amend<rtnl_link_stats64>(payload, length, counters);
        const std::size_t step = RTA_ALIGN(static_cast<std::size_t>(attribute.rta_len));
        if (step >= size - offset) return;
        offset += step;
    }
}

}  // namespace

bool begins_with_link(const void* bytes, std::size_t size) noexcept {
    nlmsghdr header;
    if (size < sizeof(header)) return false;
    memcpy(&header, bytes, sizeof(header));
    return header.nlmsg_type == RTM_NEWLINK && header.nlmsg_len >= NLMSG_LENGTH(sizeof(ifinfomsg));
}

void amend_links(
    void* bytes, std::size_t size, const LinkCounters* links, std::size_t count
) noexcept {
    constexpr std::size_t fixed = NLMSG_LENGTH(sizeof(ifinfomsg));
    char* const text = static_cast<char*>(bytes);
    for (std::size_t offset = 0; size - offset >= sizeof(nlmsghdr);) {
        nlmsghdr header;
        memcpy(&header, text + offset, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size - offset) return;
        if (header.nlmsg_type == RTM_NEWLINK && header.nlmsg_len >= fixed) {
            ifinfomsg link;
            memcpy(&link, text + offset + NLMSG_HDRLEN, sizeof(link));
            for (std::size_t i = 0; i < count; ++i) {
                if (links[i].interface == static_cast<std::uint32_t>(link.ifi_index))
                    amend_attributes(text + offset + fixed, header.nlmsg_len - fixed, links[i]);
            }
        }
        const std::size_t step = NLMSG_ALIGN(static_cast<std::size_t>(header.nlmsg_len));
        if (step >= size - offset) return;
        offset += step;
    }
}

}  // namespace nlvs::shim
