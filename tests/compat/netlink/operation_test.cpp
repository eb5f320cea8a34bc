#include "compat/netlink/operation.hpp"

#include "tests/support/hex.hpp"

#include <array>
#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using netlink::Refusal;

constexpr std::array<netlink::Operation, 3> operations{{
    {1, GENL_ADMIN_PERM | GENL_CMD_CAP_DO},
    {2, GENL_ADMIN_PERM | GENL_CMD_CAP_DUMP},
    {3, GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP},
}};
constexpr std::uint8_t first_strict_command = 4;

std::string outcome(const char* digits, bool privileged) {
    const auto bytes = test::hex(digits);
    const auto command = netlink::select_operation(
        *netlink::MessageView::parse(bytes), operations, first_strict_command, privileged
    );
    if (command) return "command " + std::to_string(*command);
    switch (command.error()) {
        case Refusal::invalid:
            return "invalid";
        case Refusal::not_supported:
            return "not supported";
        case Refusal::not_permitted:
            return "not permitted";
    }
    return "";
}

BOOST_AUTO_TEST_SUITE(operation)

// Linux: genetlink.c genl_family_rcv_msg.
BOOST_AUTO_TEST_CASE(checks_come_in_the_order_of_linux) {
    const struct {
        const char* name;
        const char* message;
        bool privileged;
        const char* expected;
    } rows[]{
        {"do", "14000000 25000500 00000000 00000000 01010000", true, "command 1"},
        {"dump", "14000000 25000503 00000000 00000000 02010000", true, "command 2"},
        {"no privilege needed", "14000000 25000500 00000000 00000000 03010000", false, "command 3"},
        {"version and reserved field are free",
         "14000000 25000500 00000000 00000000 0109ffff",
         true,
         "command 1"},
        {"unknown flags are free",
         "14000000 2500f5fc 00000000 00000000 01010000",
         true,
         "command 1"},
        {"too short", "13000000 25000500 00000000 00000000 010100", true, "invalid"},
        {"no such command", "14000000 25000500 00000000 00000000 00010000", true, "not supported"},
        {"no such command, unprivileged",
         "14000000 25000500 00000000 00000000 00010000",
         false,
         "not supported"},
        {"no privilege before wrong mode",
         "14000000 25000503 00000000 00000000 01010000",
         false,
         "not permitted"},
        {"dump of a do command",
         "14000000 25000503 00000000 00000000 01010000",
         true,
         "not supported"},
        {"do of a dump command",
         "14000000 25000500 00000000 00000000 02010000",
         true,
         "not supported"},
        {"one dump bit is do",
         "14000000 25000501 00000000 00000000 02010000",
         true,
         "not supported"},
        {"strict: unknown", "14000000 25000500 00000000 00000000 04010000", true, "not supported"},
        {"strict: reserved", "14000000 25000500 00000000 00000000 04010100", true, "invalid"},
        {"strict: flags", "14000000 25000504 00000000 00000000 04010000", true, "invalid"},
        {"strict: dump flags are known",
         "14000000 25000d03 00000000 00000000 04010000",
         true,
         "not supported"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(outcome(row.message, row.privileged) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
