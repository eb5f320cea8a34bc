#include "forwarding/config/routing_table.hpp"

#include <cstdlib>
#include <map>
#include <random>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::IpAddress;
using net::Prefix;

namespace {

std::uint32_t seed() {
    const char* given = std::getenv("NLVS_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                            : std::random_device{}();
}

/// Addresses close together, so that prefixes nest and lookups hit.
IpAddress random_address(std::mt19937& random, net::Family family) {
    const auto few_bits = [&random] {
        return static_cast<std::uint8_t>((random() & 1) * 0x80 | (random() & 3));
    };
    if (family == net::Family::inet) {
        if (random() % 4 == 0) return net::Ipv4Address{static_cast<std::uint32_t>(random())};
        return net::Ipv4Address{
            (0x0AU << 24) | (std::uint32_t{few_bits()} << 16) | (std::uint32_t{few_bits()} << 8) |
            few_bits()};
    }
    net::Ipv6Address::Bytes bytes{0x20, 0x01};
    for (std::size_t i = 2; i < bytes.size(); ++i)
        bytes[i] = random() % 2 ? few_bits() : std::uint8_t{0};
    return net::Ipv6Address{bytes};
}

class Model {
public:
    void insert(const Prefix& prefix, std::uint32_t id) { routes_[prefix] = id; }

    bool remove(const Prefix& prefix) { return routes_.erase(prefix) != 0; }

    std::uint32_t lookup(const IpAddress& address) const {
        for (unsigned length = address.bits() + 1; length-- > 0;) {
            const auto it = routes_.find(Prefix{address, length});
            if (it != routes_.end()) return it->second;
        }
        return 0;
    }

    std::size_t size() const { return routes_.size(); }

    const std::map<Prefix, std::uint32_t>& routes() const { return routes_; }

private:
    std::map<Prefix, std::uint32_t> routes_;
};

void compare_with_model(net::Family family, std::uint32_t start) {
    std::mt19937 random{start};
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    RoutingTable table{family};
    Model model;
    const unsigned bits = family == net::Family::inet ? 32 : 128;
    const std::size_t empty = table.memory();
    const auto check = [&](const IpAddress& address) {
        const Route* found =
            address.is_v4() ? table.lookup(address.v4()) : table.lookup(address.v6());
        const auto expected = model.lookup(address);
        BOOST_TEST_REQUIRE((found == nullptr ? 0 : found->single.interface) == expected);
    };
    for (int step = 0; step < 20000; ++step) {
        const auto address = random_address(random, family);
        unsigned length = static_cast<unsigned>(random()) % (bits + 1);
        if (random() % 8 == 0) length = bits;
        if (random() % 64 == 0) length = 0;
        const Prefix prefix{address, length};
        // Phases of growth and of decay, so that branches disappear too.
        if (static_cast<int>(random() % 100) < (step / 4000 % 2 == 0 ? 70 : 30)) {
            const auto id = static_cast<std::uint32_t>(1 + random() % 50);
            auto route = std::make_unique<Route>();
            route->single.interface = id;
            table.insert(prefix, std::move(route), reclaimer);
            model.insert(prefix, id);
        } else if (random() % 2 == 0 && model.size() > 0) {
            const auto it = model.routes().lower_bound(prefix);
            const Prefix victim =
                it != model.routes().end() ? it->first : model.routes().begin()->first;
            BOOST_TEST_REQUIRE(table.remove(victim, reclaimer));
            model.remove(victim);
        } else {
            BOOST_TEST_REQUIRE(table.remove(prefix, reclaimer) == model.remove(prefix));
        }
        BOOST_TEST_REQUIRE(table.size() == model.size());
        check(address);
        check(random_address(random, family));
        reclaimer.collect();
    }
    while (model.size() > 0) {
        const Prefix victim = model.routes().begin()->first;
        BOOST_TEST_REQUIRE(table.remove(victim, reclaimer));
        model.remove(victim);
    }
    BOOST_TEST(table.memory() == empty);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(routing_table_property_test)

BOOST_AUTO_TEST_CASE(ipv4_equals_a_naive_model_under_random_changes) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("NLVS_SEED=" << start) {
        compare_with_model(net::Family::inet, start);
    }
}

BOOST_AUTO_TEST_CASE(ipv6_equals_a_naive_model_under_random_changes) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("NLVS_SEED=" << start) {
        compare_with_model(net::Family::inet6, start);
    }
}

BOOST_AUTO_TEST_SUITE_END()
