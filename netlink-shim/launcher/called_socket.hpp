#pragma once

#include "netlink-shim/launcher/caller.hpp"
#include "netlink-shim/launcher/notification.hpp"

#include <optional>

namespace nlvs::shim {

/// The socket, or another file, that a call names in an argument, the first, and who calls.
struct CalledSocket {
    ThreadStatus caller;
    Descriptor file;

    int get() const noexcept { return file.get(); }

    /// Nothing if there is no such socket, it cannot be had, or the caller is gone.
    static std::optional<CalledSocket> of(const Call& call, int argument = 0);

    /// Nothing as well if it is of another kind.
    static std::optional<CalledSocket> generic_netlink(const Call& call);
};

bool is_generic_netlink_socket(int socket) noexcept;

}  // namespace nlvs::shim
