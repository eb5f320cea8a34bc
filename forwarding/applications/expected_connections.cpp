#include "forwarding/applications/expected_connections.hpp"

#include <cstring>
#include <mutex>

#include "compat/net/ip_protocol.hpp"
#include "forwarding/config/configuration.hpp"

namespace nlvs::forwarding {

using Opener = ExpectedConnection::Opener;

ExpectedConnections::ExpectedConnections(
    DestinationTable& destinations, ControlConnections& controls, std::uint64_t seed
)
    : destinations_{destinations},
      controls_{controls},
      seed_{seed | 1},
      pool_{maximum, ReservedRegion::any_node},
      stripes_{std::make_unique<std::array<Stripe, stripe_count>>()} {}

auto ExpectedConnections::key_of(const ExpectedConnection& connection) noexcept -> Key {
    const bool by_client = connection.opener == Opener::client;
    return {
        connection.client, connection.client_port,
        by_client ? connection.virtual_address : connection.destination,
        by_client ? connection.virtual_port : connection.destination_port
    };
}

bool ExpectedConnections::matches(
    const ExpectedConnection& connection, const Key& key, Opener opener
) noexcept {
    const Key own = key_of(connection);
    return connection.opener == opener && own.client == key.client &&
           own.client_port == key.client_port && own.peer == key.peer && own.peer_port == key.peer_port;
}

/// With a secret factor: clients choose what is hashed.
std::uint64_t ExpectedConnections::hash_of(const Key& key) const noexcept {
    std::uint64_t hash = mix(hash_address(key.client) ^ seed_, seed_);
    hash = mix(hash ^ hash_address(key.peer), seed_);
    return mix(hash ^ (std::uint64_t{key.client_port.host()} << 16 | key.peer_port.host()), seed_);
}

bool ExpectedConnections::expect(const ExpectedConnection& connection) noexcept {
    const Key key = key_of(connection);
    const std::uint64_t hash = hash_of(key);
    Stripe& stripe = stripe_of(hash);
    const std::scoped_lock guard{stripe.lock};
    std::uint32_t& head = head_of(stripe, hash);
    for (std::uint32_t index = head; index != 0; index = pool_[index].next) {
        ExpectedConnection& known = pool_[index].connection;
        if (!matches(known, key, connection.opener) || known.destination != connection.destination ||
            known.destination_port != connection.destination_port) {
            continue;
        }
        known.since = connection.since;
        known.timeout = connection.timeout;
        return true;
    }
    const std::uint32_t index = allocate();
    if (index == 0) return false;
    destinations_[connection.destination_id.value].totals.bind();
    controls_.acquire(connection.control);
    pool_[index].connection = connection;
    pool_[index].next = head;
    head = index;
    count_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

std::optional<ExpectedConnection> ExpectedConnections::take(
    const net::IpAddress& source, net::Port source_port, const net::IpAddress& destination,
    net::Port destination_port
) noexcept {
    auto found = take({source, {}, destination, destination_port}, Opener::client);
    if (found) {
        found->client_port = source_port;
        return found;
    }
    return take({destination, destination_port, source, source_port}, Opener::server);
}

std::optional<ExpectedConnection> ExpectedConnections::take(const Key& key, Opener opener) noexcept {
    const std::uint64_t hash = hash_of(key);
    Stripe& stripe = stripe_of(hash);
    const std::scoped_lock guard{stripe.lock};
    std::uint32_t* link = &head_of(stripe, hash);
    for (; *link != 0; link = &pool_[*link].next) {
        const std::uint32_t index = *link;
        if (!matches(pool_[index].connection, key, opener)) continue;
        const ExpectedConnection found = pool_[index].connection;
        *link = pool_[index].next;
        free(index);
        return found;
    }
    return std::nullopt;
}

std::uint32_t ExpectedConnections::allocate() noexcept {
    const std::scoped_lock guard{pool_lock_};
    return pool_.allocate();
}

void ExpectedConnections::free(std::uint32_t index) noexcept {
    count_.fetch_sub(1, std::memory_order_relaxed);
    const std::scoped_lock guard{pool_lock_};
    pool_.release(index);
}

template <class Ends>
void ExpectedConnections::remove_if(Ends ends) noexcept {
    if (count() == 0) return;
    for (Stripe& stripe : *stripes_) {
        const std::scoped_lock guard{stripe.lock};
        for (std::uint32_t& head : stripe.heads) {
            for (std::uint32_t* link = &head; *link != 0;) {
                const std::uint32_t index = *link;
                const ExpectedConnection& connection = pool_[index].connection;
                if (!ends(connection)) {
                    link = &pool_[index].next;
                    continue;
                }
                destinations_[connection.destination_id.value].totals.unbind(false);
                controls_.release(connection.control);
                *link = pool_[index].next;
                free(index);
            }
        }
    }
}

void ExpectedConnections::expire(Ticks now) noexcept {
    remove_if([now](const ExpectedConnection& connection) {
        return now - connection.since >= connection.timeout;
    });
}

void ExpectedConnections::expire_unavailable() noexcept {
    remove_if([this](const ExpectedConnection& connection) {
        const auto& slot = destinations_[connection.destination_id.value];
        return !slot.available.load(std::memory_order_relaxed);
    });
}

/// The cursor is a stripe and how many of its entries have been seen. What changes in between may
/// be shown twice or not at all.
std::uint32_t ExpectedConnections::read_page(std::uint32_t from, Page& page) noexcept {
    constexpr unsigned position_bits = 24;
    std::uint32_t number = from >> position_bits;
    std::uint32_t seen = from & ((1U << position_bits) - 1);
    for (; number < stripe_count; ++number, seen = 0) {
        Stripe& stripe = (*stripes_)[number];
        const std::scoped_lock guard{stripe.lock};
        std::uint32_t position = 0;
        for (const std::uint32_t head : stripe.heads) {
            for (std::uint32_t index = head; index != 0; index = pool_[index].next) {
                if (position++ < seen) continue;
                if (page.size == page_size) return number << position_bits | (position - 1);
                page.entries[page.size++] = pool_[index].connection;
            }
        }
    }
    return end;
}

ipvs::ConnectionView ExpectedConnections::view_of(const ExpectedConnection& connection, Ticks now) {
    ipvs::ConnectionView view;
    view.protocol = static_cast<std::uint8_t>(net::IpProtocol::tcp);
    view.client = connection.client;
    view.client_port = connection.client_port;
    view.virtual_address = connection.virtual_address;
    view.virtual_port = connection.virtual_port;
    view.destination = connection.destination;
    view.destination_port = connection.destination_port;
    view.state = static_cast<std::uint8_t>(ipvs::TcpState::listen);
    const Ticks age = now - connection.since;
    view.expires = age < connection.timeout ? (connection.timeout - age) / ticks_per_second : 0;
    return view;
}

}  // namespace nlvs::forwarding
