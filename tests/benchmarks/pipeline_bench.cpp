#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_lcore.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compat/net/bytes.hpp"
#include "forwarding/connections/persistence.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/eal.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/schedulers/schedule_builder.hpp"

/// Cycles per packet of the whole pipeline without a NIC: bursts of 32 established packets of
/// connections picked at random are handed to Pipeline::run and come back through a BurstSink.
/// The cost of writing the packets is outside the clock; parsing, look-up, state machine,
/// rewriting, adjacency and output are inside.
///
///     pipeline_bench [--connections N] [--method nat|dr|tun] [--ipv6] [--packets N] [--json]
namespace {

using namespace nlvs;
using namespace nlvs::forwarding;
using namespace nlvs::net;

struct Options {
    std::uint32_t connections = 1000;
    ForwardingMethod method = ForwardingMethod::masquerade;
    bool ipv6 = false;
    std::uint64_t packets = 4'000'000;
    bool json = false;
};

constexpr unsigned burst = Pipeline::burst_size;
constexpr unsigned real_servers = 16;
constexpr std::uint16_t ports_per_client = 60000;

/// Keeps what the pipeline sends, so that the next burst can use the same buffers.
class Collector final : public BurstSink {
public:
    std::uint16_t transmit(PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
        std::copy_n(packets, count, kept_.begin() + kept_count_);
        kept_count_ += count;
        return count;
    }

    std::uint16_t punt(PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
        for (std::uint16_t i = 0; i < count; ++i) rte_pktmbuf_free(packets[i]);
        punted_ += count;
        return count;
    }

    unsigned take(rte_mbuf** packets) noexcept {
        std::copy_n(kept_.begin(), kept_count_, packets);
        return std::exchange(kept_count_, 0);
    }

    std::uint64_t punted() const noexcept { return punted_; }

private:
    std::array<rte_mbuf*, burst * 2> kept_{};
    unsigned kept_count_ = 0;
    std::uint64_t punted_ = 0;
};

IpAddress address(bool ipv6, std::uint32_t low) {
    if (!ipv6) return Ipv4Address{low};
    Ipv6Address::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
    store(reinterpret_cast<std::byte*>(bytes.data() + 12), Be32{low});
    return Ipv6Address{bytes};
}

/// A director with one UDP service, its real servers and everything on link.
class Director {
public:
    explicit Director(const Options& options) : options_{options} {
        Configuration& tables = configuration_;
        tables.settings.publish(
            std::make_unique<const Settings>(make_settings({}, {})), reclaimer_
        );
        tables.adjacencies.ensure(0);
        auto adjacency = std::make_unique<Adjacency>();
        adjacency->l2_length = 14;
        tables.adjacencies[0].node.store(adjacency.get());
        adjacency_ = std::move(adjacency);
        add_route({address(options.ipv6, 0), 0}, NextHop::Type::unicast);
        add_route({virtual_address(), virtual_address().bits()}, NextHop::Type::local);
        auto gateway = std::make_unique<Neighbour>();
        gateway->key = {1, gateway_address()};
        gateway->adjacency = {0};
        gateway->slot = &tables.adjacencies[0];
        tables.neighbours.insert(std::move(gateway), reclaimer_);
        publish_service();
    }

    IpAddress virtual_address() const { return address(options_.ipv6, 0x0A000001); }

    Configuration& configuration() noexcept { return configuration_; }

private:
    IpAddress gateway_address() const { return address(options_.ipv6, 0x0A0000FE); }

    void add_route(const Prefix& prefix, NextHop::Type type) {
        auto route = std::make_unique<Route>();
        route->single = {type, false, 0, 1, gateway_address()};
        auto& table = options_.ipv6 ? configuration_.routes_v6 : configuration_.routes_v4;
        const bool local = type == NextHop::Type::local;
        table.insert(
            local ? RoutingPolicy::local_table : RoutingPolicy::main_table, prefix, std::move(route), reclaimer_
        );
    }

    void publish_service() {
        auto service = std::make_unique<Service>();
        service->id = {0};
        service->key = ipvs::EndpointKey{17, virtual_address(), Port{std::uint16_t{53}}};
        service->scheduler = SchedulerKind::rr;
        service->has_masquerade = options_.method == ForwardingMethod::masquerade;
        for (std::uint32_t i = 0; i < real_servers; ++i) service->destinations.push_back(destination(i));
        ScheduleBuilder{}.bind(*service);
        configuration_.services.insert(std::move(service), reclaimer_);
        (options_.ipv6 ? configuration_.services_v6 : configuration_.services_v4) = 1;
    }

    ServiceDestination destination(std::uint32_t i) {
        configuration_.destinations.ensure(i);
        DestinationSlot& slot = configuration_.destinations[i];
        slot.adjacency = &configuration_.adjacencies[0];
        slot.weight = 1;
        slot.available = true;
        slot.method = options_.method;
        slot.address = address(options_.ipv6, 0x0A010001 + i);
        slot.port = Port{std::uint16_t{53}};
        if (options_.method == ForwardingMethod::tunnel) {
            tunnels_.push_back(std::make_unique<TunnelHeader>(
                build_tunnel_header(slot.address, gateway_address(), {})
            ));
            slot.tunnel = tunnels_.back().get();
        }
        return {{i}, &slot, slot.address, slot.port, options_.method, 1, 1};
    }

    const Options& options_;
    QuiescentState quiescence_;
    Reclaimer reclaimer_{quiescence_};
    Configuration configuration_;
    std::unique_ptr<const Adjacency> adjacency_;
    std::vector<std::unique_ptr<TunnelHeader>> tunnels_;
};

/// Writes UDP requests of numbered clients into buffers.
class Client {
public:
    Client(const Options& options, const IpAddress& virtual_address) : options_{options} {
        constexpr std::size_t payload = 18;
        const std::size_t l3 = options.ipv6 ? 40 : 20;
        frame_.resize(14 + l3 + 8 + payload);
        std::byte* at = frame_.data();
        store(at + 12, Be16{options.ipv6 ? std::uint16_t{0x86DD} : std::uint16_t{0x0800}});
        const auto length = static_cast<std::uint16_t>(8 + payload);
        if (options.ipv6) {
            store(at + 14, Be32{0x60000000});
            store(at + 18, Be16{length});
            at[20] = std::byte{17};
            at[21] = std::byte{64};
            std::memcpy(at + 38, virtual_address.bytes().data(), 16);
        } else {
            at[14] = std::byte{0x45};
            store(at + 16, Be16{static_cast<std::uint16_t>(l3 + length)});
            at[22] = std::byte{64};
            at[23] = std::byte{17};
            std::memcpy(at + 30, virtual_address.bytes().data(), 4);
        }
        store(at + 14 + l3 + 2, Be16{std::uint16_t{53}});
        store(at + 14 + l3 + 4, Be16{length});
        store(at + 14 + l3 + 6, Be16{std::uint16_t{0xBEEF}});
    }

    void write(rte_mbuf* packet, std::uint32_t number) const noexcept {
        packet->data_off = RTE_PKTMBUF_HEADROOM;
        packet->data_len = static_cast<std::uint16_t>(frame_.size());
        packet->pkt_len = static_cast<std::uint32_t>(frame_.size());
        auto* at = rte_pktmbuf_mtod(packet, std::byte*);
        std::memcpy(at, frame_.data(), frame_.size());
        const Be32 client{0x0B000000 + number / ports_per_client};
        const Be16 port{static_cast<std::uint16_t>(1024 + number % ports_per_client)};
        if (options_.ipv6) {
            store(at + 22, Be32{0x20010DB8});
            store(at + 34, client);
            store(at + 54, port);
        } else {
            store(at + 26, client);
            store(at + 34, port);
            auto* header = reinterpret_cast<rte_ipv4_hdr*>(at + 14);
            header->hdr_checksum = rte_ipv4_cksum(header);
        }
    }

private:
    const Options& options_;
    std::vector<std::byte> frame_;
};

struct Measurement {
    double median = 0;
    double tenth = 0;
    std::uint64_t punted = 0;
    std::uint64_t connections = 0;
};

class Bench {
public:
    explicit Bench(const Options& options)
        : options_{options},
          director_{options},
          client_{options, director_.virtual_address()},
          shared_{director_.configuration(), templates_, 1},
          worker_{0, std::max(options.connections * 2, 1U << 16), 0x5EED, collector_},
          pipeline_{shared_, worker_} {
        worker_.schedulers.ensure(0);
        for (std::uint32_t i = 0; i < real_servers; ++i) worker_.counters.destinations.ensure(i);
        for (auto& packet : buffers_) packet = rte_pktmbuf_alloc(pool_.get());
    }

    Measurement run() {
        for (std::uint32_t i = 0; i < options_.connections; i += burst) {
            for (unsigned k = 0; k < burst; ++k) client_.write(buffers_[k], (i + k) % options_.connections);
            once();
        }
        std::vector<double> samples;
        RandomSource random{42};
        constexpr unsigned bursts_per_sample = 256;
        for (std::uint64_t sent = 0; sent < options_.packets;) {
            std::uint64_t cycles = 0;
            for (unsigned b = 0; b < bursts_per_sample; ++b, sent += burst) {
                for (auto* packet : buffers_) {
                    client_.write(packet, static_cast<std::uint32_t>(random.below(options_.connections)));
                }
                cycles += once();
            }
            samples.push_back(static_cast<double>(cycles) / (bursts_per_sample * burst));
        }
        std::ranges::sort(samples);
        return {
            samples[samples.size() / 2], samples[samples.size() / 10], collector_.punted(),
            options_.ipv6 ? worker_.connections_v6.size() : worker_.connections_v4.size()
        };
    }

private:
    /// One burst through the pipeline; what it took.
    std::uint64_t once() noexcept {
        const std::uint64_t start = rte_rdtsc_precise();
        const Time now = worker_.clock.read();
        pipeline_.run(0, buffers_.data(), burst, now);
        pipeline_.run_timers(now, 64);
        worker_.output.flush();
        const std::uint64_t cycles = rte_rdtsc_precise() - start;
        if (collector_.take(buffers_.data()) != burst) {
            std::fprintf(stderr, "pipeline_bench: packets were lost\n");
            std::exit(1);
        }
        return cycles;
    }

    const Options& options_;
    Director director_;
    Client client_;
    PersistenceTable templates_{director_.configuration().destinations, 1, 0};
    Collector collector_;
    Shared shared_;
    WorkerState worker_;
    Pipeline pipeline_;
    BufferPool pool_{{.count = 1023}};
    std::array<rte_mbuf*, burst> buffers_{};
};

std::optional<Options> parse_options(std::span<char*> arguments) {
    Options options;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        const bool has_value = i + 1 < arguments.size();
        if (name == "--ipv6") {
            options.ipv6 = true;
        } else if (name == "--json") {
            options.json = true;
        } else if (name == "--connections" && has_value) {
            options.connections = static_cast<std::uint32_t>(std::stoul(arguments[++i]));
        } else if (name == "--packets" && has_value) {
            options.packets = std::stoull(arguments[++i]);
        } else if (name == "--method" && has_value) {
            const std::string_view method = arguments[++i];
            if (method == "nat") {
                options.method = ForwardingMethod::masquerade;
            } else if (method == "dr") {
                options.method = ForwardingMethod::direct_route;
            } else if (method == "tun") {
                options.method = ForwardingMethod::tunnel;
            } else {
                return std::nullopt;
            }
        } else {
            return std::nullopt;
        }
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = parse_options({argv, static_cast<std::size_t>(argc)});
    if (!options) {
        std::fprintf(
            stderr,
            "usage: %s [--connections N] [--method nat|dr|tun] [--ipv6] [--packets N] [--json]\n",
            argv[0]
        );
        return 2;
    }
    EalSettings environment;
    environment.memory = 64;
    const Eal eal{environment};
    Bench bench{*options};
    const Measurement measured = bench.run();
    const char* format =
        options->json
            ? "{\"connections\": %llu, \"cycles_median\": %.1f, \"cycles_p10\": %.1f, \"punted\": %llu, \"tsc_hz\": %llu}\n"
            : "%llu connections: %.1f cycles per packet (median), %.1f (10th percentile), %llu punted, TSC %llu Hz\n";
    std::printf(
        format, static_cast<unsigned long long>(measured.connections), measured.median, measured.tenth,
        static_cast<unsigned long long>(measured.punted), static_cast<unsigned long long>(rte_get_tsc_hz())
    );
    return 0;
}
