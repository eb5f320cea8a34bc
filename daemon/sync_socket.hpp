#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "compat/ipvs/error.hpp"
#include "compat/ipvs/settings.hpp"

namespace nlvs::daemon {

/// A non-blocking UDP socket of a sync daemon, closed in the end.
/// Linux: ip_vs_sync.c make_send_sock, make_receive_sock — what fails there fails here, with the
/// same error, because the same kernel answers.
class SyncSocket {
public:
    /// Connected to the group at port `config.port` + `thread`, from the interface. A buffer of 0
    /// is the system's default.
    static ipvs::Result<SyncSocket> sender(
        const ipvs::SyncDaemonConfig& config, std::uint16_t thread, std::int32_t buffer
    );
    /// Bound to the group at that port and to the interface, where it has joined.
    static ipvs::Result<SyncSocket> receiver(
        const ipvs::SyncDaemonConfig& config, std::uint16_t thread, std::int32_t buffer
    );

    /// An open, non-blocking datagram socket.
    static SyncSocket adopt(int number) noexcept { return SyncSocket{number}; }

    SyncSocket(SyncSocket&& other) noexcept : number_{std::exchange(other.number_, -1)} {}

    SyncSocket& operator=(SyncSocket&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    ~SyncSocket();

    enum class Sent : std::uint8_t { done, later, never };

    Sent send(std::span<const std::byte> datagram) const noexcept;

    int release() noexcept { return std::exchange(number_, -1); }

private:
    explicit SyncSocket(int number) noexcept : number_{number} {}

    int number_;
};

}  // namespace nlvs::daemon
