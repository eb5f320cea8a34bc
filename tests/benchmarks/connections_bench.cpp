/// What connections cost from their first packet to their expiry, without a NIC.
///
///     connections_bench [--live N] [--grow N] [--json]
///
/// tcp     seven packets each (SYN, SYN-ACK, ACK, request, answer, FIN, FIN), masquerading, one
///         phase of a window of connections after the other, so that each packet finds its
///         connection no longer in the first-level cache; TIME_WAIT and expiry included. Time is
///         the benchmark's own: it runs so that --live connections wait for their end.
/// udp     one packet each and expiry.
/// grow    --grow connections from nothing, memory ahead of need by a second thread as in the
///         daemon: bytes each, resident memory, and the longest burst. Bursts during which the
///         kernel took the thread off its core are left out and counted. The same bursts once
///         more, when nothing grows, tell what the machine itself adds (a hypervisor's share).

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "forwarding/nic/eal.hpp"
#include "tests/benchmarks/pipeline/bed.hpp"
#include "tests/benchmarks/pipeline/samples.hpp"

namespace {

using namespace nlvs;
using namespace nlvs::bench;

constexpr std::uint8_t syn = 0x02, syn_ack = 0x12, ack = 0x10, psh_ack = 0x18, fin_ack = 0x11;

struct Packet {
    bool reply;
    std::uint8_t flags;
};

constexpr Packet conversation[] = {{false, syn},     {true, syn_ack},  {false, ack},    {false, psh_ack},
                                   {true, psh_ack},  {false, fin_ack}, {true, fin_ack}};
constexpr Packet datagram[] = {{false, 0}};

struct Bed {
    Bed(const Shape& shape, std::uint32_t maximum)
        : director{shape},
          client{shape.ipv6, shape.protocol, director.virtual_address()},
          worker{std::make_unique<BenchWorker>(shared, WorkerId{0}, maximum, pool.get())} {}

    Director director;
    Client client;
    PersistenceTable templates{director.configuration().destinations, 1, 0};
    Shared shared{director.configuration(), templates, Steering{1}, 1};
    BufferPool pool{{.count = 1023}};
    std::unique_ptr<BenchWorker> worker;
};

struct Life {
    double cycles = 0;   ///< per connection, all of it
    double least = 0;
    std::uint32_t live = 0;
};

/// `life` is how long a connection is remembered after its last packet, in ticks.
Life live(Bed& bed, std::span<const Packet> packets, std::uint32_t alive, Ticks life) {
    constexpr std::uint32_t window = 8192;
    constexpr unsigned bursts = window / burst;
    std::vector<std::uint8_t> servers(window);
    BenchWorker& worker = *bed.worker;
    const Ticks start = worker.state.clock.read().ticks;
    // One window takes as much time as lets `alive` connections be in the table.
    const double ticks_per_window = static_cast<double>(life) * window / alive;
    const double ticks_per_burst = ticks_per_window / (bursts * static_cast<double>(packets.size()));
    double ticks = 0;
    Samples samples;
    std::uint32_t number = 0;
    const unsigned warm_up = alive / window * 5 / 4 + 2;
    for (unsigned w = 0; w < warm_up + 40; ++w, number += window) {
        std::uint64_t cycles = 0;
        for (std::size_t phase = 0; phase < packets.size(); ++phase) {
            const Packet& packet = packets[phase];
            for (unsigned b = 0; b < bursts; ++b) {
                for (unsigned i = 0; i < burst; ++i) {
                    const std::uint32_t n = b * burst + i;
                    if (packet.reply) {
                        bed.client.write_reply(worker.buffers[i], number + n, servers[n], packet.flags);
                    } else {
                        bed.client.write(worker.buffers[i], number + n, packet.flags);
                    }
                }
                ticks += ticks_per_burst;
                cycles += worker.turn({rte_rdtsc(), start + static_cast<Ticks>(ticks)});
                if (phase != 0) continue;
                for (unsigned i = 0; i < burst; ++i) {
                    servers[b * burst + i] = static_cast<std::uint8_t>(bed.client.server_of(worker.buffers[i]));
                }
            }
        }
        if (w >= warm_up) samples.add(static_cast<double>(cycles) / window);
    }
    return {samples.median(), samples.quantile(0), worker.connections()};
}

long preemptions() noexcept {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw + usage.ru_nvcsw;
}

double resident_megabytes() {
    long pages = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
        std::fclose(file);
    }
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

struct Growth {
    double bytes = 0;
    double resident = 0;
    double longest = 0;  ///< µs
    double late = 0;     ///< the 99.999th percentile, µs
    std::uint64_t over = 0;        ///< longer than 50 µs
    std::uint64_t over_again = 0;  ///< when nothing grew
    double longest_again = 0;
    std::uint64_t bursts = 0;
    std::uint64_t left_out = 0;
};

/// One packet of each of `count` clients; how many bursts took longer than 50 µs.
std::uint64_t pass(Bed& bed, std::uint32_t count, Samples& samples, std::uint64_t& left_out) {
    BenchWorker& worker = *bed.worker;
    const double per_microsecond = static_cast<double>(rte_get_tsc_hz()) / 1e6;
    std::uint64_t over = 0;
    for (std::uint32_t n = 0; n < count; n += burst) {
        for (unsigned i = 0; i < burst; ++i) bed.client.write(worker.buffers[i], n + i);
        const long before = preemptions();
        const double took = static_cast<double>(worker.turn()) / per_microsecond;
        if (preemptions() != before) {
            ++left_out;
            continue;
        }
        samples.add(took);
        over += took > 50;
    }
    return over;
}

Growth grow(Bed& bed, std::uint32_t count) {
    using namespace std::chrono_literals;
    // As daemon/worker_group.cpp.
    constexpr std::uint32_t ahead = 65'536;
    BenchWorker& worker = *bed.worker;
    const double before = resident_megabytes();
    worker.state.connections_v4.reserve(ahead);
    std::atomic<bool> done{false};
    std::thread control{[&] {
        while (!done.load(std::memory_order_relaxed)) {
            worker.state.connections_v4.reserve(ahead);
            std::this_thread::sleep_for(1ms);
        }
    }};
    Growth growth;
    Samples samples;
    Samples again;
    growth.over = pass(bed, count, samples, growth.left_out);
    done = true;
    control.join();
    growth.bursts = samples.size();
    growth.longest = samples.quantile(1);
    growth.late = samples.quantile(0.99999);
    std::uint64_t left_out_again = 0;
    growth.over_again = pass(bed, count, again, left_out_again);
    growth.longest_again = again.quantile(1);
    growth.bytes = static_cast<double>(worker.memory()) / worker.connections();
    growth.resident = resident_megabytes() - before;
    return growth;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint32_t alive = 1'000'000;
    std::uint32_t grown = 10'000'000;
    bool json = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--json") {
            json = true;
        } else if (name == "--live" && i + 1 < argc) {
            alive = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
        } else if (name == "--grow" && i + 1 < argc) {
            grown = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
        } else {
            std::fprintf(stderr, "usage: %s [--live N] [--grow N] [--json]\n", argv[0]);
            return 2;
        }
    }
    EalSettings environment;
    environment.memory = 64;
    const Eal eal{environment};
    Life tcp;
    Life udp;
    {
        constexpr Ticks time_wait = 120 * ticks_per_second;
        Shape shape;
        shape.protocol = 6;
        Bed bed{shape, alive * 4};
        tcp = live(bed, conversation, alive, time_wait);
    }
    {
        Shape shape;
        shape.method = ForwardingMethod::direct_route;
        shape.timeouts.udp = 10;
        Bed bed{shape, alive * 4};
        udp = live(bed, datagram, alive, 10 * ticks_per_second);
    }
    Bed bed{{.method = ForwardingMethod::masquerade, .ipv6 = false, .protocol = 17, .timeouts = {}}, grown + 1024};
    const Growth growth = grow(bed, grown);
    const double hz = static_cast<double>(rte_get_tsc_hz());
    std::printf(
        json ? "{\"tcp_cycles\": %.0f, \"tcp_least\": %.0f, \"tcp_per_second\": %.0f, \"tcp_live\": %u, "
               "\"udp_cycles\": %.0f, \"udp_least\": %.0f, \"udp_per_second\": %.0f, \"udp_live\": %u, "
               "\"bytes_per_connection\": %.1f, \"resident_mb\": %.0f, \"longest_burst_us\": %.1f, "
               "\"late_burst_us\": %.1f, \"over_50_us\": %llu, \"over_50_us_again\": %llu, "
               "\"longest_again_us\": %.1f, \"bursts\": %llu, \"left_out\": %llu}\n"
             : "tcp: %.0f cycles per connection (least %.0f), %.0f a second, %u live\n"
               "udp: %.0f cycles per flow (least %.0f), %.0f a second, %u live\n"
               "grow: %.1f bytes per connection, %.0f MB resident, longest burst %.1f us, one in 100,000 "
               "%.1f us, %llu over 50 us (%llu when nothing grows, longest %.1f us) of %llu (%llu left out)\n",
        tcp.cycles, tcp.least, hz / tcp.cycles, tcp.live, udp.cycles, udp.least, hz / udp.cycles, udp.live,
        growth.bytes, growth.resident, growth.longest, growth.late,
        static_cast<unsigned long long>(growth.over), static_cast<unsigned long long>(growth.over_again),
        growth.longest_again, static_cast<unsigned long long>(growth.bursts),
        static_cast<unsigned long long>(growth.left_out)
    );
    return 0;
}
