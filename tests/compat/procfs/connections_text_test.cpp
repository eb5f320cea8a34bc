#include "compat/procfs/connections_text.hpp"

#include "compat/net/ip_address.hpp"
#include "compat/procfs/applications_text.hpp"

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using net::operator""_ip;

net::Port port(std::uint16_t number) {
    return net::Port{number};
}

std::string line(const ipvs::ConnectionView& view) {
    std::string out;
    procfs::append_connection(out, view);
    return out;
}

ipvs::ConnectionView tcp_connection() {
    ipvs::ConnectionView view;
    view.protocol = 6;
    view.client = "192.168.1.77"_ip;
    view.client_port = port(40000);
    view.virtual_address = "10.0.0.1"_ip;
    view.virtual_port = port(80);
    view.destination = "10.0.0.11"_ip;
    view.destination_port = port(80);
    view.state = static_cast<std::uint8_t>(ipvs::TcpState::established);
    view.expires = 897;
    return view;
}

BOOST_AUTO_TEST_SUITE(connections_text)

BOOST_AUTO_TEST_CASE(connection_lines_are_those_of_the_kernel) {
    auto udp = tcp_connection();
    udp.protocol = 17;
    udp.state = 0;
    udp.expires = 299;
    auto persistent = tcp_connection();
    persistent.client = "192.168.1.0"_ip;
    persistent.client_port = {};
    persistent.is_template = true;
    persistent.expires = 45;
    auto mark = tcp_connection();
    mark.protocol = 0;
    mark.client_port = {};
    mark.virtual_address = "0.0.0.7"_ip;
    mark.virtual_port = {};
    mark.destination_port = {};
    mark.is_template = true;
    mark.state = 0;
    mark.expires = 297;
    auto sip = tcp_connection();
    sip.protocol = 17;
    sip.state = 0;
    sip.persistence_engine = "sip";
    sip.persistence_data = "a84b4c76e66710";
    auto v6 = tcp_connection();
    v6.client = "2001:db8::99"_ip;
    v6.virtual_address = "2001:db8::1"_ip;
    auto unknown = tcp_connection();
    unknown.protocol = 47;
    unknown.state = 11;
    auto error = tcp_connection();
    error.state = 11;
    error.expires = 12345678;

    const struct {
        const char* name;
        ipvs::ConnectionView view;
        const char* expected;
    } rows[]{
        {"tcp",
         tcp_connection(),
         "TCP C0A8014D 9C40 0A000001 0050 0A00000B 0050 ESTABLISHED     897\n"},
        {"udp", udp, "UDP C0A8014D 9C40 0A000001 0050 0A00000B 0050 UDP             299\n"},
        {"template",
         persistent,
         "TCP C0A80100 0000 0A000001 0050 0A00000B 0050 ASSURED          45\n"},
        {"mark template",
         mark,
         "IP  C0A8014D 0000 00000007 0000 0A00000B 0000 NONE            297\n"},
        {"persistence engine",
         sip,
         "UDP C0A8014D 9C40 0A000001 0050 0A00000B 0050 UDP             897 sip a84b4c76e66710\n"},
        {"v6 with a v4 destination",
         v6,
         "TCP 2001:0db8:0000:0000:0000:0000:0000:0099 9C40 "
         "2001:0db8:0000:0000:0000:0000:0000:0001 0050 0A00000B 0050 ESTABLISHED     897\n"},
        {"protocol without a name",
         unknown,
         "IP_47 C0A8014D 9C40 0A000001 0050 0A00000B 0050 NONE            897\n"},
        {"state beyond the table",
         error,
         "TCP C0A8014D 9C40 0A000001 0050 0A00000B 0050 ERR!        12345678\n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(line(row.view) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_sync_file_has_an_origin_and_no_persistence_data) {
    auto view = tcp_connection();
    view.persistence_engine = "sip";
    view.persistence_data = "x";
    std::string out;
    procfs::append_synced_connection(out, view);
    view.synced = true;
    procfs::append_synced_connection(out, view);
    BOOST_TEST(
        out ==
        "TCP C0A8014D 9C40 0A000001 0050 0A00000B 0050 ESTABLISHED LOCAL      897\n"
        "TCP C0A8014D 9C40 0A000001 0050 0A00000B 0050 ESTABLISHED SYNC       897\n"
    );
}

BOOST_AUTO_TEST_CASE(helpers_are_listed_with_protocol_and_port) {
    std::string out{procfs::applications_header};
    procfs::append_application(out, {.protocol = 6, .port = port(21), .users = 0, .name = "ftp"});
    BOOST_TEST(
        out ==
        "prot port    usecnt name\n"
        "TCP  21      0      ftp              \n"
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
