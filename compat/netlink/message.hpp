#pragma once

#include "compat/net/bytes.hpp"
#include "compat/netlink/attribute.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <linux/genetlink.h>
#include <linux/netlink.h>

namespace nlvs::netlink {

/// One whole netlink message, header and payload, whose length field was checked.
/// A view: valid as long as the buffer it was taken from.
class MessageView {
public:
    /// The message at the front of `buffer`; empty when its length field is below the header's
    /// size or beyond the buffer.
    static std::optional<MessageView> parse(Bytes buffer) noexcept {
        const auto header = net::extract<nlmsghdr>(buffer);
        if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > buffer.size()) {
            return {};
        }
        return MessageView{*header, buffer.first(header->nlmsg_len)};
    }

    const nlmsghdr& header() const noexcept { return header_; }

    std::uint16_t type() const noexcept { return header_.nlmsg_type; }

    bool is_request() const noexcept { return (header_.nlmsg_flags & NLM_F_REQUEST) != 0; }

    bool wants_ack() const noexcept { return (header_.nlmsg_flags & NLM_F_ACK) != 0; }

    /// Both bits: one alone does not make a dump. Linux: genetlink.c genl_family_rcv_msg.
    bool wants_dump() const noexcept { return (header_.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP; }

    Bytes bytes() const noexcept { return bytes_; }

    Bytes payload() const noexcept { return bytes_.subspan(sizeof(nlmsghdr)); }

    /// The generic netlink header; empty when the payload is too short for one.
    std::optional<genlmsghdr> generic_header() const noexcept {
        return net::extract<genlmsghdr>(payload());
    }

    /// What follows the generic netlink header.
    Bytes attributes() const noexcept {
        const Bytes all = payload();
        return all.size() > GENL_HDRLEN ? all.subspan(GENL_HDRLEN) : Bytes{};
    }

private:
    MessageView(const nlmsghdr& header, Bytes bytes) noexcept : header_{header}, bytes_{bytes} {}

    nlmsghdr header_;
    Bytes bytes_;
};

/// Takes the next message off the front of `rest`; empty at the end and at the first bad length
/// field, where processing of a send ends silently (clients pad after the last message).
/// Linux: af_netlink.c netlink_rcv_skb.
inline std::optional<MessageView> take_message(Bytes& rest) noexcept {
    const auto message = MessageView::parse(rest);
    if (!message) return {};
    const std::size_t step = aligned(message->bytes().size());
    rest = step < rest.size() ? rest.subspan(step) : Bytes{};
    return message;
}

}  // namespace nlvs::netlink
