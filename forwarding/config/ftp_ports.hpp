#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "compat/net/port.hpp"

namespace nlvs::forwarding {

/// The virtual ports whose masqueraded TCP connections FTP's helper listens to.
/// Linux: module ip_vs_ftp, parameter "ports": up to eight; none is as if it were not loaded.
/// Thread: constant while workers run.
struct FtpPorts {
    static constexpr std::size_t most = 8;

    std::array<net::Port, most> ports{net::Port{std::uint16_t{21}}};
    std::size_t count = 1;

    /// Its position among them.
    std::optional<std::size_t> find(net::Port port) const noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            if (ports[i] == port) return i;
        }
        return std::nullopt;
    }
};

}  // namespace nlvs::forwarding
