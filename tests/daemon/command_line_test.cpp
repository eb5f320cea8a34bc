#include "daemon/command_line.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

namespace nlvs::daemon {
namespace {

CommandLine parse(std::vector<std::string> words) {
    words.insert(words.begin(), "nlvsd");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    return parse_command_line(pointers);
}

BOOST_AUTO_TEST_SUITE(command_line_test)

BOOST_AUTO_TEST_CASE(options_are_read_in_their_forms) {
    BOOST_TEST(!parse({}).configuration.has_value());
    BOOST_TEST(parse({"-c", "a"}).configuration->string() == "a");
    BOOST_TEST(parse({"--config", "a"}).configuration->string() == "a");
    BOOST_TEST(parse({"--config=a"}).configuration->string() == "a");
    BOOST_TEST(parse({"--check"}).check);
    BOOST_TEST(parse({"-f"}).foreground);
    BOOST_TEST(parse({"--fresh"}).fresh);
    BOOST_TEST(!parse({}).fresh);
    BOOST_TEST(parse({"--version"}).answer.starts_with("nlvsd "));
    BOOST_TEST(parse({"-h"}).answer.starts_with("Usage: nlvsd "));
}

BOOST_AUTO_TEST_CASE(wrong_arguments_are_named) {
    const struct {
        std::vector<std::string> words;
        const char* message;
    } rows[] = {
        {{"--nonsense"}, "unknown argument \"--nonsense\", see --help"},
        {{"stray"}, "unknown argument \"stray\", see --help"},
        {{"-c"}, "-c needs a file"},
    };
    for (const auto& row : rows) {
        BOOST_CHECK_EXCEPTION(
            parse(row.words), CommandLineError,
            [&row](const CommandLineError& error) { return std::string{error.what()} == row.message; }
        );
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
