#include "daemon/packet_capture.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "daemon/pcapng.hpp"
#include "forwarding/capture_tap.hpp"
#include "forwarding/mailbox.hpp"
#include "tests/support/eal_fixture.hpp"

namespace nlvs::daemon {
namespace {

using forwarding::CapturedPacket;
using forwarding::CaptureTap;
using Direction = CapturedPacket::Direction;

struct Block {
    std::uint32_t type = 0;
    std::string body;

    template <class Number>
    Number at(std::size_t offset) const {
        Number number{};
        BOOST_TEST_REQUIRE(offset + sizeof(number) <= body.size());
        std::memcpy(&number, body.data() + offset, sizeof(number));
        return number;
    }
};

std::vector<Block> blocks_of(std::string_view text) {
    std::vector<Block> blocks;
    while (!text.empty()) {
        BOOST_TEST_REQUIRE(text.size() >= 12U);
        std::uint32_t type = 0, length = 0, again = 0;
        std::memcpy(&type, text.data(), 4);
        std::memcpy(&length, text.data() + 4, 4);
        BOOST_TEST_REQUIRE((length % 4 == 0 && length <= text.size()));
        std::memcpy(&again, text.data() + length - 4, 4);
        BOOST_TEST_REQUIRE(again == length);
        blocks.push_back({type, std::string{text.substr(8, length - 12)}});
        text.remove_prefix(length);
    }
    return blocks;
}

/// Two workers that obey at once, and a client.
struct Fixture {
    WorkerAccess access(std::size_t worker) {
        WorkerAccess result;
        result.mailbox = &mailboxes[worker];
        result.wake = [this, worker] {
            while (forwarding::WorkerRequest* request = mailboxes[worker].receive()) {
                taps[worker] = request->tap;
                mailboxes[worker].answer(request);
            }
        };
        return result;
    }

    PacketCapture::Socket ask(const std::string& words) {
        PacketCapture::Socket client{context}, server{context};
        boost::asio::local::connect_pair(client, server);
        capture.begin(words, std::move(server));
        return client;
    }

    void run(std::chrono::milliseconds time = std::chrono::milliseconds{30}) {
        context.restart();
        context.run_for(time);
    }

    template <class Condition>
    void run_until(Condition condition) {
        for (int i = 0; i < 500 && !condition(); ++i) run(std::chrono::milliseconds{5});
        BOOST_TEST_REQUIRE(condition());
    }

    bool on() const { return taps[0] != nullptr && taps[1] != nullptr; }

    bool off() const { return taps[0] == nullptr && taps[1] == nullptr; }

    /// Everything up to the end of the stream.
    std::string rest(PacketCapture::Socket& client) {
        std::string text;
        bool ended = false;
        boost::asio::async_read(
            client, boost::asio::dynamic_buffer(text),
            [&ended](const boost::system::error_code&, std::size_t) { ended = true; }
        );
        run_until([&ended] { return ended; });
        return text;
    }

    void packet(std::size_t worker, forwarding::PortIndex port, Direction direction, char content) {
        std::array<char, 60> bytes;
        bytes.fill(content);
        rte_mbuf mbuf{};
        mbuf.buf_addr = bytes.data();
        mbuf.data_len = bytes.size();
        mbuf.pkt_len = bytes.size();
        rte_mbuf* burst = &mbuf;
        if (taps[worker]->watches(port)) taps[worker]->record(port, direction, &burst, 1);
    }

    test::EalFixture eal;  // measures the time-stamp counter
    boost::asio::io_context context{1};
    std::array<forwarding::Mailbox, 2> mailboxes;
    std::array<CaptureTap*, 2> taps{};
    WorkerMail mail{context, {access(0), access(1)}};
    PacketCapture capture{context, mail, {{"dp0", "eth1"}, {"dp1", "0000:03:00.0"}}};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(packet_capture_test, Fixture)

BOOST_AUTO_TEST_CASE(packets_of_all_workers_come_in_the_order_of_their_times) {
    auto client = ask("");
    run_until([this] { return on(); });
    packet(1, 0, Direction::received, 'a');
    packet(0, 1, Direction::sent, 'b');
    packet(1, 1, Direction::received, 'c');
    client.shutdown(PacketCapture::Socket::shutdown_send);
    const std::string text = rest(client);
    BOOST_TEST(off());
    BOOST_TEST_REQUIRE(text.starts_with("ok\n"));
    const auto blocks = blocks_of(std::string_view{text}.substr(3));
    BOOST_TEST_REQUIRE(blocks.size() == 8U);  // section, 2 interfaces, 3 packets, 2 statistics
    BOOST_TEST(blocks[0].at<std::uint32_t>(0) == 0x1A2B3C4DU);
    for (std::size_t i : {1U, 2U}) {
        BOOST_TEST(blocks[i].type == 1U);
        BOOST_TEST(blocks[i].at<std::uint16_t>(0) == 1);
        BOOST_TEST(blocks[i].at<std::uint32_t>(4) == PacketCapture::default_snap);
    }
    BOOST_TEST(blocks[2].body.contains("dp1"));
    BOOST_TEST(blocks[2].body.contains("0000:03:00.0"));
    std::string seen;
    std::uint64_t last = 0;
    for (std::size_t i = 3; i < 6; ++i) {
        BOOST_TEST(blocks[i].type == pcapng::packet_block);
        const std::uint64_t time = std::uint64_t{blocks[i].at<std::uint32_t>(4)} << 32 |
                                   blocks[i].at<std::uint32_t>(8);
        BOOST_TEST(time >= last);
        last = time;
        BOOST_TEST(blocks[i].at<std::uint32_t>(12) == 60U);
        BOOST_TEST(blocks[i].at<std::uint32_t>(16) == 60U);
        seen += std::to_string(blocks[i].at<std::uint32_t>(0)) + blocks[i].body[20] +
                std::to_string(blocks[i].at<std::uint32_t>(84));
    }
    BOOST_TEST(seen == "0a1" "1b2" "1c1");  // interface, content, direction
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto age = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() -
                     static_cast<std::int64_t>(last);
    BOOST_TEST((age > -1'000'000'000 && age < 60'000'000'000));
    for (std::size_t i : {6U, 7U}) {
        BOOST_TEST(blocks[i].type == pcapng::statistics_block);
        BOOST_TEST(blocks[i].at<std::uint32_t>(0) == i - 6);
        BOOST_TEST(blocks[i].at<std::uint16_t>(12) == pcapng::option_lost);
        BOOST_TEST(blocks[i].at<std::uint64_t>(16) == 0U);
    }
}

BOOST_AUTO_TEST_CASE(one_port_and_the_beginning_of_packets) {
    auto client = ask("snap=10 port=0000:03:00.0");
    run_until([this] { return on(); });
    packet(0, 0, Direction::received, 'a');
    packet(0, 1, Direction::received, 'b');
    client.shutdown(PacketCapture::Socket::shutdown_send);
    const std::string text = rest(client);
    const auto blocks = blocks_of(std::string_view{text}.substr(3));
    BOOST_TEST_REQUIRE(blocks.size() == 4U);
    BOOST_TEST(blocks[2].at<std::uint32_t>(0) == 0U);
    BOOST_TEST(blocks[2].at<std::uint32_t>(12) == 10U);
    BOOST_TEST(blocks[2].at<std::uint32_t>(16) == 60U);
    BOOST_TEST(blocks[2].body[20] == 'b');
}

BOOST_AUTO_TEST_CASE(a_count_ends_it) {
    auto client = ask("count=2");
    run_until([this] { return on(); });
    for (int i = 0; i < 5; ++i) packet(0, 0, Direction::received, 'a');
    const std::string text = rest(client);
    BOOST_TEST(off());
    const auto blocks = blocks_of(std::string_view{text}.substr(3));
    BOOST_TEST(std::ranges::count(blocks, pcapng::packet_block, &Block::type) == 2);
}

BOOST_AUTO_TEST_CASE(a_client_that_dies_ends_it) {
    auto client = ask("");
    run_until([this] { return on(); });
    client.close();
    run_until([this] { return off(); });
    run();
    auto next = ask("count=1");
    run_until([this] { return on(); });
    packet(0, 0, Direction::sent, 'a');
    BOOST_TEST(rest(next).starts_with("ok\n"));
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_loses_packets_and_nothing_else) {
    auto client = ask("");
    run_until([this] { return on(); });
    constexpr std::uint64_t sent = 200'000;
    for (std::uint64_t i = 0; i < sent; ++i) {
        packet(0, 0, Direction::received, 'a');
        if (i % 1000 == 0) context.poll();
    }
    client.shutdown(PacketCapture::Socket::shutdown_send);
    const std::string text = rest(client);
    const auto blocks = blocks_of(std::string_view{text}.substr(3));
    const auto got = std::ranges::count(blocks, pcapng::packet_block, &Block::type);
    const auto& statistics = *std::ranges::find(blocks, pcapng::statistics_block, &Block::type);
    const auto lost = statistics.at<std::uint64_t>(16);
    BOOST_TEST(lost > 0U);
    BOOST_TEST(static_cast<std::uint64_t>(got) + lost == sent);
}

BOOST_AUTO_TEST_CASE(there_is_one_at_a_time) {
    auto first = ask("");
    auto second = ask("");
    BOOST_TEST(rest(second) == "error\nthere is another capture\n");
    first.close();
    run_until([this] { return off(); });
}

BOOST_AUTO_TEST_CASE(mistakes_are_one_sentence) {
    struct {
        const char* request;
        const char* answer;
    } rows[] = {
        {"port=dp7", "no port \"dp7\""},
        {"count=many", "\"count=many\" is not understood"},
        {"count=0", "\"count=0\" is not understood"},
        {"snap=70000", "\"snap=70000\" is not understood"},
        {"port=", "\"port=\" is not understood"},
        {"nonsense", "\"nonsense\" is not understood"},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.request) {
            auto client = ask(row.request);
            BOOST_TEST(rest(client) == std::string{"error\n"} + row.answer + "\n");
        }
    }
    BOOST_TEST(off());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
