#include "forwarding/connections/tcp_state.hpp"

#include "tests/forwarding/connections/state_text.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

// Linux: ip_vs_proto_tcp.c tcp_states and tcp_states_dos, as a reader of them would note them.
constexpr const char* tables = R"(
== normal input
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SR .  ES .  SR SR SR SR SR SR SR
FIN   CL CW .  TW TW .  .  .  .  .  TW
ACK   ES .  .  ES .  .  .  .  CL .  ES
RST   CL CL CL .  CL CL .  CL .  .  SR
== normal output
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SS .  .  .  SS SS SS SS SS .  SR
FIN   TW FW .  TW .  .  .  TW .  .  TW
ACK   ES .  .  ES .  .  .  .  .  ES ES
RST   CL CL .  CL CL .  .  CL CL CL CL
== normal input_only
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SR .  ES .  SR SR SR SR SR SR SR
FIN   CL FW .  TW .  .  .  .  .  .  TW
ACK   ES .  .  ES .  .  .  .  CL .  ES
RST   CL CL CL .  CL CL .  CL .  .  CL
== secure input
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SR .  ES .  SR SR SR SR SR SR .
FIN   CL CW .  TW TW .  .  .  .  .  .
ACK   ES .  .  .  .  .  .  .  CL .  .
RST   CL CL CL .  CL CL .  CL .  .  CL
== secure output
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SS .  .  SA SS SS SS SS SS .  .
FIN   TW FW .  TW .  .  .  TW .  .  TW
ACK   ES .  .  ES .  .  .  .  .  ES ES
RST   CL CL .  CL CL .  .  CL CL CL CL
== secure input_only
      NO ES SS SR FW TW CL CW LA LI SA
SYN   SA .  ES .  SA SA SA SA SA SA .
FIN   CL FW .  TW .  .  .  .  .  .  TW
ACK   ES .  .  ES .  .  .  .  CL .  ES
RST   CL CL CL .  CL CL .  CL .  .  CL
)";

std::string event_by_precedence(std::uint8_t flags) {
    for (const auto& [bit, name] :
         {std::pair{0x04, "RST"}, {0x02, "SYN"}, {0x01, "FIN"}, {0x10, "ACK"}}) {
        if ((flags & bit) != 0) return name;
    }
    return "none";
}

std::string view_name(Direction direction, bool no_output) {
    if (direction == Direction::reply) return "output";
    return no_output ? "input_only" : "input";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tcp_state_test)

BOOST_AUTO_TEST_CASE(every_transition_is_the_kernels) {
    const nlvs::test::StateText text{tables};
    BOOST_TEST_REQUIRE(text.size() == 6U * 4 * 11);
    const auto& names = text.states();
    for (unsigned run = 0; run < 256U * 11 * 8; ++run) {
        const auto flags = static_cast<std::uint8_t>(run % 256);
        const auto state = run / 256 % 11;
        const bool secure = (run / 256 / 11 & 1) != 0;
        const bool no_output = (run / 256 / 11 & 2) != 0;
        const auto direction = static_cast<Direction>((run / 256 / 11 & 4) != 0);
        const std::string event = event_by_precedence(flags);
        const std::string table =
            (secure ? "secure " : "normal ") + view_name(direction, no_output);
        const std::string expected = event == "none" ? "CL" : text.next(table, event, names[state]);
        const auto next =
            advance_tcp(static_cast<TcpState>(state), flags, direction, no_output, secure);
        BOOST_TEST_CONTEXT(table << " " << names[state] << " flags " << unsigned{flags}) {
            BOOST_TEST(names[static_cast<std::size_t>(next)] == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_handshake_through_nat_is_established_by_the_clients_ack) {
    TcpState state = TcpState::none;
    state = advance_tcp(state, 0x02, Direction::request, false, false);
    BOOST_TEST((state == TcpState::syn_recv));
    state = advance_tcp(state, 0x12, Direction::reply, false, false);
    BOOST_TEST((state == TcpState::syn_recv));
    state = advance_tcp(state, 0x10, Direction::request, false, false);
    BOOST_TEST((state == TcpState::established));
}

BOOST_AUTO_TEST_CASE(states_of_an_open_or_opening_connection_are_active) {
    const std::string active = "01110000001";
    for (unsigned state = 0; state < 11; ++state) {
        BOOST_TEST(is_active(static_cast<TcpState>(state)) == (active[state] == '1'));
    }
}

BOOST_AUTO_TEST_CASE(timeouts_are_the_kernels_and_two_of_them_are_settings) {
    const nlvs::ipvs::Timeouts timeouts{.tcp = 901, .tcp_fin = 121, .udp = 301};
    const unsigned seconds[] = {2, 901, 120, 60, 121, 120, 10, 60, 30, 120, 120};
    for (unsigned state = 0; state < 11; ++state) {
        BOOST_TEST(tcp_timeout(static_cast<TcpState>(state), timeouts) == seconds[state] * 8);
    }
    const nlvs::ipvs::Timeouts longest{.tcp = 8589934, .tcp_fin = 8589934, .udp = 8589934};
    BOOST_TEST(tcp_timeout(TcpState::established, longest) == 68719472U);
}

BOOST_AUTO_TEST_SUITE_END()
