#include "netlink-shim/launcher/message.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <limits.h>

namespace nlvs::shim {

namespace {

// Linux: af_netlink.c netlink_sendmsg — a message fits in the socket's send buffer.
constexpr std::size_t max_message = 4U << 20;
constexpr std::size_t max_control = 64U << 10;

std::uint64_t address_of(const void* remote) {
    return reinterpret_cast<std::uint64_t>(remote);
}

}  // namespace

void Message::add_parts(std::vector<iovec> parts) {
    parts_ = std::move(parts);
    for (iovec& part : parts_) {
        if (part.iov_len > max_message - size_) {
            is_whole_ = false;
            part.iov_len = max_message - size_;
        }
        size_ += part.iov_len;
    }
}

std::optional<Message> Message::from_buffer(std::uint64_t address, std::uint64_t size) {
    Message message;
    message.add_parts({{reinterpret_cast<void*>(address), size}});
    return message;
}

std::optional<Message> Message::from_parts(
    const RemoteMemory& memory, std::uint64_t address, std::uint64_t count
) {
    if (count > IOV_MAX) return std::nullopt;
    std::vector<iovec> parts(count);
    if (count > 0 && !memory.read(address, parts.data(), count * sizeof(iovec)))
        return std::nullopt;
    Message message;
    message.add_parts(std::move(parts));
    return message;
}

std::optional<Message> Message::from_header(const RemoteMemory& memory, std::uint64_t address) {
    const auto header = memory.read<msghdr>(address);
    if (!header || header->msg_controllen > max_control) return std::nullopt;
    auto message = from_parts(memory, address_of(header->msg_iov), header->msg_iovlen);
    if (!message) return std::nullopt;
    message->set_name(address_of(header->msg_name), header->msg_namelen);
    message->control_address_ = address_of(header->msg_control);
    message->control_size_ = header->msg_control != nullptr ? header->msg_controllen : 0;
    return message;
}

void Message::set_name(std::uint64_t address, std::uint64_t size) {
    name_address_ = address;
    name_size_ = address != 0 ? std::min(size, sizeof(sockaddr_storage)) : 0;
}

bool Message::wants_name_or_control() const noexcept {
    return name_size_ > 0 || control_size_ > 0;
}

void Message::point_to_copies() {
    *whole_ = {bytes_.get(), size_};
    local_ = {};
    local_.msg_iov = whole_.get();
    local_.msg_iovlen = 1;
    local_.msg_name = name_size_ > 0 ? name_.get() : nullptr;
    local_.msg_namelen = static_cast<socklen_t>(name_size_);
    local_.msg_control = control_size_ > 0 ? control_.get() : nullptr;
    local_.msg_controllen = control_size_;
}

void Message::make_room() {
    if (!bytes_) bytes_.reset(new std::byte[size_ + 1]);
    if (!name_) name_ = std::make_unique<std::byte[]>(sizeof(sockaddr_storage));
    if (!control_) control_ = std::make_unique<std::byte[]>(control_size_ + 1);
    point_to_copies();
}

bool Message::fetch(const RemoteMemory& memory) {
    make_room();
    return memory.gather(parts_, {bytes_.get(), size_}) &&
           (name_size_ == 0 || memory.read(name_address_, name_.get(), name_size_)) &&
           (control_size_ == 0 || memory.read(control_address_, control_.get(), control_size_));
}

bool Message::deliver(const RemoteMemory& memory, std::size_t size) const {
    const std::size_t name = std::min<std::size_t>(name_size_, local_.msg_namelen);
    const std::size_t control = std::min(control_size_, local_.msg_controllen);
    return memory.scatter(parts_, {bytes_.get(), std::min(size, size_)}) &&
           memory.write(name_address_, name_.get(), name) &&
           memory.write(control_address_, control_.get(), control);
}

bool Message::deliver_header(const RemoteMemory& memory, std::uint64_t address) const {
    const auto field = [&](std::size_t offset, const auto& value) {
        return memory.write(address + offset, &value, sizeof(value));
    };
    // Linux: socket.c ____sys_recvmsg — the name's length is written if there is a name.
    return (name_address_ == 0 || field(offsetof(msghdr, msg_namelen), local_.msg_namelen)) &&
           field(offsetof(msghdr, msg_flags), local_.msg_flags) &&
           field(offsetof(msghdr, msg_controllen), local_.msg_controllen);
}

}  // namespace nlvs::shim
