#include "daemon/link_files.hpp"

#include <boost/test/unit_test.hpp>

namespace nlvs::daemon {

BOOST_AUTO_TEST_SUITE(link_files_test)

// Recorded on Linux 6.18.
constexpr std::string_view head =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
    "colls carrier compressed\n";
constexpr std::string_view loopback =
    "    lo: 1150681    1552    0    0    0     0          0         0  1150681    1552    0    0    "
    "0     0       0          0\n";

BOOST_AUTO_TEST_CASE(the_rows_of_shadows_get_the_figures_of_their_nics) {
    const std::string kernel =
        std::string{head} + std::string{loopback} +
        "   dp0:     420       6    0    1    0     0          0         2      210       3    0    0    "
        "0     0       0          0\n";
    const shim::LinkCounters nic{7, 0, 12345678, 987654321, 3, 4, 900, 57600, 5};
    BOOST_TEST(
        with_link_counters(kernel, {{"dp0", nic}}) ==
        std::string{head} + std::string{loopback} +
            "   dp0: 987654321 12345678    3    4    0     0          0         2    57600     900    5    "
            "0    0     0       0          0\n"
    );
}

BOOST_AUTO_TEST_CASE(what_is_nobodys_or_no_row_stays_as_the_kernel_wrote_it) {
    const std::string kernel = std::string{head} + std::string{loopback} + "dp0: 1 2\n  dp0:\nno end";
    const shim::LinkCounters nic{};
    BOOST_TEST(with_link_counters(kernel, {{"dp0", nic}, {"dp1", nic}}) == kernel);
    BOOST_TEST(with_link_counters({}, {{"dp0", nic}}).empty());
}

BOOST_AUTO_TEST_CASE(a_row_is_printed_as_the_kernel_prints_it) {
    const shim::LinkCounters same{1, 0, 1552, 1150681, 0, 0, 1552, 1150681, 0};
    BOOST_TEST(with_link_counters(loopback, {{"lo", same}}) == loopback);
}

BOOST_AUTO_TEST_CASE(a_daemon_without_ports_shows_what_the_kernel_shows) {
    const auto files = link_files(nullptr);
    std::string text;
    for (const ProcfsFile& file : files) {
        if (file.path != "/net/dev") continue;
        file.open()->next([&](std::string piece) { text = std::move(piece); });
    }
    BOOST_TEST(text.starts_with("Inter-|"));
    BOOST_TEST(text.find("lo:") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
