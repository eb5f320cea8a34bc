#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <optional>

#include "forwarding/connections/lifecycle.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/plain_router.hpp"
#include "forwarding/sync/sync_sender.hpp"
#include "forwarding/transmit/transmit.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// THE PATH OF A PACKET. Start reading at run().
///
///   run            parse the burst, prefetch buckets, prefetch entries, then each packet:
///   forward        by kind: flow → find its connection; ICMP error → the connection it is
///                  about; fragment → reassemble; anything else → kernel
///   request/reply  count, advance the state machine, transmit by the connection's own method
///   miss           whose flow is it? steer to its owner, open a connection, or pass it on
///   pass_on        no service's business: routed, or the kernel's
///
/// Nothing here allocates memory, logs, throws or waits; a packet ends in the output, in another
/// worker's ring, in the neighbour queue, or is freed with a DropReason.
/// Thread: its worker.
class Pipeline {
public:
    static constexpr unsigned burst_size = 32;

    Pipeline(Shared& shared, WorkerState& worker) noexcept
        : shared_{shared},
          worker_{worker},
          lifecycle_{shared, worker},
          transmit_{shared, worker},
          router_{shared, worker, transmit_},
          sync_{shared, worker} {}

    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// At most burst_size packets as a NIC delivered them to this worker; takes all.
    void run(PortIndex port, rte_mbuf** packets, unsigned count, Time now) noexcept;

    /// Packets that another worker recognised as this one's; mbuf->port as HandOverBatch::add.
    void run_taken_over(rte_mbuf** packets, unsigned count, Time now) noexcept;

    /// Packets that the kernel sends through the shadow interface of `port`. They leave as they
    /// are, except answers of a real server that is the host itself.
    void run_injected(PortIndex port, rte_mbuf** packets, unsigned count, Time now) noexcept;

    /// Timers and retries between bursts; at most `budget` connections expire.
    void run_timers(Time now, std::uint32_t budget) noexcept;

    /// Removes every connection whose destination is gone. Linux: ip_vs_expire_nodest_conn_flush.
    void expire_unavailable() noexcept;

private:
    /// Of one packet, at two times.
    struct Marks {
        std::uint32_t service = 0;
        std::uint32_t routing = 0;
    };

    void run_burst(rte_mbuf** packets, const PortIndex* ports, unsigned count, bool taken_over, Time now) noexcept;
    bool is_received(const PacketContext& context) const noexcept;
    void pass_on(const PacketContext& context) noexcept;
    void give_to(WorkerId owner, const PacketContext& context) noexcept;
    void forward(const PacketContext& context) noexcept;
    template <class F>
    void reassemble(const PacketContext& context) noexcept;
    void unpack(const PacketContext& context) noexcept;
    template <class F>
    const TunnelIngress* find_tunnel(
        const PacketContext& context, std::uint32_t key, bool keyed
    ) const noexcept;
    template <class F>
    void forward_flow(const PacketContext& context) noexcept;
    template <class F>
    void forward_icmp_error(const PacketContext& context) noexcept;
    template <class F>
    void related_to_request(const PacketContext& context, Connection<F>& connection) noexcept;
    void give_up(rte_mbuf* packet, net::Family family, Time now) noexcept;
    template <class F>
    void report_unreachable(const rte_mbuf* packet, const Parsed& parsed, Time now) noexcept;
    template <class F>
    bool schedule_icmp(const PacketContext& context, const FlowKey<F>& key, const Service& service) noexcept;
    bool relay_tunnel_error(const PacketContext& context) noexcept;
    template <class F>
    void request(const PacketContext& context, Connection<F>& connection) noexcept;
    template <class F>
    void deliver(const PacketContext& context, Connection<F>& connection, DestinationSlot& slot) noexcept;
    template <class F>
    void reply(const PacketContext& context, Connection<F>& connection) noexcept;
    template <class F>
    void return_reply(const PacketContext& context, Connection<F>& connection) noexcept;

    // FTP: ftp_packets.cpp.
    template <class F>
    [[nodiscard]] bool hear_client(const PacketContext& context, Connection<F>& connection) noexcept;
    template <class F>
    [[nodiscard]] bool hear_server(
        const PacketContext& context, Connection<F>& connection, Parsed& parsed
    ) noexcept;
    template <class F>
    bool expect_server(
        const PacketContext& context, Connection<F>& connection, const FtpEndpoint& client
    ) noexcept;
    template <class F>
    bool expect_client(
        const PacketContext& context, const Connection<F>& connection, const FtpEndpoint& server
    ) noexcept;
    template <class F>
    bool begin_expected(const PacketContext& context) noexcept;

    void forward_from_host(PortIndex port, rte_mbuf* packet, bool taken_over, Time now) noexcept;
    template <class F>
    void reply_of_host(const PacketContext& context) noexcept;
    template <class F>
    void return_reply_of_host(const PacketContext& context, Connection<F>& connection) noexcept;
    template <class F>
    void miss(const PacketContext& context) noexcept;
    bool may_be_of_server(const ipvs::Sysctls& sysctls) const noexcept {
        return sysctls.nat_icmp_send != 0 ||
               shared_.configuration.calling_server_count.load(std::memory_order_relaxed) != 0;
    }

    template <class F>
    bool take_from_server(const PacketContext& context) noexcept;
    template <class F>
    void open(const PacketContext& context, const Service& service) noexcept;
    template <class F>
    bool bypasses(const PacketContext& context, const Service& service) const noexcept;
    template <class F>
    const Service* find_service(const FlowKey<F>& key, std::uint32_t mark) const noexcept;
    template <class F>
    std::optional<Marks> marks_of(const PacketContext& context) noexcept;
    template <class F>
    bool may_be_for_host(const FlowKey<F>& key) const noexcept;

    bool has_marked_services() const noexcept {
        return shared_.configuration.firewall_mark_services.load(std::memory_order_relaxed) != 0;
    }

    bool takes_synced() const noexcept {
        return shared_.configuration.takes_synced.load(std::memory_order_relaxed);
    }

    template <class F>
    bool is_local(const typename F::Address& address) const noexcept;
    template <class F>
    bool is_for_host(const PacketContext& context, const FlowKey<F>& key, std::uint32_t mark) const noexcept;
    template <class F>
    WorkerId owner_of(const FlowKey<F>& key, const Service* service) const noexcept;
    template <class F>
    void expire(Time now, std::uint32_t budget) noexcept;
    void drop_entries(Time now) noexcept;
    template <class F>
    void drop_entries(Time now) noexcept;

    /// What is known of the packets of the burst at work.
    struct Burst {
        std::array<Parsed, burst_size> parsed;
        std::array<std::uint64_t, burst_size> hashes{};
        std::array<FlowReference, burst_size> hints{};
    };

    Shared& shared_;
    WorkerState& worker_;
    Lifecycle lifecycle_;
    Transmit transmit_;
    PlainRouter router_;
    SyncSender sync_;
    Burst burst_;
};

}  // namespace nlvs::forwarding
