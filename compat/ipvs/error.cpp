#include "compat/ipvs/error.hpp"

#include <cerrno>

namespace nlvs::ipvs {

int to_errno(Error error, Door door) noexcept {
    switch (error) {
        case Error::invalid_argument:
        case Error::bad_address: return EINVAL;
        case Error::address_family_not_supported: return EAFNOSUPPORT;
        case Error::service_exists:
        case Error::destination_exists:
        case Error::daemon_exists: return EEXIST;
        case Error::no_such_service:
        case Error::no_such_daemon: return ESRCH;
        case Error::no_such_destination:
        case Error::unknown_scheduler:
        case Error::unknown_persistence_engine:
        case Error::unknown_message_type: return ENOENT;
        case Error::out_of_range: return ERANGE;
        case Error::no_such_device: return ENODEV;
        case Error::network_unreachable: return ENETUNREACH;
        case Error::address_in_use: return EADDRINUSE;
        case Error::address_not_available: return EADDRNOTAVAIL;
        // Linux: ip_vs_ctl.c do_ip_vs_set_ctl — a protocol other than TCP, UDP, SCTP is EFAULT.
        case Error::unsupported_protocol: return door == Door::sockopt ? EFAULT : EINVAL;
        case Error::permission_denied: return EPERM;
        case Error::operation_not_supported: return EOPNOTSUPP;
        case Error::no_memory: return ENOMEM;
        case Error::busy: return EBUSY;
        case Error::io_error: return EIO;
    }
    return EINVAL;
}

}  // namespace nlvs::ipvs
