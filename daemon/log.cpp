#include "daemon/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace nlvs::daemon {
namespace {

constexpr std::array<std::string_view, 4> level_names{"error", "warning", "notice", "debug"};
constexpr std::array<std::string_view, 3> target_names{"auto", "stderr", "journal"};
/// syslog(3) priorities of the levels.
constexpr std::array<int, 4> priorities{3, 4, 5, 7};

/// systemd.exec(5): $JOURNAL_STREAM is device:inode of the stream that leads to the journal.
bool is_journal_stream() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status{};
    if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
    return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

template <class Enum, std::size_t Size>
std::optional<Enum> find(const std::array<std::string_view, Size>& names, std::string_view name) {
    const auto i = std::ranges::find(names, name);
    if (i == names.end()) return std::nullopt;
    return static_cast<Enum>(i - names.begin());
}

}  // namespace

Log::Log(LogLevel level, LogTarget target) noexcept
    : level_{level},
      journal_{
          target == LogTarget::journal || (target == LogTarget::automatic && is_journal_stream())
      } {}

void Log::write(LogLevel level, std::string_view message) const {
    if (level > level_) return;
    const auto index = static_cast<std::size_t>(level);
    const std::string line =
        journal_ ? fmt::format("<{}>{}\n", priorities[index], message)
                 : fmt::format("nlvsd: {}: {}\n", level_names[index], message);
    // One write per line keeps lines of several threads apart; a log that nobody reads must not
    // stop the daemon, so the result does not matter.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept {
    return find<LogLevel>(level_names, name);
}

std::optional<LogTarget> parse_log_target(std::string_view name) noexcept {
    return find<LogTarget>(target_names, name);
}

}  // namespace nlvs::daemon
