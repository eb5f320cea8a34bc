// Cost of the connection table in TSC cycles, beside the cost of what no table can avoid.
// usage: connection_table_bench [CONNECTIONS...]       (default 1000 1000000 10000000)
//
// Medians, so that a shared machine does little harm; `longest` needs a quiet one.
//
// find    random established IPv4 connections in bursts of 32: hash and prefetch the bucket,
//         prefetch the entry, find. Half of the packets are replies.
// rte     the same bursts through DPDK's rte_hash, which has a key for each direction and the place
//         of the connection as data: look-up of 32 at once, prefetch the entries, touch them.
// floor   the same bursts over two plain arrays of the same footprint: one random bucket line,
//         then one random entry line, both prefetched. Nothing is compared.
// insert  allocate and insert with memory reserved ahead, and the longest single one.
// remove  in random order.

#include "forwarding/connections/connection_table.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

using namespace nlvs;
using namespace nlvs::forwarding;

namespace {

constexpr std::size_t burst_size = 32;
constexpr std::size_t bursts = 100'000;

using Table = ConnectionTable<V4>;

Connection<V4> connection(std::uint32_t n) {
    Connection<V4> entry;
    entry.client = net::Ipv4Address{0x0A000000U + n / 50'000};
    entry.virtual_address = net::Ipv4Address{0xC0000201U};
    entry.destination = net::Ipv4Address{0xAC100000U + n % 64};
    entry.client_port = net::Port{static_cast<std::uint16_t>(1024 + n % 50'000)};
    entry.virtual_port = net::Port{std::uint16_t{443}};
    entry.destination_port = net::Port{std::uint16_t{8443}};
    entry.protocol = 6;
    entry.state = 1;
    entry.timeout = 7200;
    return entry;
}

FlowKey<V4> key(std::uint32_t n, bool reply) {
    const auto e = connection(n);
    if (reply) return {e.destination, e.client, e.destination_port, e.client_port, e.protocol};
    return {e.client, e.virtual_address, e.client_port, e.virtual_port, e.protocol};
}

/// Not rte_get_tsc_hz(), which knows nothing before EAL is initialised.
double tsc_per_microsecond() {
    using namespace std::chrono;
    const auto time = steady_clock::now();
    const std::uint64_t tsc = rte_rdtsc();
    while (steady_clock::now() - time < 20ms) {
    }
    const auto elapsed = duration<double, std::micro>{steady_clock::now() - time};
    return static_cast<double>(rte_rdtsc() - tsc) / elapsed.count();
}

/// Median over short stretches of a run, in cycles per packet: other processes that take the
/// core for a while do not show.
template <class Burst>
double median(std::size_t packets, Burst&& burst) {
    const std::size_t stretch = std::min(256 * burst_size, packets / burst_size * burst_size);
    std::vector<double> cycles;
    for (std::size_t at = 0; at + stretch <= packets; at += stretch) {
        const std::uint64_t start = rte_rdtsc();
        for (std::size_t i = 0; i < stretch; i += burst_size) burst(at + i);
        cycles.push_back(static_cast<double>(rte_rdtsc() - start) / static_cast<double>(stretch));
    }
    std::ranges::nth_element(
        cycles, cycles.begin() + static_cast<std::ptrdiff_t>(cycles.size() / 2)
    );
    return cycles[cycles.size() / 2];
}

struct Insertions {
    double median = 0;
    double longest = 0;      ///< µs
    std::uint64_t late = 0;  ///< longer than 20 µs
};

Insertions insert_all(Table& table, std::uint32_t count, double per_microsecond) {
    std::vector<std::uint32_t> cycles(count);
    for (std::uint32_t n = 0; n < count; ++n) {
        // Control's part, from a timer in the daemon.
        if (n % 16'384 == 0) table.reserve(65'536);
        const Connection<V4> wanted = connection(n);
        const std::uint64_t start = rte_rdtsc();
        Connection<V4>* entry = table.allocate();
        if (entry == nullptr) std::exit(1);
        *entry = wanted;
        table.insert(entry);
        cycles[n] = static_cast<std::uint32_t>(rte_rdtsc() - start);
    }
    std::ranges::sort(cycles);
    const auto late =
        std::ranges::upper_bound(cycles, static_cast<std::uint32_t>(20 * per_microsecond));
    return {
        static_cast<double>(cycles[count / 2]),
        static_cast<double>(cycles.back()) / per_microsecond,
        static_cast<std::uint64_t>(cycles.end() - late)};
}

std::vector<FlowKey<V4>> random_packets(std::uint32_t count, std::mt19937_64& random) {
    std::vector<FlowKey<V4>> packets;
    packets.reserve(burst_size * bursts);
    for (std::size_t i = 0; i < burst_size * bursts; ++i) {
        const std::uint64_t r = random();
        packets.push_back(key(static_cast<std::uint32_t>((r >> 1) % count), (r & 1) != 0));
    }
    return packets;
}

double find_all(Table& table, const std::vector<FlowKey<V4>>& packets) {
    std::array<std::uint64_t, burst_size> hashes;
    std::size_t missing = 0;
    const double cycles = median(packets.size(), [&](std::size_t at) {
        for (std::size_t i = 0; i < burst_size; ++i) {
            hashes[i] = table.hash_of(packets[at + i]);
            table.prefetch_bucket(hashes[i]);
        }
        for (std::size_t i = 0; i < burst_size; ++i) table.prefetch_entry(hashes[i]);
        for (std::size_t i = 0; i < burst_size; ++i) {
            const auto found = table.find(packets[at + i], hashes[i]);
            if (found) {
                found.connection->last_seen = static_cast<Ticks>(at);
            } else {
                ++missing;
            }
        }
    });
    if (missing != 0) {
        std::fprintf(stderr, "%zu packets found no connection\n", missing);
        std::exit(1);
    }
    return cycles;
}

struct alignas(64) Line {
    std::uint64_t value;
};

/// A flow as rte_hash wants it: a multiple of 16 bytes, for its fastest comparison, all of them set.
struct PackedKey {
    explicit PackedKey(const FlowKey<V4>& flow) noexcept
        : source{flow.source.host()},
          destination{flow.destination.host()},
          source_port{flow.source_port.host()},
          destination_port{flow.destination_port.host()},
          protocol{flow.protocol} {}

    std::uint32_t source, destination;
    std::uint16_t source_port, destination_port;
    std::uint32_t protocol;
};

static_assert(sizeof(PackedKey) == 16);

void* as_data(std::uint32_t n) noexcept {
    return reinterpret_cast<void*>(std::uintptr_t{n});  // NOLINT: the place of an entry
}

/// The same packets, over entries of the table's size; 0 where the memory does not suffice.
double find_with_rte_hash(std::uint32_t count, const std::vector<FlowKey<V4>>& packets) {
    rte_hash_parameters parameters{};
    parameters.name = "flows";
    parameters.entries = std::max(2 * count, 64U);
    parameters.key_len = sizeof(PackedKey);
    parameters.hash_func = rte_hash_crc;
    parameters.socket_id = SOCKET_ID_ANY;
    rte_hash* const table = rte_hash_create(&parameters);
    if (table == nullptr) return 0;
    ReservedRegion memory{count * sizeof(Line), ReservedRegion::any_node};
    memory.commit(
        memory.capacity(), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
    );
    auto* entries = reinterpret_cast<Line*>(memory.base());
    for (std::uint32_t n = 0; n < count; ++n) {
        for (const bool reply : {false, true}) {
            const PackedKey one{key(n, reply)};
            if (rte_hash_add_key_data(table, &one, as_data(n)) != 0) std::exit(1);
        }
    }
    std::vector<PackedKey> keys(packets.begin(), packets.end());
    std::size_t missing = 0;
    const double cycles = median(keys.size(), [&](std::size_t at) {
        std::array<const void*, burst_size> wanted;
        std::array<void*, burst_size> found;
        std::uint64_t hits = 0;
        for (std::size_t i = 0; i < burst_size; ++i) wanted[i] = &keys[at + i];
        rte_hash_lookup_bulk_data(table, wanted.data(), burst_size, &hits, found.data());
        missing += burst_size - static_cast<std::size_t>(__builtin_popcountll(hits));
        for (void* place : found) __builtin_prefetch(&entries[reinterpret_cast<std::uintptr_t>(place)]);
        for (void* place : found) entries[reinterpret_cast<std::uintptr_t>(place)].value = at;
    });
    rte_hash_free(table);
    if (missing != 0) std::exit(1);
    return cycles;
}

void initialize_eal() {
    std::array<const char*, 8> words{
        "bench", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "6000", "--log-level=4"
    };
    if (rte_eal_init(static_cast<int>(words.size()), const_cast<char**>(words.data())) < 0) {
        std::fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
        std::exit(1);
    }
}

/// Memory as the table has it: reserved region, huge pages where possible.
double floor_of(std::size_t bucket_lines, std::size_t entry_lines, std::mt19937_64& random) {
    ReservedRegion bucket_memory{bucket_lines * sizeof(Line), ReservedRegion::any_node};
    ReservedRegion entry_memory{entry_lines * sizeof(Line), ReservedRegion::any_node};
    for (ReservedRegion* memory : {&bucket_memory, &entry_memory}) {
        memory->commit(
            memory->capacity(), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
        );
    }
    auto* buckets = reinterpret_cast<Line*>(bucket_memory.base());
    auto* entries = reinterpret_cast<Line*>(entry_memory.base());
    for (std::size_t i = 0; i < bucket_lines; ++i) buckets[i].value = random() % entry_lines;
    std::vector<std::uint32_t> packets(burst_size * bursts);
    for (auto& packet : packets) packet = static_cast<std::uint32_t>(random() % bucket_lines);
    return median(packets.size(), [&](std::size_t at) {
        for (std::size_t i = 0; i < burst_size; ++i) __builtin_prefetch(&buckets[packets[at + i]]);
        for (std::size_t i = 0; i < burst_size; ++i) {
            __builtin_prefetch(&entries[buckets[packets[at + i]].value]);
        }
        for (std::size_t i = 0; i < burst_size; ++i) {
            entries[buckets[packets[at + i]].value].value = at;
        }
    });
}

double remove_all(Table& table, std::uint32_t count, std::mt19937_64& random) {
    std::vector<std::uint32_t> order(count);
    for (std::uint32_t n = 0; n < count; ++n) order[n] = n;
    std::ranges::shuffle(order, random);
    return median(count, [&](std::size_t at) {
        for (std::size_t i = 0; i < burst_size; ++i) {
            table.remove(table.find(key(order[at + i], false)).connection);
        }
    });
}

void measure(std::uint32_t count, double per_microsecond) {
    std::mt19937_64 random{count};
    Table table{count, random(), 0};
    const Insertions inserted = insert_all(table, count, per_microsecond);
    const double bytes = static_cast<double>(table.memory()) / count;
    const auto packets = random_packets(count, random);
    const double found = find_all(table, packets);
    const double rte = find_with_rte_hash(count, packets);
    const double floor =
        floor_of(std::min<std::size_t>(table.index().bucket_count(), count), count, random);
    const std::uint32_t overflow = table.index().overflow_count();
    const std::uint32_t buckets = table.index().bucket_count();
    const double removed = remove_all(table, count, random);
    std::printf(
        "%10u  %5.0f  %5.0f  %5.0f  %6.0f  %8.1f  %4lu  %6.0f  %6.1f  %8u  %8u\n",
        count,
        found,
        rte,
        floor,
        inserted.median,
        inserted.longest,
        inserted.late,
        removed,
        bytes,
        buckets,
        overflow
    );
}

}  // namespace

int main(int argc, char** argv) {
    initialize_eal();
    const double per_microsecond = tsc_per_microsecond();
    std::printf(
        "TSC %.0f MHz, %.2f records per bucket; cycles unless noted\n",
        per_microsecond,
        FlowIndex::load_quarters / 4.0
    );
    std::printf(
        "connections   find    rte  floor  insert  longest/us  >20us  remove  bytes  buckets  overflow\n"
    );
    if (argc < 2) {
        for (const std::uint32_t count : {1'000U, 1'000'000U, 10'000'000U})
            measure(count, per_microsecond);
    }
    for (int i = 1; i < argc; ++i) {
        const unsigned long count = std::strtoul(argv[i], nullptr, 10);
        if (count < burst_size || count > Table::maximum_limit) {
            std::fprintf(stderr, "%s: not a number of connections\n", argv[i]);
            return 2;
        }
        measure(static_cast<std::uint32_t>(count), per_microsecond);
    }
    return 0;
}
