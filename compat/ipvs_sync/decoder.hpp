#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "compat/ipvs_sync/connection.hpp"

namespace nlvs::ipvs_sync {

/// What became of a datagram.
enum class Verdict : std::uint8_t {
    taken,      ///< to its end
    not_ours,   ///< another sync id
    malformed,  ///< from some point on; what came before it was shown
};

struct Decoded {
    Verdict verdict = Verdict::taken;
    std::uint32_t shown = 0;
    std::uint32_t skipped = 0;  ///< well-formed, but nothing a director could have sent us
};

/// Shows every connection of a datagram, either version, to `visitor`; what it is shown views
/// `datagram`. Flags are reduced to those that a backup believes. `own_id` 0 takes any sync id.
/// Total: any bytes are a valid argument.
/// Linux: ip_vs_sync.c ip_vs_process_message.
Decoded decode(
    std::span<const std::byte> datagram, std::uint32_t own_id,
    const std::function<void(const Connection&)>& visitor
);

}  // namespace nlvs::ipvs_sync
