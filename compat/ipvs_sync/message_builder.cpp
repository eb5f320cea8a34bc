#include "compat/ipvs_sync/message_builder.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "compat/ipvs_sync/layout.hpp"
#include "compat/net/bytes.hpp"

namespace nlvs::ipvs_sync {
namespace {

/// The header counts them in a byte.
constexpr std::uint32_t most_connections = 255;

bool has_sequences(const Connection& connection) noexcept {
    return (connection.flags & Flags::sequence_mask) != 0;
}

std::size_t size_of(const Connection& connection) noexcept {
    std::size_t size = connection.client.is_v6() ? entry_size_v6 : entry_size_v4;
    if (has_sequences(connection)) size += option_header + sequences_size;
    for (const std::string_view text : {connection.engine_data, connection.engine}) {
        if (!text.empty()) size += option_header + text.size();
    }
    return size;
}

std::size_t size_of_v0(const Connection& connection) noexcept {
    return sizeof(EntryV0) + (has_sequences(connection) ? sequences_size : 0);
}

std::array<std::uint32_t, 6> numbers_of(const Connection& connection) noexcept {
    const auto [in, out] = connection.sequences.value_or(Sequences{});
    return {in.initial, in.delta, in.previous_delta, out.initial, out.delta, out.previous_delta};
}

}  // namespace

MessageBuilder::MessageBuilder(std::size_t capacity, std::uint32_t sync_id)
    : capacity_{capacity}, sync_id_{static_cast<std::uint8_t>(sync_id)} {}

bool MessageBuilder::add(const Connection& connection, Version version) {
    const bool is_v1 = version == Version::v1;
    if (!is_v1 && connection.client.is_v6()) return true;
    const std::size_t size = is_v1 ? size_of(connection) : size_of_v0(connection);
    if (!empty()) {
        const std::size_t padded = is_v1 ? (bytes_.size() + 3) & ~std::size_t{3} : bytes_.size();
        const bool fits = padded + size <= capacity_ && connections_ < most_connections;
        if (version != version_ || !fits) return false;
        bytes_.resize(padded);
    } else {
        begin(version);
    }
    if (is_v1) {
        append_entry(connection, size);
    } else {
        append_entry_v0(connection);
    }
    ++connections_;
    return true;
}

std::vector<std::byte> MessageBuilder::take() {
    Header header;
    header.sync_id = sync_id_;
    header.size = net::Be16{static_cast<std::uint16_t>(bytes_.size())};
    if (version_ == Version::v1) {
        header.connections = static_cast<std::uint8_t>(connections_);
        header.version = version_1;
        net::store(bytes_.data(), header);
    } else {
        header.connections_v0 = static_cast<std::uint8_t>(connections_);
        std::memcpy(bytes_.data(), &header, header_size_v0);
    }
    connections_ = 0;
    return std::exchange(bytes_, {});
}

void MessageBuilder::begin(Version version) {
    version_ = version;
    bytes_.reserve(capacity_);
    bytes_.resize(version == Version::v1 ? sizeof(Header) : header_size_v0);
}

void MessageBuilder::append(const void* bytes, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(bytes);
    bytes_.insert(bytes_.end(), from, from + size);
}

void MessageBuilder::append_entry(const Connection& connection, std::size_t size) {
    Entry entry;
    const bool v6 = connection.client.is_v6();
    entry.type = v6 ? type_v6 : 0;
    entry.protocol = connection.protocol;
    entry.version_and_size = net::Be16{static_cast<std::uint16_t>(size & size_mask)};
    entry.flags = net::Be32{connection.flags & ~Flags::hashed};
    entry.state = net::Be16{connection.state};
    entry.client_port = connection.client_port.wire();
    entry.virtual_port = connection.virtual_port.wire();
    entry.destination_port = connection.destination_port.wire();
    entry.firewall_mark = net::Be32{connection.firewall_mark};
    entry.timeout = net::Be32{connection.timeout};
    append(&entry, sizeof(entry));
    for (const auto& address :
         {connection.client, connection.virtual_address, connection.destination}) {
        append(address.bytes().data(), v6 ? 16 : 4);
    }
    if (has_sequences(connection)) {
        std::array<net::Be32, 6> wire;
        const auto numbers = numbers_of(connection);
        for (std::size_t i = 0; i < wire.size(); ++i) wire[i] = net::Be32{numbers[i]};
        append_option(static_cast<std::uint8_t>(Option::sequences), wire.data(), sizeof(wire));
    }
    const auto append_text = [this](Option type, std::string_view text) {
        if (text.empty()) return;
        append_option(static_cast<std::uint8_t>(type), text.data(), text.size());
    };
    append_text(Option::engine_data, connection.engine_data);
    append_text(Option::engine, connection.engine);
}

void MessageBuilder::append_option(std::uint8_t type, const void* bytes, std::size_t size) {
    const std::uint8_t header[option_header]{type, static_cast<std::uint8_t>(size)};
    append(header, sizeof(header));
    append(bytes, size);
}

void MessageBuilder::append_entry_v0(const Connection& connection) {
    EntryV0 entry;
    entry.protocol = connection.protocol;
    entry.client_port = connection.client_port.wire();
    entry.virtual_port = connection.virtual_port.wire();
    entry.destination_port = connection.destination_port.wire();
    entry.client = connection.client.v4().wire();
    entry.virtual_address = connection.virtual_address.v4().wire();
    entry.destination = connection.destination.v4().wire();
    entry.flags = net::Be16{static_cast<std::uint16_t>(connection.flags & ~Flags::hashed)};
    entry.state = net::Be16{connection.state};
    append(&entry, sizeof(entry));
    // Linux: ip_vs_sync_conn_v0 — in the order of the host's bytes.
    if (has_sequences(connection)) append(numbers_of(connection).data(), sequences_size);
}

}  // namespace nlvs::ipvs_sync
