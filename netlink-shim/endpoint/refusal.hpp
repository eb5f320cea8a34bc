#pragma once

#include "compat/ipvs/error.hpp"
#include "compat/netlink/operation.hpp"
#include "compat/netlink/policy.hpp"

namespace nlvs::shim {

/// What generic netlink refuses, as an IPVS error.
constexpr ipvs::Error to_error(netlink::Refusal refusal) noexcept {
    switch (refusal) {
        case netlink::Refusal::invalid:
            return ipvs::Error::invalid_argument;
        case netlink::Refusal::not_supported:
            return ipvs::Error::operation_not_supported;
        case netlink::Refusal::not_permitted:
            return ipvs::Error::permission_denied;
    }
    return ipvs::Error::invalid_argument;
}

constexpr ipvs::Error to_error(netlink::Malformed malformed) noexcept {
    return malformed == netlink::Malformed::out_of_range ? ipvs::Error::out_of_range
                                                         : ipvs::Error::invalid_argument;
}

}  // namespace nlvs::shim
