#include "netlink-shim/core/rules.hpp"

#include <cstring>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <linux/genetlink.h>
#include <linux/netlink.h>

namespace {

using namespace nlvs::shim;

using Bytes = std::vector<unsigned char>;

Bytes message(std::uint16_t type, std::uint16_t flags, const Bytes& payload) {
    Bytes result(NLMSG_HDRLEN);
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + payload.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(result.data(), &header, sizeof(header));
    result.insert(result.end(), payload.begin(), payload.end());
    result.resize(NLMSG_ALIGN(result.size()));
    return result;
}

Bytes command(std::uint8_t number, const Bytes& attributes = {}) {
    Bytes result = {number, 1, 0, 0};
    result.insert(result.end(), attributes.begin(), attributes.end());
    return result;
}

Bytes attribute(std::uint16_t type, const std::string& payload) {
    const nlattr header = {static_cast<std::uint16_t>(NLA_HDRLEN + payload.size()), type};
    Bytes result(NLA_ALIGN(std::size_t{header.nla_len}));
    std::memcpy(result.data(), &header, sizeof(header));
    std::memcpy(result.data() + NLA_HDRLEN, payload.data(), payload.size());
    return result;
}

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

std::string text(const char* name) {
    return {name, std::strlen(name) + 1};
}

std::string family_id(std::uint16_t id) {
    return {reinterpret_cast<const char*>(&id), sizeof(id)};
}

struct Parts {
    explicit Parts(Bytes bytes, std::size_t part_size = SIZE_MAX) : storage(std::move(bytes)) {
        for (std::size_t at = 0; at < storage.size(); at += part_size) {
            parts.push_back({storage.data() + at, std::min(part_size, storage.size() - at)});
            if (part_size == SIZE_MAX) break;
        }
    }

    ScatteredBytes view() const { return {parts.data(), parts.size()}; }

    Bytes storage;
    std::vector<iovec> parts;
};

Recipient recipient(const Bytes& bytes) {
    return recipient_of(Parts(bytes).view(), 0);
}

constexpr std::uint8_t get_family = CTRL_CMD_GETFAMILY;
constexpr std::uint8_t get_info = 15;

}  // namespace

BOOST_AUTO_TEST_SUITE(rules_test)

BOOST_AUTO_TEST_CASE(only_messages_that_concern_ipvs_go_to_the_daemon) {
    const Bytes other = attribute(CTRL_ATTR_FAMILY_NAME, text("nl80211"));
    const Bytes ours = attribute(CTRL_ATTR_FAMILY_NAME, text("IPVS"));

    const struct {
        const char* name;
        Bytes bytes;
        Recipient expected;
    } rows[] = {
        {"our family", message(ipvs_family_id, NLM_F_ACK, command(get_info)), Recipient::daemon},
        {"our family without payload", message(ipvs_family_id, 0, {}), Recipient::daemon},
        {"sockopt", message(sockopt_message_type, 0, {}), Recipient::daemon},
        {"another family", message(0x1b, 0, command(get_info)), Recipient::kernel},
        {"resolve IPVS", message(GENL_ID_CTRL, 0, command(get_family, ours)), Recipient::daemon},
        {"resolve another",
         message(GENL_ID_CTRL, 0, command(get_family, other)),
         Recipient::kernel},
        {"second attribute",
         message(GENL_ID_CTRL, 0, command(get_family, attribute(99, "x") + ours)),
         Recipient::daemon},
        {"name without NUL",
         message(GENL_ID_CTRL, 0, command(get_family, attribute(CTRL_ATTR_FAMILY_NAME, "IPVS"))),
         Recipient::daemon},
        {"longer name",
         message(
             GENL_ID_CTRL, 0, command(get_family, attribute(CTRL_ATTR_FAMILY_NAME, text("IPVS2")))
         ),
         Recipient::kernel},
        {"our id",
         message(
             GENL_ID_CTRL,
             0,
             command(get_family, attribute(CTRL_ATTR_FAMILY_ID, family_id(ipvs_family_id)))
         ),
         Recipient::daemon},
        {"other id",
         message(
             GENL_ID_CTRL, 0, command(get_family, attribute(CTRL_ATTR_FAMILY_ID, family_id(0x10)))
         ),
         Recipient::kernel},
        {"all families",
         message(GENL_ID_CTRL, NLM_F_DUMP, command(get_family)),
         Recipient::daemon_preferred},
        {"half a dump", message(GENL_ID_CTRL, NLM_F_ROOT, command(get_family)), Recipient::kernel},
        {"policy of IPVS",
         message(GENL_ID_CTRL, NLM_F_DUMP, command(CTRL_CMD_GETPOLICY, ours)),
         Recipient::daemon},
        {"another controller command",
         message(GENL_ID_CTRL, 0, command(CTRL_CMD_NEWOPS, ours)),
         Recipient::kernel},
        {"keepalived before it resolved",
         message(0, NLM_F_ACK, command(get_info)),
         Recipient::kernel},
        {"keepalived after it failed",
         message(0xfff4, NLM_F_ACK, command(get_info)),
         Recipient::kernel},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST((recipient(row.bytes) == row.expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(no_prefix_of_a_request_is_misread) {
    const Bytes whole = message(
        GENL_ID_CTRL, 0, command(get_family, attribute(CTRL_ATTR_FAMILY_NAME, text("IPVS")))
    );
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // On the heap at its exact size, for the address sanitizer.
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        const bool complete = size >= NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN + 5;
        BOOST_TEST((recipient(cut) == Recipient::daemon) == complete);
    }
}

BOOST_AUTO_TEST_CASE(hostile_attribute_lengths_end_the_search) {
    for (const unsigned length : {0U, 1U, 3U, 4U, 0xffffU}) {
        Bytes bad = attribute(CTRL_ATTR_FAMILY_NAME, text("IPVS"));
        bad[0] = static_cast<unsigned char>(length);
        bad[1] = static_cast<unsigned char>(length >> 8);
        BOOST_TEST(
            (recipient(message(GENL_ID_CTRL, 0, command(get_family, bad))) == Recipient::kernel)
        );
    }
}

BOOST_AUTO_TEST_CASE(the_way_a_message_is_scattered_does_not_matter) {
    const Bytes whole = message(
        GENL_ID_CTRL, 0, command(get_family, attribute(CTRL_ATTR_FAMILY_NAME, text("IPVS")))
    );
    for (std::size_t part = 1; part <= whole.size(); ++part) {
        const Parts parts(whole, part);
        BOOST_TEST((recipient_of(parts.view(), 0) == Recipient::daemon));
    }
}

BOOST_AUTO_TEST_CASE(a_mixed_datagram_falls_into_runs) {
    const Bytes ours = message(ipvs_family_id, 0, command(get_info, {1, 2, 3}));
    const Bytes other = message(0x1b, 0, command(1));
    const Parts parts(ours + ours + other + ours + Bytes(8), 7);
    const ScatteredBytes bytes = parts.view();

    const struct {
        std::size_t length;
        Recipient recipient;
    } expected[] = {
        {2 * ours.size(), Recipient::daemon},
        {other.size(), Recipient::kernel},
        {ours.size() + 8, Recipient::daemon},
    };

    std::size_t offset = 0;
    for (const auto& row : expected) {
        const Run run = next_run(bytes, offset);
        BOOST_TEST(run.length == row.length);
        BOOST_TEST((run.recipient == row.recipient));
        std::vector<iovec> slice(64);
        const std::size_t count = bytes.slice(offset, run.length, slice.data(), slice.size());
        Bytes copy(run.length);
        BOOST_TEST(
            ScatteredBytes(slice.data(), count).copy(0, copy.data(), copy.size()) == run.length
        );
        BOOST_TEST(std::memcmp(copy.data(), parts.storage.data() + offset, run.length) == 0);
        offset += run.length;
    }
    BOOST_TEST(offset == bytes.size());
    iovec too_few[2];
    BOOST_TEST(bytes.slice(0, 20, too_few, 2) == 0U);
}

BOOST_AUTO_TEST_CASE(what_no_family_can_have_stays_behind_what_is_ours) {
    const Bytes ours = message(ipvs_family_id, 0, command(get_info));

    const struct {
        const char* name;
        std::uint16_t type;
        bool stays;
    } rows[] = {
        {"a control message", NLMSG_NOOP, true},
        {"beyond all families", GENL_MAX_ID + 1, true},
        {"keepalived's mistake", 0xFFF4, true},
        {"a family's", 0x1b, false},
        {"the last family's", GENL_MAX_ID, false},
        {"a flush", flush_message_type, false},
        {"options", options_message_type, false},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Bytes other = message(row.type, 0, {});
            const Parts after(ours + other);
            const std::size_t whole = ours.size() + other.size();
            BOOST_TEST(next_run(after.view(), 0).length == (row.stays ? whole : ours.size()));
            const Parts before(other + ours);
            BOOST_TEST(next_run(before.view(), 0).length == other.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_length_that_lies_ends_the_datagram) {
    const Bytes ours = message(ipvs_family_id, 0, command(get_info));
    for (const std::uint32_t length : {0U, 15U, 21U, 0xffffffffU}) {
        Bytes liar = ours;
        std::memcpy(liar.data(), &length, sizeof(length));
        const Parts parts(ours + liar);
        BOOST_TEST(next_run(parts.view(), 0).length == parts.storage.size());
    }
}

BOOST_AUTO_TEST_CASE(only_the_version_comes_with_its_length) {
    BOOST_TEST(reports_length(1152));
    for (int option = 1153; option < 1160; ++option) BOOST_TEST(!reports_length(option));
}

BOOST_AUTO_TEST_CASE(socket_options_of_ipvs_and_no_others) {
    BOOST_TEST(is_ipvs_socket_option(0, 1152));
    BOOST_TEST(is_ipvs_socket_option(0, 1167));
    BOOST_TEST(!is_ipvs_socket_option(0, 1151));
    BOOST_TEST(!is_ipvs_socket_option(0, 1168));
    BOOST_TEST(!is_ipvs_socket_option(0, 64));
    BOOST_TEST(!is_ipvs_socket_option(1, 1152));
}

BOOST_AUTO_TEST_CASE(paths_of_ipvs_and_no_others) {
    const struct {
        const char* path;
        const char* remainder;
    } rows[] = {
        {"/proc/net/ip_vs", "/net/ip_vs"},
        {"/proc/net/ip_vs_conn", "/net/ip_vs_conn"},
        {"//proc/./net//ip_vs_stats", "/net/ip_vs_stats"},
        {"/proc/self/net/ip_vs", "/net/ip_vs"},
        {"/proc/thread-self/net/ip_vs", "/net/ip_vs"},
        {"/proc/sys/net/ipv4/vs", "/sys/net/ipv4/vs"},
        {"/proc/sys/net/ipv4/vs/", "/sys/net/ipv4/vs/"},
        {"/proc/sys/net/ipv4/vs/.", "/sys/net/ipv4/vs/"},
        {"/proc/sys/net/ipv4/conf/all/../../vs/conntrack", "/sys/net/ipv4/vs/conntrack"},
        {"/proc/sys/net/ipv4/vs/../vs", "/sys/net/ipv4/vs"},
        {"/proc/net/../net/ip_vs", "/net/ip_vs"},
        {"/proc/self/net/../../net/ip_vs", "/net/ip_vs"},
        {"/proc/sys/../net/ip_vs", "/net/ip_vs"},
        {"/proc/net/ip_vs/", "/net/ip_vs/"},
        {"/proc/net/ip_vs/x", "/net/ip_vs/x"},
        {"/proc/net/ip_vs/..", ""},
        {"/proc/self/cwd/../net/ip_vs", ""},
        {"/tmp/link/../proc/net/ip_vs", ""},
        {"/../proc/net/ip_vs", ""},
        {"/proc/sys/net/ipv4/vs/conntrack", "/sys/net/ipv4/vs/conntrack"},
        {"/proc/sys/net/ipv4/vsx", ""},
        {"/proc/sys/net/ipv4/vs/../tcp_rmem", ""},
        {"/proc/net/ip_v", ""},
        {"/proc/net/tcp", ""},
        {"/proc/self/sys/net/ipv4/vs", ""},
        {"/procnet/ip_vs", ""},
        {"/x/proc/net/ip_vs", ""},
        {"proc/net/ip_vs", ""},
        {"/proc", ""},
        {"/", ""},
        {"", ""},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.path) {
            char remainder[64] = "";
            const std::size_t length = daemon_path(row.path, remainder, sizeof(remainder));
            BOOST_TEST(length == std::strlen(row.remainder));
            if (length > 0) BOOST_TEST(std::string(remainder) == row.remainder);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_way_out_of_our_directory_is_the_kernels) {
    const struct {
        const char* path;
        const char* out;
    } rows[] = {
        {"/proc/sys/net/ipv4/vs/..", "/proc/sys/net/ipv4"},
        {"/proc/sys/net/ipv4/vs/../", "/proc/sys/net/ipv4/"},
        {"/proc/sys/net/ipv4/vs/../tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem"},
        {"/proc/sys/net/ipv4/vs/../../../kernel", "/proc/sys/kernel"},
        {"/proc/sys/net/ipv4/conf/..", ""},
        {"/proc/sys/net/ipv4/vs", ""},
        {"../vs", ""},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.path) {
            char out[64] = "";
            BOOST_TEST(way_out(row.path, out, sizeof(out)) == std::strlen(row.out));
            BOOST_TEST(std::string(out) == row.out);
        }
    }
}

BOOST_AUTO_TEST_CASE(paths_of_other_processes_are_for_callers_who_can_tell_them) {
    char remainder[64];
    std::uint32_t process = 0;
    BOOST_TEST(daemon_path("/proc/4711/net/ip_vs", remainder, sizeof(remainder), &process) == 10U);
    BOOST_TEST(process == 4711U);
    BOOST_TEST(std::string(remainder) == "/net/ip_vs");
    BOOST_TEST(daemon_path("/proc/4711/net/ip_vs", remainder, sizeof(remainder)) == 0U);
    BOOST_TEST(daemon_path("/proc/self/net/ip_vs", remainder, sizeof(remainder), &process) == 10U);
    BOOST_TEST(process == 0U);
    for (const char* path : {"/proc/4711/ip_vs", "/proc/47x/net/ip_vs", "/proc//4/x/net/ip_vs"}) {
        BOOST_TEST(daemon_path(path, remainder, sizeof(remainder), &process) == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_path_that_does_not_fit_is_not_ours) {
    char remainder[11];
    BOOST_TEST(daemon_path("/proc/net/ip_vs", remainder, 11) == 10U);
    BOOST_TEST(daemon_path("/proc/net/ip_vs", remainder, 10) == 0U);
    const std::string longest = "/proc/sys/net/ipv4/vs/" + std::string(4096, 'x');
    BOOST_TEST(daemon_path(longest.c_str(), remainder, sizeof(remainder)) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
