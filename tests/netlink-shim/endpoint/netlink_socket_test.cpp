#include "netlink-shim/endpoint/netlink_socket.hpp"

#include "netlink-shim/core/protocol.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace nlvs::shim;

// Unicast between user sockets needs CAP_NET_ADMIN, which a namespace of our own gives.
boost::test_tools::assertion_result may_unicast(boost::unit_test::test_unit_id) {
    static const bool entered =
        ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    return entered;
}

Datagram text(const std::string& letters) {
    const auto bytes = std::as_bytes(std::span(letters));
    return {bytes.begin(), bytes.end()};
}

class Countdown final : public Dump {
public:
    explicit Countdown(unsigned count) : left_(count) {}

    Datagram next(std::size_t size) override {
        if (left_ == 0) return {};
        --left_;
        return Datagram(size);
    }

    Datagram done() override { return text("done"); }

private:
    unsigned left_;
};

/// What a handler was asked, and a way to say what it answers.
struct Script final : MessageHandler {
    struct Call {
        std::uint16_t type;
        std::size_t size;
        Client client;
    };

    Answer handle(std::span<const std::byte> message, const Client& client) override {
        nlmsghdr header;
        std::memcpy(&header, message.data(), sizeof(header));
        calls.push_back({header.nlmsg_type, message.size(), client});
        return answer ? answer() : Answer{};
    }

    std::vector<Call> calls;
    std::function<Answer()> answer;
};

std::vector<char> message(std::uint16_t type, const std::string& payload = {}) {
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + payload.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = NLM_F_REQUEST;
    std::vector<char> result(NLMSG_ALIGN(header.nlmsg_len));
    std::memcpy(result.data(), &header, sizeof(header));
    std::memcpy(result.data() + NLMSG_HDRLEN, payload.data(), payload.size());
    return result;
}

/// A redirected client.
class Peer {
public:
    explicit Peer(std::uint32_t daemon)
        : daemon_(daemon), socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)) {
        const int small = 4096;
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }

    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    ~Peer() { close(); }

    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }

    void send(const std::vector<char>& bytes) const {
        sockaddr_nl name = {};
        name.nl_family = AF_NETLINK;
        name.nl_pid = daemon_;
        const ssize_t sent = ::sendto(
            socket_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&name), sizeof(name)
        );
        BOOST_TEST_REQUIRE(sent == static_cast<ssize_t>(bytes.size()));
    }

    /// What is there now; nothing if nothing is.
    std::vector<std::string> read() const {
        std::vector<std::string> result;
        std::vector<char> buffer(1 << 16);
        for (ssize_t size;
             (size = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT)) >= 0;)
            result.emplace_back(buffer.data(), static_cast<std::size_t>(size));
        return result;
    }

private:
    std::uint32_t daemon_;
    int socket_;
};

struct Fixture {
    boost::asio::io_context context{1};
    Script family;
    Script sockopt;
    OwedAnswers owed;
    NetlinkSocket socket{context, family, sockopt, owed};
    Peer peer{socket.port()};

    Fixture() { socket.start(); }

    /// Handles what has been sent; timers of blocked sessions do not count.
    void run() {
        for (int i = 0; i < 4; ++i) context.poll();
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(netlink_socket_test, *boost::unit_test::precondition(may_unicast))

BOOST_FIXTURE_TEST_CASE(a_datagram_falls_into_messages_as_in_the_kernel, Fixture) {
    auto bytes = message(ipvs_family_id, "1");
    for (const auto& more :
         {message(ipvs_family_id, "22"),
          message(sockopt_message_type),
          message(ipvs_family_id, "333"),
          std::vector<char>(8)})
        bytes.insert(bytes.end(), more.begin(), more.end());
    peer.send(bytes);
    run();
    BOOST_TEST_REQUIRE(family.calls.size() == 3U);
    BOOST_TEST(family.calls[0].size == NLMSG_HDRLEN + 1U);
    BOOST_TEST(family.calls[1].size == NLMSG_HDRLEN + 2U);
    BOOST_TEST(family.calls[2].size == NLMSG_HDRLEN + 3U);
    BOOST_TEST(sockopt.calls.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_length_that_lies_ends_the_datagram, Fixture) {
    for (const std::uint32_t length : {0U, 15U, 100U, 0xffffffffU}) {
        auto bytes = message(ipvs_family_id);
        std::memcpy(bytes.data(), &length, sizeof(length));
        peer.send(bytes);
    }
    peer.send(std::vector<char>(5));
    run();
    BOOST_TEST(family.calls.empty());
    BOOST_TEST(socket.sessions() == 0U);
}

BOOST_FIXTURE_TEST_CASE(options_hold_for_the_datagram_they_are_in, Fixture) {
    const std::uint32_t both = option_cap_ack | option_ext_ack;
    auto bytes =
        message(options_message_type, {reinterpret_cast<const char*>(&both), sizeof(both)});
    for (const auto& more : {message(ipvs_family_id), message(ipvs_family_id)})
        bytes.insert(bytes.end(), more.begin(), more.end());
    peer.send(bytes);
    peer.send(message(options_message_type));
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST_REQUIRE(family.calls.size() == 3U);
    BOOST_TEST((family.calls[0].client.options == nlvs::netlink::AckOptions{true, true}));
    BOOST_TEST((family.calls[1].client.options == nlvs::netlink::AckOptions{true, true}));
    BOOST_TEST((family.calls[2].client.options == nlvs::netlink::AckOptions{}));
}

BOOST_FIXTURE_TEST_CASE(each_answer_is_a_datagram_of_its_own, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.datagrams = {text("reply"), text("ack")};
        return answer;
    };
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST((peer.read() == std::vector<std::string>{"reply", "ack"}));
    BOOST_TEST(socket.sessions() == 0U);
}

/// Requests of clients that wait.
std::vector<std::uint16_t> owed_to(const OwedAnswers& owed) {
    std::vector<std::uint16_t> types;
    for (const OwedAnswers::Entry& entry : owed.clients())
        if (entry.port != 0) types.push_back(entry.request.nlmsg_type);
    return types;
}

BOOST_FIXTURE_TEST_CASE(who_waits_is_known_and_who_was_answered_is_not, Fixture) {
    family.answer = [this] {
        BOOST_TEST(owed.sender().nl_pid != 0U);
        Answer answer;
        answer.dump = std::make_unique<Countdown>(20);
        return answer;
    };
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST((owed_to(owed) == std::vector<std::uint16_t>{ipvs_family_id}));
    BOOST_TEST(owed.sender().nl_pid == 0U);
    for (int i = 0; i < 100 && socket.sessions() > 0; ++i) {
        peer.read();
        context.run_for(std::chrono::milliseconds(50));
    }
    BOOST_TEST(socket.sessions() == 0U);
    BOOST_TEST(owed_to(owed).empty());

    peer.send(message(ipvs_family_id));
    run();
    socket.stop();
    BOOST_TEST(socket.sessions() == 0U);
    BOOST_TEST(owed_to(owed).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_short_datagram_does_not_end_in_a_longer_one, Fixture) {
    const auto one = message(ipvs_family_id, "1");
    auto three = one;
    three.insert(three.end(), one.begin(), one.end());
    three.insert(three.end(), one.begin(), one.end());
    peer.send(three);
    run();
    peer.send(one);
    family.answer = [this, size = one.size()] {
        BOOST_TEST(std::ranges::all_of(owed.inbox().subspan(size, 100), [](std::byte byte) {
            return byte == std::byte{0};
        }));
        return Answer{};
    };
    run();
    BOOST_TEST(family.calls.size() == 4U);
}

BOOST_FIXTURE_TEST_CASE(a_stopped_reader_gets_all_of_its_dump_later, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.dump = std::make_unique<Countdown>(100);
        return answer;
    };
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST(socket.sessions() == 1U);
    family.answer = [] {
        Answer answer;
        answer.datagrams = {text("other")};
        return answer;
    };
    const Peer other(socket.port());
    other.send(message(ipvs_family_id));
    run();
    BOOST_TEST((other.read() == std::vector<std::string>{"other"}));
    std::size_t count = 0;
    std::string last;
    while (socket.sessions() > 0) {
        context.run_one();
        for (const auto& datagram : peer.read()) {
            ++count;
            last = datagram;
        }
    }
    for (const auto& datagram : peer.read()) {
        ++count;
        last = datagram;
    }
    BOOST_TEST(count == 101U);
    BOOST_TEST(last == "done");
    BOOST_TEST(socket.counters().waits > 0U);
}

BOOST_FIXTURE_TEST_CASE(the_handler_knows_whether_a_dump_runs, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.dump = std::make_unique<Countdown>(100);
        return answer;
    };
    peer.send(message(ipvs_family_id));
    run();
    family.answer = nullptr;
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST_REQUIRE(family.calls.size() == 2U);
    BOOST_TEST(!family.calls[0].client.dump_running);
    BOOST_TEST(family.calls[1].client.dump_running);
    BOOST_TEST(family.calls[1].client.privileged);
}

BOOST_FIXTURE_TEST_CASE(the_session_of_a_closed_client_ends, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.dump = std::make_unique<Countdown>(100);
        return answer;
    };
    peer.send(message(ipvs_family_id));
    run();
    BOOST_TEST(socket.sessions() == 1U);
    peer.close();
    while (socket.sessions() > 0) context.run_one();
    BOOST_TEST(socket.sessions() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_flush_is_answered_after_what_its_client_can_take, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.datagrams = {text("reply")};
        return answer;
    };
    peer.send(message(ipvs_family_id));
    const Peer flusher(socket.port());
    const std::uint32_t unknown_client = 1;
    flusher.send(message(
        flush_message_type, {reinterpret_cast<const char*>(&unknown_client), sizeof(unknown_client)}
    ));
    flusher.send(message(flush_message_type, "x"));
    run();
    BOOST_TEST(peer.read().size() == 1U);
    BOOST_TEST(flusher.read().size() == 1U);
    BOOST_TEST(family.calls.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_list_of_families_starts_with_the_kernels, Fixture) {
    family.answer = [] {
        Answer answer;
        answer.dump = std::make_unique<Countdown>(0);
        return answer;
    };
    auto request = message(GENL_ID_CTRL, std::string("\3\1\0\0", 4));
    nlmsghdr header;
    std::memcpy(&header, request.data(), sizeof(header));
    header.nlmsg_flags |= NLM_F_DUMP;
    header.nlmsg_seq = 4711;
    std::memcpy(request.data(), &header, sizeof(header));
    peer.send(request);
    std::vector<std::string> datagrams;
    run();
    while (socket.sessions() > 0) {
        for (auto& datagram : peer.read()) datagrams.push_back(datagram);
        context.run_one();
    }
    for (auto& datagram : peer.read()) datagrams.push_back(datagram);
    BOOST_TEST_REQUIRE(datagrams.size() >= 2U);
    BOOST_TEST(datagrams.back() == "done");
    std::memcpy(&header, datagrams.front().data(), sizeof(header));
    BOOST_TEST(header.nlmsg_seq == 4711U);
    BOOST_TEST(header.nlmsg_type == GENL_ID_CTRL);
    BOOST_TEST((datagrams.front().find("nlctrl") != std::string::npos));
}

BOOST_AUTO_TEST_SUITE_END()
