#include "daemon/text_reader.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

#include "daemon/services_text.hpp"
#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

/// "0 1 2 … " one number at a time, at once or when told to.
class Numbers final : public TextSource {
public:
    explicit Numbers(int count, Deliver* later = nullptr) : count_{count}, later_{later} {}

    void next(Deliver deliver) override {
        if (later_ == nullptr) {
            deliver(piece());
        } else {
            *later_ = std::move(deliver);
        }
    }

    std::string piece() { return at_ == count_ ? "" : std::to_string(at_++) + " "; }

private:
    int count_;
    int at_ = 0;
    Deliver* later_;
};

std::string read(TextReader& reader, std::uint64_t offset, std::size_t size) {
    std::optional<std::string> result;
    reader.read(offset, size, [&result](std::string_view bytes) { result = bytes; });
    BOOST_TEST_REQUIRE(result.has_value());
    return *result;
}

std::shared_ptr<TextReader> numbers(int count) {
    return std::make_shared<TextReader>([count] { return std::make_unique<Numbers>(count); });
}

BOOST_AUTO_TEST_SUITE(text_reader_test)

BOOST_AUTO_TEST_CASE(reads_continue_go_back_and_end) {
    const auto reader = numbers(5);
    BOOST_TEST(read(*reader, 0, 4) == "0 1 ");
    BOOST_TEST(read(*reader, 4, 4) == "2 3 ");
    BOOST_TEST(read(*reader, 8, 100) == "4 ");
    BOOST_TEST(read(*reader, 10, 100) == "");
    BOOST_TEST(read(*reader, 1000, 100) == "");
    BOOST_TEST(read(*reader, 2, 3) == "1 2");
    BOOST_TEST(read(*reader, 7, 2) == " 4");
}

BOOST_AUTO_TEST_CASE(a_far_offset_does_not_need_a_deep_stack) {
    const auto reader = numbers(1'000'000);
    BOOST_TEST(read(*reader, 6'888'883, 100) == "999999 ");
}

BOOST_AUTO_TEST_CASE(a_read_waits_for_a_source_that_is_not_ready) {
    TextSource::Deliver later;
    const auto reader = std::make_shared<TextReader>([&later] {
        return std::make_unique<Numbers>(2, &later);
    });
    std::optional<std::string> result;
    reader->read(0, 100, [&result](std::string_view bytes) { result = bytes; });
    for (const char* piece : {"a", "b", ""}) {
        BOOST_TEST(!result.has_value());
        std::exchange(later, {})(piece);
    }
    BOOST_TEST_REQUIRE(result.has_value());
    BOOST_TEST(*result == "ab");
}

BOOST_AUTO_TEST_CASE(a_piece_for_a_closed_file_is_dropped) {
    TextSource::Deliver later;
    auto reader = std::make_shared<TextReader>([&later] {
        return std::make_unique<Numbers>(2, &later);
    });
    bool called = false;
    reader->read(0, 100, [&called](std::string_view) { called = true; });
    reader.reset();
    later("late");
    BOOST_TEST(!called);
}

BOOST_FIXTURE_TEST_CASE(services_come_before_marks_and_long_ones_in_several_pieces, ControlFixture) {
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 7};
    BOOST_TEST_REQUIRE(control.add_service(mark, scheduled_by("rr")).has_value());
    const auto web = tcp_service("10.0.0.1", 80);
    BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
    constexpr std::uint16_t destinations = 3000;
    for (std::uint16_t i = 1; i <= destinations; ++i) {
        BOOST_TEST_REQUIRE(control.add_destination(web, masqueraded("10.0.0.11", i)).has_value());
    }
    ServicesText source{control};
    std::string text;
    int pieces = 0;
    for (bool more = true; more;) {
        source.next([&](std::string piece) {
            more = !piece.empty();
            BOOST_TEST(piece.size() < TextSource::piece_size + 256);
            text += piece;
            ++pieces;
        });
    }
    BOOST_TEST(pieces > 2);
    const auto at = [&text](const char* part) { return text.find(part); };
    BOOST_TEST(at("TCP  0A000001:0050 rr") < at("  -> 0A00000B:0BB8"));
    BOOST_TEST(at("  -> 0A00000B:0BB8") < at("  -> 0A00000B:0001"));
    BOOST_TEST(at("  -> 0A00000B:0001") < at("FWM  00000007 rr"));
    BOOST_TEST(at("FWM") != std::string::npos);
    BOOST_TEST(std::ranges::count(text, '\n') == 3 + 2 + destinations);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
