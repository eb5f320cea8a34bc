// Cost of reading and rewriting one packet in TSC cycles, headers in the first-level cache.
// usage: packet_bench
//
// Each line is the median over 2001 bursts of 32 packets of the mean within the burst. `floor` is
// the same loop with nothing but a load and a store per packet.

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/transmit/direct_route.hpp"
#include "forwarding/transmit/masquerade.hpp"
#include "tests/support/packet_builder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <rte_cycles.h>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;

namespace {

constexpr std::size_t burst_size = 32;
constexpr std::size_t bursts = 2001;

struct Burst {
    explicit Burst(const test::Stack& stack) {
        test::Bytes frame = stack.frame();
        frame.resize(128);
        for (auto& packet : packets) std::copy(frame.begin(), frame.end(), packet.begin());
    }

    std::array<std::array<std::byte, 128>, burst_size> packets;
};

template <class Work>
void measure(const char* name, const test::Stack& stack, Work&& work) {
    Burst burst{stack};
    std::vector<std::uint64_t> cycles(bursts);
    for (auto& spent : cycles) {
        const std::uint64_t begin = rte_rdtsc_precise();
        for (auto& packet : burst.packets) work(packet);
        spent = rte_rdtsc_precise() - begin;
    }
    std::nth_element(cycles.begin(), cycles.begin() + bursts / 2, cycles.end());
    std::printf(
        "%-28s %6.1f cycles/packet\n", name, static_cast<double>(cycles[bursts / 2]) / burst_size
    );
}

/// Keeps a value alive without storing it anywhere.
template <class T>
void keep(const T& value) {
    asm volatile("" : : "r"(&value) : "memory");
}

template <class F, Direction direction>
void measure_masquerade(const char* name, const test::Stack& stack, Connection<F> there) {
    const test::Bytes frame = stack.frame();
    const Parsed parsed = parse(frame, frame.size());
    measure(name, stack, [&](auto& packet) {
        std::byte* l3 = packet.data() + parsed.l3_offset;
        const auto left =
            masquerade_headers<F, direction>(l3, packet.data() + parsed.l4_offset, there);
        decrement_ttl<F>(l3);
        keep(left);
    });
}

template <class F>
Connection<F> connection(std::uint8_t protocol) {
    Connection<F> c{};
    if constexpr (F::family == net::Family::inet) {
        c.virtual_address = "203.0.113.10"_ip.v4();
        c.destination = "192.168.1.2"_ip.v4();
    } else {
        c.virtual_address = "2001:db8::10"_ip.v6();
        c.destination = "2001:db8:1::2"_ip.v6();
    }
    c.virtual_port = net::Port{std::uint16_t{80}};
    c.destination_port = net::Port{std::uint16_t{8080}};
    c.protocol = protocol;
    return c;
}

}  // namespace

int main() {
    using namespace test;
    const Stack tcp4 =
        ipv4("10.0.0.100"_ip, "203.0.113.10"_ip) / tcp(40000, 80).ack() / payload(10);
    const Stack udp4 = ipv4("10.0.0.100"_ip, "203.0.113.10"_ip) / udp(40000, 80) / payload(18);
    const Stack tcp6 =
        ipv6("2001:db8::100"_ip, "2001:db8::10"_ip) / tcp(40000, 80).ack() / payload(10);
    const Stack udp6 = ipv6("2001:db8::100"_ip, "2001:db8::10"_ip) / udp(40000, 80) / payload(18);

    const auto parse_one = [](auto& packet) { keep(parse(packet, packet.size())); };
    measure("floor", tcp4, [](auto& packet) {
        packet[22] ^= std::byte{1};
        keep(packet);
    });
    measure("parse IPv4 TCP", tcp4, parse_one);
    measure("parse IPv4 UDP", udp4, parse_one);
    measure("parse IPv6 TCP", tcp6, parse_one);
    measure("parse IPv6 UDP", udp6, parse_one);
    measure_masquerade<V4, Direction::request>("masquerade IPv4 TCP", tcp4, connection<V4>(6));
    measure_masquerade<V4, Direction::reply>("masquerade IPv4 UDP reply", udp4, connection<V4>(17));
    measure_masquerade<V6, Direction::request>("masquerade IPv6 TCP", tcp6, connection<V6>(6));
    measure_masquerade<V6, Direction::reply>("masquerade IPv6 UDP reply", udp6, connection<V6>(17));
    return 0;
}
