#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace nlvs::net {

/// The only place that turns bytes into typed values and back. Everything is a memcpy: no
/// alignment is assumed, and the compiler makes it one move.

template <class T>
    requires std::is_trivially_copyable_v<T>
T load(const std::byte* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

template <class T>
    requires std::is_trivially_copyable_v<T>
void store(std::byte* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof(T));
}

/// Bounds-checked load of a T at `offset`; empty when it does not fit.
template <class T>
    requires std::is_trivially_copyable_v<T>
std::optional<T> extract(std::span<const std::byte> bytes, std::size_t offset = 0) noexcept {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    return load<T>(bytes.data() + offset);
}

/// Views the storage of a trivially copyable object as bytes.
template <class T>
    requires std::is_trivially_copyable_v<T>
std::span<const std::byte> as_bytes_of(const T& value) noexcept {
    return std::as_bytes(std::span{&value, 1});
}

/// A typed view of a header in a packet whose length was checked before. T must be packed
/// (alignment 1), which the static_assert enforces.
template <class T>
T* header_at(std::byte* at) noexcept {
    static_assert(alignof(T) == 1 && std::is_trivially_copyable_v<T>);
    return reinterpret_cast<T*>(at);
}

template <class T>
const T* header_at(const std::byte* at) noexcept {
    static_assert(alignof(T) == 1 && std::is_trivially_copyable_v<T>);
    return reinterpret_cast<const T*>(at);
}

}  // namespace nlvs::net
