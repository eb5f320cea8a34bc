#include "forwarding/schedulers/address_hash.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;

BOOST_AUTO_TEST_SUITE(address_hash_test)

BOOST_AUTO_TEST_CASE(folding_and_multiplicative_hash_match_the_kernel) {
    const struct {
        const char* address;
        std::uint32_t port;
        std::uint32_t fold;
        std::uint32_t bucket_of_256;
    } rows[] = {
        {"10.0.0.1", 0, 0x0A000001, 39},
        {"10.0.0.2", 0, 0x0A000002, 137},
        {"192.168.1.77", 0, 0xC0A8014D, 144},
        {"192.168.1.77", 40000, 0xC0A8014D, 52},
        {"203.0.113.9", 51234, 0xCB007109, 229},
        {"2001:db8::1", 0, 0x20010DB9, 63},
        {"2001:db8::1", 443, 0x20010DB9, 117},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.address << " port " << row.port) {
            const auto address = *net::parse_ip_address(row.address);
            const auto folded = fold_address(address, address.family());
            BOOST_TEST(folded == row.fold);
            BOOST_TEST(hash_word(folded + row.port, 8) == row.bucket_of_256);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_v6_address_in_a_v4_service_counts_by_its_first_word) {
    BOOST_TEST(fold_address("2001:db8::1"_ip, net::Family::inet) == 0x20010DB8U);
}

BOOST_AUTO_TEST_CASE(sip_hash_matches_the_kernel) {
    const struct {
        const char* address;
        std::uint32_t port;
        std::uint32_t hash;
    } rows[] = {
        {"192.168.1.77", 0, 0x5F1ED649},
        {"192.168.1.77", 40000, 0x90BCC013},
        {"203.0.113.9", 51234, 0x7DADA92E},
        {"2001:db8::1", 0, 0xCDC3F189},
        {"10.0.0.11", 80, 0x4BC85788},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.address << " port " << row.port) {
            const auto address = *net::parse_ip_address(row.address);
            const auto folded = fold_address(address, address.family());
            BOOST_TEST(sip_hash(folded + row.port, 2654435761) == row.hash);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
