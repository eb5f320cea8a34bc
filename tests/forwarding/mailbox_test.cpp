#include "forwarding/mailbox.hpp"

#include <array>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;

BOOST_AUTO_TEST_SUITE(mailbox_test)

BOOST_AUTO_TEST_CASE(a_request_comes_back_as_the_same_object) {
    Mailbox mailbox;
    WorkerRequest request;
    BOOST_TEST(!mailbox.pending());
    BOOST_TEST_REQUIRE(mailbox.post(&request));
    BOOST_TEST(mailbox.pending());
    BOOST_TEST(mailbox.collect() == nullptr);
    BOOST_TEST(mailbox.receive() == &request);
    BOOST_TEST(!mailbox.pending());
    mailbox.answer(&request);
    BOOST_TEST(mailbox.collect() == &request);
    BOOST_TEST(mailbox.collect() == nullptr);
}

BOOST_AUTO_TEST_CASE(requests_are_served_in_order_and_a_full_mailbox_refuses) {
    Mailbox mailbox;
    std::vector<WorkerRequest> requests(4 * Mailbox::requests_at_once);
    std::size_t posted = 0;
    while (posted < requests.size() && mailbox.post(&requests[posted])) ++posted;
    BOOST_TEST(posted >= Mailbox::requests_at_once);
    BOOST_TEST(posted < requests.size());
    for (std::size_t i = 0; i < posted; ++i) BOOST_TEST(mailbox.receive() == &requests[i]);
    BOOST_TEST(mailbox.receive() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_neighbour_is_wanted_once_for_each_time_it_was_asked_for) {
    Mailbox mailbox;
    unsigned asked = 0;
    while (asked < 4 * Mailbox::neighbours_at_once &&
           mailbox.want({asked, net::Ipv4Address{asked}})) {
        ++asked;
    }
    BOOST_TEST(asked >= Mailbox::neighbours_at_once);
    BOOST_TEST(asked < 4 * Mailbox::neighbours_at_once);
    NeighbourWanted wanted;
    for (unsigned i = 0; i < asked; ++i) {
        BOOST_TEST_REQUIRE(mailbox.wanted(wanted));
        BOOST_TEST(wanted.interface == i);
        BOOST_TEST((wanted.address == net::IpAddress{net::Ipv4Address{i}}));
    }
    BOOST_TEST(!mailbox.wanted(wanted));
}

// Under ThreadSanitizer this is the proof of the crossing's memory order: neither side takes a
// lock, and each reads what the other wrote.
BOOST_AUTO_TEST_CASE(what_one_side_wrote_the_other_reads) {
    constexpr std::uint64_t rounds = 20'000;
    Mailbox mailbox;
    std::thread worker{[&] {
        for (std::uint64_t served = 0; served < rounds;) {
            WorkerRequest* request = mailbox.receive();
            if (request == nullptr) {
                std::this_thread::yield();
                continue;
            }
            request->count = request->cursor * 2;
            mailbox.answer(request);
            ++served;
        }
    }};
    std::array<WorkerRequest, 8> requests;
    std::uint64_t wrong = 0;
    std::uint64_t sent = 0;
    for (auto& request : requests) {
        request.cursor = sent++;
        BOOST_TEST_REQUIRE(mailbox.post(&request));
    }
    for (std::uint64_t collected = 0; collected < rounds;) {
        WorkerRequest* answer = mailbox.collect();
        if (answer == nullptr) {
            std::this_thread::yield();
            continue;
        }
        wrong += answer->cursor != collected || answer->count != 2 * collected ? 1 : 0;
        ++collected;
        if (sent == rounds) continue;
        answer->cursor = sent++;
        wrong += mailbox.post(answer) ? 0 : 1;
    }
    worker.join();
    BOOST_TEST(wrong == 0U);
}

// The same for elements that are copied: slots are written again while others are still read.
BOOST_AUTO_TEST_CASE(announcements_arrive_whole_and_in_order) {
    constexpr std::uint32_t rounds = 4 * Mailbox::announcements_at_once;
    Mailbox mailbox;
    std::thread worker{[&] {
        for (std::uint32_t i = 0; i < rounds;) {
            SyncAnnouncement announcement;
            announcement.timeout = i;
            announcement.virtual_address = net::Ipv4Address{i};
            if (mailbox.announce(announcement)) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    }};
    std::array<SyncAnnouncement, 64> announcements;
    std::uint32_t wrong = 0;
    for (std::uint32_t expected = 0; expected < rounds;) {
        const unsigned count = mailbox.announced(announcements);
        for (unsigned i = 0; i < count; ++i, ++expected) {
            const auto& one = announcements[i];
            wrong += one.timeout != expected ||
                     one.virtual_address != net::IpAddress{net::Ipv4Address{expected}};
        }
        if (count == 0) std::this_thread::yield();
    }
    worker.join();
    BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
