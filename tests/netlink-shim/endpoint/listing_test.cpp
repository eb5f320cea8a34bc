#include "netlink-shim/endpoint/listing.hpp"

#include "compat/net/ip_address.hpp"
#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/genl_request.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using namespace nlvs::test;
using shim::Datagram;

struct Fixture {
    shim::Answer ask(const Datagram& bytes) { return dispatcher.handle(bytes, {.port = 0x1234}); }

    /// A dump's datagrams of at most `size` bytes, the last with DONE.
    std::vector<Datagram> listing(const Datagram& bytes, std::size_t size = 4096) {
        const auto answer = ask(bytes);
        BOOST_TEST(answer.datagrams.empty());
        BOOST_TEST_REQUIRE((answer.dump != nullptr));
        std::vector<Datagram> datagrams;
        for (auto part = answer.dump->next(size); !part.empty(); part = answer.dump->next(size)) {
            datagrams.push_back(part);
        }
        datagrams.push_back(answer.dump->done());
        return datagrams;
    }

    void add_services(int count) {
        for (int i = 0; i < count; ++i) {
            const net::Ipv4Address address{static_cast<std::uint32_t>(0x0A010000 + i)};
            const auto added = control.add_service(
                ipvs::EndpointKey{6, address, ipvs::Port{std::uint16_t{80}}},
                {.scheduler = "rr", .persistence_engine = {}, .flags = {}}
            );
            BOOST_TEST_REQUIRE(added.has_value());
        }
    }

    FakeControl control;
    shim::GenlDispatcher dispatcher{control, family_id};
};

BOOST_FIXTURE_TEST_SUITE(listing, Fixture)

BOOST_AUTO_TEST_CASE(an_empty_listing_is_done_alone) {
    const struct {
        const char* name;
        std::uint8_t command;
        std::string attributes;
    } rows[]{
        {"services", IPVS_CMD_GET_SERVICE, ""},
        {"services, attributes ignored", IPVS_CMD_GET_SERVICE, "06000400 05000000"},
        {"daemons", IPVS_CMD_GET_DAEMON, ""},
        {"destinations of an unknown service", IPVS_CMD_GET_DEST, nest(1, other_key)},
        {"destinations of no service", IPVS_CMD_GET_DEST, ""},
        {"destinations, malformed", IPVS_CMD_GET_DEST, "06000100 61620000"},
        {"destinations, bad family",
         IPVS_CMD_GET_DEST,
         nest(1, "06000100 07000000 08000500 01000000")},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto datagrams = listing(message(row.command, with_dump, row.attributes));
            BOOST_TEST_REQUIRE(datagrams.size() == 1U);
            BOOST_TEST(to_hex(datagrams[0]) == "1400000003000200030000003412000000000000");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_listing_is_cut_into_datagrams_of_the_size_asked_for) {
    add_services(100);

    const struct {
        std::size_t size;
        std::size_t datagrams;
    } rows[]{{1, 100}, {320, 100}, {639, 100}, {640, 50}, {4096, 9}, {32000, 1}, {31999, 2}};

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT("size " << row.size) {
            auto datagrams = listing(message(IPVS_CMD_GET_SERVICE, with_dump), row.size);
            BOOST_TEST(datagrams.size() == row.datagrams + 1);
            datagrams.pop_back();
            std::size_t bytes = 0;
            for (const auto& datagram : datagrams) {
                BOOST_TEST((datagram.size() <= row.size || datagram.size() == 320U));
                bytes += datagram.size();
            }
            BOOST_TEST(bytes == 32000U);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_listing_survives_changes_between_its_datagrams) {
    add_services(6);
    const auto answer = ask(message(IPVS_CMD_GET_SERVICE, with_dump));
    BOOST_TEST(answer.dump->next(640).size() == 640U);
    for (int i = 0; i < 3; ++i) {
        const ipvs::ServiceKey first = control.services.front().view.key;
        BOOST_TEST(control.remove_service(first).has_value());
    }
    BOOST_TEST(answer.dump->next(4096).size() == 960U);
    BOOST_TEST(answer.dump->next(4096).empty());
    BOOST_TEST(answer.dump->done().size() == 20U);
}

BOOST_AUTO_TEST_CASE(destinations_are_listed_newest_first_and_resumed) {
    add_services(1);
    const ipvs::ServiceKey web = control.services[0].view.key;
    for (std::uint32_t i = 1; i <= 5; ++i) {
        ipvs::DestinationSpec spec;
        spec.key = {net::Ipv4Address{0x0A000000 + i}, ipvs::Port{std::uint16_t{80}}};
        BOOST_TEST(control.add_destination(web, spec).has_value());
    }
    const std::string asked =
        nest(1, "06000100 02000000 06000200 06000000 08000300 0a010000 06000400 00500000");
    auto datagrams = listing(message(IPVS_CMD_GET_DEST, with_dump, asked), 2 * 356);
    BOOST_TEST_REQUIRE(datagrams.size() == 4U);
    std::vector<int> last_bytes;
    for (const auto& datagram : datagrams) {
        netlink::Bytes rest{datagram};
        while (const auto shown = netlink::take_message(rest)) {
            if (shown->type() != family_id) continue;
            BOOST_TEST(shown->header().nlmsg_flags == NLM_F_MULTI);
            last_bytes.push_back(std::to_integer<int>(shown->bytes()[31]));
        }
    }
    BOOST_TEST(last_bytes == (std::vector<int>{5, 4, 3, 2, 1}), boost::test_tools::per_element());
    BOOST_TEST(to_hex(datagrams.back()) == "1400000003000200030000003412000000000000");
}

BOOST_AUTO_TEST_CASE(a_listing_of_daemons_goes_on_with_the_role_it_has_not_shown) {
    const auto start = [this](std::uint32_t state) {
        ipvs::SyncDaemonConfig config;
        config.state = state;
        config.interface = "eth0";
        BOOST_TEST(control.start_daemon(config).has_value());
    };
    start(2);
    const auto answer = ask(message(IPVS_CMD_GET_DAEMON, with_dump));
    BOOST_TEST(std::to_integer<int>(answer.dump->next(4096).at(28)) == 2);
    start(1);
    const auto rest = answer.dump->next(4096);
    BOOST_TEST_REQUIRE(rest.size() == 84U);
    BOOST_TEST(std::to_integer<int>(rest[28]) == 1);
    BOOST_TEST(answer.dump->next(4096).empty());
}

BOOST_AUTO_TEST_CASE(daemons_are_listed_master_first) {
    for (const std::uint32_t state : {2U, 1U}) {
        ipvs::SyncDaemonConfig config;
        config.state = state;
        config.interface = "eth0";
        BOOST_TEST(control.start_daemon(config).has_value());
    }
    const auto datagrams = listing(message(IPVS_CMD_GET_DAEMON, with_dump));
    BOOST_TEST_REQUIRE(datagrams.size() == 2U);
    BOOST_TEST(datagrams[0].size() == 168U);
    BOOST_TEST(std::to_integer<int>(datagrams[0][28]) == 1);
    BOOST_TEST(std::to_integer<int>(datagrams[0][84 + 28]) == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
