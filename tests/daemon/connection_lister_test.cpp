#include "daemon/connection_lister.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <string>

#include "compat/procfs/connections_text.hpp"
#include "daemon/text_reader.hpp"
#include "forwarding/mailbox.hpp"

namespace nlvs::daemon {
namespace {

/// Two workers with so many connections each, which answer when they are woken.
struct Fixture {
    static constexpr std::uint64_t each = 150'000;

    WorkerAccess access(forwarding::Mailbox& mailbox) {
        WorkerAccess worker;
        worker.mailbox = &mailbox;
        worker.wake = [this, &mailbox] {
            while (forwarding::WorkerRequest* request = mailbox.receive()) answer(mailbox, *request);
        };
        return worker;
    }

    void answer(forwarding::Mailbox& mailbox, forwarding::WorkerRequest& request) {
        ++pages;
        largest = std::max(largest, request.limit);
        const std::uint64_t stop = std::min(each, request.cursor + request.limit);
        for (; request.cursor < stop; ++request.cursor) {
            request.connections.emplace_back().protocol = 17;
        }
        if (stop == each) request.cursor = forwarding::WorkerRequest::end;
        mailbox.answer(&request);
    }

    std::string read(TextReader& reader, std::uint64_t offset, std::size_t size) {
        std::optional<std::string> result;
        reader.read(offset, size, [&result](std::string_view bytes) { result = bytes; });
        context.restart();
        while (!result) BOOST_TEST_REQUIRE(context.run_one() == 1U);
        return *result;
    }

    boost::asio::io_context context{1};
    forwarding::Mailbox first;
    forwarding::Mailbox second;
    WorkerMail mail{context, {access(first), access(second)}};
    std::uint64_t pages = 0;
    std::uint32_t largest = 0;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(connection_lister_test, Fixture)

// The whole is tools/rig list: ten million, under traffic.
BOOST_AUTO_TEST_CASE(a_long_listing_is_asked_for_as_it_is_read) {
    const auto reader = std::make_shared<TextReader>([this] {
        return std::make_unique<ConnectionLister>(
            mail, nullptr, procfs::connections_header, procfs::append_connection
        );
    });
    constexpr std::size_t piece = 1 << 17;
    std::string text = read(*reader, 0, 4096);
    BOOST_TEST(text.size() == 4096U);
    BOOST_TEST(pages == 1U);
    std::uint64_t offset = text.size();
    auto lines = static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
    while (!(text = read(*reader, offset, piece)).empty()) {
        offset += text.size();
        lines += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
        // Never more than what was read and a page or two.
        BOOST_TEST_REQUIRE(pages <= lines / largest + 4);
    }
    BOOST_TEST(lines == 1 + 2 * each);
    BOOST_TEST(largest <= 1024U);
}

BOOST_AUTO_TEST_CASE(a_reader_that_goes_away_leaves_its_answer_to_nobody) {
    auto reader = std::make_shared<TextReader>([this] {
        return std::make_unique<ConnectionLister>(
            mail, nullptr, procfs::connections_header, procfs::append_connection
        );
    });
    bool read = false;
    reader->read(0, 4096, [&read](std::string_view) { read = true; });
    reader.reset();
    context.restart();
    context.run();
    BOOST_TEST(!read);
    BOOST_TEST(pages == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
