#include "netlink-shim/endpoint/sockopt_server.hpp"

#include "netlink-shim/core/protocol.hpp"

#include <cerrno>
#include <cstring>
#include <optional>

#include <boost/test/unit_test.hpp>
#include <linux/netlink.h>

namespace {

using namespace nlvs::shim;

Datagram request(const SockoptRequestHeader& call, std::size_t argument) {
    Datagram result(NLMSG_HDRLEN + sizeof(call) + argument, std::byte{7});
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<std::uint32_t>(result.size());
    header.nlmsg_type = sockopt_message_type;
    header.nlmsg_seq = 99;
    std::memcpy(result.data(), &header, sizeof(header));
    std::memcpy(result.data() + NLMSG_HDRLEN, &call, sizeof(call));
    return result;
}

struct Part {
    nlmsghdr header;
    SockoptReplyHeader result;
    std::size_t bytes;
};

Part read(const Datagram& datagram) {
    Part part = {};
    constexpr std::size_t size = NLMSG_HDRLEN + sizeof(SockoptReplyHeader);
    BOOST_TEST_REQUIRE(datagram.size() >= size);
    std::memcpy(&part.header, datagram.data(), sizeof(part.header));
    std::memcpy(&part.result, datagram.data() + NLMSG_HDRLEN, sizeof(part.result));
    part.bytes = datagram.size() - size;
    BOOST_TEST(part.header.nlmsg_len == datagram.size());
    BOOST_TEST(part.header.nlmsg_seq == 99U);
    BOOST_TEST(part.header.nlmsg_pid == 5U);
    return part;
}

struct Fixture {
    std::optional<SockoptCall> asked;
    SockoptResult result;
    SockoptServer server{[this](const SockoptCall& call) {
        asked = call;
        return result;
    }};

    Answer ask(const SockoptRequestHeader& call, std::size_t argument, bool privileged = true) {
        return server.handle(request(call, argument), {5, privileged, false});
    }

    int error_of(const Answer& answer) const {
        BOOST_TEST_REQUIRE(answer.datagrams.size() == 1U);
        BOOST_TEST(!answer.dump);
        return read(answer.datagrams[0]).result.error;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sockopt_server_test, Fixture)

BOOST_AUTO_TEST_CASE(a_set_passes_its_argument_and_returns_no_bytes) {
    result.bytes.resize(10);
    const Answer answer = ask({0, 1154, 44}, 44);
    BOOST_TEST_REQUIRE(asked.has_value());
    BOOST_TEST(!asked->is_get);
    BOOST_TEST(asked->option == 1154U);
    BOOST_TEST(asked->argument.size() == 44U);
    BOOST_TEST_REQUIRE(answer.dump);
    BOOST_TEST(answer.dump->next(4096).empty());
    const Part part = read(answer.dump->done());
    BOOST_TEST(part.result.error == 0);
    BOOST_TEST(part.result.total == 0U);
}

BOOST_AUTO_TEST_CASE(a_long_result_comes_in_consecutive_parts) {
    result.bytes.resize(100000);
    const Answer answer = ask({1, 1154, 100000}, max_sockopt_argument);
    BOOST_TEST_REQUIRE(answer.dump);
    std::size_t offset = 0;
    std::size_t parts = 0;
    const auto check = [&](const Datagram& datagram) {
        const Part part = read(datagram);
        BOOST_TEST(part.result.total == 100000U);
        BOOST_TEST(part.result.offset == offset);
        offset += part.bytes;
        ++parts;
    };
    for (Datagram datagram; !(datagram = answer.dump->next(4096)).empty();) check(datagram);
    check(answer.dump->done());
    BOOST_TEST(offset == 100000U);
    BOOST_TEST(parts > 1U);
}

BOOST_AUTO_TEST_CASE(a_result_never_exceeds_the_callers_buffer) {
    result.bytes.resize(100);
    const Answer answer = ask({1, 1152, 64}, 64);
    BOOST_TEST_REQUIRE(answer.dump);
    BOOST_TEST(read(answer.dump->done()).bytes == 64U);
}

BOOST_AUTO_TEST_CASE(an_error_is_one_datagram) {
    result.error = ESRCH;
    BOOST_TEST(error_of(ask({0, 1154, 44}, 44)) == ESRCH);
}

BOOST_AUTO_TEST_CASE(an_argument_that_is_not_as_long_as_it_says_is_refused) {
    BOOST_TEST(error_of(ask({0, 1154, 44}, 43)) == EINVAL);
    BOOST_TEST(error_of(ask({0, 1154, 0xffffffff}, 44)) == EINVAL);
    BOOST_TEST(!asked.has_value());
}

BOOST_AUTO_TEST_CASE(without_the_capability_nothing_is_asked) {
    BOOST_TEST(error_of(ask({0, 1154, 44}, 44, false)) == EPERM);
    BOOST_TEST(!asked.has_value());
}

BOOST_AUTO_TEST_CASE(a_message_too_short_for_a_request_is_not_answered) {
    const Datagram whole = request({0, 1154, 0}, 0);
    for (std::size_t size = NLMSG_HDRLEN; size < whole.size(); ++size) {
        const Answer answer = server.handle(std::span(whole).first(size), {5, true, false});
        BOOST_TEST(answer.datagrams.empty());
    }
}

BOOST_AUTO_TEST_SUITE_END()
