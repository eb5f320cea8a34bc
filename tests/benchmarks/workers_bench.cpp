/// What several workers, and control at work, cost: established UDP packets, masqueraded, as in
/// pipeline_bench.
///
///     workers_bench [--connections N] [--seconds N] [--json]
///
/// hand-over  one worker receives what another owns: both parts on one core, one after the other,
///            less what the owner needs for a packet that it receives itself.
/// scaling    a worker alone, and two at once on two cores, each on its own half of the clients.
/// churn      a worker alone, and beside a control thread that changes weights or routes.
/// In each pair the two sides take turns, and medians are compared.

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

#include "forwarding/nic/eal.hpp"
#include "tests/benchmarks/pipeline/bed.hpp"
#include "tests/benchmarks/pipeline/samples.hpp"

namespace {

using namespace nlvs;
using namespace nlvs::bench;
using namespace std::chrono_literals;

struct Options {
    std::uint32_t connections = 100'000;
    unsigned seconds = 4;
    bool json = false;
};

void pin(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/// A worker that has its connections and can send packets of them.
class Load {
public:
    Load(Shared& shared, WorkerId id, const Client& client, std::uint32_t first, std::uint32_t count, rte_mempool* pool)
        : client_{client}, first_{first}, count_{count}, worker_{std::make_unique<BenchWorker>(shared, id, count * 2, pool)} {
        for (std::uint32_t n = 0; n < count; n += burst) {
            for (unsigned i = 0; i < burst; ++i) client_.write(worker_->buffers[i], first + (n + i) % count);
            worker_->turn();
        }
    }

    /// Mean cycles per packet over some bursts.
    double stretch() noexcept {
        constexpr unsigned bursts = 128;
        std::uint64_t cycles = 0;
        for (unsigned b = 0; b < bursts; ++b) {
            write_random();
            cycles += worker_->turn();
        }
        return static_cast<double>(cycles) / (bursts * burst);
    }

    void write_random() noexcept {
        for (auto* packet : worker_->buffers) {
            client_.write(packet, first_ + static_cast<std::uint32_t>(random_.below(count_)));
        }
    }

    BenchWorker& worker() noexcept { return *worker_; }

private:
    const Client& client_;
    std::uint32_t first_;
    std::uint32_t count_;
    std::unique_ptr<BenchWorker> worker_;
    RandomSource random_{42};
};

struct Bed {
    explicit Bed(std::uint16_t workers)
        : client{shape.ipv6, shape.protocol, director.virtual_address()},
          shared{director.configuration(), templates, Steering{workers}, 1} {}

    Shape shape;
    Director director{shape};
    Client client;
    PersistenceTable templates{director.configuration().destinations, 1, 0};
    Shared shared;
    BufferPool pool{{.count = 1023}};
};

/// Cycles more, over both workers, for a packet that comes to the wrong one.
double hand_over(const Options& options) {
    Bed bed{2};
    // Of the clients, those whose flows the second worker owns, opened there by hand-over.
    auto first = std::make_unique<BenchWorker>(bed.shared, WorkerId{0}, 1U << 16, bed.pool.get());
    auto second = std::make_unique<BenchWorker>(bed.shared, WorkerId{1}, options.connections * 2, bed.pool.get());
    std::vector<std::uint32_t> owned;
    for (std::uint32_t n = 0; owned.size() < options.connections; ++n) {
        const net::Ipv4Address address{0x0B000000 + n / ports_per_client};
        const net::Port port{static_cast<std::uint16_t>(1024 + n % ports_per_client)};
        if (bed.shared.steering.owner(address, port) == 1) owned.push_back(n);
    }
    RandomSource random{42};
    std::size_t next = 0;
    const auto write = [&] {
        for (auto* packet : second->buffers) {
            bed.client.write(packet, owned[next < owned.size() ? next++ : random.below(owned.size())]);
        }
    };
    for (std::size_t n = 0; n < owned.size(); n += burst) {
        write();
        second->turn();
    }
    Samples more;
    for (unsigned round = 0; round < 200 * options.seconds; ++round) {
        std::uint64_t direct = 0;
        std::uint64_t both = 0;
        constexpr unsigned bursts = 64;
        for (unsigned b = 0; b < bursts; ++b) {
            write();
            direct += second->turn();
            write();
            const std::uint64_t start = rte_rdtsc_precise();
            const Time now = first->state.clock.read();
            first->pipeline.run(0, second->buffers.data(), burst, now);
            first->pipeline.run_timers(now, 64);
            first->state.output.flush();
            std::array<rte_mbuf*, burst> taken;
            const unsigned count = bed.shared.hand_over.take(1, taken.data(), burst);
            second->pipeline.run_taken_over(taken.data(), count, now);
            second->pipeline.run_timers(now, 64);
            second->state.output.flush();
            both += rte_rdtsc_precise() - start;
            if (second->collector.take(second->buffers.data()) != burst) std::exit(1);
        }
        more.add((static_cast<double>(both) - static_cast<double>(direct)) / (bursts * burst));
    }
    return more.median();
}

/// How many times one worker's throughput two have.
double scaling(const Options& options) {
    // One owner for every flow: the workers are to meet only in what they share.
    Bed bed{1};
    const std::uint32_t half = options.connections / 2;
    Load first{bed.shared, 0, bed.client, 0, half, bed.pool.get()};
    Load second{bed.shared, 1, bed.client, half, half, bed.pool.get()};
    std::atomic<bool> stop{false};
    std::atomic<bool> together{false};
    std::thread other{[&] {
        pin(1);
        while (!stop.load(std::memory_order_relaxed)) {
            if (together.load(std::memory_order_relaxed)) {
                second.stretch();
            } else {
                std::this_thread::sleep_for(100us);
            }
        }
    }};
    pin(0);
    Samples ratios;
    for (unsigned round = 0; round < 10 * options.seconds; ++round) {
        Samples alone;
        Samples both;
        together = false;
        std::this_thread::sleep_for(1ms);
        for (int i = 0; i < 40; ++i) alone.add(first.stretch());
        together = true;
        for (int i = 0; i < 40; ++i) both.add(first.stretch());
        ratios.add(2 * alone.median() / both.median());
    }
    stop = true;
    other.join();
    return ratios.median();
}

struct Churn {
    double slower = 0;   ///< part of the throughput that is lost
    double changes = 0;  ///< made per second
};

template <class Change>
Churn churn(const Options& options, double per_second, Change&& change) {
    Bed bed{1};
    Load load{bed.shared, 0, bed.client, 0, options.connections, bed.pool.get()};
    QuiescentState& quiescence = bed.director.quiescence();
    quiescence.register_worker(0);
    std::atomic<bool> stop{false};
    std::atomic<bool> on{false};
    std::atomic<std::uint64_t> changes{0};
    std::atomic<std::uint64_t> active_ns{0};
    std::thread control{[&] {
        pin(1);
        std::uint32_t number = 0;
        const auto step = std::chrono::nanoseconds{static_cast<long>(1e9 / per_second)};
        while (!stop.load(std::memory_order_relaxed)) {
            if (!on.load(std::memory_order_relaxed)) {
                std::this_thread::sleep_for(100us);
                continue;
            }
            const auto begin = std::chrono::steady_clock::now();
            auto due = begin;
            std::uint64_t made = 0;
            while (on.load(std::memory_order_relaxed)) {
                for (; due <= std::chrono::steady_clock::now(); due += step, ++made) change(bed.director, number++);
                bed.director.reclaimer().collect();
                std::this_thread::sleep_for(200us);
            }
            changes += made;
            active_ns += static_cast<std::uint64_t>(
                std::chrono::nanoseconds{std::chrono::steady_clock::now() - begin}.count()
            );
        }
        bed.director.reclaimer().collect();
    }};
    pin(0);
    Samples slower;
    for (unsigned round = 0; round < 10 * options.seconds; ++round) {
        Samples quiet;
        Samples busy;
        on = false;
        std::this_thread::sleep_for(1ms);
        const auto many = [&](Samples& samples) {
            for (int i = 0; i < 40; ++i) {
                samples.add(load.stretch());
                quiescence.report(0);
            }
        };
        many(quiet);
        on = true;
        many(busy);
        slower.add(1 - quiet.median() / busy.median());
    }
    on = false;
    stop = true;
    control.join();
    quiescence.unregister_worker(0);
    return {slower.median(), static_cast<double>(changes) / (static_cast<double>(active_ns) / 1e9)};
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--json") {
            options.json = true;
        } else if (name == "--connections" && i + 1 < argc) {
            options.connections = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
        } else if (name == "--seconds" && i + 1 < argc) {
            options.seconds = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        } else {
            std::fprintf(stderr, "usage: %s [--connections N] [--seconds N] [--json]\n", argv[0]);
            return 2;
        }
    }
    EalSettings environment;
    environment.memory = 64;
    const Eal eal{environment};
    const double handed = hand_over(options);
    const double scaled = scaling(options);
    const Churn weights = churn(options, 1000, [](Director& director, std::uint32_t n) {
        director.publish_service(1 + static_cast<std::int32_t>(n % 100));
    });
    const Churn routes = churn(options, 10'000, [](Director& director, std::uint32_t n) {
        director.change_route(n / 2 % 65'536, n % 2 == 0);
    });
    std::printf(
        options.json ? "{\"hand_over_cycles\": %.1f, \"two_workers\": %.2f, \"weight_changes\": %.0f, "
                       "\"weight_loss\": %.4f, \"route_changes\": %.0f, \"route_loss\": %.4f}\n"
                     : "hand-over: %.1f cycles more per packet\ntwo workers: %.2f times one\n"
                       "weights: %.0f changes a second, %.4f of the throughput lost\n"
                       "routes: %.0f changes a second, %.4f of the throughput lost\n",
        handed, scaled, weights.changes, weights.slower, routes.changes, routes.slower
    );
    return 0;
}
