#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"
#include "compat/net/prefix.hpp"
#include "forwarding/config/published.hpp"
#include "forwarding/config/routing_table.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace nlvs::forwarding {

/// What the choice of a route may depend on. Linux: struct flowi4, flowi6.
struct RouteQuery {
    /// The kernel's name for "sent by the host itself": the loopback interface.
    static constexpr std::uint32_t host = 1;

    net::IpAddress destination;
    net::IpAddress source;            ///< unspecified while not decided
    std::uint32_t input = host;       ///< ifindex, that of the VRF for one of its members
    std::uint32_t output = 0;         ///< ifindex the sender insists on
    std::uint32_t vrf_table = 0;      ///< of the VRF the packet came in by or is sent in
    std::uint32_t mark = 0;           ///< firewall mark
    std::uint8_t type_of_service = 0;
    std::uint8_t protocol = 0;
    net::Port source_port;
    net::Port destination_port;
};

/// One rule of `ip rule`, ready to be evaluated. Linux: net/core/fib_rules.c fib_rule_match,
/// net/ipv4/fib_rules.c fib4_rule_match, net/ipv6/fib6_rules.c fib6_rule_match.
struct RoutingRule {
    enum class Action : std::uint8_t {
        table,        ///< look up there; nothing found: on with the next rule
        vrf,          ///< the same in the packet's VRF, if it is in one
        jump,         ///< on with rule number `target`
        none,
        blackhole,
        unreachable,
        prohibit,
    };

    struct PortRange {
        std::uint16_t first = 0;
        std::uint16_t last = 0;  ///< 0: any port

        bool contains(net::Port port) const noexcept {
            return last == 0 || (port.host() >= first && port.host() <= last);
        }

        friend bool operator==(const PortRange&, const PortRange&) = default;
    };

    Action action = Action::table;
    bool selective = false;  ///< false: every packet matches, the fields below say nothing
    bool inverted = false;   ///< matches what the fields do not
    bool never = false;      ///< looks at what packets of the engine do not have: no match
    std::uint8_t type_of_service = 0;
    std::uint8_t protocol = 0;
    std::int16_t suppress_length = -1;  ///< routes of prefixes up to this length do not count
    std::uint32_t table = 0;
    std::size_t target = 0;  ///< of a jump, behind the rule itself; past the end: none is left
    net::Prefix source;      ///< length 0: any
    net::Prefix destination;
    std::uint32_t input = 0;  ///< ifindex, 0: any
    std::uint32_t output = 0;
    std::uint32_t mark = 0;
    std::uint32_t mark_mask = 0;
    PortRange source_ports;
    PortRange destination_ports;

    bool matches(const RouteQuery& query) const noexcept;

    friend bool operator==(const RoutingRule&, const RoutingRule&) = default;
};

/// The routing of one family: the kernel's tables by number, and the rules that say in which
/// order they are asked. Until rules are set, the kernel's own ones hold: local, main, default.
///
/// Workers ask for packets that open a connection, and for the first reply of a connection;
/// its later ones remember the neighbour. The rules are one published node; each table changes as
/// RoutingTable does.
/// Thread: lookup worker (or control); everything else control.
class RoutingPolicy {
public:
    static constexpr std::uint32_t local_table = 255;
    static constexpr std::uint32_t main_table = 254;
    static constexpr std::uint32_t default_table = 253;

    explicit RoutingPolicy(net::Family family);
    RoutingPolicy(const RoutingPolicy&) = delete;
    RoutingPolicy& operator=(const RoutingPolicy&) = delete;
    ~RoutingPolicy();

    void set_rules(std::vector<RoutingRule> rules, Reclaimer& reclaimer);

    void insert(
        std::uint32_t table,
        const net::Prefix& prefix,
        std::unique_ptr<const Route> route,
        Reclaimer& reclaimer
    );
    /// True if there was one.
    bool remove(std::uint32_t table, const net::Prefix& prefix, Reclaimer& reclaimer);

    /// Numbers of the tables that have or had routes.
    std::vector<std::uint32_t> tables() const;

    std::size_t size() const noexcept;
    std::size_t memory() const noexcept;

    /// Null when no rule leads to a route. Valid until quiescence.
    const Route* lookup(const RouteQuery& query) const noexcept;

    /// For a packet of the host itself without a source yet.
    const Route* lookup(const net::IpAddress& destination) const noexcept {
        RouteQuery query;
        query.destination = destination;
        return lookup(query);
    }

    /// The choice depends on more than the destination.
    bool selective() const noexcept {
        return rules_.load(std::memory_order_acquire)->selective;
    }

private:
    struct Step {
        RoutingRule rule;
        const RoutingTable* table = nullptr;
    };

    struct Rules {
        std::vector<Step> steps;
        /// Every table, for rules that take the packet's own.
        std::vector<std::pair<std::uint32_t, const RoutingTable*>> tables;
        bool selective = false;
    };

    RoutingTable& table(std::uint32_t number, Reclaimer& reclaimer);
    std::unique_ptr<const Rules> build() const;
    const RoutingTable* find(std::uint32_t number) const noexcept;
    static const RoutingTable* table_of(
        const Rules& rules, const Step& step, const RouteQuery& query
    ) noexcept;

    net::Family family_;
    std::vector<RoutingRule> wanted_;
    std::map<std::uint32_t, std::unique_ptr<RoutingTable>> tables_;
    std::atomic<const Rules*> rules_;  ///< as Published, but never null
};

}  // namespace nlvs::forwarding
