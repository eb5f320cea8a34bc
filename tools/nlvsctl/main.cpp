#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "netlink-shim/endpoint/preload_file.hpp"
#include "tools/nlvsctl/capture.hpp"
#include "tools/nlvsctl/control_socket.hpp"

namespace nlvs {
namespace {

constexpr std::array<std::string_view, 7> reports{"status", "workers", "ports", "mirror",
                                                  "drops",  "sync",    "marks"};

constexpr std::string_view usage =
    "Usage: nlvsctl status|workers|ports|mirror|drops|sync|marks [--json]\n"
    "       nlvsctl capture [--port NAME] [--count N] [--snap BYTES] [-w FILE]\n"
    "       nlvsctl shim status|enable|disable [LIBRARY]\n"
    "\n"
    "Reports of the nlvsd that serves this network namespace:\n"
    "  status    what it is and how much it does\n"
    "  workers   connections and load of each worker\n"
    "  ports     NICs with their shadow interfaces\n"
    "  mirror    what is known of the kernel's routes and neighbours\n"
    "  drops     packets dropped, by reason, and packets for the kernel, by class\n"
    "  sync      the sync daemons: what they sent and took in\n"
    "  marks     the kernel's rules that set firewall marks, and which cannot be followed\n"
    "\n"
    "What the engine receives and sends, in the pcapng format, until a signal ends it:\n"
    "  capture   of all ports, or of one by the name of its shadow interface or device; to standard\n"
    "            output, as in nlvsctl capture | tcpdump -n -r - 'tcp port 80'\n"
    "\n"
    "Which programs reach nlvsd instead of the kernel's IPVS without further ado:\n"
    "  shim enable    every program on this host (/etc/ld.so.preload)\n"
    "  shim disable   only those started with LD_PRELOAD\n"
    "  shim status    which of the two it is\n";

/// Sends the request and returns everything up to the end of the stream.
std::string ask(const std::string& request) {
    namespace asio = boost::asio;
    asio::io_context context;
    auto socket = connect_to_daemon(context);
    asio::write(socket, asio::buffer(request + '\n'));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    if (error && error != asio::error::eof) throw boost::system::system_error{error, "nlvsd"};
    return answer;
}

int report(std::string_view name, bool json) {
    const std::string answer = ask(std::string{name} + (json ? " json" : ""));
    const auto line = answer.find('\n');
    if (line == std::string::npos) throw std::runtime_error{"nlvsd ended before it answered"};
    const std::string_view body = std::string_view{answer}.substr(line + 1);
    if (std::string_view{answer}.substr(0, line) != "ok") {
        throw std::runtime_error{std::string{body.substr(0, body.find('\n'))}};
    }
    fmt::print("{}", body);
    return EXIT_SUCCESS;
}

/// Beside the running nlvsctl in a build directory, else where it is installed.
std::filesystem::path default_library() {
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const auto built = here.parent_path() / "lib" / NLVS_SHIM_NAME;
    std::error_code error;
    const auto found = std::filesystem::canonical(built, error);
    return error ? std::filesystem::path{NLVS_SHIM_PATH} : found;
}

int shim_command(std::string_view verb, const std::filesystem::path& library) {
    const shim::PreloadFile file;
    if (verb == "status") {
        const auto enabled = file.contains(library);
        if (!enabled) throw std::runtime_error{enabled.error()};
        fmt::print("{}: {}\n", library.string(), *enabled ? "enabled" : "disabled");
        return EXIT_SUCCESS;
    }
    const bool enable = verb == "enable";
    const auto change = enable ? file.add(library) : file.remove(library);
    if (!change) throw std::runtime_error{change.error()};
    const bool made = *change == shim::PreloadFile::Change::made;
    fmt::print(
        "{}: {}{}\n", library.string(), made ? "" : "already ", enable ? "enabled" : "disabled"
    );
    return EXIT_SUCCESS;
}

int wrong_usage() {
    fmt::print(stderr, "{}", usage);
    return 2;
}

int run(std::span<char* const> arguments) {
    std::vector<std::string_view> words{arguments.begin() + 1, arguments.end()};
    if (!words.empty() && words[0] == "capture") {
        const auto options = std::span{words}.subspan(1);
        const bool asks = std::ranges::find(options, "--help") != options.end();
        if (!asks) return capture(options) ? EXIT_SUCCESS : wrong_usage();
    }
    words.clear();
    bool json = false;
    for (const char* argument : arguments.subspan(1)) {
        const std::string_view word{argument};
        if (word == "--json") {
            json = true;
        } else if (word == "-h" || word == "--help") {
            fmt::print("{}", usage);
            return EXIT_SUCCESS;
        } else if (word == "-V" || word == "--version") {
            fmt::print("nlvsctl {}\n", NLVS_VERSION);
            return EXIT_SUCCESS;
        } else if (word.starts_with('-')) {
            return wrong_usage();
        } else {
            words.push_back(word);
        }
    }
    if (words.size() == 1 && std::ranges::find(reports, words[0]) != reports.end()) {
        return report(words[0], json);
    }
    const bool is_shim = (words.size() == 2 || words.size() == 3) && words[0] == "shim" && !json &&
                         (words[1] == "status" || words[1] == "enable" || words[1] == "disable");
    if (!is_shim) return wrong_usage();
    return shim_command(words[1], words.size() == 3 ? words[2] : default_library());
}

}  // namespace
}  // namespace nlvs

int main(int argc, char** argv) {
    try {
        return nlvs::run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        fmt::print(stderr, "nlvsctl: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
