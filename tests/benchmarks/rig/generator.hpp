#pragma once

#include <csignal>

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include <rte_mbuf.h>

#include "forwarding/nic/buffer_pool.hpp"
#include "tests/benchmarks/rig/frames.hpp"
#include "tests/benchmarks/rig/histogram.hpp"

namespace nlvs::rig {

enum class Traffic : std::uint8_t {
    established,  ///< UDP of known flows, picked at random
    fresh,        ///< UDP, one packet of each flow
    connections,  ///< TCP, seven packets from SYN to the last ACK
};

struct Plan {
    Traffic traffic = Traffic::established;
    std::uint32_t flows = 1000;  ///< established: how many; connections: how many at once
    bool replies = false;        ///< servers answer, through the director
    double rate = 0;             ///< packets or connections a second; 0: as many as it takes
    double seconds = 5;
    double warm_up = 1;
    const volatile std::sig_atomic_t* stopped = nullptr;  ///< not null: ends before its time
};

/// Counted between warm-up and end.
struct Counts {
    std::uint64_t sent = 0;      ///< what the link took, clients and servers
    std::uint64_t returned = 0;  ///< what the director forwarded, verified
    std::uint64_t wrong = 0;     ///< what came back with a field that it must not have
    std::uint64_t strayed = 0;   ///< a packet of a known flow at another server
    std::uint64_t finished = 0;  ///< TCP connections whose last packet arrived
};

/// Clients and real servers on one port, on the calling thread.
class Generator {
public:
    Generator(std::uint16_t port, const Plan& plan, const Frames& frames);

    /// False: the flows could not all be established (the director does not forward).
    bool prepare();

    void run();

    const Counts& counts() const noexcept { return counts_; }
    const Histogram& latency() const noexcept { return latency_; }
    double elapsed() const noexcept { return elapsed_; }

private:
    static constexpr std::uint16_t burst = 32;

    void receive(std::uint64_t now) noexcept;
    void send(std::uint64_t now) noexcept;
    void transmit(rte_mbuf** packets, std::uint16_t count) noexcept;
    /// Whether the packet is to be answered.
    bool account(const Arrival& arrival, std::uint64_t now) noexcept;
    std::uint16_t allowed(std::uint64_t now) noexcept;
    std::uint32_t next_flow() noexcept;
    /// Packets that are under way come home, so that what is missing is lost.
    void drain() noexcept;

    std::uint16_t port_;
    Plan plan_;
    const Frames& frames_;
    forwarding::BufferPool pool_{{.count = 32 * 1024 - 1}};
    Counts counts_;
    Histogram latency_;
    double elapsed_ = 0;
    std::vector<std::uint8_t> server_of_;  ///< by flow; 0: not seen yet
    std::uint32_t established_ = 0;
    std::uint32_t cursor_ = 0;
    std::uint64_t random_ = 0x9E3779B97F4A7C15;
    std::uint64_t under_way_ = 0;  ///< TCP connections
    std::uint64_t started_ = 0;
    std::uint64_t issued_ = 0;  ///< packets that `rate` has allowed
    bool sequential_ = false;
};

}  // namespace nlvs::rig
