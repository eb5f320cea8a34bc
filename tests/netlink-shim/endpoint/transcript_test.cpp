// Replays what clients and a real kernel (Linux 6.1) said to each other, recorded by
// tools/record-netlink, and expects the same bytes. Two things are not compared: the order of
// services, which is the kernel's hash order, and where a dump is cut into datagrams, which
// depends on the reader's buffer.

#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/hex.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using shim::Datagram;

struct Exchange {
    std::size_t line = 0;
    std::uint32_t port = 0;
    Datagram sent;
    std::vector<Datagram> received;
};

struct Transcript {
    std::uint16_t family_id = 0;
    std::vector<Exchange> exchanges;
};

Transcript read_transcript(const std::filesystem::path& path) {
    std::ifstream file{path};
    Transcript transcript;
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        std::istringstream words{line};
        std::string mark;
        std::string digits;
        words >> mark;
        if (mark == "family") {
            words >> transcript.family_id;
        } else if (mark == ">") {
            Exchange exchange{.line = number, .port = 0, .sent = {}, .received = {}};
            words >> exchange.port >> digits;
            exchange.sent = test::hex(digits);
            transcript.exchanges.push_back(exchange);
        } else if (mark == "<") {
            words >> digits;
            transcript.exchanges.back().received.push_back(test::hex(digits));
        }
    }
    return transcript;
}

std::vector<Datagram> answer(
    shim::GenlDispatcher& dispatcher, const Exchange& exchange, const netlink::AckOptions& options
) {
    const shim::Client client{.port = exchange.port, .options = options};
    std::vector<Datagram> result;
    netlink::Bytes rest{exchange.sent};
    while (const auto message = netlink::take_message(rest)) {
        auto given = dispatcher.handle(message->bytes(), client);
        for (auto& datagram : given.datagrams) result.push_back(std::move(datagram));
        if (!given.dump) continue;
        for (Datagram part = given.dump->next(4096); !part.empty(); part = given.dump->next(4096)) {
            result.push_back(std::move(part));
        }
        result.push_back(given.dump->done());
    }
    return result;
}

/// One line per message; the messages of a service listing in a fixed order.
std::string describe(const std::vector<Datagram>& datagrams, std::uint16_t family_id) {
    std::vector<std::string> lines;
    bool services = false;
    for (const Datagram& datagram : datagrams) {
        netlink::Bytes rest{datagram};
        bool multi = false;
        while (const auto message = netlink::take_message(rest)) {
            multi = message->type() == family_id && message->header().nlmsg_flags == NLM_F_MULTI;
            services |= multi && message->generic_header()->cmd == IPVS_CMD_NEW_SERVICE;
            lines.push_back(test::to_hex(message->bytes()));
        }
        if (!multi) lines.push_back("end of datagram");
    }
    if (services) std::ranges::sort(lines);
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    return text;
}

/// A client may have asked its own socket (NETLINK_CAP_ACK) to cut the echo of an error, which the
/// transcript does not show before the answer does.
bool is_cut_error(const Datagram& datagram) {
    const auto message = netlink::MessageView::parse(datagram);
    return message && message->type() == NLMSG_ERROR &&
           (message->header().nlmsg_flags & NLM_F_CAPPED) != 0 &&
           net::extract<std::int32_t>(message->payload()) != 0;
}

std::vector<std::filesystem::path> transcripts() {
    std::vector<std::filesystem::path> paths;
    const auto folder = test::corpus() / "netlink";
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
        paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
}

BOOST_AUTO_TEST_SUITE(transcript)

BOOST_AUTO_TEST_CASE(recorded_sessions_are_answered_with_the_bytes_of_the_kernel) {
    std::size_t compared = 0;
    for (const auto& path : transcripts()) {
        const Transcript transcript = read_transcript(path);
        test::FakeControl control;
        shim::GenlDispatcher dispatcher{control, transcript.family_id};
        for (const Exchange& exchange : transcript.exchanges) {
            BOOST_TEST_CONTEXT(path.filename() << ":" << exchange.line) {
                const bool capped =
                    !exchange.received.empty() && is_cut_error(exchange.received.front());
                const auto given = answer(dispatcher, exchange, {.capped = capped});
                BOOST_TEST(
                    describe(given, transcript.family_id) ==
                    describe(exchange.received, transcript.family_id)
                );
                ++compared;
            }
        }
    }
    BOOST_TEST(compared > 1700U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
