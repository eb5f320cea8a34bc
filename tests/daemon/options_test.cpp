#include "daemon/options.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

namespace nlvs::daemon {
namespace {

std::string message_of(std::string_view toml) {
    try {
        static_cast<void>(parse_options(toml, "nlvs.toml"));
    } catch (const OptionsError& error) {
        return error.what();
    }
    return "accepted";
}

BOOST_AUTO_TEST_SUITE(options_test)

BOOST_AUTO_TEST_CASE(an_empty_file_is_the_control_plane_alone) {
    const Options options = parse_options("", "nlvs.toml");
    BOOST_TEST(options.ports.empty());
    BOOST_TEST(options.workers == 1U);
    BOOST_TEST(!options.keep_addresses);
    BOOST_TEST(!options.run_directory.has_value());
    BOOST_TEST(!options.journal_directory.has_value());
    BOOST_TEST((options.journal_sync == JournalSync::batch));
}

BOOST_AUTO_TEST_CASE(ftp_listens_to_its_own_port_unless_told_otherwise) {
    const auto ports = [](std::string_view toml) {
        const auto options = parse_options(toml, "nlvs.toml");
        std::vector<std::uint16_t> result;
        for (std::size_t i = 0; i < options.ftp_ports.count; ++i) {
            result.push_back(options.ftp_ports.ports[i].host());
        }
        return result;
    };
    BOOST_TEST((ports("") == std::vector<std::uint16_t>{21}));
    BOOST_TEST((ports("[ftp]\nports = []\n").empty()));
    BOOST_TEST((ports("[ftp]\nports = [2121, 21]\n") == std::vector<std::uint16_t>{2121, 21}));
    BOOST_TEST(message_of("[ftp]\nports = [21, 21]\n") == "nlvs.toml:2: port 21 is there twice");
    BOOST_TEST(message_of("[ftp]\nports = [0]\n") == "nlvs.toml:2: a port must be a whole number from 1 to 65535");
    BOOST_TEST(
        message_of("[ftp]\nports = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n") ==
        "nlvs.toml:2: ports must be an array of at most 8 ports"
    );
}

BOOST_AUTO_TEST_CASE(every_key_is_read) {
    const Options options = parse_options(
        R"(
run_directory = "/run/other"
keep_addresses = true
[workers]
cpus = [2, 3]
poll = "busy"
[memory]
huge = "off"
megabytes = 256
[connections]
maximum = 1000000
[punt]
control = 1
neighbours = 4
routing = 2
health = 3
unsolicited = 6
icmp = 5
rest = 0
[journal]
directory = "/var/lib/nlvs"
sync = "always"
[log]
level = "debug"
target = "journal"
[[port]]
pci = "0000:03:00.0"
shadow = "eth0"
[[port]]
vdev = "net_tap0,iface=x"
shadow = "dp0"
[[port]]
netdev = "eth7"
shadow = "dp1"
backend = "vhost"
rss = "source"
)",
        "nlvs.toml"
    );
    BOOST_TEST_REQUIRE(options.ports.size() == 3U);
    BOOST_TEST(options.ports[0].device == "0000:03:00.0");
    BOOST_TEST(options.ports[1].device == "net_tap0,iface=x");
    BOOST_TEST(options.ports[2].device == "eth7");
    BOOST_TEST(options.ports[2].shadow == "dp1");
    BOOST_TEST((options.ports[1].backend == ShadowBackend::automatic));
    BOOST_TEST((options.ports[2].backend == ShadowBackend::vhost));
    BOOST_TEST((options.ports[1].hash == forwarding::ReceiveHash::flow));
    BOOST_TEST((options.ports[2].hash == forwarding::ReceiveHash::source));
    BOOST_TEST(options.workers == 2U);
    BOOST_TEST((options.cpus == std::vector<unsigned>{2, 3}));
    BOOST_TEST((options.poll == Options::Poll::busy));
    BOOST_TEST((options.huge_pages == Options::HugePages::off));
    BOOST_TEST(options.memory_megabytes == 256U);
    BOOST_TEST(options.maximum_connections == 1'000'000U);
    BOOST_TEST((options.punt_rates.packets_per_second == std::array<std::uint32_t, 7>{1, 4, 2, 3, 6, 5, 0}));
    BOOST_TEST((options.log_level == LogLevel::debug));
    BOOST_TEST((options.log_target == LogTarget::journal));
    BOOST_TEST(options.run_directory->string() == "/run/other");
    BOOST_TEST(options.journal_directory->string() == "/var/lib/nlvs");
    BOOST_TEST((options.journal_sync == JournalSync::always));
    BOOST_TEST(options.keep_addresses);
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_with_file_and_line) {
    const struct {
        const char* name;
        const char* toml;
        const char* message;
    } rows[] = {
        {"unknown key", "\nworker = 1\n", "nlvs.toml:2: unknown key \"worker\""},
        {"unknown table", "[worker]\ncount = 1\n", "nlvs.toml:1: unknown key \"worker\""},
        {"unknown nested key", "[workers]\nthreads = 1\n", "nlvs.toml:2: unknown key \"threads\""},
        {"unknown port key", "[[port]]\npci = \"a\"\nshadow = \"x\"\nqueue = 1\n",
         "nlvs.toml:4: unknown key \"queue\""},
        {"string for a number", "[workers]\ncount = \"2\"\n",
         "nlvs.toml:2: count must be a whole number from 1 to 64"},
        {"fraction", "[workers]\ncount = 2.0\n",
         "nlvs.toml:2: count must be a whole number from 1 to 64"},
        {"too small", "[workers]\ncount = 0\n",
         "nlvs.toml:2: count must be a whole number from 1 to 64"},
        {"number for a string", "[log]\nlevel = 3\n", "nlvs.toml:2: level must be a string"},
        {"no such choice", "[workers]\npoll = \"lazy\"\n",
         "nlvs.toml:2: poll must be one of \"adaptive\", \"busy\""},
        {"string for a boolean", "keep_addresses = \"yes\"\n",
         "nlvs.toml:1: keep_addresses must be true or false"},
        {"value for a table", "workers = 2\n", "nlvs.toml:1: workers must be a table: [workers]"},
        {"table for an array", "[port]\npci = \"a\"\n",
         "nlvs.toml:1: port must be an array of tables: [[port]]"},
        {"no device", "\n[[port]]\nshadow = \"x\"\n",
         "nlvs.toml:2: a port needs one of pci, vdev, netdev"},
        {"two devices", "[[port]]\npci = \"a\"\nvdev = \"b\"\nshadow = \"x\"\n",
         "nlvs.toml:3: a port has only one of pci, vdev, netdev"},
        {"no shadow", "[[port]]\npci = \"a\"\n",
         "nlvs.toml:1: a port needs shadow, the name of its kernel-side interface"},
        {"shadow too long", "[[port]]\npci = \"a\"\nshadow = \"sixteen-letters-\"\n",
         "nlvs.toml:3: shadow \"sixteen-letters-\" is no interface name"},
        {"shadow is the netdev", "[[port]]\nnetdev = \"eth0\"\nshadow = \"eth0\"\n",
         "nlvs.toml:3: shadow \"eth0\" is the netdev itself"},
        {"port twice", "[[port]]\npci = \"a\"\nshadow = \"x\"\n[[port]]\npci = \"b\"\nshadow = \"x\"\n",
         "nlvs.toml:4: port \"x\" repeats another one"},
        {"cpus against count", "[workers]\ncount = 3\ncpus = [1, 2]\n",
         "nlvs.toml:3: cpus must name one CPU for each worker"},
        {"relative journal directory", "[journal]\ndirectory = \"x\"\n",
         "nlvs.toml:2: directory must be an absolute path"},
        {"journal policy", "[journal]\nsync = \"often\"\n",
         "nlvs.toml:2: sync must be one of \"never\", \"batch\", \"always\""},
        {"relative run directory", "run_directory = \"run\"\n",
         "nlvs.toml:1: run_directory must be an absolute path"},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) { BOOST_TEST(message_of(row.toml) == row.message); }
    }
}

BOOST_AUTO_TEST_CASE(syntax_errors_are_named_with_file_and_line_in_one_line) {
    const std::string message = message_of("\n\nworkers = = 2\n");
    BOOST_TEST(message.starts_with("nlvs.toml:3: "));
    BOOST_TEST(message.find('\n') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_unreadable_file_is_an_error) {
    BOOST_CHECK_EXCEPTION(
        static_cast<void>(load_options(std::filesystem::path{"/nonexistent/nlvs.toml"})), OptionsError,
        [](const OptionsError& error) {
            return std::string{error.what()} ==
                   "cannot read /nonexistent/nlvs.toml: No such file or directory";
        }
    );
    BOOST_CHECK_EXCEPTION(
        static_cast<void>(load_options(std::filesystem::path{"/tmp"})), OptionsError,
        [](const OptionsError& error) {
            return std::string{error.what()} == "cannot read /tmp: Is a directory";
        }
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
