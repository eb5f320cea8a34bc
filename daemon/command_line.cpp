#include "daemon/command_line.hpp"

#include <string_view>

namespace nlvs::daemon {
namespace {

std::string usage() {
    return "Usage: nlvsd [-c FILE] [--fresh] [--foreground] [--check] [--version] [--help]\n"
           "\n"
           "Linux IPVS on DPDK for the network namespace it is started in.\n"
           "\n"
           "  -c, --config FILE   configuration; default " +
           std::string{CommandLine::default_configuration} +
           " if there is one,\n"
           "                      else the control plane alone\n"
           "  -f, --foreground    log to standard error whatever the configuration says\n"
           "      --fresh         start without the services of the last nlvsd\n"
           "      --check         only read the configuration and say what is wrong with it\n"
           "  -V, --version       print the version\n"
           "  -h, --help          print this\n"
           "\n"
           "The environment variable NLVS_RUN_DIR replaces the run directory /run/nlvs, NLVS_STATE_DIR\n"
           "the directory of the journal that the configuration names.\n";
}

}  // namespace

CommandLine parse_command_line(std::span<char* const> arguments) {
    CommandLine result;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        constexpr std::string_view with_value = "--config=";
        if (argument == "-c" || argument == "--config") {
            if (++i == arguments.size()) {
                throw CommandLineError{std::string{argument} + " needs a file"};
            }
            result.configuration = arguments[i];
        } else if (argument.starts_with(with_value)) {
            result.configuration = argument.substr(with_value.size());
        } else if (argument == "--check") {
            result.check = true;
        } else if (argument == "--fresh") {
            result.fresh = true;
        } else if (argument == "-f" || argument == "--foreground") {
            result.foreground = true;
        } else if (argument == "-h" || argument == "--help") {
            result.answer = usage();
        } else if (argument == "-V" || argument == "--version") {
            result.answer = "nlvsd " NLVS_VERSION "\n";
        } else {
            throw CommandLineError{"unknown argument \"" + std::string{argument} + "\", see --help"};
        }
    }
    return result;
}

}  // namespace nlvs::daemon
