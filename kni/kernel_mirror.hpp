#pragma once

#include "kni/kernel_state.hpp"
#include "kni/rtnetlink/event.hpp"

#include <array>
#include <cstdint>
#include <unordered_set>

namespace nlvs::kni {

/// Learns what changed, after the state has. A call may change nothing of the mirror.
class MirrorObserver {
public:
    MirrorObserver() = default;
    MirrorObserver(const MirrorObserver&) = delete;
    MirrorObserver& operator=(const MirrorObserver&) = delete;
    virtual ~MirrorObserver() = default;

    /// `before` is null for a new link, `after` for a removed one.
    virtual void link_changed(const Link* before, const Link* after) = 0;
    virtual void address_changed(const Address& address, bool present) = 0;
    virtual void neighbour_changed(const Neighbour& neighbour, bool present) = 0;
    /// Something about the routes to exactly this prefix, their next-hop objects included.
    virtual void routes_changed(const net::Prefix& prefix) = 0;
    virtual void rules_changed(net::Family family) = 0;
};

/// The mirror of the kernel's network configuration: (state, event) → state.
///
/// A dump confirms what it mentions; what it does not mention is gone:
///     begin_dump(kind); apply(…) of its objects, and of events that come in between;
///     end_dump(kind)
///
/// The kernel drops some IPv4 routes without a word: when a link goes down, when their preferred
/// source or their next-hop object goes away. The mirror notices that this may have happened and
/// asks for a new dump (take_stale). Linux: fib_frontend.c fib_disable_ip, fib_semantics.c
/// fib_sync_down_addr, nexthop.c __remove_nexthop_fib.
///
/// Pure: no input or output. Thread: control.
class KernelMirror {
public:
    KernelMirror() = default;
    KernelMirror(const KernelMirror&) = delete;
    KernelMirror& operator=(const KernelMirror&) = delete;

    /// From now on `observer`, which must outlive the mirror's use, learns of changes.
    void observe(MirrorObserver& observer) noexcept { observer_ = &observer; }

    void apply(const Event& event);

    void begin_dump(Kind kind);
    void end_dump(Kind kind);

    /// Kinds whose mirror may lack a silent change, as bits (1 << Kind); clears them.
    unsigned take_stale() noexcept;

    const KernelState& state() const noexcept { return state_; }

    std::uint64_t routes(net::Family family) const noexcept {
        return family == net::Family::inet ? route_count_[0] : route_count_[1];
    }

    /// Removals of what was not there; a few are normal around a dump.
    std::uint64_t unmatched() const noexcept { return unmatched_; }

private:
    std::uint32_t generation(Kind kind) const noexcept {
        return generations_[static_cast<std::size_t>(kind)];
    }

    void mark_stale(Kind kind) noexcept { stale_ |= 1U << static_cast<unsigned>(kind); }

    void put(const Link& link);
    void remove(const Link& link);
    void put(const NextHopObject& object);
    void remove(const NextHopObject& object);
    void put(const Address& address);
    void remove(const Address& address);
    void put(const Neighbour& neighbour);
    void remove(const Neighbour& neighbour);
    void put(const Rule& rule);
    void remove(const Rule& rule);
    void put(const Route& route, Event::Change change);
    void remove(const Route& route);

    static MirrorObserver& nobody() noexcept;

    void count_route(const Route& route, int direction);
    void next_hop_changed(std::uint32_t id);
    void sweep_routes(net::Family family, std::uint32_t current);
    template <class Map>
    void sweep(Map& map, std::uint32_t current);

    MirrorObserver* observer_ = &nobody();
    KernelState state_;
    std::array<std::uint32_t, kinds> generations_{};
    unsigned stale_ = 0;
    std::uint64_t unmatched_ = 0;
    std::array<std::uint64_t, 2> route_count_{};
    std::unordered_map<std::uint32_t, std::unordered_set<net::Prefix, KeyHash>> by_next_hop_;
    /// IPv4 routes that would go without a word, by what they hang on.
    std::unordered_map<std::uint32_t, std::uint32_t> hanging_on_interface_;
    std::unordered_map<net::Prefix, std::uint32_t, KeyHash> hanging_on_source_;
};

}  // namespace nlvs::kni
