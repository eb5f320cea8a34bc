#include "forwarding/sync/sync_policy.hpp"

#include <boost/test/unit_test.hpp>

#include <vector>

namespace nlvs::forwarding {
namespace {

constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;
constexpr std::uint8_t sctp = 132;
constexpr Ticks now = 0xFFFFFF00U;  // ticks wrap around in the middle of most cases

SyncSubject established(std::uint32_t packets) {
    SyncSubject subject;
    subject.protocol = tcp;
    subject.state = 1;
    subject.announced_state = 1;
    subject.packets = packets;
    subject.timeout = 900 * ticks_per_second;
    return subject;
}

bool announces(const SyncSubject& subject, const ipvs::Sysctls& sysctls, Ticks at = now) {
    return decide_sync(subject, sysctls, at).announce;
}

/// Which of the first 120 packets of an established connection are announced.
std::vector<std::uint32_t> announced(const ipvs::Sysctls& sysctls) {
    std::vector<std::uint32_t> result;
    for (std::uint32_t packets = 1; packets <= 120; ++packets) {
        if (announces(established(packets), sysctls)) result.push_back(packets);
    }
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sync_policy_test)

BOOST_AUTO_TEST_CASE(the_third_packet_and_every_fiftieth_from_there) {
    BOOST_TEST((announced({}) == std::vector<std::uint32_t>{3, 53, 103}));
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 0;
    sysctls.sync_period = 60;
    BOOST_TEST((announced(sysctls) == std::vector<std::uint32_t>{60, 120}));
}

BOOST_AUTO_TEST_CASE(without_period_only_the_packet_of_the_threshold) {
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 5;
    sysctls.sync_period = 0;
    BOOST_TEST((announced(sysctls) == std::vector<std::uint32_t>{5}));
}

BOOST_AUTO_TEST_CASE(what_is_not_yet_or_no_longer_a_connection_is_never_announced) {
    for (std::uint8_t state = 0; state < 11; ++state) {
        SyncSubject subject = established(3);
        subject.state = state;
        const bool expected = state == 1 || (state >= 4 && state <= 7);
        BOOST_TEST_CONTEXT("TCP state " << int{state}) {
            BOOST_TEST(announces(subject, {}) == expected);
        }
    }
    for (std::uint8_t state = 0; state < 14; ++state) {
        SyncSubject subject = established(3);
        subject.protocol = sctp;
        subject.state = state;
        const bool expected = (state >= 8 && state <= 11) || state == 13;
        BOOST_TEST_CONTEXT("SCTP state " << int{state}) {
            BOOST_TEST(announces(subject, {}) == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_end_is_announced_at_once_and_a_beginning_waits) {
    SyncSubject ends = established(4);
    ends.state = 4;
    BOOST_TEST(announces(ends, {}));
    ends.announced_state = 4;
    BOOST_TEST(!announces(ends, {}));
    SyncSubject begins = established(4);
    begins.announced_state = 0;
    BOOST_TEST(!announces(begins, {}));
}

BOOST_AUTO_TEST_CASE(persistent_connections_are_left_to_their_templates_if_wanted) {
    ipvs::Sysctls sysctls;
    sysctls.sync_persist_mode = 1;
    SyncSubject subject = established(3);
    BOOST_TEST(announces(subject, sysctls));
    subject.persistent = true;
    BOOST_TEST(!announces(subject, sysctls));
    BOOST_TEST(announces(subject, {}));
}

BOOST_AUTO_TEST_CASE(a_refresh_period_spares_what_the_backup_knows) {
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 0;
    sysctls.sync_period = 0;
    sysctls.sync_refresh_period = 30;
    SyncSubject subject = established(1);
    subject.end = SyncEnd{now, 0};  // made now, never announced
    const SyncDecision first = decide_sync(subject, sysctls, now);
    BOOST_TEST(first.announce);
    subject.end = first.end;
    const auto later = [&](std::uint32_t seconds) {
        return announces(subject, sysctls, now + seconds * ticks_per_second);
    };
    BOOST_TEST(!later(1));
    BOOST_TEST(!later(29));
    BOOST_TEST(later(30));
}

// Linux: ip_vs_sync_conn_needed — never longer than half the timeout, but at least ten seconds.
BOOST_AUTO_TEST_CASE(a_short_timeout_shortens_the_refresh_period) {
    ipvs::Sysctls sysctls;
    sysctls.sync_period = 0;
    sysctls.sync_refresh_period = 100;
    SyncSubject subject;
    subject.protocol = udp;
    subject.timeout = 60 * ticks_per_second;
    subject.end = SyncEnd{now + subject.timeout, 0};
    BOOST_TEST(!announces(subject, sysctls, now + 29 * ticks_per_second));
    BOOST_TEST(announces(subject, sysctls, now + 30 * ticks_per_second));
    subject.timeout = 4 * ticks_per_second;
    subject.end = SyncEnd{now + subject.timeout, 0};
    BOOST_TEST(!announces(subject, sysctls, now + 9 * ticks_per_second));
    BOOST_TEST(announces(subject, sysctls, now + 10 * ticks_per_second));
}

BOOST_AUTO_TEST_CASE(retries_repeat_an_announcement_an_eighth_of_the_period_apart) {
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 0;
    sysctls.sync_period = 0;
    sysctls.sync_refresh_period = 80;
    sysctls.sync_retries = 2;
    SyncSubject subject = established(1);
    subject.end = SyncEnd{now, 0};
    std::vector<std::uint32_t> seconds;
    for (std::uint32_t second = 0; second < 200; ++second) {
        const auto decision = decide_sync(subject, sysctls, now + second * ticks_per_second);
        if (!decision.announce) continue;
        subject.end = decision.end;
        seconds.push_back(second);
    }
    BOOST_TEST((seconds == std::vector<std::uint32_t>{0, 10, 20, 100, 110, 120}));
}

BOOST_AUTO_TEST_CASE(of_templates_every_packet_counts) {
    SyncSubject subject;
    subject.is_template = true;
    for (subject.packets = 1; subject.packets < 10; ++subject.packets) {
        BOOST_TEST(announces(subject, {}));
    }
    ipvs::Sysctls once;
    once.sync_period = 0;
    for (subject.packets = 1; subject.packets < 10; ++subject.packets) {
        BOOST_TEST(announces(subject, once) == (subject.packets == 3));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
