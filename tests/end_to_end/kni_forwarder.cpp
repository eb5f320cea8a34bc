// A NIC and its shadow interface with a wire between them: everything the NIC receives goes to the
// kernel, everything the kernel sends goes to the NIC. Driven by kni_test.py.
//
//     kni_forwarder NETDEV SHADOW WORKERS HUGE(0|1) KEEP(0|1) [tap|vhost]
//
// Prints "ready", then for each line "status" on standard input one line of JSON; ends with the
// end of its input.

#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/doorbell.hpp"
#include "forwarding/nic/eal.hpp"
#include "forwarding/nic/ethernet_port.hpp"
#include "kni/kernel_mirror.hpp"
#include "kni/kernel_port.hpp"
#include "kni/neighbour_keeper.hpp"
#include "kni/rtnetlink/monitor.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

namespace {

using namespace nlvs;
using namespace std::chrono_literals;

struct Worker {
    std::uint16_t nic;
    std::uint16_t shadow;
    std::uint16_t queue;
    forwarding::Doorbell doorbell;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> forwarded{0};
    std::atomic<std::uint64_t> dropped{0};
    std::atomic<std::uint64_t> sleeps{0};

    unsigned move(std::uint16_t from, std::uint16_t to) {
        std::array<rte_mbuf*, 32> burst;
        const std::uint16_t got = rte_eth_rx_burst(from, queue, burst.data(), burst.size());
        const std::uint16_t sent =
            got == 0 ? std::uint16_t{0} : rte_eth_tx_burst(to, queue, burst.data(), got);
        for (std::uint16_t i = sent; i < got; ++i) rte_pktmbuf_free(burst[i]);
        forwarded += sent;
        dropped += static_cast<unsigned>(got - sent);
        return got;
    }

    unsigned poll() { return move(nic, shadow) + move(shadow, nic); }

    void run() {
        for (unsigned empty = 0; !stop;) {
            empty = poll() != 0 ? 0 : empty + 1;
            if (empty < 64) continue;
            doorbell.arm();
            if (poll() == 0) {
                ++sleeps;
                doorbell.wait(100ms);
            }
            doorbell.disarm();
            empty = 0;
        }
    }
};

int run_worker(void* argument) {
    static_cast<Worker*>(argument)->run();
    return 0;
}

void print_status(
    const forwarding::EthernetPort& nic, const std::vector<std::unique_ptr<Worker>>& workers
) {
    std::uint64_t forwarded = 0, dropped = 0, sleeps = 0;
    std::string queues;
    for (const auto& worker : workers) {
        forwarded += worker->forwarded;
        dropped += worker->dropped;
        sleeps += worker->sleeps;
        queues += (queues.empty() ? "" : ",") + std::to_string(worker->forwarded);
    }
    const auto statistics = nic.statistics();
    std::printf(
        "{\"forwarded\":%lu,\"dropped\":%lu,\"sleeps\":%lu,\"queues\":[%s],\"link\":%d,\"mtu\":%u,"
        "\"mac\":\"%s\",\"missed\":%lu,\"received\":%lu}\n",
        forwarded,
        dropped,
        sleeps,
        queues.c_str(),
        nic.link().up ? 1 : 0,
        nic.mtu(),
        net::print(nic.mac()).c_str(),
        statistics.missed,
        statistics.received_packets
    );
    std::fflush(stdout);
}

kni::KernelPortBackend backend(const std::vector<std::string>& arguments, std::uint16_t queues) {
    if (arguments.size() < 6) return kni::KernelPort::preferred_backend(queues);
    return arguments[5] == "tap" ? kni::KernelPortBackend::tap
                                 : kni::KernelPortBackend::virtio_user;
}

int run(const std::vector<std::string>& arguments) {
    const auto started = std::chrono::steady_clock::now();
    const auto queues = static_cast<std::uint16_t>(std::stoi(arguments.at(2)));
    forwarding::EalSettings eal_settings;
    eal_settings.huge = arguments.at(3) == "1";
    eal_settings.memory = 96;
    eal_settings.drivers = {
        forwarding::driver_for_device(arguments.at(0)),
        kni::KernelPort::driver(kni::KernelPortBackend::tap),
        kni::KernelPort::driver(kni::KernelPortBackend::virtio_user)};
    for (unsigned i = 0; i < queues; ++i) eal_settings.worker_cpus.push_back(i % 2);
    const forwarding::Eal eal{eal_settings};
    if (!eal.notice().empty()) std::fprintf(stderr, "%s\n", eal.notice().c_str());

    forwarding::BufferPool pool{{.count = 8191}};
    forwarding::EthernetPort nic{{.device = arguments.at(0), .queues = queues}, pool};
    kni::KernelPort shadow{
        {.name = arguments.at(1),
         .mac = nic.mac(),
         .mtu = nic.mtu(),
         .queues = queues,
         .keep = arguments.at(4) == "1",
         .backend = backend(arguments, queues)},
        pool};
    nic.start();
    shadow.start();

    std::vector<std::unique_ptr<Worker>> workers;
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
        auto worker = std::make_unique<Worker>();
        worker->nic = nic.id();
        worker->shadow = shadow.port().id();
        worker->queue = queue;
        worker->doorbell.add(nic, queue);
        worker->doorbell.add(shadow.port(), queue);
        workers.push_back(std::move(worker));
        rte_eal_remote_launch(run_worker, workers.back().get(), forwarding::Eal::lcore_of(queue));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    std::printf("ready %.3f s, %s\n", took.count(), eal.huge() ? "hugepages" : "no hugepages");
    std::fflush(stdout);

    for (std::string line; std::getline(std::cin, line);) {
        if (line == "status") print_status(nic, workers);
        if (line == "carrier 0" || line == "carrier 1") shadow.set_carrier(line.ends_with('1'));
    }
    for (auto& worker : workers) {
        worker->stop = true;
        worker->doorbell.ring();
    }
    rte_eal_mp_wait_lcore();
    return 0;
}

}  // namespace

int main(int count, char** values) {
    try {
        return run({values + 1, values + count});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "kni_forwarder: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
