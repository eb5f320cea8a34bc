#pragma once

#include "netlink-shim/launcher/notification.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace nlvs::shim {

/// The message of a send or receive call: where the caller has it, and our copy. Every send or
/// receive call is turned into this one.
class Message {
public:
    /// From the caller's msghdr. Nothing if it cannot be read or no netlink message is like that:
    /// the kernel finds the right error, or the call cannot be ours.
    static std::optional<Message> from_header(const RemoteMemory& memory, std::uint64_t address);

    /// From iovecs, as readv() has them.
    static std::optional<Message> from_parts(
        const RemoteMemory& memory, std::uint64_t address, std::uint64_t count
    );

    static std::optional<Message> from_buffer(std::uint64_t address, std::uint64_t size);

    void set_name(std::uint64_t address, std::uint64_t size);

    bool wants_name_or_control() const noexcept;

    std::size_t size() const noexcept { return size_; }

    /// Whether our copy can hold all that the caller's can.
    bool is_whole() const noexcept { return is_whole_; }

    /// Copies what is to be sent. False if the caller's memory cannot be read.
    bool fetch(const RemoteMemory& memory);

    /// Room for a message that is to be received.
    void make_room();

    /// Our copy, as a system call on our side wants it. Valid until the next call here.
    msghdr& local() noexcept { return local_; }

    /// How much fits in local().msg_name.
    std::size_t name_capacity() const noexcept { return name_size_; }

    /// Copies the first `size` bytes, the sender's name and ancillary data to the caller.
    bool deliver(const RemoteMemory& memory, std::size_t size) const;

    /// Also the fields of the msghdr that a receive call changes.
    bool deliver_header(const RemoteMemory& memory, std::uint64_t address) const;

private:
    void add_parts(std::vector<iovec> parts);
    void point_to_copies();

    std::vector<iovec> parts_;
    std::size_t size_ = 0;
    bool is_whole_ = true;
    std::uint64_t name_address_ = 0;
    std::size_t name_size_ = 0;
    std::uint64_t control_address_ = 0;
    std::size_t control_size_ = 0;
    // By pointer, so that a Message may move.
    std::unique_ptr<std::byte[]> bytes_;
    std::unique_ptr<std::byte[]> name_;
    std::unique_ptr<std::byte[]> control_;
    std::unique_ptr<iovec> whole_ = std::make_unique<iovec>();
    msghdr local_ = {};
};

}  // namespace nlvs::shim
