#include "compat/procfs/statistics_text.hpp"

#include <array>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;

constexpr ipvs::Statistics statistics{
    .totals =
        {.connections = 1,
         .in_packets = 0xABCDEF,
         .out_packets = 0x123456789,
         .in_bytes = 0xFFFFFFFFFFFFFFFF,
         .out_bytes = 0},
    .rates =
        {.connections = 250,
         .in_packets = 16,
         .out_packets = 0,
         .in_bytes = 250000,
         .out_bytes = 1},
};

BOOST_AUTO_TEST_SUITE(statistics_text)

BOOST_AUTO_TEST_CASE(totals_and_rates_are_hexadecimal_columns) {
    BOOST_TEST(
        procfs::statistics_text(statistics) ==
        "   Total Incoming Outgoing         Incoming         Outgoing\n"
        "   Conns  Packets  Packets            Bytes            Bytes\n"
        "       1   ABCDEF 123456789 FFFFFFFFFFFFFFFF                0\n"
        "\n"
        " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
        "      FA       10        0            3D090                1\n"
    );
}

BOOST_AUTO_TEST_CASE(the_per_cpu_file_starts_with_a_line_per_processor) {
    std::array<ipvs::Totals, 17> processors{};
    processors[16].in_packets = 16;
    const std::string text = procfs::statistics_per_cpu_text(processors, statistics);
    BOOST_TEST(
        text.starts_with("       Total Incoming Outgoing         Incoming         Outgoing\n"
                         "CPU    Conns  Packets  Packets            Bytes            Bytes\n"
                         "  0        0        0        0                0                0\n")
    );
    BOOST_TEST(
        text.ends_with(" 10        0       10        0                0                0\n"
                       "  ~        1   ABCDEF 123456789 FFFFFFFFFFFFFFFF                0\n"
                       "\n"
                       "     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
                       "          FA       10        0            3D090                1\n")
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
