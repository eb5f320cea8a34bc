#include "netlink-shim/endpoint/runtime_file.hpp"

#include "netlink-shim/core/registration.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include <boost/test/unit_test.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace nlvs::shim;

struct Fixture {
    std::filesystem::path directory = [] {
        std::string name = std::filesystem::temp_directory_path() / "nlvs-runtime.XXXXXX";
        return std::filesystem::path(::mkdtemp(name.data()));
    }();

    Fixture() { ::setenv(run_directory_variable, (directory / "run").c_str(), 1); }

    ~Fixture() {
        ::unsetenv(run_directory_variable);
        std::filesystem::remove_all(directory);
    }

    static Lookup find(Registration& found) {
        return find_daemon(current_network_namespace(), found);
    }

    static Lookup find() {
        Registration found;
        return find(found);
    }
};

mode_t mode_of(const std::filesystem::path& path) {
    struct stat status = {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 07777;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(runtime_file_test, Fixture)

BOOST_AUTO_TEST_CASE(without_a_daemon_nothing_is_found) {
    BOOST_TEST((find() == Lookup::absent));
}

BOOST_AUTO_TEST_CASE(a_daemon_is_found_for_as_long_as_it_is_registered) {
    const RuntimeDirectory runtime;
    BOOST_TEST((find() == Lookup::absent));
    {
        const RuntimeFile file(runtime, 4294963201U, "/mnt/files");
        Registration found;
        BOOST_TEST((find(found) == Lookup::found));
        BOOST_TEST(found.port == 4294963201U);
        BOOST_TEST(found.pid == static_cast<std::uint32_t>(::getpid()));
        BOOST_TEST(std::string(found.files) == "/mnt/files");
    }
    BOOST_TEST((find() == Lookup::absent));
}

BOOST_AUTO_TEST_CASE(a_file_that_nobody_locks_is_harmless) {
    const auto path = runtime_directory();
    std::filesystem::create_directories(path);
    std::ofstream(path / registration_file_name) << "nlvs 1\nport 5\npid 6\n";
    BOOST_TEST((find() == Lookup::absent));
    const RuntimeDirectory runtime;
    const RuntimeFile file(runtime, 7, "");
    Registration found;
    BOOST_TEST((find(found) == Lookup::found));
    BOOST_TEST(found.port == 7U);
}

BOOST_AUTO_TEST_CASE(only_one_daemon_serves_a_namespace) {
    const RuntimeDirectory first;
    BOOST_CHECK_EXCEPTION(RuntimeDirectory(), std::system_error, [](const std::system_error& e) {
        return e.code().value() == EBUSY;
    });
}

BOOST_AUTO_TEST_CASE(everybody_may_read_whatever_the_umask) {
    const mode_t before = ::umask(0077);
    const RuntimeDirectory runtime;
    const RuntimeFile file(runtime, 7, "");
    ::umask(before);
    BOOST_TEST(mode_of(runtime.path()) == 0755U);
    BOOST_TEST(mode_of(runtime.path().parent_path()) == 0755U);
    BOOST_TEST(mode_of(runtime.path() / registration_file_name) == 0644U);
}

BOOST_AUTO_TEST_CASE(a_locked_file_that_makes_no_sense_is_an_error) {
    const RuntimeDirectory runtime;
    LockedFile file(runtime.path() / registration_file_name);
    BOOST_TEST_REQUIRE(file.locked());
    file.write("nonsense\n");
    BOOST_TEST((find() == Lookup::failed));
    BOOST_TEST(errno == EPROTO);
}

BOOST_AUTO_TEST_CASE(a_path_too_long_for_the_registration_is_refused) {
    const RuntimeDirectory runtime;
    BOOST_CHECK_THROW(RuntimeFile(runtime, 7, "/" + std::string(200, 'x')), std::system_error);
    BOOST_TEST((find() == Lookup::absent));
}

BOOST_AUTO_TEST_CASE(another_namespace_has_another_daemon) {
    const RuntimeDirectory runtime;
    const RuntimeFile file(runtime, 7, "");
    Registration found;
    BOOST_TEST((find_daemon(current_network_namespace() + 1, found) == Lookup::absent));
}

BOOST_AUTO_TEST_SUITE_END()
