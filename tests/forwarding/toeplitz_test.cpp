#include "forwarding/toeplitz.hpp"

#include <boost/test/unit_test.hpp>
#include <rte_thash.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "tests/support/property.hpp"

namespace nlvs::forwarding {
namespace {

using Octets = std::vector<std::uint8_t>;

void put(Octets& input, const char* text) {
    const net::IpAddress address = net::parse_ip_address(text).value();
    const auto& bytes = address.bytes();
    input.insert(input.end(), bytes.begin(), bytes.begin() + address.bits() / 8);
}

void put(Octets& input, std::uint16_t port) {
    input.push_back(static_cast<std::uint8_t>(port >> 8));
    input.push_back(static_cast<std::uint8_t>(port));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(toeplitz_test)

/// Microsoft, "Verifying the RSS hash calculation".
BOOST_AUTO_TEST_CASE(the_published_vectors_come_out) {
    constexpr Toeplitz::Key key{
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    const Toeplitz toeplitz{key};
    const struct {
        const char *source, *destination;
        std::uint16_t source_port, destination_port;
        std::uint32_t addresses, with_ports;
    } rows[]{
        {"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
        {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
        {"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
        {"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
        {"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
        {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
        {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
        {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
         0x4b61e985, 0x02d1feef},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.source) {
            Octets input;
            put(input, row.source);
            put(input, row.destination);
            BOOST_TEST(toeplitz(input) == row.addresses);
            put(input, row.source_port);
            put(input, row.destination_port);
            BOOST_TEST(toeplitz(input) == row.with_ports);
        }
    }
}

BOOST_AUTO_TEST_CASE(any_input_hashes_as_by_dpdk) {
    const Toeplitz toeplitz{Toeplitz::default_key};
    test::for_each_seed(200, [&](test::Random& random) {
        std::array<std::uint32_t, Toeplitz::longest_input / 4> words;
        const std::size_t length = 1 + random.below(words.size());
        for (auto& word : words) word = static_cast<std::uint32_t>(random.engine()());
        Octets input;
        for (std::size_t i = 0; i < length; ++i) {
            for (int shift = 24; shift >= 0; shift -= 8) {
                input.push_back(static_cast<std::uint8_t>(words[i] >> shift));
            }
        }
        const std::uint32_t expected = rte_softrss(
            words.data(), static_cast<std::uint32_t>(length), Toeplitz::default_key.data()
        );
        BOOST_TEST(toeplitz(input) == expected);
    });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
