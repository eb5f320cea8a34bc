#include "compat/ipvs_sync/decoder.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#include "compat/ipvs_sync/layout.hpp"
#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"

namespace nlvs::ipvs_sync {
namespace {

using Bytes = std::span<const std::byte>;
using Visitor = std::function<void(const Connection&)>;

/// Linux: ip_vs_proto.c num_states. 0 for a protocol that has no connections.
std::uint16_t states_of(std::uint8_t protocol) noexcept {
    switch (static_cast<net::IpProtocol>(protocol)) {
        case net::IpProtocol::tcp: return 11;
        case net::IpProtocol::udp: return 1;
        case net::IpProtocol::sctp: return 14;
        default: return 0;
    }
}

/// Linux: ip_vs_proc_sync_conn — a template's state is not looked at.
bool is_acceptable(const Connection& connection) noexcept {
    const bool no_port = (connection.flags & Flags::no_client_port) != 0;
    if (connection.is_template()) return !no_port;
    return connection.state < states_of(connection.protocol);
}

void show(const Connection& connection, const Visitor& visitor, Decoded& decoded) {
    if (!is_acceptable(connection)) {
        ++decoded.skipped;
        return;
    }
    ++decoded.shown;
    visitor(connection);
}

/// Six numbers; version 0 sends them as they lie in the sender's memory.
template <class Number>
Sequences load_sequences(const std::byte* at) noexcept {
    const auto number = [at](std::size_t index) -> std::uint32_t {
        const auto value = net::load<Number>(at + index * sizeof(Number));
        if constexpr (std::is_same_v<Number, net::Be32>) {
            return value.host();
        } else {
            return value;
        }
    };
    return {{number(0), number(1), number(2)}, {number(3), number(4), number(5)}};
}

std::string_view text_of(Bytes bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

enum class Options : std::uint8_t { good, unknown, malformed };

/// Linux: ip_vs_proc_seqopt, ip_vs_proc_str.
Options load_options(Bytes rest, Connection& connection) {
    while (!rest.empty()) {
        if (rest.size() < option_header) return Options::malformed;
        const auto type = std::to_integer<std::uint8_t>(rest[0]);
        const auto length = std::to_integer<std::size_t>(rest[1]);
        rest = rest.subspan(option_header);
        if (length == 0 || length > rest.size()) return Options::malformed;
        const Bytes value = rest.first(length);
        rest = rest.subspan(length);
        switch (static_cast<Option>(type & ~optional_bit)) {
            case Option::sequences:
                if (length != sequences_size || connection.sequences) return Options::malformed;
                connection.sequences = load_sequences<net::Be32>(value.data());
                break;
            case Option::engine_data:
                if (!connection.engine_data.empty()) return Options::malformed;
                connection.engine_data = text_of(value);
                break;
            case Option::engine:
                if (length > longest_engine || !connection.engine.empty()) {
                    return Options::malformed;
                }
                connection.engine = text_of(value);
                break;
            default:
                if ((type & optional_bit) == 0) return Options::unknown;
        }
    }
    return Options::good;
}

net::IpAddress load_address(const std::byte* at, bool v6) noexcept {
    if (v6) return net::Ipv6Address{net::load<net::Ipv6Address::Bytes>(at)};
    return net::Ipv4Address{net::load<net::Be32>(at)};
}

/// False when the rest of the datagram means nothing any more.
bool take_entry(Bytes entry, const Visitor& visitor, Decoded& decoded) {
    const auto fixed = net::load<Entry>(entry.data());
    if ((fixed.type & ~type_v6) != 0) return false;
    const bool v6 = fixed.type == type_v6;
    const std::size_t size = v6 ? entry_size_v6 : entry_size_v4;
    if (entry.size() < size) return false;
    const std::size_t length = v6 ? 16 : 4;
    const std::byte* addresses = entry.data() + sizeof(Entry);
    Connection connection;
    connection.protocol = fixed.protocol;
    connection.state = fixed.state.host();
    connection.client_port = net::Port{fixed.client_port};
    connection.virtual_port = net::Port{fixed.virtual_port};
    connection.destination_port = net::Port{fixed.destination_port};
    connection.firewall_mark = fixed.firewall_mark.host();
    connection.timeout = fixed.timeout.host();
    connection.client = load_address(addresses, v6);
    connection.virtual_address = load_address(addresses + length, v6);
    connection.destination = load_address(addresses + 2 * length, v6);
    const Options options = load_options(entry.subspan(size), connection);
    if (options == Options::malformed) return false;
    const std::uint32_t flags = fixed.flags.host();
    connection.flags = flags & Flags::kept;
    const bool nameless = !connection.engine_data.empty() && connection.engine.empty();
    if (options == Options::unknown || nameless || (flags & Flags::one_packet) != 0) {
        ++decoded.skipped;
        return true;
    }
    show(connection, visitor, decoded);
    return true;
}

bool take_entries(Bytes rest, unsigned count, const Visitor& visitor, Decoded& decoded) {
    for (; count > 0; --count) {
        if (rest.size() < entry_size_v4) return false;
        const std::uint16_t version_and_size =
            net::load<Entry>(rest.data()).version_and_size.host();
        const std::size_t size = version_and_size & size_mask;
        if (size > rest.size() || version_and_size >> version_shift != 0) return false;
        if (size < entry_size_v4 || !take_entry(rest.first(size), visitor, decoded)) return false;
        const std::size_t padded = (size + 3) & ~std::size_t{3};
        rest = rest.subspan(std::min(padded, rest.size()));
    }
    return true;
}

/// Linux: ip_vs_process_message_v0.
bool take_entries_v0(Bytes rest, unsigned count, const Visitor& visitor, Decoded& decoded) {
    for (; count > 0; --count) {
        const auto entry = net::extract<EntryV0>(rest);
        if (!entry) return false;
        rest = rest.subspan(sizeof(EntryV0));
        const std::uint32_t flags = entry->flags.host();
        Connection connection;
        if ((flags & Flags::sequence_mask) != 0) {
            if (rest.size() < sequences_size) return false;
            connection.sequences = load_sequences<std::uint32_t>(rest.data());
            rest = rest.subspan(sequences_size);
        }
        connection.protocol = entry->protocol;
        connection.flags = flags & Flags::kept;
        connection.state = entry->state.host();
        connection.client_port = net::Port{entry->client_port};
        connection.virtual_port = net::Port{entry->virtual_port};
        connection.destination_port = net::Port{entry->destination_port};
        connection.client = net::Ipv4Address{entry->client};
        connection.virtual_address = net::Ipv4Address{entry->virtual_address};
        connection.destination = net::Ipv4Address{entry->destination};
        if ((flags & Flags::one_packet) != 0) {
            ++decoded.skipped;
        } else {
            show(connection, visitor, decoded);
        }
    }
    return true;
}

}  // namespace

Decoded decode(Bytes datagram, std::uint32_t own_id, const Visitor& visitor) {
    Decoded decoded;
    Header header;
    if (datagram.size() < header_size_v0) return {Verdict::malformed};
    std::memcpy(&header, datagram.data(), std::min(sizeof(header), datagram.size()));
    if (header.size.host() != datagram.size()) return {Verdict::malformed};
    if (own_id != 0 && header.sync_id != own_id) return {Verdict::not_ours};
    const bool is_v1 = header.version == version_1 && header.connections_v0 == 0 &&
                       header.spare == net::Be16{} && datagram.size() >= sizeof(Header);
    const bool whole =
        is_v1 ? take_entries(
                    datagram.subspan(sizeof(Header)), header.connections, visitor, decoded
                )
              : take_entries_v0(
                    datagram.subspan(header_size_v0), header.connections_v0, visitor, decoded
                );
    if (!whole) decoded.verdict = Verdict::malformed;
    return decoded;
}

}  // namespace nlvs::ipvs_sync
