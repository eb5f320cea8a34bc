#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <sys/types.h>
#include <sys/uio.h>

namespace nlvs::shim {

/// The memory of another process, by one of its threads. What was read is true of the caller
/// only if its notification is still valid afterwards: the number may have found a new owner.
class RemoteMemory {
public:
    explicit RemoteMemory(pid_t thread) noexcept : thread_(thread) {}

    /// All of it, or false.
    bool read(std::uint64_t address, void* destination, std::size_t size) const noexcept;
    bool write(std::uint64_t address, const void* source, std::size_t size) const noexcept;

    template <class Value>
    std::optional<Value> read(std::uint64_t address) const noexcept {
        Value value;
        if (!read(address, &value, sizeof(value))) return std::nullopt;
        return value;
    }

    /// Gathers from, or scatters to, the parts over there, in order. As many bytes as there are
    /// in the shorter of the two; false if any is out of reach.
    bool gather(std::span<const iovec> parts, std::span<std::byte> destination) const noexcept;
    bool scatter(std::span<const iovec> parts, std::span<const std::byte> source) const noexcept;

    /// Nothing if there is no end within `longest` bytes or within what can be read.
    std::optional<std::string> read_string(std::uint64_t address, std::size_t longest) const;

private:
    pid_t thread_;
};

}  // namespace nlvs::shim
