#include "netlink-shim/core/registration.hpp"

#include <cstring>
#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using nlvs::shim::parse_registration;
using nlvs::shim::print_registration;
using nlvs::shim::Registration;

Registration example() {
    Registration result;
    result.port = 4294963201U;
    result.pid = 4711;
    std::strcpy(result.files, "/run/nlvs/4026531833/files");
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(registration_test)

BOOST_AUTO_TEST_CASE(what_is_printed_is_parsed) {
    char text[nlvs::shim::max_registration_text];
    const std::size_t size = print_registration(example(), text, sizeof(text));
    BOOST_TEST(
        std::string(text, size) ==
        "nlvs 1\nport 4294963201\npid 4711\nfiles /run/nlvs/4026531833/files\n"
    );
    Registration parsed;
    BOOST_TEST(parse_registration(text, size, parsed));
    BOOST_TEST(parsed.port == 4294963201U);
    BOOST_TEST(parsed.pid == 4711U);
    BOOST_TEST(std::string(parsed.files) == "/run/nlvs/4026531833/files");
}

BOOST_AUTO_TEST_CASE(without_a_file_system_there_is_no_line_for_it) {
    Registration registration = example();
    registration.files[0] = 0;
    char text[nlvs::shim::max_registration_text];
    const std::size_t size = print_registration(registration, text, sizeof(text));
    BOOST_TEST(std::string(text, size) == "nlvs 1\nport 4294963201\npid 4711\n");
    Registration parsed;
    BOOST_TEST(parse_registration(text, size, parsed));
    BOOST_TEST(parsed.files[0] == 0);
}

BOOST_AUTO_TEST_CASE(a_text_that_does_not_fit_is_not_printed) {
    char text[nlvs::shim::max_registration_text];
    const std::size_t size = print_registration(example(), text, sizeof(text));
    BOOST_TEST(print_registration(example(), text, size + 1) == size);
    for (std::size_t capacity = 0; capacity <= size; ++capacity)
        BOOST_TEST(print_registration(example(), text, capacity) == 0U);
}

BOOST_AUTO_TEST_CASE(anything_else_is_refused) {
    const std::string long_path(sizeof(Registration::files), 'x');
    for (const std::string& text : {
             std::string(),
             std::string("nlvs 1\n"),
             std::string("nlvs 2\nport 1\npid 2\n"),
             std::string("port 1\npid 2\n"),
             std::string("nlvs 1\nport 1\n"),
             std::string("nlvs 1\npid 1\n"),
             std::string("nlvs 1\nport 1\npid 2"),
             std::string("nlvs 1\nport \npid 2\n"),
             std::string("nlvs 1\nport 0\npid 2\n"),
             std::string("nlvs 1\nport -1\npid 2\n"),
             std::string("nlvs 1\nport 1x\npid 2\n"),
             std::string("nlvs 1\nport 4294967296\npid 2\n"),
             std::string("nlvs 1\nport 99999999999\npid 2\n"),
             "nlvs 1\nport 1\npid 2\nfiles " + long_path + "\n",
         }) {
        BOOST_TEST_CONTEXT(text) {
            Registration parsed;
            BOOST_TEST(!parse_registration(text.data(), text.size(), parsed));
        }
    }
}

BOOST_AUTO_TEST_CASE(unknown_keys_are_for_later_versions) {
    const std::string text = "nlvs 1\nport 1\npid 2\ncolour blue\n";
    Registration parsed;
    BOOST_TEST(parse_registration(text.data(), text.size(), parsed));
}

BOOST_AUTO_TEST_SUITE_END()
