#include "daemon/journal.hpp"

#include "daemon/restore.hpp"
#include "tests/daemon/control_fixture.hpp"

#include <fstream>
#include <iterator>
#include <thread>

#include <boost/test/unit_test.hpp>
#include <sys/stat.h>

namespace nlvs::daemon {
namespace {

struct TemporaryDirectory {
    TemporaryDirectory() {
        std::string name =
            (std::filesystem::temp_directory_path() / "nlvs-journal-XXXXXX").string();
        BOOST_TEST_REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }

    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    ~TemporaryDirectory() { std::filesystem::remove_all(path); }

    std::filesystem::path path;
};

std::string contents(const std::filesystem::path& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{}};
}

JournalContents journal_at(const std::filesystem::path& path) {
    const std::string text = contents(path);
    return read_journal(std::as_bytes(std::span{text}));
}

void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream{path, std::ios::binary | std::ios::trunc} << text;
}

/// Everything but counters, as text.
std::string describe(const ControlPlane& control) {
    std::string text;
    control.visit_services(0, [&](const ipvs::ServiceView& service) {
        const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
        text += fmt::format(
            "{} {} {} {:x} {} {:x}\n",
            endpoint != nullptr ? print(endpoint->address) : "mark",
            service.spec.scheduler,
            service.spec.persistence_engine,
            service.spec.flags.word,
            service.spec.timeout,
            service.spec.netmask
        );
        control.visit_destinations(service.key, 0, [&](const ipvs::DestinationView& destination) {
            text += fmt::format(
                "  {} {} {} {} {}\n",
                print(destination.spec.key.address),
                destination.spec.forwarding,
                destination.spec.weight,
                destination.spec.upper_threshold,
                destination.spec.lower_threshold
            );
            return true;
        });
        return true;
    });
    text += fmt::format(
        "{} {} {} ", control.timeouts().tcp, control.timeouts().tcp_fin, control.timeouts().udp
    );
    for (const auto& daemon : control.daemons()) {
        text += fmt::format("{} {} {} ", daemon.state, daemon.interface, daemon.max_length);
    }
    return text + fmt::format("{} {}", control.sysctls().drop_entry, control.sysctls().sync_period);
}

struct Fixture {
    TemporaryDirectory directory;
    Log log{LogLevel::error, LogTarget::plain};
    JournalSettings settings{
        directory.path, false, JournalSync::batch, false, JournalOrigin{JournalOrigin::current_version, "this boot", 7}};
    std::filesystem::path path = directory.path / "journal";

    /// A daemon's life: what it restored, and a control plane that is journalled.
    struct Life : ControlFixture {
        Journal journal;

        Life(const JournalSettings& settings, const Log& log) : journal{settings, log} {
            restore(journal.take_image(), control, log);
            journal.follow(control);
        }

        void finish_rewrite() {
            for (int i = 0; i < 10'000 && (journal.rewriting() || journal.failed()); ++i) {
                journal.maintain();
                std::this_thread::sleep_for(std::chrono::microseconds{100});
            }
            BOOST_TEST_REQUIRE(!journal.rewriting());
        }
    };

    void configure(ControlPlane& control) {
        for (std::uint16_t port = 1; port <= 20; ++port) {
            const auto key = tcp_service("10.0.0.1", port);
            BOOST_TEST(control.add_service(key, scheduled_by("wrr")).has_value());
            for (const char* address : {"10.1.0.1", "10.1.0.2", "10.1.0.3"}) {
                auto spec = masqueraded(address);
                spec.weight = port;
                BOOST_TEST(control.add_destination(key, spec).has_value());
            }
        }
        BOOST_TEST(control.remove_service(tcp_service("10.0.0.1", 3)).has_value());
        auto persistent = scheduled_by("sh");
        persistent.flags.word = ipvs::ServiceFlags::persistent;
        persistent.timeout = 300;
        BOOST_TEST(control.edit_service(tcp_service("10.0.0.1", 4), persistent).has_value());
        auto heavy = masqueraded("10.1.0.2");
        heavy.weight = 50;
        heavy.upper_threshold = 9;
        BOOST_TEST(control.edit_destination(tcp_service("10.0.0.1", 5), heavy).has_value());
        BOOST_TEST(control
                       .remove_destination(tcp_service("10.0.0.1", 6), masqueraded("10.1.0.1").key)
                       .has_value());
        BOOST_TEST(control.set_timeouts({100, 0, 50}).has_value());
        BOOST_TEST(control.start_daemon({1, "eth0", 3, 0, {}, 0, 0}).has_value());
        ipvs::Sysctls sysctls = control.sysctls();
        sysctls.drop_entry = 3;
        sysctls.sync_period = 70;
        control.set_sysctls(sysctls);
    }

    std::string described_after_restart() { return describe(Life{settings, log}.control); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(journal_test, Fixture)

BOOST_AUTO_TEST_CASE(the_next_daemon_has_what_the_last_one_had) {
    std::string before;
    {
        Life life{settings, log};
        configure(life.control);
        before = describe(life.control);
    }
    BOOST_TEST(described_after_restart() == before);
    BOOST_TEST(described_after_restart() == before);
}

BOOST_AUTO_TEST_CASE(what_is_acknowledged_is_in_the_file_at_once) {
    Life life{settings, log};
    configure(life.control);
    const auto image = journal_at(path).image;
    BOOST_TEST(image.services() == 19U);
    BOOST_TEST(image.destinations() == 56U);
}

BOOST_AUTO_TEST_CASE(a_fresh_start_forgets) {
    {
        Life life{settings, log};
        configure(life.control);
    }
    settings.fresh = true;
    const std::string empty = describe(ControlFixture{}.control);
    BOOST_TEST(described_after_restart() == empty);
    settings.fresh = false;
    BOOST_TEST(described_after_restart() == empty);
}

BOOST_AUTO_TEST_CASE(a_flush_is_remembered) {
    {
        Life life{settings, log};
        configure(life.control);
        life.control.flush();
    }
    Life life{settings, log};
    BOOST_TEST(life.control.count_services(net::Family::inet) == 0U);
    BOOST_TEST(life.control.timeouts().tcp == 100U);
}

BOOST_AUTO_TEST_CASE(another_boot_or_namespace_starts_empty_unless_the_directory_is_permanent) {
    std::string before;
    {
        Life life{settings, log};
        configure(life.control);
        before = describe(life.control);
    }
    const std::string journal = contents(path);
    for (const JournalOrigin& other :
         {JournalOrigin{1, "next boot", 7}, JournalOrigin{1, "this boot", 8}}) {
        write(path, journal);
        settings.origin = other;
        settings.permanent = true;
        BOOST_TEST(described_after_restart() == before);
        settings.permanent = false;
        BOOST_TEST(described_after_restart() == describe(ControlFixture{}.control));
    }
}

BOOST_AUTO_TEST_CASE(a_journal_cut_within_its_last_record_goes_on_from_the_one_before) {
    std::string before;
    std::size_t good = 0;
    {
        Life life{settings, log};
        configure(life.control);
        before = describe(life.control);
        good = contents(path).size();
        BOOST_TEST(
            life.control.add_service(tcp_service("10.0.0.2", 1), scheduled_by("rr")).has_value()
        );
    }
    const std::string whole = contents(path);
    for (std::size_t size = good; size < whole.size(); ++size) {
        BOOST_TEST_CONTEXT(size << " of " << whole.size() << " bytes") {
            write(path, whole.substr(0, size));
            BOOST_TEST(described_after_restart() == before);
            BOOST_TEST(contents(path).size() == good);
        }
    }
    write(path, whole.substr(0, whole.size() - 1));
    {
        Life life{settings, log};
        BOOST_TEST(
            life.control.add_service(tcp_service("10.0.0.2", 2), scheduled_by("rr")).has_value()
        );
        before = describe(life.control);
    }
    BOOST_TEST(described_after_restart() == before);
}

BOOST_AUTO_TEST_CASE(a_damaged_journal_is_kept_aside) {
    {
        Life life{settings, log};
        configure(life.control);
    }
    std::string damaged = contents(path);
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
    write(path, damaged);
    Life life{settings, log};
    const auto left = life.control.count_services(net::Family::inet);
    BOOST_TEST(left > 0U);
    BOOST_TEST(left < 19U);
    BOOST_TEST((contents(directory.path / "journal.damaged") == damaged));
}

BOOST_AUTO_TEST_CASE(what_is_no_journal_starts_empty) {
    for (const char* text : {"", "x", "[Unit]\nDescription=no journal at all\n"}) {
        write(path, text);
        BOOST_TEST(described_after_restart() == describe(ControlFixture{}.control));
        BOOST_TEST((journal_at(path).origin == settings.origin));
    }
}

BOOST_AUTO_TEST_CASE(a_later_version_is_not_touched) {
    std::string later;
    append_frame(JournalOrigin{3, "this boot", 7}, later);
    later += "whatever version 3 has";
    write(path, later);
    BOOST_CHECK_EXCEPTION((Life{settings, log}), std::runtime_error, [](const auto& error) {
        return std::string_view{error.what()}.ends_with(
            "is of format version 3 and this nlvsd reads versions up to 2; --fresh starts without it"
        );
    });
    BOOST_TEST((contents(path) == later));
    settings.fresh = true;
    BOOST_TEST(described_after_restart() == describe(ControlFixture{}.control));
}

BOOST_AUTO_TEST_CASE(a_journal_of_version_1_goes_on_as_one_of_this_version) {
    {
        Life life{settings, log};
        configure(life.control);
    }
    std::string old = contents(path);
    std::string origin;
    append_frame(settings.origin, origin);
    JournalOrigin first = settings.origin;
    first.version = 1;
    std::string replacement;
    append_frame(first, replacement);
    write(path, old.replace(0, origin.size(), replacement));
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 7};
    std::string before;
    {
        Life life{settings, log};
        auto spec = scheduled_by("rr");
        spec.beside_mark = {17, net::Ipv4Address{0x0A000001U}, net::Port{std::uint16_t{53}}};
        BOOST_TEST(life.control.add_service(mark, spec).has_value());
        auto server = masqueraded("10.1.0.1");
        server.flags = ipvs::DestinationFlags::one_packet;
        BOOST_TEST(life.control.add_destination(mark, server).has_value());
        before = describe(life.control);
    }
    BOOST_TEST((journal_at(path).origin == settings.origin));
    Life life{settings, log};
    BOOST_TEST(describe(life.control) == before);
    const auto& restored = *life.control.registry().find(mark);
    BOOST_TEST(restored.spec.beside_mark.protocol == 17);
    BOOST_TEST(restored.spec.beside_mark.address.host() == 0x0A000001U);
    BOOST_TEST(restored.spec.beside_mark.port.host() == 53);
    BOOST_TEST(restored.destinations[0]->spec.flags == ipvs::DestinationFlags::one_packet);
    BOOST_TEST(restored.destinations[0]->spec.forwarding == 0U);
}

BOOST_AUTO_TEST_CASE(only_its_owner_may_read_it) {
    write(path, "");
    BOOST_TEST(chmod(path.c_str(), 0666) == 0);
    const Life life{settings, log};

    struct stat status {};

    BOOST_TEST(stat(path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 0600U);
}

BOOST_AUTO_TEST_CASE(a_directory_is_for_one_daemon) {
    const Life life{settings, log};
    BOOST_CHECK_THROW((Life{settings, log}), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_journal_of_much_change_is_written_anew_and_says_the_same) {
    Life life{settings, log};
    configure(life.control);
    const auto key = tcp_service("10.0.0.1", 5);
    for (int i = 0; i < 6000; ++i) {
        auto spec = masqueraded("10.1.0.1");
        spec.weight = i;
        BOOST_TEST_REQUIRE(life.control.edit_destination(key, spec).has_value());
    }
    const auto before = std::filesystem::file_size(path);
    life.journal.maintain();
    BOOST_TEST(life.journal.rewriting());
    life.finish_rewrite();
    BOOST_TEST(std::filesystem::file_size(path) < before / 10);
    BOOST_TEST(life.journal.frames() < 200U);
    BOOST_TEST(!std::filesystem::exists(directory.path / "journal.new"));
    const auto image = journal_at(path).image;
    ControlFixture next;
    restore(image, next.control, log);
    BOOST_TEST(describe(next.control) == describe(life.control));
}

BOOST_AUTO_TEST_CASE(changes_while_it_is_written_anew_are_in_the_new_file) {
    Life life{settings, log};
    ControlPlane& control = life.control;
    for (std::uint16_t port = 1; port <= 10'000; ++port) {
        BOOST_TEST_REQUIRE(
            control.add_service(tcp_service("10.0.0.1", port), scheduled_by("rr")).has_value()
        );
    }
    for (int i = 0; i < 26'000; ++i) {
        BOOST_TEST_REQUIRE(
            control.edit_service(tcp_service("10.0.0.1", 9), scheduled_by("lc")).has_value()
        );
    }
    life.journal.maintain();
    life.journal.maintain();  // one slice: some services are behind the walk, others before it
    BOOST_TEST_REQUIRE(life.journal.rewriting());
    for (const std::uint16_t port : {std::uint16_t{2}, std::uint16_t{9'998}}) {
        const auto key = tcp_service("10.0.0.1", port);
        BOOST_TEST(control.add_destination(key, masqueraded("10.1.0.1")).has_value());
        BOOST_TEST(control.remove_service(tcp_service("10.0.0.1", port + 1)).has_value());
        BOOST_TEST(
            control.add_service(tcp_service("10.0.0.1", port + 1), scheduled_by("sh")).has_value()
        );
        BOOST_TEST(
            control.add_service(tcp_service("10.0.0.2", port), scheduled_by("sed")).has_value()
        );
        BOOST_TEST(control.edit_service(key, scheduled_by("wlc")).has_value());
    }
    BOOST_TEST(control.set_timeouts({5, 6, 7}).has_value());
    life.finish_rewrite();
    ControlFixture next;
    restore(journal_at(path).image, next.control, log);
    BOOST_TEST((describe(next.control) == describe(control)));
}

BOOST_AUTO_TEST_CASE(a_flush_while_it_is_written_anew_is_not_undone) {
    Life life{settings, log};
    configure(life.control);
    for (int i = 0; i < 6000; ++i) {
        BOOST_TEST_REQUIRE(life.control.set_timeouts({5, 6, 7}).has_value());
    }
    life.journal.maintain();
    BOOST_TEST_REQUIRE(life.journal.rewriting());
    life.control.flush();
    life.finish_rewrite();
    ControlFixture next;
    restore(journal_at(path).image, next.control, log);
    BOOST_TEST(next.control.count_services(net::Family::inet) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
