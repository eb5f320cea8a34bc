#pragma once

#include "compat/ipvs/control.hpp"
#include "compat/ipvs_genl/reply.hpp"
#include "netlink-shim/endpoint/message_handler.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace nlvs::shim {

// The three dumps of the IPVS family. Each keeps a cursor and what it lists, nothing else.
// Thread: control.

class ServiceDump final : public Dump {
public:
    ServiceDump(const ipvs::Control& control, const ipvs_genl::ReplyContext& context) noexcept
        : control_{control}, context_{context} {}

    Datagram next(std::size_t size) override;

    Datagram done() override { return netlink::make_done(context_.to); }

private:
    const ipvs::Control& control_;
    ipvs_genl::ReplyContext context_;
    ipvs::Cursor cursor_ = 0;
};

/// Without a key the listing is empty: GET_DEST never fails once it is under way.
/// Linux: ip_vs_ctl.c ip_vs_genl_dump_dests.
class DestinationDump final : public Dump {
public:
    DestinationDump(
        const ipvs::Control& control,
        const ipvs_genl::ReplyContext& context,
        std::optional<ipvs::ServiceKey> service,
        std::string_view said = {}
    )
        : control_{control}, context_{context}, service_{std::move(service)}, said_{said} {}

    Datagram next(std::size_t size) override;

    Datagram done() override { return netlink::make_done(context_.to, said_); }

private:
    const ipvs::Control& control_;
    ipvs_genl::ReplyContext context_;
    std::optional<ipvs::ServiceKey> service_;
    std::string_view said_;  ///< about the request, with the end of the listing; static text
    ipvs::Cursor cursor_ = 0;
};

class DaemonDump final : public Dump {
public:
    DaemonDump(const ipvs::Control& control, const ipvs_genl::ReplyContext& context) noexcept
        : control_{control}, context_{context} {}

    Datagram next(std::size_t size) override;

    Datagram done() override { return netlink::make_done(context_.to); }

private:
    const ipvs::Control& control_;
    ipvs_genl::ReplyContext context_;
    std::uint32_t shown_ = 0;  ///< states of the daemons that were shown, as bits
};

}  // namespace nlvs::shim
