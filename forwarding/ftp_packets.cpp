/// The pipeline's part for FTP: what control connections say about data connections, and the first
/// packets of those. Linux: ip_vs_ftp.c.

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "compat/net/bytes.hpp"
#include "forwarding/applications/ftp_text.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/transport_checksum.hpp"
#include "forwarding/pipeline.hpp"

namespace nlvs::forwarding {
namespace {

TcpHeader& tcp_of(const PacketContext& context) noexcept {
    return *net::header_at<TcpHeader>(context.l4());
}

bool is_established(std::uint8_t state) noexcept {
    return static_cast<ipvs::TcpState>(state) == ipvs::TcpState::established;
}

/// The payload, of a packet in several segments what the first one holds of it.
std::string_view text_of(const PacketContext& context) noexcept {
    const Parsed& parsed = context.parsed;
    const auto end = std::min<std::uint32_t>(
        parsed.l3_offset + std::uint32_t{parsed.l3_length}, context.packet->data_len
    );
    if (parsed.payload_offset >= end) return {};
    const auto* text = reinterpret_cast<const char*>(context.data() + parsed.payload_offset);
    return {text, end - parsed.payload_offset};
}

void add_to_length(std::byte* l3, net::Family family, std::int32_t growth) noexcept {
    const auto grown = [growth](net::Be16 length) {
        return net::Be16{static_cast<std::uint16_t>(length.host() + growth)};
    };
    if (family == net::Family::inet) {
        auto& header = *net::header_at<Ipv4Header>(l3);
        const net::Be16 before = header.total_length;
        header.total_length = grown(before);
        ChecksumDelta delta;
        delta.replace(before, header.total_length.get());
        header.checksum = delta.apply(header.checksum);
    } else {
        auto& header = *net::header_at<Ipv6Header>(l3);
        header.payload_length = grown(header.payload_length);
    }
}

/// Puts `text` in the place of the payload from `begin` to `end`. False if the packet has no room.
bool replace_text(
    rte_mbuf* packet, Parsed& parsed, std::size_t begin, std::size_t end, std::string_view text
) noexcept {
    if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0) return false;
    const std::size_t length = parsed.l3_offset + std::size_t{parsed.l3_length};
    truncate(packet, length);
    const auto growth = static_cast<std::int32_t>(text.size()) - static_cast<std::int32_t>(end - begin);
    if (growth > 0 && rte_pktmbuf_append(packet, static_cast<std::uint16_t>(growth)) == nullptr) {
        return false;
    }
    auto* at = rte_pktmbuf_mtod_offset(packet, char*, parsed.payload_offset + begin);
    const std::size_t behind = length - parsed.payload_offset - end;
    std::memmove(at + text.size(), at + (end - begin), behind);
    std::memcpy(at, text.data(), text.size());
    if (growth < 0) rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(-growth));
    parsed.l3_length = static_cast<std::uint16_t>(parsed.l3_length + growth);
    std::byte* l3 = rte_pktmbuf_mtod_offset(packet, std::byte*, parsed.l3_offset);
    add_to_length(l3, parsed.family, growth);
    return true;
}

/// Options that lie in the first segment.
std::size_t options_of(const PacketContext& context) noexcept {
    const std::size_t begin = context.parsed.l4_offset + sizeof(TcpHeader);
    const std::size_t end = context.parsed.l4_offset + tcp_of(context).length();
    return end > begin && end <= context.packet->data_len ? end - begin : 0;
}

}  // namespace

/// What the client of a control connection says, before it goes on. False if the packet ends here:
/// its sender will send it again.
template <class F>
bool Pipeline::hear_client(const PacketContext& context, Connection<F>& connection) noexcept {
    // Linux: ip_vs_proto_tcp.c tcp_dnat_handler — payload that is looked at has to be right.
    if (!has_valid_transport_checksum(context.packet, context.parsed)) {
        transmit_.drop(context.packet, DropReason::malformed);
        return false;
    }
    ControlConnection& control = shared_.controls[connection.control];
    if (is_established(connection.state)) {
        const FtpRequest request = read_ftp_request(text_of(context), F::family);
        if (request.mode != FtpMode::unknown) control.mode = request.mode;
        if (request.mode == FtpMode::active && !expect_server<F>(context, connection, request.client)) {
            transmit_.drop(context.packet, DropReason::connection_table_full);
            return false;
        }
    }
    if (control.replies.is_active()) {
        shift_acknowledgement(tcp_of(context), options_of(context), control.replies);
        write_transport_checksum(context.packet, context.parsed);
    }
    return true;
}

/// What the server of a control connection says, before it is translated; `parsed` becomes that of
/// the rewritten packet.
template <class F>
bool Pipeline::hear_server(
    const PacketContext& context, Connection<F>& connection, Parsed& parsed
) noexcept {
    if (!has_valid_transport_checksum(context.packet, context.parsed)) {
        transmit_.drop(context.packet, DropReason::malformed);
        return false;
    }
    ControlConnection& control = shared_.controls[connection.control];
    bool rewritten = false;
    if (is_established(connection.state)) {
        const auto reply = read_ftp_reply(text_of(context), control.mode, connection.destination);
        if (reply && !expect_client<F>(context, connection, reply->server)) {
            transmit_.drop(context.packet, DropReason::connection_table_full);
            return false;
        }
        if (reply) {
            std::array<char, ftp_endpoint_length> buffer;
            const FtpEndpoint announced{connection.virtual_address, reply->server.port};
            const std::size_t length = print_ftp_endpoint(control.mode, announced, buffer);
            if (!replace_text(
                    context.packet, parsed, reply->begin, reply->end, {buffer.data(), length}
                )) {
                transmit_.drop(context.packet, DropReason::no_buffer);
                return false;
            }
            control.replies.record(
                tcp_of(context).sequence.host(),
                static_cast<std::int32_t>(length) - static_cast<std::int32_t>(reply->end - reply->begin)
            );
            rewritten = true;
        }
    }
    if (control.replies.is_active()) shift_sequence(tcp_of(context), control.replies);
    if (rewritten || control.replies.is_active()) write_transport_checksum(context.packet, parsed);
    return true;
}

/// PORT, EPRT: the server will call the client from the port below its own.
template <class F>
bool Pipeline::expect_server(
    const PacketContext& context, Connection<F>& connection, const FtpEndpoint& client
) noexcept {
    const auto below = [](net::Port port) {
        return net::Port{static_cast<std::uint16_t>(port.host() - 1)};
    };
    ExpectedConnection expected;
    expected.opener = ExpectedConnection::Opener::server;
    expected.client = client.address;
    expected.client_port = client.port;
    expected.virtual_address = connection.virtual_address;
    expected.virtual_port = below(connection.virtual_port);
    expected.destination = connection.destination;
    expected.destination_port = below(connection.destination_port);
    expected.destination_id = connection.destination_id;
    expected.control = connection.control;
    expected.since = context.now.ticks;
    expected.timeout =
        context.settings.state_timeouts.tcp[static_cast<std::size_t>(ipvs::TcpState::listen)];
    // The client may offer the same port for every transfer.
    FlowKey<F> key;
    key.source = connection.destination;
    key.source_port = expected.destination_port;
    if constexpr (F::family == net::Family::inet) {
        key.destination = client.address.v4();
    } else {
        key.destination = client.address.v6();
    }
    key.destination_port = client.port;
    key.protocol = connection.protocol;
    const auto known = worker_.connections<F>().find(key);
    if (known && known.direction == Direction::reply) {
        lifecycle_.listen(context, *known.connection);
        worker_.connections<F>().reschedule(known.connection);
        return true;
    }
    return shared_.expected.expect(expected);
}

/// 227, 229: the client will call the server at the announced port, of the virtual address.
template <class F>
bool Pipeline::expect_client(
    const PacketContext& context, const Connection<F>& connection, const FtpEndpoint& server
) noexcept {
    ExpectedConnection expected;
    expected.opener = ExpectedConnection::Opener::client;
    expected.client = connection.client;
    expected.virtual_address = connection.virtual_address;
    expected.virtual_port = server.port;
    expected.destination = server.address;
    expected.destination_port = server.port;
    expected.destination_id = connection.destination_id;
    expected.control = connection.control;
    expected.since = context.now.ticks;
    expected.timeout =
        context.settings.state_timeouts.tcp[static_cast<std::size_t>(ipvs::TcpState::listen)];
    return shared_.expected.expect(expected);
}

/// The first packet of a data connection that a control connection has announced. True if the
/// packet has been dealt with.
template <class F>
bool Pipeline::begin_expected(const PacketContext& context) noexcept {
    const auto& key = context.parsed.template flow<F>();
    if (context.parsed.kind != PacketKind::transport ||
        context.parsed.protocol != static_cast<std::uint8_t>(net::IpProtocol::tcp)) {
        return false;
    }
    const auto expected = shared_.expected.take(
        key.source, key.source_port, key.destination, key.destination_port
    );
    if (!expected) return false;
    Connection<F>* connection = lifecycle_.accept<F>(context, *expected);
    if (connection == nullptr) {
        transmit_.drop(context.packet, DropReason::connection_table_full);
    } else if (context.from_host) {
        reply_of_host<F>(context);
    } else if (expected->opener == ExpectedConnection::Opener::client) {
        request<F>(context, *connection);
    } else {
        reply<F>(context, *connection);
    }
    return true;
}

template bool Pipeline::hear_client<V4>(const PacketContext&, Connection<V4>&) noexcept;
template bool Pipeline::hear_client<V6>(const PacketContext&, Connection<V6>&) noexcept;
template bool Pipeline::hear_server<V4>(const PacketContext&, Connection<V4>&, Parsed&) noexcept;
template bool Pipeline::hear_server<V6>(const PacketContext&, Connection<V6>&, Parsed&) noexcept;
template bool Pipeline::begin_expected<V4>(const PacketContext&) noexcept;
template bool Pipeline::begin_expected<V6>(const PacketContext&) noexcept;

}  // namespace nlvs::forwarding
