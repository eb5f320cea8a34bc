#include "daemon/link_counter_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "netlink-shim/core/link_counters.hpp"

namespace nlvs::daemon {

LinkCounterFile::LinkCounterFile(
    boost::asio::io_context& context, const std::filesystem::path& directory,
    const DataPlane& data_plane
)
    : data_plane_{data_plane},
      path_{directory / shim::link_counters_file},
      file_{::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)},
      timer_{context} {
    if (file_ < 0) throw std::system_error{errno, std::generic_category(), path_.string()};
    write();
}

LinkCounterFile::~LinkCounterFile() {
    ::close(file_);
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

void LinkCounterFile::write() {
    constexpr std::chrono::milliseconds period{500};
    std::array<shim::LinkCounters, shim::max_links> links;
    const std::size_t count = std::min(data_plane_.ports().size(), links.size());
    for (std::size_t i = 0; i < count; ++i) {
        const DataPlane::Port& port = data_plane_.ports()[i];
        const forwarding::PortStatistics nic = port.nic->statistics();
        links[i] = {port.shadow->index(), 0, nic.received_packets, nic.received_bytes, nic.receive_errors,
                    nic.missed + nic.no_buffer, nic.transmitted_packets, nic.transmitted_bytes,
                    nic.transmit_errors};
    }
    // A full file system costs fresh figures, nothing else.
    [[maybe_unused]] const auto written = ::pwrite(file_, links.data(), count * sizeof(links[0]), 0);
    timer_.expires_after(period);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) write();
    });
}

}  // namespace nlvs::daemon
