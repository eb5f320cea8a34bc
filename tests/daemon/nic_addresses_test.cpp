#include "daemon/nic_addresses.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::daemon;

namespace {

struct Filter final : NicFilter {
    std::size_t room = 2;
    std::set<net::MacAddress> has;
    std::set<net::MacAddress> groups;
    int group_calls = 0;
    int promiscuous_calls = 0;
    bool promiscuous = false;

    bool add_mac(const net::MacAddress& mac) override {
        if (has.size() == room) return false;
        return has.insert(mac).second;
    }

    void remove_mac(const net::MacAddress& mac) override { has.erase(mac); }

    bool set_groups(const std::set<net::MacAddress>& wanted) override {
        ++group_calls;
        if (wanted.size() > room) return false;
        groups = wanted;
        return true;
    }

    void set_promiscuous(bool on) override {
        promiscuous = on;
        ++promiscuous_calls;
    }
};

net::MacAddress mac(std::uint8_t last) {
    return {{0x00, 0x00, 0x5E, 0x00, 0x01, last}};
}

struct Fixture {
    Filter filter;
    NicAddresses addresses{filter};
    net::MacAddress own = mac(1);
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(nic_addresses_test, Fixture)

BOOST_AUTO_TEST_CASE(further_addresses_go_to_the_filter_and_the_own_one_does_not) {
    addresses.want({mac(1), mac(51)}, own);
    BOOST_TEST((filter.has == std::set{mac(51)}));
    BOOST_TEST(filter.promiscuous_calls == 0);
    addresses.want({mac(1)}, own);
    BOOST_TEST(filter.has.empty());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_makes_the_nic_promiscuous_until_it_fits_again) {
    addresses.want({mac(1), mac(51), mac(52), mac(53)}, own);
    BOOST_TEST(filter.has.size() == 2U);
    BOOST_TEST(filter.promiscuous);
    addresses.want({mac(1), mac(53)}, own);
    BOOST_TEST((filter.has == std::set{mac(53)}));
    BOOST_TEST(!filter.promiscuous);
}

BOOST_AUTO_TEST_CASE(a_device_without_a_filter_receives_everything) {
    filter.room = 0;
    addresses.want({mac(1), mac(51)}, own);
    BOOST_TEST(addresses.promiscuous());
}

BOOST_AUTO_TEST_CASE(promiscuity_ends_with_its_last_reason) {
    filter.room = 0;
    addresses.want_everything(true);
    addresses.want({mac(51)}, own);
    BOOST_TEST(filter.promiscuous_calls == 1);
    addresses.want_everything(false);
    BOOST_TEST(filter.promiscuous);
    addresses.want({}, own);
    BOOST_TEST(!filter.promiscuous);
}

BOOST_AUTO_TEST_CASE(groups_that_do_not_fit_make_the_nic_promiscuous_until_they_fit) {
    const auto group = [](std::uint8_t last) { return net::MacAddress{{0x33, 0x33, 0, 0, 0, last}}; };
    addresses.want_groups({group(1), group(0x99)});
    BOOST_TEST((filter.groups == std::set{group(1), group(0x99)}));
    BOOST_TEST(!filter.promiscuous);
    addresses.want_groups({group(1), group(2), group(0x99)});
    BOOST_TEST(filter.promiscuous);
    addresses.want({mac(1), mac(51)}, own);
    BOOST_TEST(filter.promiscuous);
    addresses.want_groups({group(1)});
    BOOST_TEST(!filter.promiscuous);
    BOOST_TEST(filter.group_calls == 3);
}

BOOST_AUTO_TEST_CASE(the_same_groups_are_told_once) {
    addresses.want_groups({mac(1)});
    addresses.want_groups({mac(1)});
    BOOST_TEST(filter.group_calls == 1);
}

BOOST_AUTO_TEST_CASE(an_address_that_becomes_the_own_one_is_not_taken_out_of_the_filter) {
    addresses.want({mac(1), mac(51)}, own);
    addresses.want({mac(51)}, mac(51));
    BOOST_TEST((filter.has == std::set{mac(51)}));
}

BOOST_AUTO_TEST_SUITE_END()
