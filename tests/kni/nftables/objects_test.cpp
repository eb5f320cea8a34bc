#include "kni/nftables/objects.hpp"

#include "kni/nftables/selection.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/recorded_rules.hpp"

#include <boost/test/unit_test.hpp>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace nlvs::nftables {
namespace {

using test::hex;
using test::recorded_rules;

netlink::MessageView message(const std::vector<std::byte>& bytes) {
    const auto view = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(view.has_value());
    return *view;
}

template <class Kind>
const Kind& expression(const Rule& rule, std::size_t index) {
    BOOST_TEST_REQUIRE(index < rule.expressions.size());
    const auto* found = std::get_if<Kind>(&rule.expressions[index]);
    BOOST_TEST_REQUIRE(found != nullptr);
    return *found;
}

/// nft add element ip t s { 10.0.0.1 }
constexpr auto new_element = R"(
    40000000 0c0a 000c 00000000 00000000   // NEWSETELEM, CREATE|APPEND
    02 00 0007                             // ip, generation 7
    0600 0100 7400 0000                    // NFTA_SET_ELEM_LIST_TABLE "t"
    0600 0200 7300 0000                    // NFTA_SET_ELEM_LIST_SET "s"
    1c00 0380                              // NFTA_SET_ELEM_LIST_ELEMENTS
    1800 0180                              //   NFTA_LIST_ELEM
    0800 0300 00000000                     //     NFTA_SET_ELEM_FLAGS
    0c00 0180 0800 0100 0a000001           //     NFTA_SET_ELEM_KEY: NFTA_DATA_VALUE
    )";

/// The end of a transaction.
constexpr auto new_generation = R"(
    2c000000 0f0a 0000 00000000 00000000   // NEWGEN
    00 00 0009                             // unspecified
    0800 0100 00000009                     // NFTA_GEN_ID
    0800 0200 00001234                     // NFTA_GEN_PROC_PID
    0800 0300 6e667400                     // NFTA_GEN_PROC_NAME "nft")";

}  // namespace

BOOST_AUTO_TEST_SUITE(objects_test)

BOOST_AUTO_TEST_CASE(a_rule_is_its_expressions_in_order) {
    const Ruleset ruleset = recorded_rules("keepalived");
    BOOST_TEST_REQUIRE(ruleset.tables.size() == 2U);
    const Table& table = ruleset.tables[0];
    BOOST_TEST(table.family == NFPROTO_IPV4);
    BOOST_TEST(table.name == "keepalived_ipvs");
    BOOST_TEST_REQUIRE(table.chains.size() == 1U);
    const Chain& chain = table.chains[0];
    BOOST_TEST(chain.type == "filter");
    BOOST_TEST_REQUIRE(chain.hook.has_value());
    BOOST_TEST(chain.hook->number == unsigned{NF_INET_LOCAL_IN});
    BOOST_TEST(chain.hook->priority == -1);
    BOOST_TEST(!chain.drops);
    BOOST_TEST_REQUIRE(chain.rules.size() == 2U);
    const Rule& rule = chain.rules[0];
    BOOST_TEST(expression<LoadMeta>(rule, 0).key == unsigned{NFT_META_L4PROTO});
    BOOST_TEST((expression<Compare>(rule, 1).data == Data{std::byte{6}}));
    const auto& address = expression<LoadPayload>(rule, 2);
    BOOST_TEST((address.base == LoadPayload::Base::network));
    BOOST_TEST(address.offset == 16U);
    BOOST_TEST(address.length == 4);
    BOOST_TEST(address.to == 0);
    const auto& port = expression<LoadPayload>(rule, 3);
    BOOST_TEST((port.base == LoadPayload::Base::transport));
    BOOST_TEST(port.to == 4);
    const auto& lookup = expression<Lookup>(rule, 4);
    BOOST_TEST(lookup.set == "tcp_map");
    BOOST_TEST_REQUIRE(lookup.to.has_value());
    BOOST_TEST(*lookup.to == 0);
    BOOST_TEST(expression<SetMark>(rule, 5).from == 0);
    BOOST_TEST((expression<Verdict>(rule, 6).kind == Verdict::Kind::return_));
}

BOOST_AUTO_TEST_CASE(a_map_is_its_fields_and_elements) {
    const Ruleset ruleset = recorded_rules("keepalived");
    const Set* map = ruleset.tables[0].set("tcp_map");
    BOOST_TEST_REQUIRE(map != nullptr);
    BOOST_TEST(map->key_length == 8U);
    BOOST_TEST(map->value_length == 4U);
    BOOST_TEST(!map->has_verdicts);
    BOOST_TEST((map->field_lengths == std::vector<std::size_t>{4, 2}));
    BOOST_TEST_REQUIRE(map->elements.size() == 2U);
    BOOST_TEST((map->elements[1].key == hex("0a00000b 0050 0000")));
    BOOST_TEST((map->elements[1].key_end == hex("0a00000c 0050 0000")));
    BOOST_TEST((map->elements[1].value == hex("e8030000")));
}

BOOST_AUTO_TEST_CASE(structures_of_xtables_become_conditions) {
    const Ruleset ruleset = recorded_rules("iptables");
    const Chain* chain = ruleset.tables[0].chain("PREROUTING");
    BOOST_TEST_REQUIRE(chain != nullptr);
    // -d 10.0.0.2 -p tcp -m multiport --dports 80,443,8000:8010 -j MARK --set-mark 6
    const Rule& rule = chain->rules[1];
    const auto& ports = expression<MatchPorts>(rule, 4);
    BOOST_TEST(ports.destination);
    BOOST_TEST(!ports.source);
    BOOST_TEST_REQUIRE(ports.ranges.size() == 3U);
    BOOST_TEST((ports.ranges[2] == std::pair<std::uint16_t, std::uint16_t>{8000, 8010}));
    BOOST_TEST(expression<ChangeMark>(rule, 6).keep == 0U);
    BOOST_TEST(expression<ChangeMark>(rule, 6).flip == 6U);
    // … -j MARK --set-xmark 0x10/0xff
    const auto& masked = std::get<ChangeMark>(chain->rules[2].expressions.back());
    BOOST_TEST(masked.keep == ~0xFFU);
    BOOST_TEST(masked.flip == 0x10U);
}

BOOST_AUTO_TEST_CASE(elements_name_their_set) {
    const auto bytes = hex(new_element);
    const auto found = set_of_elements(message(bytes));
    BOOST_TEST_REQUIRE(found.has_value());
    BOOST_TEST((*found == SetName{2, "t", "s"}));
    BOOST_TEST(!generation_of(message(bytes)).has_value());
}

BOOST_AUTO_TEST_CASE(elements_go_to_their_set_and_to_no_other) {
    Ruleset ruleset;
    ruleset.tables.push_back({2, "t", false, {}, {Set{"s", 0, 4, 0, false, {}, {}}}});
    ruleset.tables.push_back({10, "t", false, {}, {Set{"s", 0, 4, 0, false, {}, {}}}});
    add_object(ruleset, message(hex(new_element)));
    BOOST_TEST(ruleset.tables[0].sets[0].elements.size() == 1U);
    BOOST_TEST((ruleset.tables[0].sets[0].elements[0].key == hex("0a000001")));
    BOOST_TEST(ruleset.tables[1].sets[0].elements.empty());
}

BOOST_AUTO_TEST_CASE(the_end_of_a_transaction_has_the_generation) {
    const auto bytes = hex(new_generation);
    BOOST_TEST_REQUIRE(generation_of(message(bytes)).has_value());
    BOOST_TEST(*generation_of(message(bytes)) == 9U);
    BOOST_TEST(!set_of_elements(message(bytes)).has_value());
}

BOOST_AUTO_TEST_CASE(only_chains_that_can_change_a_mark_have_a_say) {
    const Ruleset ruleset = recorded_rules("native");
    const Selection selection = select(ruleset.tables[0]);
    BOOST_TEST_REQUIRE(selection.hooks.size() == 1U);
    BOOST_TEST(selection.hooks[0]->name == "arriving");
    BOOST_TEST(selection.chains.size() == 2U);
    BOOST_TEST(selection.sets.contains("nets"));
    BOOST_TEST(selection.sets.contains("verdicts"));
}

BOOST_AUTO_TEST_CASE(a_dormant_table_has_no_say) {
    Ruleset ruleset = recorded_rules("native");
    ruleset.tables[0].dormant = true;
    BOOST_TEST(select(ruleset.tables[0]).hooks.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::nftables
