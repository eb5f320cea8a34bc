#include "daemon/route_publisher.hpp"
#include "forwarding/packet/parsed.hpp"
#include "tests/daemon/random_kernel.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::daemon;
using test::Random;
using test::RandomKernel;
using Change = kni::Event::Change;

namespace {

using Lines = std::set<std::string>;

struct KeyOrder {
    bool operator()(const kni::NeighbourKey& a, const kni::NeighbourKey& b) const {
        return a.interface != b.interface ? a.interface < b.interface : a.address < b.address;
    }
};

struct Resolver final : kni::NeighbourResolver {
    std::set<kni::NeighbourKey, KeyOrder> kept;

    void keep(const kni::NeighbourKey& key) override { kept.insert(key); }

    void release(const kni::NeighbourKey& key) override { kept.erase(key); }

    void forget(const kni::NeighbourKey& key) override { kept.erase(key); }

    void probe(const kni::NeighbourKey&) override {}
};

/// A mirror, what publishes it, and everything that workers and NICs then see, as text.
class Published {
public:
    Published() {
        mirror.observe(routes);
        routes.on_port_change([this](forwarding::PortIndex port, const kni::Link& link) {
            nics_[port] = link.mtu;
        });
        routes.on_addresses_change([this](forwarding::PortIndex port, const auto& addresses) {
            filters_[port] = addresses;
        });
    }

    void track_destinations() {
        const auto addresses = RandomKernel::addresses();
        for (std::uint32_t i = 0; i < addresses.size(); ++i) {
            const auto method = i % 2 == 0 ? ipvs::ForwardingMethod::tunnel
                                           : ipvs::ForwardingMethod::masquerade;
            routes.track(forwarding::DestinationId{i}, slots_[i], addresses[i], method, {});
        }
    }

    Lines text() {
        reclaimer.collect();
        Lines lines;
        write_ports(lines);
        write_neighbours(lines);
        write_ingress(lines);
        for (const auto& address : RandomKernel::addresses()) write_routes(lines, address);
        write_destinations(lines);
        if (const auto* own = configuration->own_addresses.current()) {
            std::size_t number = 0;
            for (const auto& entry : own->entries) {
                add(lines, "own", number++, entry.interface, net::print(entry.address),
                    entry.network.length());
            }
        }
        return lines;
    }

    forwarding::QuiescentState quiescence;
    forwarding::Reclaimer reclaimer{quiescence};
    std::unique_ptr<forwarding::Configuration> configuration =
        std::make_unique<forwarding::Configuration>();
    Resolver resolver;
    kni::KernelMirror mirror;
    RoutePublisher routes{
        *configuration, reclaimer, resolver,
        {RandomKernel::shadows.begin(), RandomKernel::shadows.end()}, mirror.state()};

private:
    template <class... Parts>
    static void add(Lines& lines, const char* what, const Parts&... parts) {
        std::ostringstream out;
        out << what;
        ((out << ' ' << parts), ...);
        lines.insert(out.str());
    }

    void write_ports(Lines& lines) {
        for (std::size_t i = 0; i < RandomKernel::shadows.size(); ++i) {
            const auto& port = configuration->ports[i];
            add(lines, "port", i, port.up, port.interface, port.mtu, port.mac);
            if (mirror.state().link(RandomKernel::shadows[i]) == nullptr) continue;
            add(lines, "nic", i, nics_[static_cast<forwarding::PortIndex>(i)]);
        }
        for (const auto& [port, addresses] : filters_) {
            for (const auto& mac : addresses) {
                add(lines, "filter", int{port}, forwarding::station_word(mac));
            }
        }
    }

    void write_neighbours(Lines& lines) {
        for (const std::uint32_t interface : RandomKernel::interfaces) {
            for (const auto& address : RandomKernel::addresses()) {
                const auto* found = configuration->neighbours.find({interface, address});
                if (found == nullptr) continue;
                const std::string text = print(found->slot->node.load());
                add(lines, "neighbour", interface, net::print(address), text);
            }
        }
        for (const auto& key : resolver.kept) {
            add(lines, "kept", key.interface, net::print(key.address));
        }
    }

    static std::string print(const forwarding::Adjacency* adjacency) {
        if (adjacency == nullptr) return "unresolved";
        std::ostringstream out;
        out << int{adjacency->port} << ' ' << adjacency->interface << ' ' << adjacency->mtu << ' '
            << adjacency->stale << std::hex;
        for (std::size_t i = 0; i < adjacency->l2_length; ++i) {
            out << ' ' << std::to_integer<int>(adjacency->l2[i]);
        }
        return out.str();
    }

    void write_ingress(Lines& lines) {
        for (forwarding::PortIndex port = 0; port < RandomKernel::shadows.size(); ++port) {
            for (std::uint8_t last = 0; last < 4; ++last) {
                for (unsigned tags = 0; tags < 9; ++tags) write_ingress(lines, port, last, tags);
            }
        }
    }

    void write_ingress(Lines& lines, forwarding::PortIndex port, std::uint8_t last, unsigned tags) {
        const auto code = [](unsigned id) {
            return id == 0 ? std::uint16_t{0}
                           : forwarding::tag_code(0x8100, static_cast<std::uint16_t>(id));
        };
        const net::MacAddress mac{{2, 0, 0, 0, 0, last}};
        const auto* found = configuration->ingress.find(
            {port, forwarding::station_word(mac), {code(tags % 3), code(tags / 3)}}
        );
        if (found == nullptr) return;
        add(lines, "ingress", int{port}, int{last}, tags, found->interface, found->input,
            found->vrf_table);
    }

    void write_routes(Lines& lines, const net::IpAddress& destination) {
        const auto& policy =
            destination.is_v4() ? configuration->routes_v4 : configuration->routes_v6;
        for (const std::uint32_t input : RandomKernel::interfaces) {
            for (const std::uint32_t table : {0U, RandomKernel::vrf_table}) {
                for (const char* source : {"", "10.0.0.1", "192.0.2.1", "fd00::1"}) {
                    forwarding::RouteQuery query;
                    query.destination = destination;
                    query.input = input;
                    query.vrf_table = table;
                    query.output = input == 5 ? 6 : 0;
                    if (*source != 0) query.source = *net::parse_ip_address(source);
                    add(lines, "route", net::print(destination), input, table, source,
                        print(policy.lookup(query)));
                }
            }
        }
    }

    static std::string print(const forwarding::Route* route) {
        if (route == nullptr) return "none";
        std::ostringstream out;
        const auto write = [&out](const forwarding::NextHop& hop) {
            out << "; " << static_cast<int>(hop.type) << ' ' << hop.interface << ' ' << hop.on_link
                << ' ' << hop.mtu << ' ' << net::print(hop.via) << ' ' << net::print(hop.source);
        };
        out << '/' << int{route->prefix_length};
        write(route->single);
        for (const auto& hop : route->hops) write(hop);
        return out.str();
    }

    void write_destinations(Lines& lines) {
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            const auto& slot = slots_[i];
            const auto* tunnel = slot.tunnel.load();
            std::string header;
            for (std::size_t at = 0; tunnel != nullptr && at < tunnel->length; ++at) {
                header += std::to_string(std::to_integer<int>(tunnel->bytes[at])) + '.';
            }
            add(lines, "destination", i, way_of(slot), slot.local, slot.link_mtu, header);
        }
    }

    std::string way_of(const forwarding::DestinationSlot& slot) {
        const auto* adjacency = slot.adjacency.load();
        if (adjacency == nullptr) return "nowhere";
        for (const std::uint32_t interface : RandomKernel::interfaces) {
            for (const auto& address : RandomKernel::addresses()) {
                const auto* found = configuration->neighbours.find({interface, address});
                if (found == nullptr || found->slot != adjacency) continue;
                return std::to_string(interface) + ' ' + net::print(address);
            }
        }
        return "a slot of nobody";
    }

    std::array<forwarding::DestinationSlot, 10> slots_;
    std::map<forwarding::PortIndex, std::uint32_t> nics_;
    std::map<forwarding::PortIndex, IngressPublisher::Addresses> filters_;
};

template <class Visit>
void for_each_object(const kni::KernelState& state, kni::Kind kind, Visit&& visit) {
    const auto visit_if = [&](const kni::Object& object) {
        if (kni::kind_of(object) == kind) visit(object);
    };
    for (const auto& [key, entry] : state.links) visit_if(entry.value);
    for (const auto& [key, entry] : state.next_hops) visit_if(entry.value);
    for (const auto& [key, entry] : state.addresses) visit_if(entry.value);
    for (const auto& [key, entry] : state.neighbours) visit_if(entry.value);
    for (const auto& [key, set] : state.routes) {
        for (const auto& entry : set) visit_if(entry.value);
    }
    for (const auto& entry : state.rules) visit_if(entry.value);
}

std::vector<kni::Kind> kinds_in_any_order(Random& random) {
    std::vector<kni::Kind> result;
    for (std::size_t kind = 0; kind < kni::kinds; ++kind) {
        result.push_back(static_cast<kni::Kind>(kind));
    }
    std::shuffle(result.begin(), result.end(), random.engine());
    return result;
}

/// A dump of one kind with events in between. What it does not mention, a third, is gone.
void dump_with_losses(Random& random, RandomKernel& kernel, kni::KernelMirror& mirror) {
    const auto kind = static_cast<kni::Kind>(random.below(kni::kinds));
    std::vector<kni::Object> mentioned;
    for_each_object(mirror.state(), kind, [&](const kni::Object& object) {
        if (!random.one_in(3)) mentioned.push_back(object);
    });
    mirror.begin_dump(kind);
    for (auto& object : mentioned) {
        if (random.one_in(8)) mirror.apply({Change::added, kernel.object()});
        mirror.apply({Change::present, std::move(object)});
    }
    mirror.end_dump(kind);
}

/// Something that is there, so that removals and changes hit; null when nothing is.
std::optional<kni::Object> existing(Random& random, const kni::KernelState& state) {
    std::vector<kni::Object> all;
    for (const auto kind : kinds_in_any_order(random)) {
        for_each_object(state, kind, [&](const kni::Object& object) { all.push_back(object); });
        if (!all.empty()) return random.any_of(all);
    }
    return std::nullopt;
}

void disturb(Random& random, RandomKernel& kernel, Published& lived) {
    static constexpr std::array changes{
        Change::present, Change::added, Change::added, Change::appended, Change::replaced};
    if (random.one_in(40)) {
        dump_with_losses(random, kernel, lived.mirror);
    } else if (random.one_in(3)) {
        if (auto object = existing(random, lived.mirror.state())) {
            lived.mirror.apply({Change::removed, std::move(*object)});
        }
    } else {
        lived.mirror.apply({random.any_of(changes), kernel.object()});
    }
}

void check_against_fresh_start(Random& random, Published& lived) {
    Published fresh;
    const bool early = random.one_in(2);
    if (early) fresh.track_destinations();
    for (const auto kind : kinds_in_any_order(random)) {
        fresh.mirror.begin_dump(kind);
        for_each_object(lived.mirror.state(), kind, [&](const kni::Object& object) {
            fresh.mirror.apply({Change::present, object});
        });
        fresh.mirror.end_dump(kind);
    }
    if (!early) fresh.track_destinations();
    const Lines is = lived.text();
    const Lines should = fresh.text();
    std::string difference;
    for (const auto& line : should) {
        if (!is.contains(line)) difference += "\n- " + line;
    }
    for (const auto& line : is) {
        if (!should.contains(line)) difference += "\n+ " + line;
    }
    BOOST_TEST_REQUIRE(difference == "");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(route_publisher_property_test)

BOOST_AUTO_TEST_CASE(any_history_publishes_what_a_fresh_start_does) {
    test::for_each_seed(30, [](Random& random) {
        RandomKernel kernel{random};
        Published lived;
        lived.track_destinations();
        for (int round = 0; round < 8; ++round) {
            for (unsigned n = 1 + random.below(40); n > 0; --n) disturb(random, kernel, lived);
            check_against_fresh_start(random, lived);
        }
    });
}

BOOST_AUTO_TEST_SUITE_END()
