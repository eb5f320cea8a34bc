#include "kni/nftables/objects.hpp"

#include "kni/nftables/expressions.hpp"
#include "kni/nftables/fields.hpp"

#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

namespace nlvs::nftables {
namespace {

/// An object's message: nfgenmsg, then attributes.
struct Object {
    unsigned kind;
    std::uint8_t family;
    Fields fields;
};

std::optional<Object> to_object(const netlink::MessageView& message) {
    if (message.type() >> 8 != NFNL_SUBSYS_NFTABLES) return std::nullopt;
    const auto header = net::extract<nfgenmsg>(message.payload());
    if (!header) return std::nullopt;
    const unsigned kind = message.type() & 0xFFU;
    return Object{kind, header->nfgen_family, Fields{message.payload().subspan(sizeof(nfgenmsg))}};
}

void add_table(Ruleset& ruleset, const Object& object) {
    Table table;
    table.family = object.family;
    table.name = object.fields.text(NFTA_TABLE_NAME);
    table.dormant = (object.fields.number(NFTA_TABLE_FLAGS) & NFT_TABLE_F_DORMANT) != 0;
    ruleset.tables.push_back(std::move(table));
}

void add_chain(Ruleset& ruleset, const Object& object) {
    const Fields& fields = object.fields;
    Table* table = ruleset.table(object.family, fields.text(NFTA_CHAIN_TABLE));
    if (table == nullptr) return;
    Chain chain;
    chain.name = fields.text(NFTA_CHAIN_NAME);
    chain.type = fields.text(NFTA_CHAIN_TYPE);
    if (fields.has(NFTA_CHAIN_HOOK)) {
        const Fields hook = fields.nest(NFTA_CHAIN_HOOK);
        chain.hook = Hook{
            hook.number(NFTA_HOOK_HOOKNUM),
            static_cast<std::int32_t>(hook.number(NFTA_HOOK_PRIORITY))};
        constexpr std::uint32_t drop = 0;  // Linux: NF_DROP
        chain.drops = fields.has(NFTA_CHAIN_POLICY) && fields.number(NFTA_CHAIN_POLICY) == drop;
    }
    table->chains.push_back(std::move(chain));
}

void add_rule(Ruleset& ruleset, const Object& object) {
    const Fields& fields = object.fields;
    Table* table = ruleset.table(object.family, fields.text(NFTA_RULE_TABLE));
    if (table == nullptr) return;
    const std::string name = fields.text(NFTA_RULE_CHAIN);
    for (Chain& chain : table->chains) {
        if (chain.name != name) continue;
        chain.rules.push_back({
            fields.long_number(NFTA_RULE_HANDLE),
            decode_expressions(fields.bytes(NFTA_RULE_EXPRESSIONS)),
        });
    }
}

void add_set(Ruleset& ruleset, const Object& object) {
    constexpr std::uint32_t verdict_type = 0xFFFFFF00;  // Linux: NFT_DATA_VERDICT
    const Fields& fields = object.fields;
    Table* table = ruleset.table(object.family, fields.text(NFTA_SET_TABLE));
    if (table == nullptr) return;
    Set set;
    set.name = fields.text(NFTA_SET_NAME);
    set.flags = fields.number(NFTA_SET_FLAGS);
    set.key_length = fields.number(NFTA_SET_KEY_LEN);
    if ((set.flags & NFT_SET_MAP) != 0) {
        set.has_verdicts = fields.number(NFTA_SET_DATA_TYPE) == verdict_type;
        if (!set.has_verdicts) set.value_length = fields.number(NFTA_SET_DATA_LEN);
    }
    netlink::Bytes parts = fields.nest(NFTA_SET_DESC).bytes(NFTA_SET_DESC_CONCAT);
    while (const auto part = netlink::take_attribute(parts)) {
        set.field_lengths.push_back(Fields{part->payload()}.number(NFTA_SET_FIELD_LEN));
    }
    table->sets.push_back(std::move(set));
}

/// An element may count or remember; what it may not do is match sometimes only.
bool is_conditional(const Fields& fields) {
    const auto limits = [](const Fields& expression) {
        const std::string name = expression.text(NFTA_EXPR_NAME);
        return !name.empty() && name != "counter" && name != "last";
    };
    if (limits(fields.nest(NFTA_SET_ELEM_EXPR))) return true;
    netlink::Bytes list = fields.bytes(NFTA_SET_ELEM_EXPRESSIONS);
    while (const auto part = netlink::take_attribute(list)) {
        if (limits(Fields{part->payload()})) return true;
    }
    return false;
}

Element decode_element(const Fields& fields) {
    Element element;
    element.key = decode_value(fields.bytes(NFTA_SET_ELEM_KEY));
    element.key_end = decode_value(fields.bytes(NFTA_SET_ELEM_KEY_END));
    element.value = decode_value(fields.bytes(NFTA_SET_ELEM_DATA));
    element.verdict = decode_verdict(fields.bytes(NFTA_SET_ELEM_DATA));
    const std::uint32_t flags = fields.number(NFTA_SET_ELEM_FLAGS);
    element.interval_end = (flags & NFT_SET_ELEM_INTERVAL_END) != 0;
    element.catch_all = (flags & NFT_SET_ELEM_CATCHALL) != 0;
    element.conditional = is_conditional(fields);
    if (fields.has(NFTA_SET_ELEM_EXPIRATION)) {
        element.remaining = fields.long_number(NFTA_SET_ELEM_EXPIRATION);
    }
    return element;
}

void add_elements(Ruleset& ruleset, const Object& object) {
    const Fields& fields = object.fields;
    Table* table = ruleset.table(object.family, fields.text(NFTA_SET_ELEM_LIST_TABLE));
    if (table == nullptr) return;
    const std::string name = fields.text(NFTA_SET_ELEM_LIST_SET);
    for (Set& set : table->sets) {
        if (set.name != name) continue;
        netlink::Bytes list = fields.bytes(NFTA_SET_ELEM_LIST_ELEMENTS);
        while (const auto part = netlink::take_attribute(list)) {
            set.elements.push_back(decode_element(Fields{part->payload()}));
        }
    }
}

}  // namespace

void add_object(Ruleset& ruleset, const netlink::MessageView& message) {
    const auto object = to_object(message);
    if (!object) return;
    switch (object->kind) {
        case NFT_MSG_NEWTABLE:
            return add_table(ruleset, *object);
        case NFT_MSG_NEWCHAIN:
            return add_chain(ruleset, *object);
        case NFT_MSG_NEWRULE:
            return add_rule(ruleset, *object);
        case NFT_MSG_NEWSET:
            return add_set(ruleset, *object);
        case NFT_MSG_NEWSETELEM:
            return add_elements(ruleset, *object);
        default:
            return;
    }
}

std::optional<SetName> set_of_elements(const netlink::MessageView& message) {
    const auto object = to_object(message);
    if (!object || (object->kind != NFT_MSG_NEWSETELEM && object->kind != NFT_MSG_DELSETELEM)) {
        return std::nullopt;
    }
    return SetName{
        object->family,
        object->fields.text(NFTA_SET_ELEM_LIST_TABLE),
        object->fields.text(NFTA_SET_ELEM_LIST_SET)};
}

std::optional<std::uint32_t> generation_of(const netlink::MessageView& message) {
    const auto object = to_object(message);
    if (!object || object->kind != NFT_MSG_NEWGEN || !object->fields.has(NFTA_GEN_ID)) {
        return std::nullopt;
    }
    return object->fields.number(NFTA_GEN_ID);
}

}  // namespace nlvs::nftables
