#include "forwarding/schedulers/maglev.hpp"

#include "tests/forwarding/schedulers/pool.hpp"

#include <algorithm>

#include <boost/crc.hpp>
#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;
using test::Pool;

BOOST_AUTO_TEST_SUITE(maglev_test)

BOOST_AUTO_TEST_CASE(the_table_is_the_kernels) {
    const struct {
        const char* list;  ///< newest first; A is .11, B .12, C .13
        std::vector<std::int32_t> weights;
        std::vector<std::size_t> slots;
        const char* first;
        std::uint32_t checksum;
    } rows[] = {
        {"ABC", {1, 1, 1}, {1365, 1364, 1364}, "1220110021100111", 2948625132},
        {"CBA", {1, 1, 1}, {1365, 1364, 1364}, "1002112201122111", 2573690818},
        {"CBA", {3, 2, 1}, {2047, 1364, 682}, "1000102201100101", 1706452821},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.list << " first weight " << row.weights[0]) {
            Pool pool{SchedulerKind::mh};
            for (std::size_t i = row.weights.size(); i-- > 0;)
                pool.add(row.list[i], row.weights[i]);
            std::string table;
            for (const auto bucket : pool.service.buckets) table += static_cast<char>(bucket);
            BOOST_TEST_REQUIRE(table.size() == 4093U);
            for (std::size_t i = 0; i < row.slots.size(); ++i) {
                BOOST_TEST(
                    static_cast<std::size_t>(
                        std::count(table.begin(), table.end(), static_cast<char>(i))
                    ) == row.slots[i]
                );
            }
            std::string first;
            for (int i = 0; i < 16; ++i)
                first += static_cast<char>('0' + table[static_cast<std::size_t>(i)]);
            BOOST_TEST(first == row.first);
            boost::crc_32_type crc;
            crc.process_bytes(table.data(), table.size());
            BOOST_TEST(crc.checksum() == row.checksum);
        }
    }
}

BOOST_AUTO_TEST_CASE(sixty_clients_go_where_a_real_kernel_sends_them) {
    Pool pool{SchedulerKind::mh};
    pool.add('A', 1);
    pool.add('B', 2);
    pool.add('C', 3);
    std::string choices;
    for (std::uint32_t i = 1; i <= 60; ++i) {
        pool.input.source = net::Ipv4Address{0xC0A80100U + i};
        choices += pool.pick();
    }
    // Recorded with Linux 6.1.192.
    BOOST_TEST(choices == "ACCACAACCBABBBBCACCCCBACCCCBAABABCBCACBABCBBCCCCBBCBCBBCABCC");
}

BOOST_AUTO_TEST_CASE(the_port_counts_only_with_the_flag_and_for_protocols_that_have_one) {
    Pool pool{SchedulerKind::mh, std::vector<std::int32_t>{1, 1, 1}};
    const auto position = [&pool](std::uint32_t slot) {
        return static_cast<char>('A' + pool.service.buckets[slot]);
    };
    BOOST_TEST(pool.pick() == position(3943));
    pool.service.flags.word = maglev::with_port;
    BOOST_TEST(pool.pick() == position(2189));
    pool.input.protocol = 50;
    BOOST_TEST(pool.pick() == position(3943));
}

BOOST_AUTO_TEST_CASE(the_current_weight_decides_at_the_pick_and_the_last_weight_in_the_table) {
    Pool pool{SchedulerKind::mh, std::vector<std::int32_t>{1, 1, 1}};
    const auto before = pool.service.buckets;
    const char usual = pool.pick();
    pool.set_weight(usual, 0);
    BOOST_TEST(pool.service.buckets == before);
    BOOST_TEST(pool.pick() == '-');
    pool.service.flags.word = maglev::fallback;
    const char other = pool.pick();
    BOOST_TEST(other != '-');
    BOOST_TEST(other != usual);
    for (const char name : {'A', 'B', 'C'}) pool.set_weight(name, 0);
    BOOST_TEST(pool.pick() == '-');
}

BOOST_AUTO_TEST_CASE(the_table_is_empty_without_destinations_or_weights) {
    Pool pool{SchedulerKind::mh};
    BOOST_TEST(pool.pick() == '-');
    pool.add('A', 0);
    BOOST_TEST(pool.pick() == '-');
    BOOST_TEST(pool.service.buckets.front() == Service::empty_bucket);
}

BOOST_AUTO_TEST_CASE(a_v6_service_hashes_all_four_words) {
    Pool pool{SchedulerKind::mh, "2001:db8::80"_ip};
    pool.add('A', 1);
    pool.add('B', 1);
    pool.input.source = "2001:db8::1"_ip;
    const auto slot = pool.service.buckets[3457];
    BOOST_TEST(pool.pick() == Pool::name_of(&pool.service.destinations[slot]));
}

BOOST_AUTO_TEST_CASE(huge_weights_keep_their_proportions_in_a_few_turns) {
    Pool pool{SchedulerKind::mh, std::vector<std::int32_t>{2147483647, 1}};
    const auto light = std::count(pool.service.buckets.begin(), pool.service.buckets.end(), 1U);
    BOOST_TEST(light == 4093 / 64);
}

BOOST_AUTO_TEST_SUITE_END()
