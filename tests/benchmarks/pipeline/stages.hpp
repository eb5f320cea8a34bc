#pragma once

#include <rte_cycles.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "forwarding/connections/lifecycle.hpp"
#include "forwarding/transmit/transmit.hpp"
#include "tests/benchmarks/pipeline/bed.hpp"
#include "tests/benchmarks/pipeline/samples.hpp"

namespace nlvs::bench {

/// The stages of an established packet one by one, each over the whole burst with the clock
/// around it: what the pipeline does in one pass, taken apart. The sum differs from the whole by
/// what overlaps there, and by the pipeline's own decisions between the stages.
template <class F>
class Stages {
public:
    static constexpr std::array<std::string_view, 8> names{
        "parse", "hash", "steer", "look-up", "state", "rewrite", "adjacency", "tx"};

    Stages(Shared& shared, BenchWorker& worker)
        : shared_{shared}, worker_{worker}, lifecycle_{shared, worker.state}, transmit_{shared, worker.state} {}

    /// Sends the burst in the worker's buffers, which must be of established connections.
    void turn() noexcept {
        auto& table = worker_.state.template connections<F>();
        const Settings& settings = *shared_.configuration.settings.current();
        const Time now = worker_.state.clock.read();
        auto& packets = worker_.buffers;
        time(0, [&](unsigned i) {
            parse({rte_pktmbuf_mtod(packets[i], std::byte*), packets[i]->data_len}, packets[i]->pkt_len, parsed_[i]);
        });
        time(1, [&](unsigned i) {
            hashes_[i] = table.hash_of(key(i));
            table.prefetch_bucket(hashes_[i]);
        });
        time(2, [&](unsigned i) { owners_ += two_.owner(key(i).source, key(i).source_port); });
        const std::uint64_t start = rte_rdtsc_precise();
        for (unsigned i = 0; i < burst; ++i) table.prefetch_entry(hashes_[i]);
        for (unsigned i = 0; i < burst; ++i) found_[i] = table.find(key(i), hashes_[i]).connection;
        note(3, rte_rdtsc_precise() - start);
        time(4, [&](unsigned i) {
            const PacketContext context{packets[i], parsed_[i], settings, hashes_[i], 0, false, now};
            auto& counters = worker_.state.counters.destinations[found_[i]->destination_id.value];
            counters.count_in(1, parsed_[i].l3_length);
            ++found_[i]->in_packets;
            lifecycle_.advance(context, *found_[i], Direction::request);
        });
        time(5, [&](unsigned i) {
            const PacketContext context{packets[i], parsed_[i], settings, hashes_[i], 0, false, now};
            if (found_[i]->method() == ForwardingMethod::masquerade) {
                masquerade<F, Direction::request>(packets[i], parsed_[i], *found_[i]);
            }
            decrement_ttl<F>(context.l3());
        });
        time(6, [&](unsigned i) {
            const DestinationSlot& slot = lifecycle_.destination(found_[i]->destination_id);
            transmit_.send(packets[i], parsed_[i].l3_offset, F::family, *slot.adjacency.load()->node.load());
        });
        const std::uint64_t sending = rte_rdtsc_precise();
        worker_.state.output.flush();
        note(7, rte_rdtsc_precise() - sending);
        if (worker_.collector.take(packets.data()) != burst) std::exit(1);
    }

    Samples& samples(std::size_t stage) noexcept { return samples_[stage]; }

private:
    const FlowKey<F>& key(unsigned i) const noexcept { return parsed_[i].template flow<F>(); }

    template <class Stage>
    void time(std::size_t stage, Stage&& each) noexcept {
        const std::uint64_t start = rte_rdtsc_precise();
        for (unsigned i = 0; i < burst; ++i) each(i);
        note(stage, rte_rdtsc_precise() - start);
    }

    void note(std::size_t stage, std::uint64_t cycles) noexcept {
        samples_[stage].add(static_cast<double>(cycles - clock_cost_) / burst);
    }

    static std::uint64_t clock_cost() noexcept {
        std::uint64_t least = ~0ULL;
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t start = rte_rdtsc_precise();
            least = std::min(least, rte_rdtsc_precise() - start);
        }
        return least;
    }

    Shared& shared_;
    BenchWorker& worker_;
    Lifecycle lifecycle_;
    Transmit transmit_;
    Steering two_{2};
    std::uint64_t clock_cost_ = clock_cost();
    std::uint64_t owners_ = 0;
    std::array<Parsed, burst> parsed_;
    std::array<std::uint64_t, burst> hashes_{};
    std::array<Connection<F>*, burst> found_{};
    std::array<Samples, names.size()> samples_;
};

}  // namespace nlvs::bench
