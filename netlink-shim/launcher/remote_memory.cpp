#include "netlink-shim/launcher/remote_memory.hpp"

#include <algorithm>

#include <string.h>

namespace nlvs::shim {

namespace {

void* pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<void*>(address);
}

bool is_all(ssize_t done, std::size_t wanted) noexcept {
    return done >= 0 && static_cast<std::size_t>(done) == wanted;
}

}  // namespace

bool RemoteMemory::read(std::uint64_t address, void* destination, std::size_t size) const noexcept {
    const iovec here = {destination, size};
    const iovec there = {pointer(address), size};
    return is_all(process_vm_readv(thread_, &here, 1, &there, 1, 0), size);
}

bool RemoteMemory::write(std::uint64_t address, const void* source, std::size_t size)
    const noexcept {
    if (size == 0) return true;
    const iovec here = {const_cast<void*>(source), size};
    const iovec there = {pointer(address), size};
    return is_all(process_vm_writev(thread_, &here, 1, &there, 1, 0), size);
}

bool RemoteMemory::gather(std::span<const iovec> parts, std::span<std::byte> destination)
    const noexcept {
    for (const iovec& part : parts) {
        const std::size_t size = std::min(part.iov_len, destination.size());
        if (size == 0) continue;
        if (!read(reinterpret_cast<std::uint64_t>(part.iov_base), destination.data(), size))
            return false;
        destination = destination.subspan(size);
    }
    return true;
}

bool RemoteMemory::scatter(std::span<const iovec> parts, std::span<const std::byte> source)
    const noexcept {
    for (const iovec& part : parts) {
        const std::size_t size = std::min(part.iov_len, source.size());
        if (!write(reinterpret_cast<std::uint64_t>(part.iov_base), source.data(), size))
            return false;
        source = source.subspan(size);
    }
    return true;
}

std::optional<std::string> RemoteMemory::read_string(std::uint64_t address, std::size_t longest)
    const {
    // One request per page: the kernel stops at the first part that it cannot read.
    constexpr std::uint64_t page = 4096;
    const std::size_t first = std::min<std::uint64_t>(longest, page - address % page);
    char text[page];
    longest = std::min(longest, sizeof(text));
    const iovec here = {text, longest};
    const iovec there[] = {{pointer(address), first}, {pointer(address + first), longest - first}};
    const ssize_t size = process_vm_readv(thread_, &here, 1, there, longest > first ? 2 : 1, 0);
    if (size <= 0) return std::nullopt;
    const std::size_t length = strnlen(text, static_cast<std::size_t>(size));
    if (length == static_cast<std::size_t>(size)) return std::nullopt;
    return std::string(text, length);
}

}  // namespace nlvs::shim
