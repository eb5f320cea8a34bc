#include "forwarding/schedulers/locality_cache.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace nlvs::forwarding {
namespace {

bool is_stale(const LocalityEntry& entry, Ticks now, Ticks expiration) noexcept {
    return entry.size == 0 || now - entry.last_used > expiration;
}

}  // namespace

void LocalityEntry::insert(DestinationId id, Ticks now) noexcept {
    const auto* end = members.begin() + size;
    if (std::find(members.cbegin(), end, id) != end) return;
    size = std::min<std::uint32_t>(size + 1, max_members);
    std::copy_backward(members.begin(), members.begin() + size - 1, members.begin() + size);
    members[0] = id;
    last_modified = now;
}

void LocalityEntry::remove(DestinationId id, Ticks now) noexcept {
    auto* end = members.begin() + size;
    auto* at = std::find(members.begin(), end, id);
    if (at == end) return;
    std::copy(at + 1, end, at);
    --size;
    last_modified = now;
}

LocalityEntry* LocalityCache::bucket(const net::Ipv6Address& address) const noexcept {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes().data(), sizeof(words));
    const std::uint64_t mixed =
        (words[0] ^ (words[1] * 0x9E3779B97F4A7C15ULL)) * 0xD6E8FEB86659FD93ULL;
    return &entries_[((mixed >> 32) & (buckets_ - 1)) * ways];
}

LocalityEntry* LocalityCache::find(
    const net::IpAddress& address, Ticks now, Ticks expiration
) noexcept {
    if (buckets_ == 0) return nullptr;
    auto* first = bucket(address.v6());
    for (auto* entry = first; entry != first + ways; ++entry) {
        if (entry->size == 0 || entry->address != address.v6()) continue;
        if (is_stale(*entry, now, expiration)) {
            entry->size = 0;
            return nullptr;
        }
        entry->last_used = now;
        return entry;
    }
    return nullptr;
}

LocalityEntry* LocalityCache::insert(
    const net::IpAddress& address, Ticks now, Ticks expiration
) noexcept {
    if (buckets_ == 0 && !grow()) return nullptr;
    for (;;) {
        auto* first = bucket(address.v6());
        auto* chosen = std::find_if(first, first + ways, [&](const LocalityEntry& entry) {
            return is_stale(entry, now, expiration);
        });
        if (chosen == first + ways) {
            if (grow()) continue;
            chosen = std::min_element(first, first + ways, [now](const auto& a, const auto& b) {
                return now - a.last_used > now - b.last_used;
            });
        }
        *chosen = LocalityEntry{};
        chosen->address = address.v6();
        chosen->last_used = now;
        return chosen;
    }
}

bool LocalityCache::grow() noexcept {
    const std::uint32_t next = buckets_ == 0 ? initial_buckets : buckets_ * 2;
    if (next * ways > max_entries) return false;
    std::unique_ptr<LocalityEntry[]> larger{new (std::nothrow)
                                                LocalityEntry[std::size_t{next} * ways]};
    if (!larger) return false;
    const auto old = std::exchange(entries_, std::move(larger));
    const std::uint32_t old_count = std::exchange(buckets_, next) * ways;
    // A bucket splits into two, so what fitted before fits again.
    for (std::uint32_t i = 0; i < old_count; ++i) {
        if (old[i].size == 0) continue;
        auto* first = bucket(old[i].address);
        auto* free = std::find_if(first, first + ways, [](const auto& e) { return e.size == 0; });
        *free = old[i];
    }
    return true;
}

}  // namespace nlvs::forwarding
