#include "daemon/maintenance.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <cstdint>

namespace nlvs::daemon {
namespace {

constexpr std::chrono::milliseconds reclaim_period{250};
constexpr std::chrono::seconds memory_period{1};

/// Linux: ip_vs_ctl.c update_defense_level — free and buffered memory, page cache not counted.
std::int64_t available_pages() {
    struct sysinfo info {};
    if (::sysinfo(&info) != 0) return forwarding::plenty_of_memory;
    const std::uint64_t bytes = (std::uint64_t{info.freeram} + info.bufferram) * info.mem_unit;
    return static_cast<std::int64_t>(bytes / static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
}

/// Keeps the beat: the next expiry counts from the last one, not from now, unless it was missed.
void keep_beat(boost::asio::steady_timer& timer, std::chrono::steady_clock::duration period) {
    const auto now = std::chrono::steady_clock::now();
    const auto next = timer.expiry() + period;
    timer.expires_at(next > now ? next : now + period);
}

}  // namespace

Maintenance::Maintenance(
    boost::asio::io_context& context, ControlPlane& control, forwarding::Reclaimer& reclaimer,
    Journal& journal
)
    : control_{control},
      reclaimer_{reclaimer},
      journal_{journal},
      statistics_{context, StatisticsReader::period},
      trash_{context, DestinationTrash::scan_period},
      reclamation_{context, reclaim_period},
      journal_timer_{context, journal.maintain()},
      memory_{context, memory_period} {
    control_.tick_defences(available_pages());
    watch_memory();
    tick_statistics();
    scan_trash();
    reclaim();
    keep_journal();
}

void Maintenance::tick_statistics() {
    statistics_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        keep_beat(statistics_, control_.tick_statistics());
        tick_statistics();
    });
}

void Maintenance::scan_trash() {
    trash_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        control_.scan_trash(std::chrono::steady_clock::now());
        keep_beat(trash_, DestinationTrash::scan_period);
        scan_trash();
    });
}

void Maintenance::watch_memory() {
    memory_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        control_.tick_defences(available_pages());
        keep_beat(memory_, memory_period);
        watch_memory();
    });
}

void Maintenance::reclaim() {
    reclamation_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        reclaimer_.collect();
        keep_beat(reclamation_, reclaim_period);
        reclaim();
    });
}

void Maintenance::keep_journal() {
    journal_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        keep_beat(journal_timer_, journal_.maintain());
        keep_journal();
    });
}

}  // namespace nlvs::daemon
