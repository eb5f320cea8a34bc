#include "daemon/journal_record.hpp"

#include "daemon/crc32c.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <type_traits>

namespace nlvs::daemon {
namespace {

using net::Family;
using net::IpAddress;
using net::Port;

constexpr std::array<char, 4> magic{'n', 'l', 'v', 's'};
constexpr std::size_t length_size = 4;
constexpr std::size_t header_size = length_size + 4 + 1;
/// Far beyond any record, so that a damaged length is not mistaken for an incomplete frame.
constexpr std::uint32_t longest_payload = 1 << 16;

template <std::unsigned_integral Integer>
void store(Integer value, char* out) {
    for (std::size_t i = 0; i < sizeof(value); ++i) {
        out[i] = static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

template <std::unsigned_integral Integer>
Integer load(std::span<const std::byte> bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
        value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return static_cast<Integer>(value);
}

std::uint32_t checksum(std::span<const std::byte> length, std::span<const std::byte> rest) {
    return Crc32c{}.add(length).add(rest).value();
}

/// Writes fields in a fixed order; FieldReader has the same verbs and reads them.
class FieldWriter {
public:
    explicit FieldWriter(std::string& out) : out_{out} {}

    template <std::unsigned_integral Integer>
    void field(Integer value) {
        std::array<char, sizeof(Integer)> bytes;
        store(value, bytes.data());
        out_.append(bytes.data(), bytes.size());
    }

    void field(std::int32_t value) { field(static_cast<std::uint32_t>(value)); }

    void field(const std::string& text) {
        const std::size_t size = std::min<std::size_t>(text.size(), 255);
        field(static_cast<std::uint8_t>(size));
        out_.append(text, 0, size);
    }

    void field(const IpAddress& address) {
        field(static_cast<std::uint8_t>(address.is_v4() ? 4 : 6));
        const auto& bytes = address.bytes();
        out_.append(bytes.begin(), bytes.begin() + (address.is_v4() ? 4 : 16));
    }

    void field(net::Ipv4Address address) { field(address.host()); }

    void field(Port port) { field(port.host()); }

    void field(const ipvs::ServiceKey& key) {
        if (const auto* endpoint = std::get_if<ipvs::EndpointKey>(&key)) {
            field(std::uint8_t{0});
            field(endpoint->protocol);
            field(endpoint->address);
            field(endpoint->port);
        } else {
            const auto& mark = std::get<ipvs::FirewallMarkKey>(key);
            field(static_cast<std::uint8_t>(mark.family == Family::inet ? 4 : 6));
            field(mark.mark);
        }
    }

    void magic_word() { out_.append(magic.data(), magic.size()); }

    /// Whether fields follow that frames of earlier versions end before.
    static constexpr bool has_more() noexcept { return true; }

private:
    std::string& out_;
};

/// Once something is missing or impossible, every further field is left alone and good() is false.
class FieldReader {
public:
    explicit FieldReader(std::span<const std::byte> bytes) : bytes_{bytes} {}

    template <std::unsigned_integral Integer>
    void field(Integer& value) {
        const auto bytes = take(sizeof(Integer));
        if (good_) value = load<Integer>(bytes);
    }

    void field(std::int32_t& value) {
        std::uint32_t word = 0;
        field(word);
        value = static_cast<std::int32_t>(word);
    }

    void field(std::string& text) {
        std::uint8_t size = 0;
        field(size);
        const auto bytes = take(size);
        text.clear();
        for (const std::byte byte : bytes) text.push_back(static_cast<char>(byte));
    }

    void field(IpAddress& address) {
        const Family family = take_family();
        net::Ipv6Address::Bytes bytes{};
        const auto taken = take(family == Family::inet ? 4 : 16);
        for (std::size_t i = 0; i < taken.size(); ++i) {
            bytes[i] = std::to_integer<std::uint8_t>(taken[i]);
        }
        const net::Ipv6Address wide{bytes};
        address = family == Family::inet6 ? IpAddress{wide} : IpAddress{v4_of(bytes)};
    }

    void field(net::Ipv4Address& address) {
        std::uint32_t host = 0;
        field(host);
        address = net::Ipv4Address{host};
    }

    void field(Port& port) {
        std::uint16_t number = 0;
        field(number);
        port = Port{number};
    }

    void field(ipvs::ServiceKey& key) {
        if (!bytes_.empty() && bytes_.front() == std::byte{0}) {
            take(1);
            ipvs::EndpointKey endpoint;
            field(endpoint.protocol);
            field(endpoint.address);
            field(endpoint.port);
            key = endpoint;
        } else {
            ipvs::FirewallMarkKey mark;
            mark.family = take_family();
            field(mark.mark);
            key = mark;
        }
    }

    void magic_word() {
        const auto bytes = take(magic.size());
        good_ = good_ && std::ranges::equal(bytes, std::as_bytes(std::span{magic}));
    }

    bool has_more() const noexcept { return good_ && !bytes_.empty(); }

    bool good() const noexcept { return good_; }

    /// Everything was read, and nothing was wrong.
    bool finished() const noexcept { return good_ && bytes_.empty(); }

private:
    static net::Ipv4Address v4_of(const net::Ipv6Address::Bytes& bytes) {
        std::uint32_t host = 0;
        for (std::size_t i = 0; i < 4; ++i) host = (host << 8) | bytes[i];
        return net::Ipv4Address{host};
    }

    Family take_family() {
        std::uint8_t number = 0;
        field(number);
        good_ = good_ && (number == 4 || number == 6);
        return number == 6 ? Family::inet6 : Family::inet;
    }

    std::span<const std::byte> take(std::size_t size) {
        good_ = good_ && size <= bytes_.size();
        if (!good_) return {};
        const auto taken = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return taken;
    }

    std::span<const std::byte> bytes_;
    bool good_ = true;
};

// One description for both directions: `Fields` is FieldWriter with const records, FieldReader
// with mutable ones.

template <class Record, class Expected>
concept Is = std::same_as<std::remove_const_t<Record>, Expected>;

template <class Fields>
void describe(Fields& fields, Is<JournalOrigin> auto& record) {
    fields.magic_word();
    fields.field(record.version);
    fields.field(record.boot);
    fields.field(record.network_namespace);
}

template <class Fields>
void describe(Fields& fields, Is<StoredService> auto& record) {
    fields.field(record.key);
    fields.field(record.spec.scheduler);
    fields.field(record.spec.persistence_engine);
    fields.field(record.spec.flags.word);
    fields.field(record.spec.flags_mask);
    fields.field(record.spec.timeout);
    fields.field(record.spec.netmask);
    if (std::holds_alternative<ipvs::FirewallMarkKey>(record.key) && fields.has_more()) {
        auto& given = record.spec.beside_mark;
        fields.field(given.protocol);
        fields.field(given.address);
        fields.field(given.port);
    }
}

template <class Fields>
void describe(Fields& fields, Is<RemovedService> auto& record) {
    fields.field(record.key);
}

template <class Fields>
void describe(Fields& fields, Is<StoredDestination> auto& record) {
    fields.field(record.service);
    fields.field(record.spec.key.address);
    fields.field(record.spec.key.port);
    std::uint32_t flags = record.spec.forwarding | record.spec.flags;
    fields.field(flags);
    if constexpr (std::same_as<Fields, FieldReader>) {
        record.spec.flags = flags & ipvs::DestinationFlags::all;
        record.spec.forwarding = flags & ~record.spec.flags;
    }
    fields.field(record.spec.weight);
    fields.field(record.spec.upper_threshold);
    fields.field(record.spec.lower_threshold);
    auto type = static_cast<std::uint8_t>(record.spec.tunnel.type);
    fields.field(type);
    if constexpr (std::same_as<Fields, FieldReader>) {
        record.spec.tunnel.type = static_cast<ipvs::TunnelType>(type);
    }
    fields.field(record.spec.tunnel.port);
    fields.field(record.spec.tunnel.flags);
    fields.field(record.last_weight);
}

template <class Fields>
void describe(Fields& fields, Is<RemovedDestination> auto& record) {
    fields.field(record.service);
    fields.field(record.key.address);
    fields.field(record.key.port);
}

template <class Fields>
void describe(Fields&, Is<Flushed> auto&) {}

template <class Fields>
void describe(Fields& fields, Is<ipvs::Timeouts> auto& record) {
    fields.field(record.tcp);
    fields.field(record.tcp_fin);
    fields.field(record.udp);
}

/// A list is its length and its elements.
template <class Fields, class List, class Element>
void describe_list(Fields& fields, List& list, Element element) {
    auto count = static_cast<std::uint16_t>(list.size());
    fields.field(count);
    if constexpr (std::same_as<Fields, FieldReader>) {
        for (std::uint16_t i = 0; i < count && fields.good(); ++i) element(list.emplace_back());
    } else {
        for (auto& item : list) element(item);
    }
}

template <class Fields>
void describe(Fields& fields, Is<StoredSyncDaemons> auto& record) {
    describe_list(fields, record.daemons, [&](auto& daemon) {
        fields.field(daemon.state);
        fields.field(daemon.interface);
        fields.field(daemon.sync_id);
        fields.field(daemon.max_length);
        fields.field(daemon.group);
        fields.field(daemon.port);
        fields.field(daemon.ttl);
    });
}

template <class Fields>
void describe(Fields& fields, Is<StoredSysctls> auto& record) {
    describe_list(fields, record.values, [&](auto& value) {
        fields.field(value.first);
        fields.field(value.second);
    });
}

template <std::size_t index = 0>
std::optional<JournalRecord> decode(std::size_t wanted, std::span<const std::byte> payload) {
    if constexpr (index < std::variant_size_v<JournalRecord>) {
        if (index != wanted) return decode<index + 1>(wanted, payload);
        std::variant_alternative_t<index, JournalRecord> record;
        FieldReader reader{payload};
        describe(reader, record);
        if (reader.finished()) return record;
    }
    return std::nullopt;
}

}  // namespace

void append_frame(const JournalRecord& record, std::string& out) {
    const std::size_t start = out.size();
    out.resize(start + header_size);
    FieldWriter writer{out};
    std::visit([&](const auto& value) { describe(writer, value); }, record);
    char* const header = out.data() + start;
    store(static_cast<std::uint32_t>(out.size() - start - header_size), header);
    header[header_size - 1] = static_cast<char>(record.index() + 1);
    const auto bytes = std::as_bytes(std::span{out}).subspan(start);
    store(checksum(bytes.first(length_size), bytes.subspan(header_size - 1)), header + length_size);
}

JournalFrame read_frame(std::span<const std::byte> bytes) {
    JournalFrame frame;
    frame.state = JournalFrame::State::incomplete;
    if (bytes.size() < length_size) return frame;
    const auto length = load<std::uint32_t>(bytes);
    if (length > longest_payload) {
        frame.state = JournalFrame::State::damaged;
        return frame;
    }
    if (bytes.size() < header_size + length) return frame;
    frame.state = JournalFrame::State::damaged;
    const auto rest = bytes.subspan(header_size - 1, 1 + length);
    const auto expected = load<std::uint32_t>(bytes.subspan(length_size));
    if (checksum(bytes.first(length_size), rest) != expected) return frame;
    const auto type = std::to_integer<std::size_t>(rest.front());
    auto record = decode(type - 1, rest.subspan(1));
    if (!record) return frame;
    frame.state = JournalFrame::State::whole;
    frame.size = header_size + length;
    frame.record = std::move(*record);
    return frame;
}

}  // namespace nlvs::daemon
