#include "forwarding/config/routing_table.hpp"

#include "forwarding/config/prefix_trie.hpp"

#include <bit>
#include <cassert>
#include <cstring>
#include <unordered_map>

namespace nlvs::forwarding {
namespace {

using Key4 = std::uint32_t;
using Key6 = unsigned __int128;

Key4 key_of(net::Ipv4Address address) noexcept {
    return address.host();
}

Key6 key_of(const net::Ipv6Address& address) noexcept {
    net::Be64 words[2];
    std::memcpy(words, address.bytes().data(), sizeof(words));
    return (Key6{words[0].host()} << 64) | words[1].host();
}

std::size_t combine(std::size_t hash, std::size_t value) noexcept {
    return (std::rotl(hash, 23) ^ value) * 0x9E3779B97F4A7C15ULL;
}

std::size_t hash_of(const NextHop& hop) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, hop.via.bytes().data(), sizeof(words));
    std::size_t hash = combine(static_cast<std::size_t>(hop.type), hop.interface);
    hash = combine(hash, (std::size_t{hop.mtu} << 1) | static_cast<std::size_t>(hop.on_link));
    return combine(combine(hash, words[0]), words[1]);
}

/// Routes by content, each with the number of prefixes that use it.
class RoutePool {
public:
    ~RoutePool() {
        for (const auto& [route, users] : users_) delete route;
    }

    const Route* acquire(std::unique_ptr<const Route> route) {
        const auto [it, is_new] = users_.try_emplace(route.get(), 0);
        ++it->second;
        if (is_new) bytes_ += bytes_of(*route.release());
        return it->first;
    }

    void release(const Route* route, Reclaimer& reclaimer) {
        const auto it = users_.find(route);
        if (--it->second != 0) return;
        users_.erase(it);
        bytes_ -= bytes_of(*route);
        reclaimer.retire(std::unique_ptr<const Route>{route});
    }

    std::size_t memory() const noexcept { return bytes_; }

private:
    struct Hash {
        std::size_t operator()(const Route* route) const noexcept {
            std::size_t hash = combine(hash_of(route->single), route->prefix_length);
            for (const auto& hop : route->hops) hash = combine(hash, hash_of(hop));
            return hash;
        }
    };

    struct Equal {
        bool operator()(const Route* a, const Route* b) const noexcept { return *a == *b; }
    };

    static std::size_t bytes_of(const Route& route) noexcept {
        return sizeof(Route) + route.hops.capacity() * sizeof(NextHop);
    }

    std::unordered_map<const Route*, std::uint32_t, Hash, Equal> users_;
    std::size_t bytes_ = 0;
};

}  // namespace

struct RoutingTable::Implementation {
    using Trie4 = PrefixTrie<Key4, Route>;
    using Trie6 = PrefixTrie<Key6, Route>;

    explicit Implementation(net::Family family) {
        if (family == net::Family::inet) {
            v4 = std::make_unique<Trie4>();
        } else {
            v6 = std::make_unique<Trie6>();
        }
    }

    bool accepts(const net::Prefix& prefix) const noexcept {
        return prefix.address().is_v4() == (v4 != nullptr);
    }

    RoutePool routes;           // outlives the trie that points into it
    std::unique_ptr<Trie4> v4;  // one of the two
    std::unique_ptr<Trie6> v6;
    std::size_t size = 0;
};

RoutingTable::RoutingTable(net::Family family)
    : implementation_{std::make_unique<Implementation>(family)} {}

RoutingTable::~RoutingTable() = default;

void RoutingTable::insert(
    const net::Prefix& prefix, std::unique_ptr<const Route> route, Reclaimer& reclaimer
) {
    auto& self = *implementation_;
    assert(self.accepts(prefix));
    const Route* shared = self.routes.acquire(std::move(route));
    const auto& address = prefix.address();
    const Route* old =
        self.v4 ? self.v4->insert(key_of(address.v4()), prefix.length(), shared, reclaimer)
                : self.v6->insert(key_of(address.v6()), prefix.length(), shared, reclaimer);
    if (old != nullptr) {
        self.routes.release(old, reclaimer);
    } else {
        ++self.size;
    }
}

bool RoutingTable::remove(const net::Prefix& prefix, Reclaimer& reclaimer) {
    auto& self = *implementation_;
    assert(self.accepts(prefix));
    const auto& address = prefix.address();
    const Route* old = self.v4 ? self.v4->remove(key_of(address.v4()), prefix.length(), reclaimer)
                               : self.v6->remove(key_of(address.v6()), prefix.length(), reclaimer);
    if (old == nullptr) return false;
    self.routes.release(old, reclaimer);
    --self.size;
    return true;
}

const Route* RoutingTable::lookup(net::Ipv4Address address) const noexcept {
    const auto* trie = implementation_->v4.get();
    return trie != nullptr ? trie->find(key_of(address)) : nullptr;
}

const Route* RoutingTable::lookup(const net::Ipv6Address& address) const noexcept {
    const auto* trie = implementation_->v6.get();
    return trie != nullptr ? trie->find(key_of(address)) : nullptr;
}

std::size_t RoutingTable::size() const noexcept {
    return implementation_->size;
}

std::size_t RoutingTable::memory() const noexcept {
    const auto& self = *implementation_;
    return self.routes.memory() + (self.v4 ? self.v4->memory() : self.v6->memory());
}

}  // namespace nlvs::forwarding
