#include "daemon/report.hpp"

#include <boost/test/unit_test.hpp>

namespace nlvs::daemon {
namespace {

Report sample() {
    return {{
        {"status", {"version", "up"}, {{std::string{"1 \"x\"\n"}, true}}, true},
        {"workers",
         {"name", "packets"},
         {{std::string{"a"}, std::uint64_t{7}}, {std::string{"long"}, std::uint64_t{12345678}}},
         false},
        {"none", {"share"}, {}, false},
    }};
}

BOOST_AUTO_TEST_SUITE(report_test)

BOOST_AUTO_TEST_CASE(text_is_aligned_with_numbers_to_the_right) {
    BOOST_TEST(
        print_text(sample()) ==
        "version  1 \"x\"\n\n"
        "up       yes\n"
        "\n"
        "name   packets\n"
        "a            7\n"
        "long  12345678\n"
        "\n"
        "share\n"
    );
}

BOOST_AUTO_TEST_CASE(json_quotes_what_needs_it) {
    BOOST_TEST(
        print_json(sample()) ==
        R"({"status": {"version": "1 \"x\"\u000a", "up": true}, )"
        R"("workers": [{"name": "a", "packets": 7}, {"name": "long", "packets": 12345678}], )"
        "\"none\": []}\n"
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
