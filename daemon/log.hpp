#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace nlvs::daemon {

/// Levels say who must act.
enum class LogLevel : std::uint8_t {
    error,    ///< the operator, now: something does not work
    warning,  ///< the operator, at leisure: it works, but not as asked
    notice,   ///< nobody: start, stop, and what an operator wants to find in yesterday's log
    debug,    ///< nobody; for developers
};

enum class LogTarget : std::uint8_t {
    automatic,  ///< journal if standard error leads there, else plain
    plain,      ///< "nlvsd: warning: …" on standard error
    journal,    ///< the same lines with the priority prefix that systemd understands
};

/// Writes one line per message to standard error.
/// Thread: any.
class Log {
public:
    Log(LogLevel level, LogTarget target) noexcept;

    template <class... Arguments>
    void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
        write(LogLevel::error, fmt::format(format, std::forward<Arguments>(arguments)...));
    }

    template <class... Arguments>
    void warning(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
        write(LogLevel::warning, fmt::format(format, std::forward<Arguments>(arguments)...));
    }

    template <class... Arguments>
    void notice(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
        write(LogLevel::notice, fmt::format(format, std::forward<Arguments>(arguments)...));
    }

    template <class... Arguments>
    void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
        write(LogLevel::debug, fmt::format(format, std::forward<Arguments>(arguments)...));
    }

    void write(LogLevel level, std::string_view message) const;

private:
    LogLevel level_;
    bool journal_;
};

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept;
std::optional<LogTarget> parse_log_target(std::string_view name) noexcept;

}  // namespace nlvs::daemon
