#include "compat/net/ip_address.hpp"
#include "daemon/mark_compiler.hpp"
#include "forwarding/packet/parse.hpp"
#include "tests/support/packet_builder.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <rte_cycles.h>

/// What the first packet of a connection pays for rules that set firewall marks: rules as iptables
/// makes them, one behind the other, and maps of addresses and ports. One line per measurement.

using namespace nlvs;
using namespace nlvs::nftables;

namespace {

Data big_endian(std::uint32_t value) {
    Data result(4);
    for (unsigned i = 0; i < 4; ++i)
        result[i] = static_cast<std::byte>(value >> (24 - 8 * i) & 0xFF);
    return result;
}

constexpr std::uint32_t first_address = 0x0A000000;

/// -d ADDRESS -p tcp --dport 80 -j MARK --set-mark 5
Rule address_rule(std::uint32_t address) {
    return {
        1,
        {LoadMeta{NFT_META_L4PROTO, 0},
         Compare{NFT_CMP_EQ, 0, {std::byte{6}}},
         LoadPayload{LoadPayload::Base::network, 16, 4, 0},
         Compare{NFT_CMP_EQ, 0, big_endian(address)},
         LoadPayload{LoadPayload::Base::transport, 2, 2, 0},
         Compare{NFT_CMP_EQ, 0, {std::byte{0}, std::byte{80}}},
         ChangeMark{0, 5}}};
}

Ruleset in_prerouting(std::vector<Rule> rules, std::vector<Set> sets) {
    Ruleset ruleset;
    Chain chain{"arriving", "filter", Hook{NF_INET_PRE_ROUTING, -150}, false, std::move(rules)};
    ruleset.tables.push_back({NFPROTO_IPV4, "t", false, {std::move(chain)}, std::move(sets)});
    return ruleset;
}

/// ip daddr . tcp dport map { ADDRESS . 80-LAST : 5, … }
Ruleset pairs(std::uint32_t count, bool ranges) {
    Set map{"pairs", NFT_SET_MAP, 8, 4, false, {4, 2}, {}};
    if (ranges) map.flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
    for (std::uint32_t i = 0; i < count; ++i) {
        Data key = big_endian(first_address + i);
        key.insert(key.end(), {std::byte{0}, std::byte{80}, std::byte{0}, std::byte{0}});
        Data last = key;
        last[5] = std::byte{99};
        Element element{key, {}, {std::byte{5}, {}, {}, {}}, {}, false, false, false, {}};
        if (ranges) element.key_end = last;
        map.elements.push_back(std::move(element));
    }
    return in_prerouting(
        {{1,
          {LoadPayload{LoadPayload::Base::network, 16, 4, 0},
           LoadPayload{LoadPayload::Base::transport, 2, 2, 4},
           Lookup{"pairs", 0, Register{0}, false, false},
           SetMark{0}}}},
        {std::move(map)}
    );
}

/// Packets to many addresses, each of which has a mark.
void measure(const std::string& what, const Ruleset& ruleset, std::uint32_t addresses) {
    const auto marks = daemon::compile_marks(ruleset, {});
    std::vector<test::Bytes> frames;
    std::vector<forwarding::Parsed> parsed;
    for (std::uint32_t i = 0; i < 1024; ++i) {
        const net::Ipv4Address to{first_address + i * 7919U % addresses};
        frames.push_back((test::ipv4(net::Ipv4Address{1U}, to) / test::tcp(4000, 80).syn()).frame()
        );
        parsed.push_back(forwarding::parse(frames.back(), frames.back().size()));
    }
    constexpr std::uint64_t rounds = 200;
    std::uint64_t marked = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto cycles = rte_rdtsc();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < frames.size(); ++i) {
            marked += marks.v4->evaluate({frames[i], parsed[i], 1}).mark == 5;
        }
    }
    const auto count = static_cast<double>(rounds * frames.size());
    const auto spent = static_cast<double>(rte_rdtsc() - cycles);
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    std::printf(
        "%-34s %9.0f cycles %9.0f ns each, %.0f %% marked\n",
        what.c_str(),
        spent / count,
        time.count() / count,
        100 * static_cast<double>(marked) / count
    );
}

}  // namespace

int main() {
    for (const std::uint32_t count : {1U, 10U, 100U, 300U, 1000U}) {
        std::vector<Rule> rules;
        for (std::uint32_t i = 0; i < count; ++i) rules.push_back(address_rule(first_address + i));
        measure(std::to_string(count) + " rules", in_prerouting(std::move(rules), {}), count);
    }
    for (const std::uint32_t count : {10U, 1000U, 10'000U, 100'000U}) {
        measure(std::to_string(count) + " elements", pairs(count, false), count);
        measure(std::to_string(count) + " elements with ranges", pairs(count, true), count);
    }
}
