#pragma once

#include "forwarding/connections/call_id.hpp"
#include "forwarding/connections/persistence.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/worker_state.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

namespace nlvs::forwarding {

/// Where a new connection goes, or why nowhere.
struct Choice {
    enum class Refusal : std::uint8_t {
        none,
        no_destination,
        table_full,
        drop_rate,
        persistence_engine
    };

    DestinationId destination;
    net::Port destination_port;
    TemplateId persistence_template;
    Refusal refusal = Refusal::none;

    static Choice refused(Refusal why) noexcept { return {{}, {}, {}, why}; }
};

/// Chooses the destination of a new connection: by its service's scheduler, or by what is
/// remembered of the client.
/// Thread: its worker.
class Chooser {
public:
    Chooser(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker} {}

    template <class F>
    Choice choose(const PacketContext& context, const Service& service) noexcept {
        return service.flags.has(ipvs::ServiceFlags::persistent) ? choose_persistent<F>(context, service)
                                                                 : choose_any<F>(context, service);
    }

    /// For a packet that `server` sends by itself: `key` becomes the flow as its client sees it.
    template <class F>
    Choice choose_server(
        const PacketContext& context, const Service& service, DestinationId server, FlowKey<F>& key
    ) noexcept {
        const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
        if (endpoint == nullptr || endpoint->port.is_any() || slot(server).port.is_any()) {
            return Choice::refused(Choice::Refusal::no_destination);
        }
        const auto& seen = context.parsed.template flow<F>();
        key = seen.inverted();
        if constexpr (std::is_same_v<F, V4>) {
            key.destination = endpoint->address.v4();
        } else {
            key.destination = endpoint->address.v6();
        }
        key.destination_port = endpoint->port;
        TemplateKey wanted =
            template_key(service, key.protocol, key.source, endpoint->address, endpoint->port);
        CallIdBuffer buffer;
        if (!identify_call(context, buffer, wanted)) {
            return Choice::refused(Choice::Refusal::persistence_engine);
        }
        auto known =
            shared_.templates.acquire(wanted, context.now.ticks, [&](DestinationId id) noexcept {
                return id == server && may_persist(slot(id), context.settings.sysctls);
            });
        if (!known) {
            if (slot(server).forgets(wanted.protocol)) {
                return {server, seen.source_port, {}, Choice::Refusal::none};
            }
            const bool one_packet = service.flags.has(ipvs::ServiceFlags::one_packet);
            const PersistenceTable::Proposal proposal{
                server, seen.source_port, service.persistence_timeout, one_packet};
            known = shared_.templates.create(wanted, proposal, context.now.ticks);
            if (!known) return Choice::refused(Choice::Refusal::table_full);
        }
        return {known->destination, seen.source_port, known->id, Choice::Refusal::none};
    }

private:
    DestinationSlot& slot(DestinationId id) noexcept {
        return shared_.configuration.destinations[id.value];
    }

    /// Linux: ip_vs_conn.c ip_vs_check_template.
    static bool may_persist(const DestinationSlot& slot, const ipvs::Sysctls& sysctls) noexcept {
        return slot.available.load(std::memory_order_relaxed) &&
               !(sysctls.expire_quiescent_template != 0 &&
                 slot.weight.load(std::memory_order_relaxed) == 0);
    }

    template <class F>
    const ServiceDestination* schedule(
        const PacketContext& context, const Service& service
    ) noexcept {
        const auto& key = context.parsed.template flow<F>();
        const ScheduleInput input{key.source,      key.destination,
                                  key.source_port, key.protocol,
                                  worker_.random,  context.settings.sysctls,
                                  context.now};
        return pick(service, input, worker_.schedulers[service.id.value]);
    }

    /// Linux: ip_vs_core.c ip_vs_schedule — a service found by FTP's or any port serves only
    /// persistent clients.
    template <class F>
    Choice choose_any(const PacketContext& context, const Service& service) noexcept {
        const auto& key = context.parsed.template flow<F>();
        const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
        if (endpoint != nullptr && endpoint->port != key.destination_port) {
            return Choice::refused(Choice::Refusal::no_destination);
        }
        const ServiceDestination* chosen = schedule<F>(context, service);
        if (chosen == nullptr) return Choice::refused(Choice::Refusal::no_destination);
        const bool keeps_port = chosen->port.is_any();
        return {chosen->id, keeps_port ? key.destination_port : chosen->port, {}, Choice::Refusal::none};
    }

    /// Linux: ip_vs_core.c ip_vs_sched_persist.
    template <class F>
    Choice choose_persistent(const PacketContext& context, const Service& service) noexcept {
        const auto& key = context.parsed.template flow<F>();
        TemplateKey wanted = template_key(
            service, key.protocol, key.source, key.destination, key.destination_port
        );
        CallIdBuffer buffer;
        if (service.by_call_id && !identify_call(context, buffer, wanted)) {
            return Choice::refused(Choice::Refusal::persistence_engine);
        }
        auto known =
            shared_.templates.acquire(wanted, context.now.ticks, [&](DestinationId id) noexcept {
                return may_persist(slot(id), context.settings.sysctls);
            });
        if (!known) {
            const ServiceDestination* chosen = schedule<F>(context, service);
            if (chosen == nullptr) return Choice::refused(Choice::Refusal::no_destination);
            if (slot(chosen->id).forgets(wanted.protocol)) {
                const net::Port port =
                    persistent_destination_port(service, key.destination_port, chosen->port);
                return {chosen->id, port, {}, Choice::Refusal::none};
            }
            const PersistenceTable::Proposal proposal{
                chosen->id,
                template_destination_port(service, key.destination_port, chosen->port),
                service.persistence_timeout,
                service.flags.has(ipvs::ServiceFlags::one_packet)};
            known = shared_.templates.create(wanted, proposal, context.now.ticks);
            if (!known) return Choice::refused(Choice::Refusal::table_full);
        }
        return {
            known->destination,
            persistent_destination_port(
                service, key.destination_port, slot(known->destination).port
            ),
            known->id,
            Choice::Refusal::none};
    }

    /// Of a packet in several segments this much is searched for its Call-ID.
    using CallIdBuffer = std::array<char, 4096>;

    /// Linux: ip_vs_pe_sip.c ip_vs_sip_fill_param.
    static bool identify_call(
        const PacketContext& context, CallIdBuffer& buffer, TemplateKey& key
    ) noexcept {
        const Parsed& parsed = context.parsed;
        if (static_cast<net::IpProtocol>(parsed.protocol) != net::IpProtocol::udp) return false;
        const std::uint32_t end = parsed.l3_offset + std::uint32_t{parsed.l3_length};
        std::uint32_t length = end - parsed.payload_offset;
        if (end > context.packet->data_len) {
            length = std::min(length, static_cast<std::uint32_t>(buffer.size()));
        }
        const void* payload =
            rte_pktmbuf_read(context.packet, parsed.payload_offset, length, buffer.data());
        if (payload == nullptr) return false;
        key.engine_data = find_call_id({static_cast<const char*>(payload), length});
        key.engine = "sip";
        return !key.engine_data.empty();
    }

    Shared& shared_;
    WorkerState& worker_;
};

}  // namespace nlvs::forwarding
