#include "daemon/journal_record.hpp"

#include "daemon/crc32c.hpp"
#include "daemon/journal_image.hpp"

#include <algorithm>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::daemon {
namespace {

using net::operator""_ip;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span{text});
}

ipvs::ServiceKey web() {
    return ipvs::EndpointKey{6, "10.0.0.1"_ip, net::Port{std::uint16_t{80}}};
}

StoredService stored_service() {
    StoredService record{web(), {}};
    record.spec.scheduler = "wrr";
    record.spec.persistence_engine = "sip";
    record.spec.flags.word = 3;
    record.spec.timeout = 360;
    record.spec.netmask = 0x00FFFFFF;
    return record;
}

StoredService stored_service_by_mark() {
    StoredService record{ipvs::FirewallMarkKey{net::Family::inet, 78}, {}};
    record.spec.scheduler = "rr";
    record.spec.beside_mark = {17, net::Ipv4Address{0x0A000001U}, net::Port{std::uint16_t{53}}};
    return record;
}

StoredDestination stored_destination(ipvs::ServiceKey service, net::IpAddress address) {
    StoredDestination record;
    record.service = std::move(service);
    record.spec.key = {address, net::Port{std::uint16_t{8080}}};
    record.spec.forwarding = 2;
    record.spec.flags = 0x12000;
    record.spec.weight = -1;  // any bits go there and back
    record.spec.upper_threshold = 20;
    record.spec.lower_threshold = 10;
    record.spec.tunnel = {ipvs::TunnelType::gue, net::Port{std::uint16_t{6080}}, 1};
    record.last_weight = 7;
    return record;
}

std::vector<JournalRecord> one_of_each() {
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet6, 77};
    StoredSyncDaemons daemons;
    daemons.daemons.push_back({1, "eth0", 5, 1400, "ff02::1"_ip, 8848, 3});
    daemons.daemons.push_back({2, "eth1", 6, 1472, "224.0.0.81"_ip, 8848, 1});
    return {
        JournalOrigin{1, "0a1b", 42},
        stored_service(),
        StoredService{mark, {}},
        stored_service_by_mark(),
        stored_destination(web(), "10.1.0.1"_ip),
        stored_destination(mark, "2001:db8::1"_ip),
        RemovedDestination{mark, {"2001:db8::1"_ip, {}}},
        RemovedService{mark},
        ipvs::Timeouts{1, 2, 3},
        daemons,
        StoredSysctls{{{"sync_threshold", "3\t50"}, {"drop_entry", "1"}}},
        Flushed{},
    };
}

std::string file_of(const std::vector<JournalRecord>& records) {
    std::string file;
    for (const auto& record : records) append_frame(record, file);
    return file;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(journal_record_test)

BOOST_AUTO_TEST_CASE(the_checksum_is_that_of_the_rfc) {
    const std::string digits = "123456789";
    BOOST_TEST(Crc32c{}.add(bytes_of(digits)).value() == 0xE3069283U);
    const std::string zeros(32, '\0');  // RFC 3720 B.4
    BOOST_TEST(Crc32c{}.add(bytes_of(zeros)).value() == 0x8A9136AAU);
}

BOOST_AUTO_TEST_CASE(every_record_is_read_as_it_was_written) {
    for (const JournalRecord& record : one_of_each()) {
        BOOST_TEST_CONTEXT("type " << record.index() + 1) {
            std::string text;
            append_frame(record, text);
            const JournalFrame frame = read_frame(bytes_of(text));
            BOOST_TEST_REQUIRE((frame.state == JournalFrame::State::whole));
            BOOST_TEST(frame.size == text.size());
            BOOST_TEST((frame.record == record));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_layout_of_version_1_is_this) {
    std::string text;
    append_frame(RemovedService{web()}, text);
    const std::string expected{
        "\x0A\x00\x00\x00"      // length
        "\x00\x00\x00\x00"      // checksum, below
        "\x03"                  // type
        "\x00"                  // an endpoint,
        "\x06\x00"              // protocol,
        "\x04\x0A\x00\x00\x01"  // address,
        "\x50\x00",             // port
        19};
    BOOST_TEST_REQUIRE(text.size() == expected.size());
    BOOST_TEST(text.substr(0, 4) == expected.substr(0, 4));
    BOOST_TEST(text.substr(8) == expected.substr(8));
}

BOOST_AUTO_TEST_CASE(a_service_by_mark_of_version_1_ends_before_what_version_2_adds) {
    std::string text;
    append_frame(stored_service_by_mark(), text);
    constexpr std::size_t added = 2 + 4 + 2;
    text.resize(text.size() - added);
    text[0] = static_cast<char>(text[0] - static_cast<char>(added));
    const auto bytes = bytes_of(text);
    const std::uint32_t sum = Crc32c{}.add(bytes.first(4)).add(bytes.subspan(8)).value();
    for (std::size_t i = 0; i < 4; ++i) text[4 + i] = static_cast<char>(sum >> (8 * i));
    const JournalFrame frame = read_frame(bytes_of(text));
    BOOST_TEST_REQUIRE((frame.state == JournalFrame::State::whole));
    StoredService expected = stored_service_by_mark();
    expected.spec.beside_mark = {};
    BOOST_TEST((frame.record == JournalRecord{expected}));
}

BOOST_AUTO_TEST_CASE(a_journal_cut_at_any_byte_keeps_its_whole_records) {
    const auto records = one_of_each();
    const std::string file = file_of(records);
    std::vector<std::size_t> ends{0};
    for (const auto& record : records) {
        std::string text;
        append_frame(record, text);
        ends.push_back(ends.back() + text.size());
    }
    for (std::size_t cut = 0; cut <= file.size(); ++cut) {
        BOOST_TEST_CONTEXT("cut at " << cut) {
            const auto contents = read_journal(bytes_of(file).first(cut));
            const auto next = std::ranges::upper_bound(ends, cut);
            const bool at_end = *(next - 1) == cut;
            BOOST_TEST(contents.whole_bytes == *(next - 1));
            BOOST_TEST(contents.whole_frames == static_cast<std::size_t>(next - ends.begin()) - 1);
            BOOST_TEST(
                (contents.end ==
                 (at_end ? JournalContents::End::clean : JournalContents::End::incomplete))
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_anywhere_stops_the_reading_at_its_record) {
    const std::string file = file_of(one_of_each());
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        std::string flipped = file;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        const auto contents = read_journal(bytes_of(flipped));
        BOOST_TEST_CONTEXT("bit " << bit) {
            BOOST_TEST(contents.whole_bytes <= bit / 8);
            BOOST_TEST((contents.end != JournalContents::End::clean));
        }
    }
}

BOOST_AUTO_TEST_CASE(noise_is_never_a_journal) {
    std::mt19937 random{4};
    for (int i = 0; i < 2000; ++i) {
        std::string noise(random() % 300, '\0');
        for (char& c : noise) c = static_cast<char>(random());
        const auto contents = read_journal(bytes_of(noise));
        BOOST_TEST(contents.whole_frames == 0U);
        BOOST_TEST(contents.image.services() == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_frame_with_a_good_checksum_and_a_bad_payload_is_damaged) {
    std::string text;
    append_frame(RemovedService{web()}, text);
    for (const std::size_t position : {std::size_t{8}, std::size_t{9}, std::size_t{12}}) {
        std::string changed = text;
        changed[position] = '\x7F';
        const auto rest = bytes_of(changed).subspan(8);
        const std::uint32_t sum = Crc32c{}.add(bytes_of(changed).first(4)).add(rest).value();
        for (int i = 0; i < 4; ++i)
            changed[4 + static_cast<std::size_t>(i)] = static_cast<char>(sum >> (8 * i));
        BOOST_TEST((read_frame(bytes_of(changed)).state == JournalFrame::State::damaged));
    }
}

BOOST_AUTO_TEST_CASE(the_origin_stands_first_and_nowhere_else) {
    const JournalOrigin origin{1, "boot", 1};
    auto contents = read_journal(bytes_of(file_of({stored_service(), origin})));
    BOOST_TEST(contents.whole_frames == 0U);
    BOOST_TEST((contents.end == JournalContents::End::damaged));
    contents = read_journal(bytes_of(file_of({origin, stored_service(), origin})));
    BOOST_TEST(contents.whole_frames == 2U);
    BOOST_TEST((contents.end == JournalContents::End::damaged));
}

BOOST_AUTO_TEST_CASE(an_image_is_what_the_last_word_on_each_entry_says) {
    JournalImage image;
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 9};
    image.apply(stored_service());
    image.apply(StoredService{mark, {}});
    image.apply(stored_destination(mark, "10.1.0.2"_ip));
    image.apply(stored_destination(mark, "10.1.0.1"_ip));
    auto heavier = stored_destination(mark, "10.1.0.2"_ip);
    heavier.spec.weight = 100;
    image.apply(heavier);
    image.apply(RemovedService{web()});
    image.apply(stored_service());
    image.apply(RemovedDestination{mark, {"10.9.9.9"_ip, {}}});
    image.apply(stored_destination(ipvs::FirewallMarkKey{net::Family::inet, 10}, "10.1.0.1"_ip));

    struct Seen {
        std::vector<ipvs::ServiceKey> services;
        std::vector<std::pair<std::string, std::int32_t>> destinations;
    } seen;

    struct Visitor {
        Seen& seen;

        void operator()(const ipvs::ServiceKey& key, const ipvs::ServiceSpec&) const {
            seen.services.push_back(key);
        }

        void operator()(const StoredDestination& destination) const {
            seen.destinations.emplace_back(
                print(destination.spec.key.address), destination.spec.weight
            );
        }
    };

    image.visit(Visitor{seen});
    BOOST_TEST((seen.services == std::vector<ipvs::ServiceKey>{mark, web()}));
    BOOST_TEST(
        (seen.destinations == decltype(seen.destinations){{"10.1.0.2", 100}, {"10.1.0.1", -1}})
    );
    image.apply(Flushed{});
    BOOST_TEST(image.services() == 0U);
    BOOST_TEST(image.destinations() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
