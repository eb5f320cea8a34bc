#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

namespace nlvs::daemon {

/// nlvsd's arguments.
struct CommandLine {
    static constexpr const char* default_configuration = "/etc/nlvs/nlvs.toml";

    /// As given; without it the default file is read if there is one.
    std::optional<std::filesystem::path> configuration;
    bool check = false;       ///< read the configuration, say what is wrong, end
    bool foreground = false;  ///< log to standard error whatever the configuration says
    bool fresh = false;       ///< start empty, whatever the journal holds
    std::string answer;       ///< to print before ending, for --help and --version
};

/// One sentence about a wrong argument.
class CommandLineError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Throws CommandLineError. `arguments` starts with the program's name.
CommandLine parse_command_line(std::span<char* const> arguments);

}  // namespace nlvs::daemon
