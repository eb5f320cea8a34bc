#pragma once

#include "compat/netlink/message.hpp"
#include "compat/netlink/policy.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

namespace nlvs::netlink {

using Datagram = std::vector<std::byte>;

/// Whom a reply answers: the sequence number of the request, the port id of its sender.
struct ReplyTo {
    std::uint32_t sequence = 0;
    std::uint32_t port = 0;
};

/// Appends one message to a datagram. Attributes are padded to four bytes, nests carry no
/// NLA_F_NESTED bit, as in every reply of the IPVS family. The length field is written by the
/// destructor.
///
///     {
///         ReplyBuilder reply{datagram, type, flags, to};
///         auto service = reply.nest(IPVS_CMD_ATTR_SERVICE);
///         reply.put<std::uint16_t>(IPVS_SVC_ATTR_AF, 2);
///     }
class ReplyBuilder {
public:
    /// An open nest; its end is where it goes out of scope.
    class Nest {
    public:
        Nest(const Nest&) = delete;
        Nest& operator=(const Nest&) = delete;
        ~Nest();

    private:
        friend ReplyBuilder;
        Nest(Datagram& datagram, std::uint16_t type);

        Datagram& datagram_;
        std::size_t start_;
    };

    ReplyBuilder(Datagram& datagram, std::uint16_t type, std::uint16_t flags, const ReplyTo& to);
    ReplyBuilder(const ReplyBuilder&) = delete;
    ReplyBuilder& operator=(const ReplyBuilder&) = delete;
    ~ReplyBuilder();

    void put_generic_header(std::uint8_t command, std::uint8_t version);

    [[nodiscard]] Nest nest(std::uint16_t type) { return Nest{datagram_, type}; }

    void put_bytes(std::uint16_t type, Bytes payload);

    /// With the terminating NUL.
    void put_text(std::uint16_t type, std::string_view text);

    /// `T` is spelled out by the caller: the size of the attribute is part of the contract.
    template <class T>
    requires std::is_trivially_copyable_v<T>

    void put(std::uint16_t type, std::type_identity_t<T> value) {
        put_bytes(type, net::as_bytes_of(value));
    }

private:
    Datagram& datagram_;
    std::size_t start_;
};

/// What an attribute has to be, as a nest of that type; nothing about one that is never checked.
/// Linux: net/netlink/policy.c __netlink_policy_dump_write_attr.
void put_rule(ReplyBuilder& reply, std::uint16_t type, const AttributeRule& rule);

/// What a client asked its socket for.
struct AckOptions {
    bool capped = false;    ///< NETLINK_CAP_ACK: errors echo the header only
    bool extended = false;  ///< NETLINK_EXT_ACK: errors and acknowledgements say what is wrong

    friend bool operator==(const AckOptions&, const AckOptions&) = default;
};

/// Success: error 0 and the request's header. Linux: af_netlink.c netlink_ack.
Datagram make_ack(
    const MessageView& request,
    std::uint32_t port,
    const AckOptions& options = {},
    const ExtendedAck& said = {}
);

/// Failure with a positive `error` number: the whole request is echoed, unless capped.
Datagram make_error(
    const MessageView& request,
    std::uint32_t port,
    int error,
    const AckOptions& options = {},
    const ExtendedAck& said = {}
);

/// The end of a dump, always a datagram of its own. Linux: af_netlink.c netlink_dump_done.
Datagram make_done(const ReplyTo& to, std::string_view text = {});

}  // namespace nlvs::netlink
