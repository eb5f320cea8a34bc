#include "daemon/link_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>

namespace nlvs::daemon {
namespace {

/// Columns of a row, after the name.
enum Column : std::size_t {
    received_bytes, received_packets, receive_errors, receive_drops,
    transmitted_bytes = 8, transmitted_packets, transmit_errors,
    columns = 16
};

std::vector<shim::LinkCounters> count(const DataPlane* data_plane) {
    std::vector<shim::LinkCounters> links;
    if (data_plane == nullptr) return links;
    for (const DataPlane::Port& port : data_plane->ports()) {
        const forwarding::PortStatistics nic = port.nic->statistics();
        links.push_back(
            {port.shadow->index(), 0, nic.received_packets, nic.received_bytes, nic.receive_errors,
             nic.missed + nic.no_buffer, nic.transmitted_packets, nic.transmitted_bytes,
             nic.transmit_errors}
        );
    }
    if (links.size() > shim::max_links) links.resize(shim::max_links);
    return links;
}

/// By a system call, because libc's functions may be the interposing library's, which would ask us.
std::string kernels_devices() {
    std::string text;
    const long file = ::syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
    if (file < 0) return text;
    std::array<char, 16384> piece{};
    for (long size = 0; (size = ::syscall(SYS_read, file, piece.data(), piece.size())) > 0;) {
        text.append(piece.data(), static_cast<std::size_t>(size));
    }
    ::syscall(SYS_close, file);
    return text;
}

std::optional<std::array<std::uint64_t, columns>> numbers(std::string_view row) {
    std::array<std::uint64_t, columns> result{};
    for (std::uint64_t& number : result) {
        const std::size_t digits = row.find_first_not_of(' ');
        if (digits == std::string_view::npos) return std::nullopt;
        row.remove_prefix(digits);
        const auto [end, error] = std::from_chars(row.data(), row.data() + row.size(), number);
        if (error != std::errc{}) return std::nullopt;
        row.remove_prefix(static_cast<std::size_t>(end - row.data()));
    }
    return result;
}

std::string print(std::string_view name, const std::array<std::uint64_t, columns>& row) {
    return fmt::format(
        "{:>6}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} {:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}\n",
        name, row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10],
        row[11], row[12], row[13], row[14], row[15]
    );
}

std::string devices_text(const DataPlane* data_plane) {
    std::map<std::string, shim::LinkCounters> by_name;
    for (const shim::LinkCounters& link : count(data_plane)) {
        std::array<char, IF_NAMESIZE> name{};
        if (::if_indextoname(link.interface, name.data()) != nullptr) {
            by_name.emplace(name.data(), link);
        }
    }
    return with_link_counters(kernels_devices(), by_name);
}

std::string records(const DataPlane* data_plane) {
    const auto links = count(data_plane);
    return {reinterpret_cast<const char*>(links.data()), links.size() * sizeof(links[0])};
}

}  // namespace

std::string with_link_counters(
    std::string_view kernel, const std::map<std::string, shim::LinkCounters>& by_name
) {
    std::string text;
    while (!kernel.empty()) {
        const std::size_t end = kernel.find('\n');
        const std::string_view line = kernel.substr(0, end == kernel.npos ? end : end + 1);
        kernel.remove_prefix(line.size());
        const std::size_t colon = line.find(':');
        const std::size_t start = line.find_first_not_of(' ');
        const bool named = colon != std::string_view::npos && start < colon;
        const auto link = named ? by_name.find(std::string{line.substr(start, colon - start)})
                                : by_name.end();
        auto row = link != by_name.end() ? numbers(line.substr(colon + 1)) : std::nullopt;
        if (!row) {
            text += line;
            continue;
        }
        const shim::LinkCounters& nic = link->second;
        (*row)[received_bytes] = nic.received_bytes;
        (*row)[received_packets] = nic.received_packets;
        (*row)[receive_errors] = nic.receive_errors;
        (*row)[receive_drops] = nic.missed;
        (*row)[transmitted_bytes] = nic.transmitted_bytes;
        (*row)[transmitted_packets] = nic.transmitted_packets;
        (*row)[transmit_errors] = nic.transmit_errors;
        text += print(link->first, *row);
    }
    return text;
}

std::vector<ProcfsFile> link_files(const DataPlane* data_plane) {
    return {
        {"/net/dev", [=] { return std::make_unique<ReadyText>(devices_text(data_plane)); }, {}, {}},
        {shim::link_counters_file,
         [=] { return std::make_unique<ReadyText>(records(data_plane)); }, {}, {}},
    };
}

}  // namespace nlvs::daemon
