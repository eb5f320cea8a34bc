#include <boost/test/unit_test.hpp>

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t tcp_number = 6;

Layer text(const std::string& characters) {
    Bytes bytes;
    for (const char c : characters) bytes.push_back(static_cast<std::byte>(c));
    return raw(bytes);
}

/// Addresses of a family and the packets between them.
struct Hosts {
    net::IpAddress client, vip, server;

    Bytes frame(
        const net::IpAddress& from, const net::IpAddress& to, std::uint8_t hops, const Tcp& header,
        const std::string& words = ""
    ) const {
        return client.is_v4() ? (ipv4(from, to).ttl(hops) / header / text(words)).frame()
                              : (ipv6(from, to).hop_limit(hops) / header / text(words)).frame();
    }

    Bytes request(const Tcp& header, const std::string& words = "") const {
        return frame(client, vip, 64, header, words);
    }

    Bytes translated_request(const Tcp& header, const std::string& words = "") const {
        return frame(client, server, 63, header, words);
    }

    Bytes reply(const Tcp& header, const std::string& words = "") const {
        return frame(server, client, 64, header, words);
    }

    Bytes translated_reply(const Tcp& header, const std::string& words = "") const {
        return frame(vip, client, 63, header, words);
    }
};

const Hosts v4{"10.0.0.100"_ip, "203.0.113.10"_ip, "192.168.1.2"_ip};
const Hosts v6{"2001:db8::100"_ip, "2001:db8::10"_ip, "2001:db8:1::2"_ip};

Tcp numbered(std::uint16_t from, std::uint16_t to, std::uint32_t sequence, std::uint32_t acknowledged) {
    Tcp header = tcp(from, to).sequence(sequence).ack();
    builder::set32(header.header, 8, acknowledged);
    return header;
}

/// A director with an FTP service of one server, and a control connection in ESTABLISHED.
struct Session {
    explicit Session(
        const Hosts& addresses = v4, std::uint16_t workers = 1,
        ForwardingMethod method = ForwardingMethod::masquerade, std::uint16_t client_port = 4000
    )
        : hosts{addresses}, port{client_port}, director{workers} {
        director.add_local(hosts.vip);
        ++director.configuration().ftp_services;
        Service service = director.service(tcp_number, hosts.vip, 21);
        slot = &director.add_destination(service, hosts.server, 21, method);
        director.publish(std::move(service));
        receive(hosts.request(tcp(port, 21).syn()));
        if (method == ForwardingMethod::masquerade) receive(hosts.reply(tcp(21, port).syn().ack()));
        receive(hosts.request(tcp(port, 21).ack()));
    }

    Director::Sent receive(const Bytes& frame, WorkerId worker = 0) { return director.receive(frame, worker); }

    /// The frame that comes of `frame`, which must be one.
    Bytes through(const Bytes& frame, WorkerId worker = 0) {
        auto sent = receive(frame, worker);
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        return sent.frames[0];
    }

    Bytes say(const std::string& words) { return through(hosts.request(numbered(port, 21, 100, 500), words)); }

    std::uint32_t bound() const { return slot->totals.connections.load(); }

    const Hosts& hosts;
    std::uint16_t port;
    Director director;
    DestinationSlot* slot = nullptr;
};

const std::string pasv_reply = "227 Entering Passive Mode (192,168,1,2,4,1).\r\n";
const std::string pasv_announcement = "227 Entering Passive Mode (203,0,113,10,4,1).\r\n";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ftp_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_passive_reply_announces_the_virtual_address) {
    Session session;
    BOOST_TEST((session.say("PASV\r\n") == v4.translated_request(numbered(4000, 21, 100, 500), "PASV\r\n")));
    const auto sent = session.through(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    BOOST_TEST((sent == v4.translated_reply(numbered(21, 4000, 500, 106), pasv_announcement)));
    BOOST_TEST(session.bound() == 2U);
    // The client calls from a port of its choice; the server sees the port it announced.
    const auto syn = session.through(v4.request(tcp(4001, 1025).syn()));
    BOOST_TEST((syn == v4.translated_request(tcp(4001, 1025).syn())));
    const auto answer = session.through(v4.reply(tcp(1025, 4001).syn().ack()));
    BOOST_TEST((answer == v4.translated_reply(tcp(1025, 4001).syn().ack())));
    BOOST_TEST(session.director.connections() == 2U);
    BOOST_TEST(session.bound() == 2U);
    BOOST_TEST(session.slot->totals.active.load() == 2U);
    // Data connections are not counted as connections of the service. Linux: no scheduling.
    BOOST_TEST(session.director.counters().destinations[0].read().connections == 1U);
}

BOOST_AUTO_TEST_CASE(an_announcement_is_good_for_one_connection) {
    Session session;
    session.say("PASV\r\n");
    session.through(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    session.through(v4.request(tcp(4001, 1025).syn()));
    const auto second = session.receive(v4.request(tcp(4002, 1025).syn()));
    BOOST_TEST(second.frames.empty());
    BOOST_TEST(session.director.connections() == 2U);
}

BOOST_AUTO_TEST_CASE(sequence_numbers_follow_the_rewritten_reply) {
    Session session;
    session.say("PASV\r\n");
    const auto length = static_cast<std::uint32_t>(pasv_reply.size());
    const auto growth = static_cast<std::uint32_t>(pasv_announcement.size()) - length;
    BOOST_TEST(growth == 1U);
    const Bytes reply = v4.reply(numbered(21, 4000, 500, 106), pasv_reply);
    session.through(reply);
    // Sent again it is the same packet again.
    BOOST_TEST(
        (session.through(reply) == v4.translated_reply(numbered(21, 4000, 500, 106), pasv_announcement))
    );
    const auto later = session.through(v4.reply(numbered(21, 4000, 500 + length, 106), "150 Here\r\n"));
    BOOST_TEST(
        (later == v4.translated_reply(numbered(21, 4000, 500 + length + growth, 106), "150 Here\r\n"))
    );
    const auto acknowledgement = session.through(v4.request(numbered(4000, 21, 106, 500 + length + growth)));
    BOOST_TEST((acknowledgement == v4.translated_request(numbered(4000, 21, 106, 500 + length))));
    // An old acknowledgement is of numbers that were not off.
    const auto old = session.through(v4.request(numbered(4000, 21, 106, 500)));
    BOOST_TEST((old == v4.translated_request(numbered(4000, 21, 106, 500))));
    // And a second reply adds to the first.
    session.through(v4.reply(numbered(21, 4000, 600, 106), pasv_reply));
    const auto last = session.through(v4.reply(numbered(21, 4000, 700, 106), "226 Done\r\n"));
    BOOST_TEST((last == v4.translated_reply(numbered(21, 4000, 700 + 2 * growth, 106), "226 Done\r\n")));
}

BOOST_AUTO_TEST_CASE(a_shorter_announcement_takes_its_bytes_along) {
    const Hosts hosts{"10.0.0.100"_ip, "10.0.0.1"_ip, "192.168.100.200"_ip};
    Session session{hosts};
    session.say("PASV\r\n");
    const std::string before = "227 At (192,168,100,200,4,1).\r\n";
    const std::string after = "227 At (10,0,0,1,4,1).\r\n";
    const auto sent = session.through(hosts.reply(numbered(21, 4000, 500, 106), before));
    BOOST_TEST((sent == hosts.translated_reply(numbered(21, 4000, 500, 106), after)));
    const auto next = session.through(hosts.reply(numbered(21, 4000, 500 + 31, 106), "150\r\n"));
    BOOST_TEST((next == hosts.translated_reply(numbered(21, 4000, 500 + 24, 106), "150\r\n")));
}

BOOST_AUTO_TEST_CASE(an_extended_passive_reply_is_followed_for_both_families) {
    for (const Hosts* hosts : {&v4, &v6}) {
        Session session{*hosts};
        session.say("EPSV\r\n");
        const std::string reply = "229 Entering Extended Passive Mode (|||1025|)\r\n";
        const auto sent = session.through(hosts->reply(numbered(21, 4000, 500, 106), reply));
        BOOST_TEST((sent == hosts->translated_reply(numbered(21, 4000, 500, 106), reply)));
        const auto syn = session.through(hosts->request(tcp(4001, 1025).syn()));
        BOOST_TEST((syn == hosts->translated_request(tcp(4001, 1025).syn())));
    }
}

BOOST_AUTO_TEST_CASE(the_server_calls_an_active_client_from_the_virtual_address) {
    struct {
        const Hosts* hosts;
        std::string words;
    } const rows[] = {
        {&v4, "PORT 10,0,0,100,15,161\r\n"},
        {&v4, "EPRT |1|10.0.0.100|4001|\r\n"},
        {&v6, "EPRT |2|2001:db8::100|4001|\r\n"},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.words) {
            Session session{*row.hosts};
            BOOST_TEST(
                (session.say(row.words) ==
                 row.hosts->translated_request(numbered(4000, 21, 100, 500), row.words))
            );
            const auto call = session.through(row.hosts->reply(tcp(20, 4001).syn()));
            BOOST_TEST((call == row.hosts->translated_reply(tcp(20, 4001).syn())));
            const auto answer = session.through(row.hosts->request(tcp(4001, 20).syn().ack()));
            BOOST_TEST((answer == row.hosts->translated_request(tcp(4001, 20).syn().ack())));
            BOOST_TEST(session.director.connections() == 2U);
            // The same port once more.
            session.say(row.words);
            BOOST_TEST(session.bound() == 2U);
        }
    }
}

BOOST_AUTO_TEST_CASE(data_connections_meet_their_owner_whichever_worker_sees_them) {
    constexpr std::uint16_t workers = 4;
    for (const bool active : {false, true}) {
        for (std::uint16_t port = 5000; port < 5040; ++port) {
            Session session{v4, workers, ForwardingMethod::masquerade, port};
            const std::uint16_t data = static_cast<std::uint16_t>(port + 3000);
            if (active) {
                session.say(
                    "PORT 10,0,0,100," + std::to_string(data / 256) + "," + std::to_string(data % 256) + "\r\n"
                );
            } else {
                session.say("PASV\r\n");
                session.through(v4.reply(numbered(21, port, 500, 106), pasv_reply));
            }
            const std::uint16_t server = active ? 20 : 1025;
            const Bytes first = active ? v4.reply(tcp(server, data).syn()) : v4.request(tcp(data, server).syn());
            session.through(first, static_cast<WorkerId>(port % workers));
            for (WorkerId worker = 0; worker < workers; ++worker) {
                const auto in = session.through(v4.request(tcp(data, server).ack()), worker);
                BOOST_TEST((in == v4.translated_request(tcp(data, server).ack())));
                const auto out = session.through(v4.reply(tcp(server, data).ack()), worker);
                BOOST_TEST((out == v4.translated_reply(tcp(server, data).ack())));
            }
            BOOST_TEST(session.director.shared().expected.count() == 0U);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_control_connection_outlives_its_data_connections) {
    Session session;
    session.say("PASV\r\n");
    session.through(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    session.through(v4.request(tcp(4001, 1025).syn()));
    session.through(v4.reply(tcp(1025, 4001).syn().ack()));
    session.through(v4.request(tcp(4001, 1025).ack()));
    for (int minute = 0; minute < 20; ++minute) {
        session.through(v4.request(tcp(4001, 1025).ack()));
        session.director.advance(60);
    }
    // 15 minutes without a word would have ended it.
    BOOST_TEST(session.director.connections() == 2U);
    session.say("NOOP\r\n");
    session.director.advance(2000);
    session.director.advance(2000);
    BOOST_TEST(session.director.connections() == 0U);
    BOOST_TEST(session.bound() == 0U);
    BOOST_TEST(session.director.shared().controls.users(0) == 0U);
}

BOOST_AUTO_TEST_CASE(what_nobody_begins_ends_in_time) {
    Session session;
    session.say("PASV\r\n");
    session.through(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    const Ticks now = Clock{}.read().ticks;
    auto& expected = session.director.shared().expected;
    std::vector<ipvs::ConnectionView> seen;
    const auto end = expected.visit(0, now, [&](const ipvs::ConnectionView& view) { seen.push_back(view); });
    BOOST_TEST(end == ExpectedConnections::end);
    BOOST_TEST_REQUIRE(seen.size() == 1U);
    BOOST_TEST((seen[0].client == v4.client && seen[0].client_port.is_any()));
    BOOST_TEST((seen[0].virtual_address == v4.vip && seen[0].destination == v4.server));
    BOOST_TEST(seen[0].virtual_port.host() == 1025U);
    BOOST_TEST(seen[0].destination_port.host() == 1025U);
    BOOST_TEST(seen[0].state == static_cast<std::uint8_t>(ipvs::TcpState::listen));
    BOOST_TEST((seen[0].expires > 100 && seen[0].expires <= 120));
    expected.expire(now + 100 * ticks_per_second);
    BOOST_TEST(session.bound() == 2U);
    expected.expire(now + 130 * ticks_per_second);
    BOOST_TEST(session.bound() == 1U);
    BOOST_TEST(session.receive(v4.request(tcp(4001, 1025).syn())).frames.empty());
}

BOOST_AUTO_TEST_CASE(data_connections_of_a_removed_server_are_dropped) {
    Session session;
    session.say("PASV\r\n");
    session.through(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    session.slot->available = false;
    BOOST_TEST(session.receive(v4.request(tcp(4001, 1025).syn())).frames.empty());
    BOOST_TEST(session.director.drops(DropReason::destination_unavailable) == 1U);
}

BOOST_AUTO_TEST_CASE(nobody_listens_where_the_helper_has_no_say) {
    // Not masqueraded, another port, or without the helper: text passes as it is.
    const auto passes = [](Session& session, const Bytes& reply) {
        session.receive(reply);
        return session.director.shared().expected.count() == 0;
    };
    Session direct{v4, 1, ForwardingMethod::direct_route};
    direct.receive(v4.request(numbered(4000, 21, 100, 500), "PORT 10,0,0,100,15,161\r\n"));
    BOOST_TEST(direct.director.shared().expected.count() == 0U);
    Session session;
    BOOST_TEST(passes(session, v4.reply(numbered(21, 4000, 500, 106), pasv_reply)));  // not asked for
    Director without;
    without.configuration().ftp_ports.count = 0;
    without.add_local(v4.vip);
    Service service = without.service(tcp_number, v4.vip, 21);
    without.add_destination(service, v4.server, 21);
    without.publish(std::move(service));
    without.receive(v4.request(tcp(4000, 21).syn()));
    without.receive(v4.reply(tcp(21, 4000).syn().ack()));
    without.receive(v4.request(tcp(4000, 21).ack()));
    without.receive(v4.request(numbered(4000, 21, 100, 500), "PASV\r\n"));
    const auto sent = without.receive(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == v4.translated_reply(numbered(21, 4000, 500, 106), pasv_reply)));
}

BOOST_AUTO_TEST_CASE(a_wrong_checksum_is_dropped_where_payload_is_looked_at) {
    Session session;
    const auto broken = v4.request(numbered(4000, 21, 100, 500).checksum(1), "PASV\r\n");
    BOOST_TEST(session.receive(broken).frames.empty());
    BOOST_TEST(session.director.drops(DropReason::malformed) == 1U);
}

BOOST_AUTO_TEST_CASE(an_ftp_server_of_the_host_itself_is_helped_too) {
    Session session;
    session.director.make_local(*session.slot);
    session.receive(v4.request(numbered(4000, 21, 100, 500), "PASV\r\n"));
    const auto announced = session.director.inject(v4.reply(numbered(21, 4000, 500, 106), pasv_reply));
    BOOST_TEST_REQUIRE(announced.frames.size() == 1U);
    BOOST_TEST(
        (announced.frames[0] ==
         v4.frame(v4.vip, v4.client, 64, numbered(21, 4000, 500, 106), pasv_announcement))
    );
    session.receive(v4.request(numbered(4000, 21, 106, 548), "PORT 10,0,0,100,15,161\r\n"));
    const auto call = session.director.inject(v4.reply(tcp(20, 4001).syn()));
    BOOST_TEST_REQUIRE(call.frames.size() == 1U);
    BOOST_TEST((call.frames[0] == v4.frame(v4.vip, v4.client, 64, tcp(20, 4001).syn())));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
