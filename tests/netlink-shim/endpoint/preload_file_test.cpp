#include "netlink-shim/endpoint/preload_file.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <boost/test/unit_test.hpp>
#include <sys/stat.h>

namespace {

using nlvs::shim::PreloadFile;
using Change = PreloadFile::Change;

// Any library that loads and belongs to root will do.
constexpr const char* library = "/lib/x86_64-linux-gnu/libm.so.6";

struct Fixture {
    std::filesystem::path directory = [] {
        std::string name = std::filesystem::temp_directory_path() / "nlvs-preload.XXXXXX";
        return std::filesystem::path(::mkdtemp(name.data()));
    }();
    std::filesystem::path path = directory / "ld.so.preload";
    PreloadFile file{path};

    ~Fixture() { std::filesystem::remove_all(directory); }

    void write(const std::string& text) const { std::ofstream(path) << text; }

    std::string text() const {
        std::ostringstream result;
        result << std::ifstream(path).rdbuf();
        return result.str();
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(preload_file_test, Fixture)

BOOST_AUTO_TEST_CASE(adding_to_no_file_makes_one_for_everybody_to_read) {
    BOOST_TEST(!*file.contains(library));
    BOOST_TEST((file.add(library) == Change::made));
    BOOST_TEST(text() == std::string(library) + "\n");
    BOOST_TEST(*file.contains(library));
    struct stat status;
    BOOST_TEST_REQUIRE(::stat(path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 0644U);
}

BOOST_AUTO_TEST_CASE(adding_twice_changes_nothing) {
    BOOST_TEST((file.add(library) == Change::made));
    BOOST_TEST((file.add(library) == Change::not_needed));
    BOOST_TEST(text() == std::string(library) + "\n");
}

BOOST_AUTO_TEST_CASE(removing_the_last_entry_removes_the_file) {
    BOOST_TEST((file.add(library) == Change::made));
    BOOST_TEST((file.remove(library) == Change::made));
    BOOST_TEST(!std::filesystem::exists(path));
    BOOST_TEST((file.remove(library) == Change::not_needed));
}

BOOST_AUTO_TEST_CASE(other_entries_and_comments_stay) {
    const struct {
        const char* name;
        std::string before;
        std::string enabled;
        std::string disabled;
    } rows[] = {
        {"line", "/a.so\n", "/a.so\n@\n", "/a.so\n"},
        {"no newline at the end", "/a.so", "/a.so\n@\n", "/a.so\n"},
        {"colons", "/a.so:/b.so\n", "/a.so:/b.so\n@\n", "/a.so:/b.so\n"},
        {"comment names the library", "# @\n", "# @\n@\n", "# @\n"},
        {"among others", "/a.so:@ /b.so\n", "/a.so:@ /b.so\n", "/a.so: /b.so\n"},
        {"twice", "@\n/a.so\n@\n", "@\n/a.so\n@\n", "/a.so\n"},
        {"longer name", "@.1\n", "@.1\n@\n", "@.1\n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto filled = [](std::string text) {
                for (std::size_t at; (at = text.find('@')) != std::string::npos;)
                    text.replace(at, 1, library);
                return text;
            };
            write(filled(row.before));
            BOOST_TEST(file.add(library).has_value());
            BOOST_TEST(text() == filled(row.enabled));
            BOOST_TEST((file.remove(library) == Change::made));
            BOOST_TEST(text() == filled(row.disabled));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_library_that_would_harm_every_program_is_refused) {
    const auto garbage = directory / "garbage.so";
    std::ofstream(garbage) << "not a library";
    const auto writable = directory / "writable.so";
    std::filesystem::copy_file(library, writable);
    std::filesystem::permissions(writable, std::filesystem::perms(0777));
    for (const std::filesystem::path& bad :
         {std::filesystem::path("libm.so.6"),
          directory / "missing.so",
          directory,
          garbage,
          writable,
          std::filesystem::path("/a b.so")}) {
        BOOST_TEST_CONTEXT(bad) {
            BOOST_TEST(!file.add(bad).has_value());
            BOOST_TEST(!std::filesystem::exists(path));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_stays_one) {
    const auto target = directory / "target";
    std::ofstream(target) << "/a.so\n";
    std::filesystem::create_symlink(target, path);
    BOOST_TEST((file.add(library) == Change::made));
    BOOST_TEST(std::filesystem::is_symlink(path));
    BOOST_TEST(text() == "/a.so\n" + std::string(library) + "\n");
}

BOOST_AUTO_TEST_SUITE_END()
