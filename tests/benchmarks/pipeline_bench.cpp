/// Cycles per packet of the whole pipeline without a NIC: bursts of 32 established packets of
/// connections picked at random are handed to Pipeline::run and come back through a BurstSink.
/// The cost of writing the packets is outside the clock; parsing, look-up, state machine,
/// rewriting, adjacency and output are inside. The floor (pipeline/floor.hpp) is measured in turn
/// with it, stretch by stretch, and so are the stages on their own.
///
///     pipeline_bench [--connections N] [--method nat|dr|tun] [--ipv6] [--packets N] [--json]

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "forwarding/nic/eal.hpp"
#include "tests/benchmarks/pipeline/bed.hpp"
#include "tests/benchmarks/pipeline/floor.hpp"
#include "tests/benchmarks/pipeline/instruction_count.hpp"
#include "tests/benchmarks/pipeline/samples.hpp"
#include "tests/benchmarks/pipeline/stages.hpp"

namespace {

using namespace nlvs;
using namespace nlvs::bench;

struct Options {
    Shape shape;
    std::uint32_t connections = 1000;
    std::uint64_t packets = 2'000'000;
    bool json = false;
};

class Bench {
public:
    explicit Bench(const Options& options) : options_{options} {
        for (std::uint32_t i = 0; i < options_.connections; i += burst) {
            for (unsigned k = 0; k < burst; ++k) {
                client_.write(worker_->buffers[k], (i + k) % options_.connections);
            }
            worker_->turn();
        }
        floor_.emplace(bucket_lines(), options_.connections);
    }

    void run() {
        constexpr unsigned bursts_per_stretch = 128;
        for (std::uint64_t sent = 0; sent < options_.packets; sent += bursts_per_stretch * burst) {
            const double floor = stretch(bursts_per_stretch, [this] { return floor_->turn(); });
            const double whole = stretch(bursts_per_stretch, [this] {
                write_random();
                return worker_->turn();
            });
            whole_.add(whole);
            floors_.add(floor);
            above_.add(whole - floor);
            for (unsigned b = 0; b < bursts_per_stretch / 8; ++b) take_apart();
        }
        constexpr unsigned counted_bursts = 20;
        // Counting is slow: time must not go on meanwhile, or timers would take more than their part.
        const Time now = worker_->state.clock.read();
        for (unsigned b = 0; b < 1000; ++b) worker_->pipeline.run_timers(now, 64);
        for (unsigned b = 0; b < counted_bursts; ++b) {
            write_random();
            instructions_ += static_cast<double>(InstructionCount::of([&] { worker_->turn(now); }));
        }
        instructions_ /= counted_bursts * burst;
    }

    void print() {
        if (options_.json) return print_json();
        std::printf(
            "%u connections: %.1f cycles per packet (median; least %.1f, most %.1f), floor %.1f, "
            "above it %.1f, %.0f instructions, TSC %llu Hz\n",
            worker_->connections(), whole_.median(), whole_.quantile(0), whole_.quantile(1),
            floors_.median(), above_.median(), instructions_, tsc_hz()
        );
        for (std::size_t i = 0; i < Stages<V4>::names.size(); ++i) {
            std::printf("    %-10s %6.1f\n", Stages<V4>::names[i].data(), stage(i));
        }
    }

private:
    static unsigned long long tsc_hz() { return rte_get_tsc_hz(); }

    void print_json() {
        std::printf(
            "{\"connections\": %u, \"cycles\": {\"median\": %.1f, \"least\": %.1f, \"p10\": %.1f, "
            "\"most\": %.1f}, \"floor\": %.1f, \"above_floor\": %.1f, \"instructions\": %.0f, "
            "\"bytes_per_connection\": %.1f, \"tsc_hz\": %llu, \"stages\": {",
            worker_->connections(), whole_.median(), whole_.quantile(0), whole_.quantile(0.1),
            whole_.quantile(1), floors_.median(), above_.median(), instructions_,
            static_cast<double>(worker_->memory()) / worker_->connections(), tsc_hz()
        );
        for (std::size_t i = 0; i < Stages<V4>::names.size(); ++i) {
            std::printf("%s\"%s\": %.1f", i == 0 ? "" : ", ", Stages<V4>::names[i].data(), stage(i));
        }
        std::printf("}}\n");
    }

    double stage(std::size_t i) {
        return (options_.shape.ipv6 ? stages_v6_.samples(i) : stages_v4_.samples(i)).median();
    }

    std::uint32_t bucket_lines() const noexcept {
        const auto& state = worker_->state;
        const auto& index = options_.shape.ipv6 ? state.connections_v6.index() : state.connections_v4.index();
        return std::min(index.bucket_count(), options_.connections);
    }

    void write_random() noexcept {
        for (auto* packet : worker_->buffers) {
            client_.write(packet, static_cast<std::uint32_t>(random_.below(options_.connections)));
        }
    }

    /// Mean cycles per packet over a stretch of bursts.
    template <class Turn>
    static double stretch(unsigned bursts, Turn&& turn) {
        std::uint64_t cycles = 0;
        for (unsigned b = 0; b < bursts; ++b) cycles += turn();
        return static_cast<double>(cycles) / (bursts * burst);
    }

    void take_apart() noexcept {
        // Encapsulation is none of the stages' business.
        if (options_.shape.method == ForwardingMethod::tunnel) return;
        write_random();
        if (options_.shape.ipv6) {
            stages_v6_.turn();
        } else {
            stages_v4_.turn();
        }
    }

    const Options options_;
    Director director_{options_.shape};
    Client client_{options_.shape.ipv6, options_.shape.protocol, director_.virtual_address()};
    PersistenceTable templates_{director_.configuration().destinations, 1, 0};
    Shared shared_{director_.configuration(), templates_, Steering{1}, 1};
    BufferPool pool_{{.count = 1023}};
    std::unique_ptr<BenchWorker> worker_ = std::make_unique<BenchWorker>(
        shared_, WorkerId{0}, std::max(options_.connections * 2, 1U << 16), pool_.get()
    );
    Stages<V4> stages_v4_{shared_, *worker_};
    Stages<V6> stages_v6_{shared_, *worker_};
    std::optional<Floor> floor_;
    RandomSource random_{42};
    Samples whole_;
    Samples floors_;
    Samples above_;
    double instructions_ = 0;
};

bool parse_method(std::string_view name, ForwardingMethod& method) {
    if (name == "nat") method = ForwardingMethod::masquerade;
    else if (name == "dr") method = ForwardingMethod::direct_route;
    else if (name == "tun") method = ForwardingMethod::tunnel;
    else return false;
    return true;
}

std::optional<Options> parse_options(std::span<char*> arguments) {
    Options options;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        const bool has_value = i + 1 < arguments.size();
        if (name == "--ipv6") {
            options.shape.ipv6 = true;
        } else if (name == "--json") {
            options.json = true;
        } else if (name == "--connections" && has_value) {
            options.connections = static_cast<std::uint32_t>(std::stoul(arguments[++i]));
        } else if (name == "--packets" && has_value) {
            options.packets = std::stoull(arguments[++i]);
        } else if (!(name == "--method" && has_value && parse_method(arguments[++i], options.shape.method))) {
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
    bench.run();
    bench.print();
    return 0;
}
