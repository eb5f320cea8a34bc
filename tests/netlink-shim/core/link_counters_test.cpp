#include "netlink-shim/core/link_counters.hpp"

#include <boost/test/unit_test.hpp>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <string>
#include <vector>

namespace nlvs::shim {
namespace {

constexpr LinkCounters nic{7, 0, 1000, 64000, 3, 4, 900, 57600, 5};

void append(std::string& bytes, const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    bytes.resize((bytes.size() + 3) / 4 * 4);
}

template <class Statistics>
std::string attribute(unsigned short type, const Statistics& statistics) {
    std::string bytes;
    const rtattr header{RTA_LENGTH(sizeof(statistics)), type};
    append(bytes, &header, sizeof(header));
    append(bytes, &statistics, sizeof(statistics));
    return bytes;
}

/// About that interface, with figures that the kernel would never have.
std::string link_message(int interface, std::uint16_t type = RTM_NEWLINK) {
    rtnl_link_stats64 wide;
    rtnl_link_stats narrow;
    std::memset(&wide, 0x11, sizeof(wide));
    std::memset(&narrow, 0x11, sizeof(narrow));
    ifinfomsg link{};
    link.ifi_index = interface;
    const rtattr name{RTA_LENGTH(4), IFLA_IFNAME};

    std::string body;
    append(body, &link, sizeof(link));
    append(body, &name, sizeof(name));
    append(body, "dp0", 4);
    body += attribute(IFLA_STATS64, wide) + attribute(IFLA_STATS, narrow);
    const nlmsghdr header{static_cast<std::uint32_t>(NLMSG_HDRLEN + body.size()), type, 0, 1, 2};
    std::string message;
    append(message, &header, sizeof(header));
    return message + body;
}

/// The statistics of the message at `offset`.
template <class Statistics>
Statistics statistics_at(const std::string& bytes, std::size_t offset, unsigned short type) {
    Statistics result{};
    const char* at = bytes.data() + offset + NLMSG_LENGTH(sizeof(ifinfomsg));
    for (;;) {
        rtattr attribute;
        std::memcpy(&attribute, at, sizeof(attribute));
        if (attribute.rta_type == type) {
            std::memcpy(&result, at + RTA_LENGTH(0), sizeof(result));
            return result;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(link_counters)

BOOST_AUTO_TEST_CASE(a_shadow_interface_shows_what_its_nic_counted) {
    std::string bytes = link_message(7);
    amend_links(bytes.data(), bytes.size(), &nic, 1);

    const auto wide = statistics_at<rtnl_link_stats64>(bytes, 0, IFLA_STATS64);
    BOOST_TEST(wide.rx_packets == 1000U);
    BOOST_TEST(wide.rx_bytes == 64000U);
    BOOST_TEST(wide.rx_errors == 3U);
    BOOST_TEST(wide.rx_missed_errors == 4U);
    BOOST_TEST(wide.tx_packets == 900U);
    BOOST_TEST(wide.tx_bytes == 57600U);
    BOOST_TEST(wide.tx_errors == 5U);
    BOOST_TEST(wide.multicast == 0x1111111111111111U);
    BOOST_TEST(wide.rx_dropped == 0x1111111111111111U);
    const auto narrow = statistics_at<rtnl_link_stats>(bytes, 0, IFLA_STATS);
    BOOST_TEST(narrow.rx_packets == 1000U);
    BOOST_TEST(narrow.tx_bytes == 57600U);
    BOOST_TEST(narrow.collisions == 0x11111111U);
}

BOOST_AUTO_TEST_CASE(every_message_of_a_datagram_is_looked_at_and_no_other_interface_changes) {
    const std::string other = link_message(8);
    std::string bytes = other + link_message(7) + other;
    amend_links(bytes.data(), bytes.size(), &nic, 1);
    BOOST_TEST(bytes.substr(0, other.size()) == other);
    BOOST_TEST(bytes.substr(2 * other.size()) == other);
    BOOST_TEST(
        statistics_at<rtnl_link_stats64>(bytes, other.size(), IFLA_STATS64).rx_packets == 1000U
    );
}

BOOST_AUTO_TEST_CASE(other_messages_and_nobodys_links_stay_as_they_are) {
    const std::string gone = link_message(7, RTM_DELLINK);
    std::string bytes = gone;
    amend_links(bytes.data(), bytes.size(), &nic, 1);
    BOOST_TEST(bytes == gone);
    BOOST_TEST(!begins_with_link(gone.data(), gone.size()));

    const std::string link = link_message(7);
    bytes = link;
    amend_links(bytes.data(), bytes.size(), nullptr, 0);
    BOOST_TEST(bytes == link);
    BOOST_TEST(begins_with_link(link.data(), link.size()));
    BOOST_TEST(!begins_with_link(link.data(), NLMSG_HDRLEN - 1));
}

BOOST_AUTO_TEST_CASE(cut_and_lying_messages_are_read_within_their_bounds) {
    const std::string whole = link_message(7);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        amend_links(exact.data(), exact.size(), &nic, 1);
        begins_with_link(exact.data(), exact.size());
    }
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const char value : {'\0', '\x03', '\x7f', '\xff'}) {
            std::vector<char> exact(whole.begin(), whole.end());
            exact[at] = value;
            amend_links(exact.data(), exact.size(), &nic, 1);
        }
    }
    BOOST_TEST(true);  // what is to be found, the sanitizers find
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::shim
