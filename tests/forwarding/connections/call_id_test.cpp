#include "forwarding/connections/call_id.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

namespace nlvs::forwarding {

BOOST_AUTO_TEST_SUITE(call_id_test)

BOOST_AUTO_TEST_CASE(the_call_id_is_found_wherever_its_line_is) {
    const struct {
        const char* message;
        const char* found;
    } rows[] = {
        {"INVITE sip:x SIP/2.0\r\nCall-ID: a84b4c76e66710@pc33\r\n\r\n", "a84b4c76e66710@pc33"},
        {"INVITE sip:x SIP/2.0\nVia: y\ncall-id:alpha\n", "alpha"},
        {"INVITE sip:x SIP/2.0\r\ni: compact@h\r\n", "compact@h"},
        {"INVITE sip:x SIP/2.0\r\nI  :   compact\r\n", "compact"},
        {"INVITE sip:x SIP/2.0\r\nCall-ID:\r\n folded@h\r\n", "folded@h"},
        {"INVITE sip:x SIP/2.0\r\nCall-ID: (p)<q>:\"[r]?{s}'!%*_+`~-./\r\n", "(p)<q>:\"[r]?{s}'!%*_+`~-./"},
        // Not these.
        {"", ""},
        {"Call-ID: in-the-first-line\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nCall-ID: unfinished", ""},
        {"INVITE sip:x SIP/2.0\r\nCall-ID: two words\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nCall-ID: a@\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nCall-ID:\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nCall-IDs: a\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nin: a\r\n", ""},
        {"INVITE sip:x SIP/2.0\r\nTo: x\r\n Call-ID: continued\r\n", ""},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.message) { BOOST_TEST(find_call_id(row.message) == row.found); }
    }
}

BOOST_AUTO_TEST_CASE(more_than_255_bytes_are_none) {
    for (const std::size_t length : {254U, 255U, 256U}) {
        const std::string id(length, 'x');
        const std::string message = "INVITE sip:x SIP/2.0\r\nCall-ID: " + id + "\r\n";
        BOOST_TEST(find_call_id(message) == (length <= 255 ? id : std::string{}));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
