#include "forwarding/connections/sctp_state.hpp"

#include "tests/forwarding/connections/state_text.hpp"

#include <map>
#include <string>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

// Linux: ip_vs_proto_sctp.c sctp_states, as a reader of it would note it.
constexpr const char* tables = R"(
== input
                   NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
DATA               ES .  .  .  .  .  .  .  .  .  .  .  .  .
INIT               I1 IN .  .  .  .  .  .  .  .  .  .  IN IN
INIT_ACK           CW CW CW .  .  CO .  .  .  .  .  .  .  .
COOKIE_ECHO        CR IN .  CR .  .  .  .  .  .  .  .  .  .
COOKIE_ACK         ES .  .  .  .  .  .  ES .  .  .  .  .  .
SHUTDOWN           SR .  .  .  .  .  .  .  SR .  .  .  .  .
SHUTDOWN_ACK       CL IN .  .  .  .  .  .  .  CL .  CL .  .
SHUTDOWN_COMPLETE  CL CL CL .  .  .  .  .  .  .  .  CL .  .
ERROR              CL .  .  .  .  .  .  CL .  .  .  .  .  .
ABORT              CL CL CL CL CL RJ CL CL CL CL CL CL CL .
== output
                   NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
DATA               ES .  .  .  .  .  .  .  .  .  .  .  .  .
INIT               CW CW CW CW CW .  CW CW .  CW CW CW CW CW
INIT_ACK           CS CS CS .  .  .  .  .  .  .  .  .  .  .
COOKIE_ECHO        CE CE CE CE CE CE CE .  .  .  .  .  .  .
COOKIE_ACK         ES ES ES ES ES ES ES ES .  .  .  .  .  .
SHUTDOWN           SS SS SS SS SS SS SS SS SS .  .  .  .  .
SHUTDOWN_ACK       SA SA SA SA SA .  .  .  .  SA SA .  .  .
SHUTDOWN_COMPLETE  CL .  .  .  .  .  .  .  .  .  .  .  .  .
ERROR              CL CL CL CL CL .  .  .  .  .  .  .  .  .
ABORT              CL RJ CL CL CL CL CL CL CL CL CL CL CL .
== input_only
                   NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
DATA               ES .  .  .  .  ES .  .  .  .  .  .  .  .
INIT               I1 IN .  IN IN IN .  .  .  .  .  .  IN IN
INIT_ACK           CE CE CE CE CE CE .  .  .  .  .  .  .  .
COOKIE_ECHO        ES ES ES ES ES ES .  .  .  .  .  .  .  .
COOKIE_ACK         ES .  .  ES ES .  ES ES .  .  .  .  .  .
SHUTDOWN           SR .  .  .  .  .  .  .  SR .  .  .  .  .
SHUTDOWN_ACK       CL IN .  .  .  .  .  .  CL CL .  CL .  .
SHUTDOWN_COMPLETE  CL CL CL CL CL .  .  .  .  .  CL CL .  .
ERROR              CL .  .  .  .  .  .  .  .  .  .  .  .  .
ABORT              CL CL CL CL CL RJ CL CL CL CL CL CL CL .
)";

/// RFC 9260 section 3.2; every other type is data to IPVS.
const std::map<unsigned, std::string> chunk_names = {
    {1, "INIT"},
    {2, "INIT_ACK"},
    {6, "ABORT"},
    {7, "SHUTDOWN"},
    {8, "SHUTDOWN_ACK"},
    {9, "ERROR"},
    {10, "COOKIE_ECHO"},
    {11, "COOKIE_ACK"},
    {14, "SHUTDOWN_COMPLETE"},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sctp_state_test)

BOOST_AUTO_TEST_CASE(every_transition_is_the_kernels) {
    const nlvs::test::StateText text{tables};
    BOOST_TEST_REQUIRE(text.size() == 3U * 10 * 14);
    const auto& names = text.states();
    for (unsigned run = 0; run < 256U * 14 * 4; ++run) {
        const unsigned chunk = run % 256;
        const auto state = static_cast<std::uint8_t>(run / 256 % 14);
        const bool no_output = (run / 256 / 14 & 1) != 0;
        const auto direction = static_cast<Direction>((run / 256 / 14 & 2) != 0);
        const auto known = chunk_names.find(chunk);
        const std::string event = known == chunk_names.end() ? "DATA" : known->second;
        const std::string table = direction == Direction::reply ? "output"
                                  : no_output                   ? "input_only"
                                                                : "input";
        const auto next =
            advance_sctp(state, static_cast<std::uint8_t>(chunk), direction, no_output);
        BOOST_TEST_CONTEXT(table << " " << names[state] << " chunk " << chunk) {
            BOOST_TEST(names[next] == text.next(table, event, names[state]));
        }
    }
}

BOOST_AUTO_TEST_CASE(an_abort_behind_a_cookie_decides) {
    BOOST_TEST(deciding_sctp_chunk(10, 6) == 6);
    BOOST_TEST(deciding_sctp_chunk(11, 6) == 6);
    BOOST_TEST(deciding_sctp_chunk(10, 0) == 10);
    BOOST_TEST(deciding_sctp_chunk(11, std::nullopt) == 11);
    BOOST_TEST(deciding_sctp_chunk(0, 6) == 0);
    BOOST_TEST(deciding_sctp_chunk(1, 6) == 1);
}

BOOST_AUTO_TEST_CASE(only_established_is_active) {
    for (unsigned state = 0; state < 14; ++state) {
        BOOST_TEST(is_active(static_cast<SctpState>(state)) == (state == 8));
    }
}

BOOST_AUTO_TEST_CASE(timeouts_are_the_kernels) {
    const unsigned seconds[] = {2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61};
    for (unsigned state = 0; state < 14; ++state) {
        BOOST_TEST(sctp_timeout(static_cast<SctpState>(state)) == seconds[state] * 8);
    }
}

BOOST_AUTO_TEST_SUITE_END()
