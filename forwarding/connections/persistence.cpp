#include "forwarding/connections/persistence.hpp"

#include "compat/net/prefix.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/sync/sync_policy.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace nlvs::forwarding {
namespace {

constexpr std::uint16_t ftp_port = 21;

net::IpAddress masked(const net::IpAddress& client, std::uint32_t netmask) noexcept {
    if (client.is_v6()) return net::Prefix{client, netmask}.address();
    return net::Ipv4Address{client.v4().host() & net::Be32::from_wire(netmask).host()};
}

net::IpAddress address_of_mark(net::Family family, std::uint32_t mark) noexcept {
    if (family == net::Family::inet) return net::Ipv4Address{mark};
    net::Ipv6Address::Bytes bytes{};
    const net::Be32 wire{mark};
    std::memcpy(bytes.data(), &wire, sizeof(wire));
    return net::Ipv6Address{bytes};
}

net::Port port_of(const Service& service) noexcept {
    const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
    return endpoint != nullptr ? endpoint->port : net::Port{};
}

std::string_view text_of(const auto& characters, std::size_t length) noexcept {
    return {characters.data(), length};
}

}  // namespace

TemplateKey template_key(
    const Service& service,
    std::uint8_t protocol,
    const net::IpAddress& client,
    const net::IpAddress& virtual_address,
    net::Port port
) noexcept {
    TemplateKey key{protocol, masked(client, service.netmask), virtual_address, {}, {}, {}};
    if (port == port_of(service)) {
        if (port.host() != ftp_port) key.virtual_port = port;
    } else if (const auto* mark = std::get_if<ipvs::FirewallMarkKey>(&service.key)) {
        key.protocol = 0;
        key.virtual_address = address_of_mark(mark->family, mark->mark);
    }
    return key;
}

net::Port template_destination_port(
    const Service& service, net::Port packet_port, net::Port destination_port
) noexcept {
    const bool exact = packet_port == port_of(service) && packet_port.host() != ftp_port;
    return exact ? destination_port : net::Port{};
}

net::Port persistent_destination_port(
    const Service& service, net::Port packet_port, net::Port destination_port
) noexcept {
    const bool replace = packet_port == port_of(service) && !destination_port.is_any();
    return replace ? destination_port : packet_port;
}

PersistenceTable::PersistenceTable(
    DestinationTable& destinations, std::uint64_t seed, Ticks now, std::uint32_t maximum
)
    : destinations_{destinations},
      seed_{seed},
      // An eighth more than the even share, for shards that get more.
      nodes_per_shard_{maximum / shard_count + maximum / (shard_count * 8) + 16},
      heads_per_shard_{std::bit_ceil(maximum / shard_count + 1)},
      region_{std::size_t{nodes_per_shard_} * shard_count * sizeof(Node), ReservedRegion::any_node},
      nodes_{reinterpret_cast<Node*>(region_.base())},
      heads_{static_cast<std::uint32_t*>(std::calloc(1, heads_size())), std::free} {
    if (heads_ == nullptr) throw std::bad_alloc{};
    for (auto& shard : shards_) shard = std::make_unique<Shard>(nodes_, now);
}

PersistenceTable::~PersistenceTable() {
    const std::uint32_t highest = highest_.load(std::memory_order_relaxed);
    for (std::uint32_t index = shard_count; index <= highest; ++index) delete nodes_[index].engine;
}

std::uint64_t PersistenceTable::hash_of(const TemplateKey& key) const noexcept {
    std::uint64_t hash = seed_;
    // A secret factor in each step: clients choose their addresses and Call-IDs.
    const auto add = [this, &hash](std::uint64_t word) { hash = mix(hash ^ word, seed_); };
    const auto add_bytes = [&add](const void* bytes, std::size_t size) {
        const auto* at = static_cast<const std::byte*>(bytes);
        for (; size > 0;) {
            const std::size_t part = std::min<std::size_t>(size, 8);
            std::uint64_t word = 0;
            std::memcpy(&word, at, part);
            add(word);
            at += part;
            size -= part;
        }
    };
    add(std::uint64_t{key.virtual_port.host()} << 8 | key.protocol);
    add_bytes(key.virtual_address.bytes().data(), 16);
    if (key.engine_data.empty()) {
        add_bytes(key.client.bytes().data(), 16);
    } else {
        add_bytes(key.engine_data.data(), key.engine_data.size());
    }
    return hash;
}

std::uint32_t PersistenceTable::find(const TemplateKey& key, std::uint64_t hash) noexcept {
    const auto low = static_cast<std::uint32_t>(hash);
    std::uint32_t index = head_of(shard_of_hash(hash), low);
    for (; index != 0; index = nodes_[index].next) {
        const Node& node = nodes_[index];
        if (node.hash != low || node.protocol != key.protocol ||
            node.virtual_port != key.virtual_port || node.virtual_address != key.virtual_address ||
            node.client != key.client) {
            continue;
        }
        // Linux: ip_vs_pe_sip.c ip_vs_sip_ct_match — the call's name besides all the others.
        const EngineData* engine = node.engine;
        if (engine == nullptr && key.engine_data.empty()) break;
        if (engine != nullptr && text_of(engine->name, engine->name_length) == key.engine &&
            text_of(engine->data, engine->data_length) == key.engine_data) {
            break;
        }
    }
    return index;
}

auto PersistenceTable::control(std::uint32_t index, Ticks now) noexcept -> Template {
    Node& node = nodes_[index];
    ++node.controlled;
    node.last_seen = now;
    return {TemplateId{index}, node.destination, node.destination_port};
}

bool PersistenceTable::fits(const TemplateKey& key) noexcept {
    return key.engine.size() <= EngineData{}.name.size() &&
           key.engine_data.size() <= EngineData{}.data.size();
}

/// Null without engine, or memory.
auto PersistenceTable::engine_data_of(const TemplateKey& key) noexcept
    -> std::unique_ptr<EngineData> {
    if (key.engine_data.empty()) return nullptr;
    std::unique_ptr<EngineData> engine{new (std::nothrow) EngineData{}};
    if (engine == nullptr) return nullptr;
    std::ranges::copy(key.engine, engine->name.begin());
    std::ranges::copy(key.engine_data, engine->data.begin());
    engine->name_length = static_cast<std::uint8_t>(key.engine.size());
    engine->data_length = static_cast<std::uint8_t>(key.engine_data.size());
    return engine;
}

auto PersistenceTable::create(const TemplateKey& key, const Proposal& proposal, Ticks now) noexcept
    -> std::optional<Template> {
    if (!fits(key)) return std::nullopt;
    auto engine = engine_data_of(key);
    if (!key.engine_data.empty() && engine == nullptr) return std::nullopt;
    const std::uint64_t hash = hash_of(key);
    const std::scoped_lock guard{shards_[shard_of_hash(hash)]->lock};
    if (const std::uint32_t index = find(key, hash); index != 0) return control(index, now);
    const std::uint32_t index = insert(key, proposal, hash, engine, now);
    if (index == 0) return std::nullopt;
    return control(index, now);
}

std::uint32_t PersistenceTable::insert(
    const TemplateKey& key, const Proposal& proposal, std::uint64_t hash,
    std::unique_ptr<EngineData>& engine, Ticks now
) noexcept {
    const std::uint32_t number = shard_of_hash(hash);
    const std::uint32_t index = take_node(number);
    if (index == 0) return 0;
    Node& node = nodes_[index];
    node.last_seen = now;
    node.timeout = proposal.timeout;
    node.hash = static_cast<std::uint32_t>(hash);
    node.controlled = 0;
    node.destination = proposal.destination;
    node.destination_port = proposal.destination_port;
    node.virtual_port = key.virtual_port;
    node.state.store(0, std::memory_order_relaxed);
    node.protocol = key.protocol;
    node.aside = false;
    node.one_packet = proposal.one_packet;
    node.client = key.client;
    node.virtual_address = key.virtual_address;
    node.engine = engine.release();
    node.sync_end.store(SyncEnd{now, 0}.stored(), std::memory_order_relaxed);
    node.sync_packets.store(0, std::memory_order_relaxed);
    node.announced.store(now - ticks_per_second, std::memory_order_relaxed);
    node.synced = false;
    std::uint32_t& head = head_of(number, node.hash);
    node.next = head;
    head = index;
    shards_[number]->wheel.link(node);
    destinations_[node.destination.value].totals.persistent.fetch_add(1, std::memory_order_relaxed);
    size_.fetch_add(1, std::memory_order_relaxed);
    return index;
}

/// Without the lock: protocol and one_packet stay as they are while the caller's connection counts in
/// the node, and what the sync master remembers is relaxed, for nobody derives anything else from it.
/// Two workers may both find a template due; who wins the exchange announces it.
bool PersistenceTable::is_due(
    TemplateId id, const ipvs::Sysctls& sysctls, Ticks now
) noexcept {
    Node& node = nodes_[id.value];
    // Linux: ip_vs_bind_dest — only of UDP are templates one-packet connections, never announced.
    constexpr auto udp = static_cast<std::uint8_t>(net::IpProtocol::udp);
    if (node.one_packet && node.protocol == udp) return false;
    SyncSubject subject;
    subject.is_template = true;
    if (sysctls.sync_period == 0 && sysctls.sync_refresh_period == 0) {
        const auto last = static_cast<std::uint32_t>(sysctls.sync_threshold);
        if (node.sync_packets.load(std::memory_order_relaxed) > last) return false;
        subject.packets = node.sync_packets.fetch_add(1, std::memory_order_relaxed) + 1;
        return decide_sync(subject, sysctls, now).announce;
    }
    Ticks before = node.announced.load(std::memory_order_relaxed);
    if (now - before < ticks_per_second) return false;
    if (sysctls.sync_refresh_period > 0) {
        const std::scoped_lock guard{shard_of_node(id.value).lock};
        subject.timeout = node.timeout;
        subject.end = SyncEnd::from(node.sync_end.load(std::memory_order_relaxed));
        const SyncDecision decision = decide_sync(subject, sysctls, now);
        if (!decision.announce) return false;
        node.sync_end.store(decision.end.stored(), std::memory_order_relaxed);
    }
    return node.announced.compare_exchange_strong(before, now, std::memory_order_relaxed);
}

bool PersistenceTable::take(
    const TemplateKey& key, const Proposal& proposal, std::uint8_t state, Ticks now
) {
    if (!fits(key)) return false;
    auto engine = engine_data_of(key);
    const std::uint64_t hash = hash_of(key);
    Shard& shard = *shards_[shard_of_hash(hash)];
    const std::scoped_lock guard{shard.lock};
    std::uint32_t index = find(key, hash);
    if (index == 0) {
        index = insert(key, proposal, hash, engine, now);
        if (index == 0) return false;
        nodes_[index].synced = true;
    }
    Node& node = nodes_[index];
    if (destinations_[node.destination.value].unbound) bind(node, proposal.destination);
    node.state.store(state, std::memory_order_relaxed);
    node.timeout = proposal.timeout;
    node.last_seen = now;
    shard.wheel.reschedule(node);
    return true;
}

void PersistenceTable::bind(Node& node, DestinationId destination) noexcept {
    destinations_[node.destination.value].totals.persistent.fetch_sub(1, std::memory_order_relaxed);
    node.destination = destination;
    destinations_[destination.value].totals.persistent.fetch_add(1, std::memory_order_relaxed);
}

std::uint32_t PersistenceTable::take_node(std::uint32_t number) noexcept {
    Shard& shard = *shards_[number];
    if (const std::uint32_t index = shard.free; index != 0) {
        shard.free = nodes_[index].next;
        return index;
    }
    if (shard.used == nodes_per_shard_) return 0;
    const std::uint32_t index = shard.used * shard_count + number;
    // Waits for the kernel only when reserve() was not called in time.
    if (!region_.commit(
            (std::size_t{index} + 1) * sizeof(Node),
            ReservedRegion::Contention::wait,
            ReservedRegion::Touch::now
        )) {
        return 0;
    }
    ++shard.used;
    std::uint32_t highest = highest_.load(std::memory_order_relaxed);
    while (highest < index &&
           !highest_.compare_exchange_weak(highest, index, std::memory_order_relaxed)) {
    }
    return index;
}

void PersistenceTable::release(TemplateId id, Release why) noexcept {
    const std::scoped_lock guard{shard_of_node(id.value).lock};
    Node& node = nodes_[id.value];
    --node.controlled;
    if (why == Release::dropped && node.controlled == 0 &&
        node.state.load(std::memory_order_relaxed) != assured) {
        shard_of_node(id.value).wheel.unlink(node);
        destroy(id.value);
    }
}

void PersistenceTable::set_aside(std::uint32_t index) noexcept {
    unhash(index);
    Node& node = nodes_[index];
    node.aside = true;
    node.virtual_port = net::Port{aside_port};
    node.destination_port = net::Port{aside_port};
}

void PersistenceTable::unhash(std::uint32_t index) noexcept {
    std::uint32_t* link = &head_of(index % shard_count, nodes_[index].hash);
    while (*link != index) link = &nodes_[*link].next;
    *link = nodes_[index].next;
}

/// Of an unlinked node.
void PersistenceTable::destroy(std::uint32_t index) noexcept {
    Node& node = nodes_[index];
    if (!node.aside) unhash(index);
    delete std::exchange(node.engine, nullptr);
    destinations_[node.destination.value].totals.persistent.fetch_sub(1, std::memory_order_relaxed);
    Shard& shard = shard_of_node(index);
    node.next = shard.free;
    shard.free = index;
    size_.fetch_sub(1, std::memory_order_relaxed);
}

/// Returns how many nodes it looked at.
std::uint32_t PersistenceTable::expire_shard(
    std::uint32_t number, Ticks now, std::uint32_t limit, KeptTemplates& kept
) noexcept {
    Shard& shard = *shards_[number];
    const auto expired = [this, now, &shard, &kept](Node& node) {
        const std::uint32_t index = shard.pool.index_of(&node);
        if (node.controlled == 0) {
            destroy(index);
            return true;
        }
        node.timeout = controlled_timeout;
        node.last_seen = now;
        kept.ids[kept.count++] = TemplateId{index};
        return false;
    };
    const std::scoped_lock guard{shard.lock};
    return shard.wheel.advance(now, limit, expired);
}

void PersistenceTable::drop_idle(std::uint32_t shares) noexcept {
    const auto committed = static_cast<std::uint32_t>(region_.committed() / sizeof(Node));
    const std::uint32_t highest = highest_.load(std::memory_order_relaxed);
    const std::uint32_t stop = committed == 0 ? 0 : std::min(highest + 1, committed);
    for (std::uint32_t left = stop / shares + 1; left > 0; --left) {
        if (next_to_drop_ < shard_count || next_to_drop_ >= stop) next_to_drop_ = shard_count;
        if (next_to_drop_ >= stop) return;
        const std::uint32_t index = next_to_drop_++;
        Shard& shard = shard_of_node(index);
        const std::scoped_lock guard{shard.lock};
        Node& node = nodes_[index];
        if (!ExpiryWheel<NodePool>::is_linked(node) || node.controlled != 0 || node.one_packet ||
            node.state.load(std::memory_order_relaxed) == assured) {
            continue;
        }
        shard.wheel.unlink(node);
        destroy(index);
    }
}

void PersistenceTable::reserve(std::uint32_t ahead) noexcept {
    // The region fills evenly; an eighth more for shards that are ahead of the others.
    const std::uint64_t used = highest_.load(std::memory_order_relaxed);
    const std::uint64_t nodes = std::min<std::uint64_t>(
        used + ahead + ahead / 8 + shard_count, std::uint64_t{nodes_per_shard_} * shard_count
    );
    region_.commit(
        nodes * sizeof(Node), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
    );
}

std::optional<ipvs::ConnectionView> PersistenceTable::view(std::uint32_t index, Ticks now) {
    auto template_seen = seen(index, now);
    if (!template_seen) return std::nullopt;
    return std::move(template_seen->view);
}

auto PersistenceTable::synced(TemplateId id) -> std::optional<Synced> { return seen(id.value, 0); }

auto PersistenceTable::seen(std::uint32_t index, Ticks now) -> std::optional<Synced> {
    if (index < shard_count) return std::nullopt;
    Synced result;
    ipvs::ConnectionView& view = result.view;
    std::optional<EngineData> engine;
    {
        const std::scoped_lock guard{shard_of_node(index).lock};
        const Node& node = nodes_[index];
        if (!ExpiryWheel<NodePool>::is_linked(node)) return std::nullopt;
        const Ticks idle = now - node.last_seen;
        result.destination = node.destination;
        result.timeout = node.timeout;
        result.one_packet = node.one_packet;
        view.protocol = node.protocol;
        view.client = node.client;
        view.virtual_address = node.virtual_address;
        view.virtual_port = node.virtual_port;
        view.destination = destinations_[node.destination.value].address;
        view.destination_port = node.destination_port;
        view.state = node.state.load(std::memory_order_relaxed);
        view.synced = node.synced;
        view.expires = idle < node.timeout ? (node.timeout - idle) / ticks_per_second : 0;
        if (node.engine != nullptr) engine = *node.engine;
    }
    view.is_template = true;
    if (engine) {
        view.persistence_engine = text_of(engine->name, engine->name_length);
        view.persistence_data = text_of(engine->data, engine->data_length);
    }
    return result;
}

}  // namespace nlvs::forwarding
