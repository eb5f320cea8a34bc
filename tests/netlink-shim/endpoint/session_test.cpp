#include "netlink-shim/endpoint/session.hpp"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs::shim;
using Progress = Session::Progress;

Datagram datagram(const std::string& text) {
    Datagram result;
    for (const char c : text) result.push_back(static_cast<std::byte>(c));
    return result;
}

class CountingDump final : public Dump {
public:
    explicit CountingDump(unsigned count, unsigned& generated)
        : count_(count), generated_(generated) {}

    Datagram next(std::size_t) override {
        if (generated_ == count_) return {};
        return datagram("d" + std::to_string(++generated_));
    }

    Datagram done() override { return datagram("done"); }

private:
    unsigned count_;
    unsigned& generated_;
};

/// A client whose buffer has room for so many datagrams.
struct Reader {
    unsigned room = 1000;
    bool gone = false;
    std::vector<std::string> read;

    Session::Send send() {
        return [this](std::span<const std::byte> bytes) {
            if (gone) return SendStatus::gone;
            if (room == 0) return SendStatus::full;
            --room;
            read.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            return SendStatus::sent;
        };
    }
};

Answer answer(std::initializer_list<const char*> texts) {
    Answer result;
    for (const char* text : texts) result.datagrams.push_back(datagram(text));
    return result;
}

Answer dump(unsigned count, unsigned& generated) {
    Answer result;
    result.dump = std::make_unique<CountingDump>(count, generated);
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(session_test)

BOOST_AUTO_TEST_CASE(answers_leave_in_order_each_in_its_datagram) {
    Session session;
    Reader reader;
    BOOST_TEST(session.add(answer({"reply", "ack"})));
    BOOST_TEST(session.add(answer({"second"})));
    BOOST_TEST((session.advance(reader.send()) == Progress::finished));
    BOOST_TEST((reader.read == std::vector<std::string>{"reply", "ack", "second"}));
}

BOOST_AUTO_TEST_CASE(a_dump_ends_with_done) {
    Session session;
    Reader reader;
    unsigned generated = 0;
    session.add(dump(2, generated));
    BOOST_TEST(session.dump_running());
    BOOST_TEST((session.advance(reader.send()) == Progress::finished));
    BOOST_TEST((reader.read == std::vector<std::string>{"d1", "d2", "done"}));
    BOOST_TEST(!session.dump_running());
}

BOOST_AUTO_TEST_CASE(a_dump_shows_what_was_there_when_it_was_asked_for) {
    Session session;
    unsigned generated = 0;
    session.add(dump(2, generated));
    BOOST_TEST(generated == 1U);
    unsigned none = 0;
    Session other;
    other.add(dump(0, none));
    BOOST_TEST(!other.dump_running());
    other.add(answer({"ack"}));
    Reader reader;
    other.advance(reader.send());
    BOOST_TEST((reader.read == std::vector<std::string>{"done", "ack"}));
}

BOOST_AUTO_TEST_CASE(a_stopped_reader_costs_one_datagram_and_loses_none) {
    Session session;
    Reader reader{3, false, {}};
    unsigned generated = 0;
    session.add(dump(100, generated));
    for (int i = 0; i < 10; ++i) BOOST_TEST((session.advance(reader.send()) == Progress::blocked));
    BOOST_TEST(generated == 4U);
    reader.room = 1000;
    Progress progress = Progress::more;
    while (progress == Progress::more) progress = session.advance(reader.send());
    BOOST_TEST((progress == Progress::finished));
    BOOST_TEST_REQUIRE(reader.read.size() == 101U);
    for (unsigned i = 0; i < 100; ++i) BOOST_TEST(reader.read[i] == "d" + std::to_string(i + 1));
    BOOST_TEST(reader.read.back() == "done");
}

BOOST_AUTO_TEST_CASE(a_long_dump_gives_others_their_turn) {
    Session session;
    Reader reader;
    unsigned generated = 0;
    session.add(dump(1000, generated));
    BOOST_TEST((session.advance(reader.send()) == Progress::more));
    BOOST_TEST(reader.read.size() == Session::datagrams_per_turn);
}

BOOST_AUTO_TEST_CASE(answers_during_a_dump_are_not_kept_behind_it) {
    Session session;
    Reader reader{1, false, {}};
    unsigned generated = 0;
    session.add(dump(3, generated));
    BOOST_TEST((session.advance(reader.send()) == Progress::blocked));
    session.add(answer({"busy"}));
    reader.room = 1000;
    BOOST_TEST((session.advance(reader.send()) == Progress::finished));
    BOOST_TEST((reader.read == std::vector<std::string>{"d1", "d2", "busy", "d3", "done"}));
}

BOOST_AUTO_TEST_CASE(a_client_that_only_writes_has_a_bounded_backlog) {
    Session session;
    const std::string kilobyte(1024, 'x');
    std::size_t accepted = 0;
    while (session.add(answer({kilobyte.c_str()}))) ++accepted;
    BOOST_TEST(accepted == Session::max_backlog / 1024);
    Reader reader{1, false, {}};
    session.advance(reader.send());
    BOOST_TEST(session.add(answer({kilobyte.c_str()})));
}

BOOST_AUTO_TEST_CASE(a_client_that_is_gone_ends_the_session) {
    Session session;
    Reader reader{1000, true, {}};
    unsigned generated = 0;
    session.add(dump(3, generated));
    BOOST_TEST((session.advance(reader.send()) == Progress::gone));
}

BOOST_AUTO_TEST_SUITE_END()
