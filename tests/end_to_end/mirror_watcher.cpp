// Follows the kernel and prints what it knows. Driven by kni_test.py.
//
//     mirror_watcher [RECEIVE_BUFFER]
//
// For each line of input it follows the kernel for a moment, then prints one line of JSON. Between
// lines it does not read, so that a small receive buffer overflows.

#include "kni/kernel_mirror.hpp"
#include "kni/rtnetlink/monitor.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <boost/asio/io_context.hpp>

namespace {

using namespace nlvs;

/// A JSON list from pieces.
class List {
public:
    void add(const std::string& item) { text_ += (text_.empty() ? "" : ",") + item; }

    std::string text() const { return "[" + text_ + "]"; }

private:
    std::string text_;
};

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

std::string print_hops(const kni::KernelState& state, const kni::Route& route) {
    List hops;
    for (const auto& hop : state.hops_of(route)) {
        hops.add(
            "[" + std::to_string(hop.interface) + "," +
            quoted(hop.has_gateway ? net::print(hop.gateway) : "") + "," +
            std::to_string(hop.weight) + "]"
        );
    }
    return hops.text();
}

std::string print_state(const kni::KernelMirror& mirror, const kni::Monitor& monitor) {
    const kni::KernelState& state = mirror.state();
    List links, addresses, neighbours, routes;
    for (const auto& [index, entry] : state.links) {
        const kni::Link& link = entry.value;
        links.add(
            "[" + std::to_string(index) + "," + quoted(link.name) + "," + std::to_string(link.mtu) +
            "," + (link.up ? "true" : "false") + "," + quoted(net::print(link.mac)) + "]"
        );
    }
    for (const auto& [key, entry] : state.addresses) {
        if (entry.value.tentative) continue;
        addresses.add(
            "[" + std::to_string(key.interface) + "," + quoted(net::print(key.address)) + "," +
            std::to_string(key.length) + "]"
        );
    }
    for (const auto& [key, entry] : state.neighbours) {
        neighbours.add(
            "[" + std::to_string(key.interface) + "," + quoted(net::print(key.address)) + "," +
            quoted(net::print(entry.value.mac)) + "]"
        );
    }
    for (const auto& [prefix, set] : state.routes) {
        for (const auto& entry : set) {
            routes.add(
                "[" + quoted(net::print(prefix)) + "," + std::to_string(entry.value.table) + "," +
                std::to_string(entry.value.priority) + "," + print_hops(state, entry.value) + "]"
            );
        }
    }
    const auto& counters = monitor.counters();
    return "{\"links\":" + links.text() + ",\"addresses\":" + addresses.text() +
           ",\"neighbours\":" + neighbours.text() + ",\"routes\":" + routes.text() +
           ",\"rules\":" + std::to_string(state.rules.size()) +
           ",\"resyncs\":" + std::to_string(counters.resyncs) +
           ",\"overflows\":" + std::to_string(counters.overflows) +
           ",\"redumps\":" + std::to_string(counters.redumps) + "}";
}

void run(int count, char** values) {
    using std::chrono::milliseconds;
    boost::asio::io_context context{1};
    kni::KernelMirror mirror;
    kni::Monitor monitor{context, mirror};
    if (count > 1) monitor.set_receive_buffer(std::atoi(values[1]));
    monitor.start(milliseconds{5000});
    for (std::string line; std::getline(std::cin, line);) {
        // Long enough for what the kernel says late and for what the mirror asks again.
        context.restart();
        context.run_for(milliseconds{600});
        std::cout << print_state(mirror, monitor) << std::endl;
    }
}

}  // namespace

int main(int count, char** values) {
    try {
        run(count, values);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "mirror_watcher: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
