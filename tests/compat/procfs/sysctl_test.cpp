#include "compat/procfs/sysctl.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;

BOOST_AUTO_TEST_SUITE(sysctl)

BOOST_AUTO_TEST_CASE(defaults_read_as_in_linux) {
    const struct {
        const char* name;
        const char* expected;
    } rows[]{
        {"amemthresh", "1024\n"},
        {"am_droprate", "10\n"},
        {"snat_reroute", "1\n"},
        {"sync_version", "1\n"},
        {"sync_ports", "1\n"},
        {"sync_threshold", "3\t50\n"},
        {"pmtu_disc", "1\n"},
        {"conn_reuse_mode", "1\n"},
        {"run_estimation", "1\n"},
        {"lblc_expiration", "86400\n"},
        {"drop_entry", "0\n"},
        {"expire_nodest_conn", "0\n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto* file = procfs::find_sysctl(row.name);
            BOOST_TEST_REQUIRE(file != nullptr);
            BOOST_TEST(procfs::read(*file, {}) == row.expected);
        }
    }
    BOOST_TEST(procfs::find_sysctl("debug_level") == nullptr);
    BOOST_TEST(procfs::sysctls().size() == 29U);
}

// Each row was asked of Linux 6.1 too.
BOOST_AUTO_TEST_CASE(writing_accepts_and_refuses_what_linux_does) {
    const std::string refused;

    const struct {
        const char* name;
        std::string written;
        std::string then;  ///< what the file reads afterwards; empty: refused, unchanged
    } rows[]{
        {"cache_bypass", "5 6\n", "5\n"},
        {"cache_bypass", "0x10", "16\n"},
        {"cache_bypass", "0x", refused},
        {"cache_bypass", "010\n", "8\n"},
        {"cache_bypass", "08\n", refused},
        {"cache_bypass", "\n", refused},
        {"cache_bypass", "", refused},
        {"cache_bypass", "  7  \n", "7\n"},
        {"cache_bypass", "7x", refused},
        {"cache_bypass", "+7", refused},
        {"cache_bypass", "-7", "-7\n"},
        {"cache_bypass", "-", refused},
        {"cache_bypass", "2147483648", refused},
        {"cache_bypass", "-2147483648", "-2147483648\n"},
        {"cache_bypass", "99999999999999999999999999", refused},
        {"cache_bypass", "000000000000000000005", refused},
        {"cache_bypass", "00000000000000000005", "5\n"},
        {"cache_bypass", std::string{"3\0", 2}, refused},
        {"cache_bypass", "4\v", refused},
        {"drop_entry", "3", "3\n"},
        {"drop_entry", "2", "1\n"},
        {"secure_tcp", "2", "1\n"},
        {"sync_retries", "2", "2\n"},
        {"drop_entry", "4", refused},
        {"drop_packet", "-1", refused},
        {"secure_tcp", "4", refused},
        {"sync_version", "2", refused},
        {"sync_version", "0", "0\n"},
        {"sync_ports", "3", refused},
        {"sync_ports", "0", refused},
        {"sync_ports", "128", "128\n"},
        {"sync_ports", "-2147483648", refused},
        {"sync_threshold", "5", "5\t50\n"},
        {"sync_threshold", "5 60", "5\t60\n"},
        {"sync_threshold", "5 5", refused},
        {"sync_threshold", "7 0", "7\t0\n"},
        {"sync_threshold", "-1 5", refused},
        {"sync_threshold", "6 70 80", "6\t70\n"},
        {"sync_threshold", "4\t40\n", "4\t40\n"},
        {"sync_threshold", "9\n8\n", refused},
        {"sync_refresh_period", "8589934", "8589934\n"},
        {"sync_refresh_period", "8589935", refused},
        {"sync_refresh_period", "-1", "-1\n"},
        {"sync_retries", "4", refused},
        {"sync_qlen_max", "-5", refused},
        {"sync_qlen_max", "18446744073709551615", "18446744073709551615\n"},
        {"sync_qlen_max", "18446744073709551616", refused},
        {"sync_qlen_max", "78 79", "78\n"},
        {"sync_qlen_max", "abc", refused},
        {"sync_sock_size", "-1", "-1\n"},
        {"lblc_expiration", "-1", "-1\n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name << " \"" << row.written << '"') {
            const auto* file = procfs::find_sysctl(row.name);
            BOOST_TEST_REQUIRE(file != nullptr);
            ipvs::Sysctls values;
            const std::string before = procfs::read(*file, values);
            const auto result = procfs::write(*file, row.written, values);
            BOOST_TEST(result.has_value() == !row.then.empty());
            const std::string& expected = row.then.empty() ? before : row.then;
            BOOST_TEST(procfs::read(*file, values) == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_bad_second_threshold_is_an_error_that_keeps_the_first) {
    ipvs::Sysctls values;
    const auto* file = procfs::find_sysctl("sync_threshold");
    BOOST_TEST(!procfs::write(*file, "4 abc", values).has_value());
    BOOST_TEST(procfs::read(*file, values) == "4\t50\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
