#pragma once

#include <optional>
#include <string>

namespace nlvs::kni {

/// What is fixed when a tap is made, and what a driver that attaches to it later must expect.
struct TapKind {
    bool packet_information = false;  ///< four bytes in front of each frame
    bool virtio_header = false;
    bool multi_queue = false;

    friend bool operator==(const TapKind&, const TapKind&) = default;
};

/// Empty when there is no such netdev, or it is not a tap. (TUNGETIFF does not tell: its bit for
/// packet information also means "no filter".) Linux: tun.c tun_fill_info.
/// Throws std::runtime_error when the kernel cannot be asked.
std::optional<TapKind> tap_kind(const std::string& name);

}  // namespace nlvs::kni
