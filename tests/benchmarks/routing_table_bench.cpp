#include "forwarding/config/routing_table.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <rte_cycles.h>

/// Installs a synthetic Internet table (lengths roughly as in the default-free zone, next hops
/// few), looks addresses up, flaps and removes the routes. One line per measurement.

using namespace nlvs;
using namespace nlvs::forwarding;
using net::IpAddress;
using net::Prefix;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t next_hops = 200;

unsigned random_length(std::mt19937_64& random, net::Family family) {
    const auto percent = random() % 100;
    if (family == net::Family::inet) {
        if (percent < 60) return 24;
        if (percent < 82) return 22 + static_cast<unsigned>(random() % 2);
        if (percent < 97) return 17 + static_cast<unsigned>(random() % 5);
        return 10 + static_cast<unsigned>(random() % 7);
    }
    if (percent < 48) return 48;
    if (percent < 70) return 44 + static_cast<unsigned>(random() % 4);
    if (percent < 85) return 33 + static_cast<unsigned>(random() % 11);
    return 29 + static_cast<unsigned>(random() % 4);
}

/// v4: anywhere below 224.0.0.0; v6: in 2400::/6, dense as allocations are.
IpAddress random_address(std::mt19937_64& random, net::Family family) {
    if (family == net::Family::inet) {
        return net::Ipv4Address{static_cast<std::uint32_t>(random() % 0xE0000000U)};
    }
    const std::uint64_t words[2] = {random(), random()};
    net::Ipv6Address::Bytes bytes;
    std::memcpy(bytes.data(), words, bytes.size());
    bytes[0] = static_cast<std::uint8_t>(0x24 | (bytes[0] & 3));
    bytes[1] &= 0x0F;
    bytes[2] &= 0x3F;
    return net::Ipv6Address{bytes};
}

std::unique_ptr<const Route> random_route(std::mt19937_64& random) {
    auto route = std::make_unique<Route>();
    route->single.type = NextHop::Type::unicast;
    route->single.interface = static_cast<std::uint32_t>(1 + random() % next_hops);
    return route;
}

void report(const char* what, const char* family, std::size_t count, Clock::duration elapsed) {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    std::printf(
        "%-4s %-24s %9zu in %7.3f s  %8.3f M/s\n",
        family,
        what,
        count,
        seconds,
        static_cast<double>(count) / seconds / 1e6
    );
}

const Route* look_up(const RoutingTable& table, const IpAddress& address) {
    return address.is_v4() ? table.lookup(address.v4()) : table.lookup(address.v6());
}

/// Every address depends on the route found before, so that this is latency, not throughput.
void measure_lookups(
    const RoutingTable& table,
    const std::vector<IpAddress>& addresses,
    const char* what,
    const char* family
) {
    constexpr std::size_t count = 4'000'000;
    const std::size_t mask = addresses.size() - 1;
    std::size_t found = 0;
    const auto start = Clock::now();
    const auto start_cycles = rte_rdtsc();
    for (std::size_t i = 0, at = 0; i < count; ++i) {
        const Route* route = look_up(table, addresses[at & mask]);
        const std::size_t hit = route != nullptr ? 1 : 0;
        found += hit;
        at += 1 + (route != nullptr ? route->single.interface >> 31 : 0);
    }
    const auto cycles = rte_rdtsc() - start_cycles;
    report(what, family, count, Clock::now() - start);
    std::printf(
        "%-4s %-24s %9.1f TSC cycles each, %.1f %% found\n",
        family,
        "",
        static_cast<double>(cycles) / count,
        100.0 * static_cast<double>(found) / count
    );
}

void run(net::Family family, std::size_t routes) {
    const char* name = family == net::Family::inet ? "IPv4" : "IPv6";
    std::mt19937_64 random{42};
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    RoutingTable table{family};

    std::vector<Prefix> prefixes;
    while (prefixes.size() < routes) {
        prefixes.emplace_back(random_address(random, family), random_length(random, family));
    }
    auto start = Clock::now();
    for (std::size_t i = 0; i < routes; ++i) {
        table.insert(prefixes[i], random_route(random), reclaimer);
        if (i % 1024 == 0) reclaimer.collect();
    }
    report("insert", name, routes, Clock::now() - start);
    reclaimer.collect();
    std::printf(
        "%-4s %-24s %9zu routes, %.1f MiB, %.1f bytes each\n",
        name,
        "memory",
        table.size(),
        static_cast<double>(table.memory()) / 1048576.0,
        static_cast<double>(table.memory()) / static_cast<double>(table.size())
    );

    std::vector<IpAddress> hot(256);
    std::vector<IpAddress> cold(1 << 20);
    for (auto* set : {&hot, &cold}) {
        for (auto& address : *set) {
            // Half of the addresses inside some prefix, half anywhere.
            address = random() % 2 == 0 ? prefixes[random() % routes].address()
                                        : random_address(random, family);
        }
    }
    measure_lookups(table, hot, "lookup, 256 addresses", name);
    measure_lookups(table, cold, "lookup, 1 M addresses", name);

    start = Clock::now();
    for (std::size_t i = 0; i < routes / 4; ++i) {
        const auto& prefix = prefixes[random() % routes];
        table.remove(prefix, reclaimer);
        table.insert(prefix, random_route(random), reclaimer);
        if (i % 1024 == 0) reclaimer.collect();
    }
    report("remove and insert again", name, routes / 4, Clock::now() - start);
    start = Clock::now();
    for (const auto& prefix : prefixes) table.remove(prefix, reclaimer);
    report("remove", name, routes, Clock::now() - start);
    if (table.size() != 0) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t v4 = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
    const std::size_t v6 = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 200'000;
    if (v4 == 0 || v6 == 0) {
        std::fprintf(stderr, "usage: routing_table_bench [IPv4 routes] [IPv6 routes]\n");
        return 2;
    }
    run(net::Family::inet, v4);
    run(net::Family::inet6, v6);
}
