// The far end of a director's port: clients and real servers in one process, on a memif socket.
// tools/rig starts it. It says 'ready' when the socket is there and 'linked' when the director has
// connected, waits for a line on stdin, says 'established' when its flows are, and ends, at SIGINT
// before its time, with one line of JSON.

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "forwarding/nic/eal.hpp"
#include "tests/benchmarks/rig/generator.hpp"

namespace {

using namespace nlvs;
using namespace nlvs::rig;

struct Options {
    std::string socket;
    std::string core = "0";
    Settings frames;
    Plan plan;
};

Method method(const std::string& name) {
    static const std::map<std::string, Method> methods{
        {"nat", Method::masquerade},
        {"dr", Method::direct_route},
        {"tun", Method::tunnel},
        {"macswap", Method::macswap}};
    if (const auto found = methods.find(name); found != methods.end()) return found->second;
    throw std::runtime_error("--method: nat, dr, tun or macswap");
}

Traffic traffic(const std::string& name) {
    static const std::map<std::string, Traffic> kinds{
        {"established", Traffic::established},
        {"fresh", Traffic::fresh},
        {"connections", Traffic::connections}};
    if (const auto found = kinds.find(name); found != kinds.end()) return found->second;
    throw std::runtime_error("--traffic: established, fresh or connections");
}

Mac mac(const std::string& text) {
    rte_ether_addr address;
    if (rte_ether_unformat_addr(text.c_str(), &address) != 0) {
        throw std::runtime_error("--director: a MAC address");
    }
    Mac result;
    std::copy_n(address.addr_bytes, result.size(), result.begin());
    return result;
}

Options parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; i += 2) {
        const std::string name = arguments[i];
        if (i + 1 == count) throw std::runtime_error(name + " needs a value");
        const std::string value = arguments[i + 1];
        if (name == "--socket") {
            options.socket = value;
        } else if (name == "--core") {
            options.core = value;
        } else if (name == "--director") {
            options.frames.director = mac(value);
        } else if (name == "--method") {
            options.frames.method = method(value);
        } else if (name == "--frame") {
            options.frames.frame = static_cast<std::uint16_t>(std::clamp(std::stoi(value), 60, 1514));
        } else if (name == "--traffic") {
            options.plan.traffic = traffic(value);
        } else if (name == "--flows") {
            options.plan.flows = static_cast<std::uint32_t>(std::stoul(value));
        } else if (name == "--replies") {
            options.plan.replies = value == "yes";
        } else if (name == "--rate") {
            options.plan.rate = std::stod(value);
        } else if (name == "--seconds") {
            options.plan.seconds = std::stod(value);
        } else {
            throw std::runtime_error("unknown option " + name);
        }
    }
    options.frames.tcp = options.plan.traffic == Traffic::connections;
    if (options.frames.tcp) options.plan.replies = true;
    if (options.plan.replies && options.frames.method != Method::masquerade) {
        throw std::runtime_error("only replies of masqueraded connections pass the director");
    }
    if (options.socket.empty() || options.plan.flows == 0) {
        throw std::runtime_error("--socket and a number of --flows above 0 are needed");
    }
    return options;
}

volatile std::sig_atomic_t stopped = 0;

void start_port(std::uint16_t port, rte_mempool* pool) {
    const rte_eth_conf configuration{};
    if (rte_eth_dev_configure(port, 1, 1, &configuration) != 0 ||
        rte_eth_rx_queue_setup(port, 0, 2048, SOCKET_ID_ANY, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(port, 0, 2048, SOCKET_ID_ANY, nullptr) != 0 ||
        rte_eth_dev_start(port) != 0) {
        throw std::runtime_error("cannot start the memif port");
    }
}

void await_link(std::uint16_t port) {
    const std::uint64_t deadline = rte_rdtsc() + 60 * rte_get_tsc_hz();
    for (rte_eth_link link{}; rte_rdtsc() < deadline;) {
        if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP) return;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    throw std::runtime_error("nobody connected to the memif socket within a minute");
}

void print(const Generator& generator) {
    const Counts& counts = generator.counts();
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    const auto microseconds = [&](double share) {
        return static_cast<double>(generator.latency().quantile(share)) * 1e6 /
               static_cast<double>(rte_get_tsc_hz());
    };
    std::printf(
        "{\"seconds\": %.3f, \"sent\": %llu, \"returned\": %llu, \"wrong\": %llu, \"strayed\": %llu, "
        "\"finished\": %llu, \"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
        "\"p99.9\": %.1f, \"max\": %.1f}}\n",
        generator.elapsed(), number(counts.sent), number(counts.returned), number(counts.wrong),
        number(counts.strayed), number(counts.finished), microseconds(0.5), microseconds(0.9),
        microseconds(0.99), microseconds(0.999), microseconds(1)
    );
}

void run(const Options& options) {
    forwarding::EalSettings environment;
    environment.memory = 256;
    environment.main_cpus = {static_cast<unsigned>(std::stoul(options.core))};
    environment.drivers = {"net_memif"};
    environment.extra_arguments = {
        "--vdev=net_memif0,role=server,id=0,socket-abstract=no,socket=" + options.socket};
    const forwarding::Eal eal{environment};
    constexpr std::uint16_t port = 0;
    const forwarding::BufferPool received{{.count = 16 * 1024 - 1}};
    start_port(port, received.get());
    std::puts("ready");
    std::fflush(stdout);
    await_link(port);
    std::puts("linked");
    std::fflush(stdout);
    if (std::getchar() == EOF) return;
    const Frames frames{options.frames};
    Plan plan = options.plan;
    std::signal(SIGINT, [](int) { stopped = 1; });
    plan.stopped = &stopped;
    Generator generator{port, plan, frames};
    if (!generator.prepare()) throw std::runtime_error("the flows were not forwarded");
    std::puts("established");
    std::fflush(stdout);
    generator.run();
    print(generator);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "rig-generator: %s\n", error.what());
        return 1;
    }
}
