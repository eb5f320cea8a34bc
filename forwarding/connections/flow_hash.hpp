#pragma once

#include "forwarding/packet/flow.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace nlvs::forwarding {

/// Keyed hash of a five-tuple: words of the key, each masked with a secret, are multiplied in
/// pairs to 128 bits and folded. Who does not know the seed cannot choose keys that collide; the
/// low 32 bits, which the index stores, depend on all of the key.
/// Thread: immutable.
template <class FamilyTag>
class FlowHash {
public:
    explicit constexpr FlowHash(std::uint64_t seed) noexcept {
        for (auto& secret : secrets_) secret = next_secret(seed);
    }

    std::uint64_t operator()(const FlowKey<FamilyTag>& key) const noexcept {
        std::uint32_t ports;
        std::memcpy(
            &ports, reinterpret_cast<const std::byte*>(&key) + offsetof(FlowKey<FamilyTag>, source_port),
            sizeof(ports)
        );
        const std::uint64_t rest = std::uint64_t{key.protocol} << 32 | ports;
        std::uint64_t addresses;
        if constexpr (FamilyTag::family == net::Family::inet) {
            std::memcpy(&addresses, &key, sizeof(addresses));
        } else {
            std::uint64_t words[4];
            std::memcpy(words, &key, sizeof(words));
            addresses = fold(words[0] ^ secrets_[2], words[1] ^ secrets_[3]) ^
                        fold(words[2] ^ secrets_[4], words[3] ^ secrets_[5]);
        }
        return fold(fold(addresses ^ secrets_[0], rest ^ secrets_[1]), secrets_[6]);
    }

private:
    static constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
        const auto product = static_cast<unsigned __int128>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }

    /// splitmix64: spreads one seed over all secrets. Odd, so that no secret is 0.
    static constexpr std::uint64_t next_secret(std::uint64_t& state) noexcept {
        state += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return (z ^ (z >> 31)) | 1;
    }

    std::uint64_t secrets_[7]{};
};

}  // namespace nlvs::forwarding
