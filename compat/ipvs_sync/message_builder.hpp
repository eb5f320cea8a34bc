#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compat/ipvs_sync/connection.hpp"

namespace nlvs::ipvs_sync {

/// Values of the sysctl sync_version.
enum class Version : std::uint8_t { v0 = 0, v1 = 1 };

/// A datagram in the making. Linux: ip_vs_sync.c ip_vs_sync_conn, ip_vs_sync_conn_v0.
class MessageBuilder {
public:
    /// At most `capacity` bytes, but always room for one connection. The header carries the low
    /// eight bits of `sync_id`, as the kernel's does.
    MessageBuilder(std::size_t capacity, std::uint32_t sync_id);

    bool empty() const noexcept { return connections_ == 0; }

    std::uint32_t connections() const noexcept { return connections_; }

    /// Appends the connection; false when it does not fit behind what is there, or that is of the
    /// other version: then take() first. Version 0 has no words for IPv6: nothing is appended.
    bool add(const Connection& connection, Version version);

    /// The finished datagram; the builder starts anew.
    std::vector<std::byte> take();

private:
    void begin(Version version);
    void append(const void* bytes, std::size_t size);
    void append_entry(const Connection& connection, std::size_t size);
    void append_entry_v0(const Connection& connection);
    void append_option(std::uint8_t type, const void* bytes, std::size_t size);

    std::size_t capacity_;
    std::uint8_t sync_id_;
    Version version_ = Version::v1;
    std::uint32_t connections_ = 0;
    std::vector<std::byte> bytes_;
};

}  // namespace nlvs::ipvs_sync
