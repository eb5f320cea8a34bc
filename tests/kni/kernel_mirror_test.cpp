#include "kni/kernel_mirror.hpp"

#include <boost/test/unit_test.hpp>
#include <linux/rtnetlink.h>

using namespace nlvs;
using namespace nlvs::kni;
using net::operator""_ip;

namespace {

struct Recorder final : MirrorObserver {
    std::vector<std::string> seen;

    void link_changed(const Link* before, const Link* after) override {
        seen.push_back("link " + (after != nullptr ? after->name : "-" + before->name));
    }

    void address_changed(const Address& address, bool present) override {
        seen.push_back((present ? "address " : "-address ") + net::print(address.address));
    }

    void neighbour_changed(const Neighbour& neighbour, bool present) override {
        seen.push_back((present ? "neighbour " : "-neighbour ") + net::print(neighbour.address));
    }

    void routes_changed(const net::Prefix& prefix) override {
        seen.push_back("routes " + net::print(prefix));
    }

    void rules_changed(net::Family) override { seen.push_back("rules"); }

    std::vector<std::string> take() { return std::exchange(seen, {}); }
};

struct Fixture {
    Recorder recorder;
    KernelMirror mirror;

    Fixture() { mirror.observe(recorder); }

    void apply(Event::Change change, Object object) { mirror.apply({change, std::move(object)}); }

    std::vector<Route> routes(const net::Prefix& prefix) const {
        std::vector<Route> result;
        const auto found = mirror.state().routes.find(prefix);
        if (found == mirror.state().routes.end()) return result;
        for (const auto& entry : found->second) result.push_back(entry.value);
        return result;
    }
};

Route route(const net::Prefix& prefix, std::uint32_t interface, const char* gateway = nullptr) {
    Route result;
    result.prefix = prefix;
    result.table = RT_TABLE_MAIN;
    result.type = RTN_UNICAST;
    result.protocol = RTPROT_STATIC;
    RouteHop hop;
    hop.interface = interface;
    if (gateway != nullptr) {
        hop.has_gateway = true;
        hop.gateway = *net::parse_ip_address(gateway);
    }
    result.hops = {hop};
    return result;
}

Link link(std::uint32_t index, bool up) {
    Link result;
    result.index = index;
    result.name = "dp" + std::to_string(index);
    result.mtu = 1500;
    result.up = up;
    return result;
}

const net::Prefix ten{"10.0.0.0"_ip, 8};
const net::Prefix six{"fd00::"_ip, 16};
using Change = Event::Change;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(kernel_mirror_test, Fixture)

BOOST_AUTO_TEST_CASE(an_object_seen_again_unchanged_is_not_news) {
    apply(Change::added, link(2, true));
    apply(Change::present, link(2, true));
    BOOST_TEST(recorder.take() == std::vector<std::string>{"link dp2"});
}

BOOST_AUTO_TEST_CASE(what_a_dump_does_not_mention_is_gone) {
    apply(Change::added, link(2, true));
    apply(Change::added, link(3, true));
    apply(Change::added, route(ten, 2));
    recorder.take();
    mirror.begin_dump(Kind::link);
    apply(Change::present, link(3, true));
    mirror.end_dump(Kind::link);
    BOOST_TEST(recorder.take() == std::vector<std::string>{"link -dp2"});
    mirror.begin_dump(Kind::route_v4);
    mirror.end_dump(Kind::route_v4);
    BOOST_TEST(recorder.take() == std::vector<std::string>{"routes 10.0.0.0/8"});
    BOOST_TEST(mirror.routes(net::Family::inet) == 0U);
}

BOOST_AUTO_TEST_CASE(an_event_during_a_dump_counts_as_mentioned) {
    mirror.begin_dump(Kind::route_v4);
    apply(Change::added, route(ten, 2));
    mirror.end_dump(Kind::route_v4);
    BOOST_TEST(routes(ten).size() == 1U);
}

BOOST_AUTO_TEST_CASE(routes_to_one_prefix_stand_by_priority) {
    auto backup = route(ten, 3);
    backup.priority = 200;
    auto best = route(ten, 2);
    best.priority = 100;
    apply(Change::added, backup);
    apply(Change::added, best);
    BOOST_TEST((routes(ten) == std::vector{best, backup}));
}

BOOST_AUTO_TEST_CASE(ipv4_equals_are_prepended_appended_and_replaced_in_place) {
    const auto first = route(ten, 2, "192.0.2.1");
    const auto last = route(ten, 2, "192.0.2.2");
    const auto front = route(ten, 2, "192.0.2.3");
    const auto other = route(ten, 2, "192.0.2.4");
    apply(Change::added, first);
    apply(Change::appended, last);
    apply(Change::added, front);
    BOOST_TEST((routes(ten) == std::vector{front, first, last}));
    apply(Change::replaced, other);
    BOOST_TEST((routes(ten) == std::vector{other, first, last}));
    apply(Change::removed, first);
    BOOST_TEST((routes(ten) == std::vector{other, last}));
}

BOOST_AUTO_TEST_CASE(a_dump_brings_equals_into_the_kernels_order) {
    const auto a = route(ten, 2, "192.0.2.1");
    const auto b = route(ten, 2, "192.0.2.2");
    apply(Change::added, a);
    apply(Change::appended, b);
    mirror.begin_dump(Kind::route_v4);
    apply(Change::present, b);
    apply(Change::present, a);
    mirror.end_dump(Kind::route_v4);
    BOOST_TEST((routes(ten) == std::vector{b, a}));
}

BOOST_AUTO_TEST_CASE(an_ipv6_multipath_route_grows_and_shrinks_by_ways) {
    const auto one = route(six, 2, "fe80::1");
    auto both = one;
    both.hops.push_back(route(six, 2, "fe80::2").hops.front());
    apply(Change::added, one);
    apply(Change::appended, both);
    BOOST_TEST((routes(six) == std::vector{both}));
    apply(Change::removed, route(six, 2, "fe80::1"));
    BOOST_TEST((routes(six) == std::vector{route(six, 2, "fe80::2")}));
    apply(Change::removed, route(six, 2, "fe80::2"));
    BOOST_TEST(routes(six).empty());
}

BOOST_AUTO_TEST_CASE(ipv6_routes_of_equal_rank_on_two_links_stand_side_by_side) {
    apply(Change::added, route(six, 2));
    apply(Change::added, route(six, 3));
    BOOST_TEST(routes(six).size() == 2U);
    apply(Change::removed, route(six, 2));
    BOOST_TEST((routes(six) == std::vector{route(six, 3)}));
}

BOOST_AUTO_TEST_CASE(a_link_that_goes_down_makes_its_ipv4_routes_doubtful) {
    apply(Change::added, link(2, true));
    apply(Change::added, link(3, true));
    apply(Change::added, route(ten, 2));
    apply(Change::present, link(3, false));
    BOOST_TEST(mirror.take_stale() == 0U);
    apply(Change::present, link(2, false));
    BOOST_TEST(mirror.take_stale() == 1U << static_cast<unsigned>(Kind::route_v4));
    BOOST_TEST(mirror.take_stale() == 0U);
}

BOOST_AUTO_TEST_CASE(a_preferred_source_that_goes_makes_its_routes_doubtful) {
    Address vip;
    vip.interface = 2;
    vip.address = vip.peer = "192.0.2.9"_ip;
    vip.length = 32;
    auto by_source = route(ten, 2);
    by_source.has_preferred_source = true;
    by_source.preferred_source = vip.address;
    apply(Change::added, vip);
    apply(Change::added, by_source);
    apply(Change::removed, vip);
    BOOST_TEST(mirror.take_stale() == 1U << static_cast<unsigned>(Kind::route_v4));
    // Once no route hangs on it, the address may come and go.
    apply(Change::removed, by_source);
    apply(Change::added, vip);
    apply(Change::removed, vip);
    BOOST_TEST(mirror.take_stale() == 0U);
}

BOOST_AUTO_TEST_CASE(a_changed_next_hop_object_changes_the_routes_through_it) {
    NextHopObject member;
    member.id = 7;
    member.hop = route(ten, 2, "192.0.2.1").hops.front();
    NextHopObject group;
    group.id = 9;
    group.group = {{7, 1}};
    auto by_group = route(ten, 2);
    by_group.next_hop_id = 9;
    apply(Change::added, member);
    apply(Change::added, group);
    apply(Change::added, by_group);
    recorder.take();
    member.hop.interface = 5;
    apply(Change::replaced, member);
    BOOST_TEST(recorder.take() == std::vector<std::string>{"routes 10.0.0.0/8"});
    BOOST_TEST(mirror.state().hops_of(by_group).front().interface == 5U);
}

BOOST_AUTO_TEST_CASE(removals_of_the_unknown_are_counted) {
    apply(Change::removed, link(2, true));
    apply(Change::removed, route(ten, 2));
    BOOST_TEST(mirror.unmatched() == 2U);
    BOOST_TEST(recorder.seen.empty());
}

BOOST_AUTO_TEST_SUITE_END()
