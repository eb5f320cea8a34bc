#include "compat/netlink/builder.hpp"

namespace nlvs::netlink {

namespace {

template <class T>
void append(Datagram& datagram, const T& value) {
    const Bytes bytes = net::as_bytes_of(value);
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
}

void append(Datagram& datagram, Bytes bytes) {
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
}

void pad(Datagram& datagram) {
    datagram.resize(aligned(datagram.size()));
}

/// Linux: net/netlink/policy.c enum netlink_attribute_type, by Kind.
constexpr std::uint32_t attribute_type(Kind kind) noexcept {
    switch (kind) {
        case Kind::ignored:
        case Kind::fixed:
            return NL_ATTR_TYPE_INVALID;
        case Kind::u8:
            return NL_ATTR_TYPE_U8;
        case Kind::u16:
            return NL_ATTR_TYPE_U16;
        case Kind::u32:
            return NL_ATTR_TYPE_U32;
        case Kind::string:
            return NL_ATTR_TYPE_NUL_STRING;
        case Kind::binary:
            return NL_ATTR_TYPE_BINARY;
        case Kind::nested:
            return NL_ATTR_TYPE_NESTED;
    }
    return NL_ATTR_TYPE_INVALID;
}

void put_range(ReplyBuilder& reply, std::uint64_t most) {
    reply.put<std::uint64_t>(NL_POLICY_TYPE_ATTR_MIN_VALUE_U, 0);
    reply.put<std::uint64_t>(NL_POLICY_TYPE_ATTR_MAX_VALUE_U, most);
}

void put_extended(
    ReplyBuilder& reply, const MessageView& request, int error, const ExtendedAck& said
) {
    reply.put_text(NLMSGERR_ATTR_MSG, said.text);
    if (error == 0 || said.attribute == nullptr) return;
    const auto offset = said.attribute - request.bytes().data();
    reply.put<std::uint32_t>(NLMSGERR_ATTR_OFFS, static_cast<std::uint32_t>(offset));
    put_rule(reply, NLMSGERR_ATTR_POLICY, said.rule);
}

/// Linux: af_netlink.c netlink_ack.
Datagram make_acknowledgement(
    const MessageView& request,
    std::uint32_t port,
    int error,
    const AckOptions& options,
    const ExtendedAck& said
) {
    const bool capped = error == 0 || options.capped;
    const bool extended = options.extended && !said.text.empty();
    const auto flags =
        static_cast<std::uint16_t>((capped ? NLM_F_CAPPED : 0) | (extended ? NLM_F_ACK_TLVS : 0));
    Datagram datagram;
    {
        ReplyBuilder reply{datagram, NLMSG_ERROR, flags, {request.header().nlmsg_seq, port}};
        append(datagram, std::int32_t{-error});
        append(datagram, capped ? request.bytes().first(sizeof(nlmsghdr)) : request.bytes());
        // The echo is reserved with nlmsg_append, which counts the padding of an unaligned request
        // in the length.
        pad(datagram);
        if (extended) put_extended(reply, request, error, said);
    }
    return datagram;
}

}  // namespace

ReplyBuilder::Nest::Nest(Datagram& datagram, std::uint16_t type)
    : datagram_{datagram}, start_{datagram.size()} {
    append(datagram, nlattr{.nla_len = 0, .nla_type = type});
}

ReplyBuilder::Nest::~Nest() {
    net::store(
        datagram_.data() + start_ + offsetof(nlattr, nla_len),
        static_cast<std::uint16_t>(datagram_.size() - start_)
    );
}

ReplyBuilder::ReplyBuilder(
    Datagram& datagram, std::uint16_t type, std::uint16_t flags, const ReplyTo& to
)
    : datagram_{datagram}, start_{datagram.size()} {
    append(
        datagram,
        nlmsghdr{
            .nlmsg_len = 0,
            .nlmsg_type = type,
            .nlmsg_flags = flags,
            .nlmsg_seq = to.sequence,
            .nlmsg_pid = to.port,
        }
    );
}

ReplyBuilder::~ReplyBuilder() {
    net::store(
        datagram_.data() + start_ + offsetof(nlmsghdr, nlmsg_len),
        static_cast<std::uint32_t>(datagram_.size() - start_)
    );
    pad(datagram_);
}

void ReplyBuilder::put_generic_header(std::uint8_t command, std::uint8_t version) {
    append(datagram_, genlmsghdr{.cmd = command, .version = version, .reserved = 0});
}

void ReplyBuilder::put_bytes(std::uint16_t type, Bytes payload) {
    append(
        datagram_,
        nlattr{
            .nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()),
            .nla_type = type,
        }
    );
    append(datagram_, payload);
    pad(datagram_);
}

void ReplyBuilder::put_text(std::uint16_t type, std::string_view text) {
    append(
        datagram_,
        nlattr{
            .nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + text.size() + 1),
            .nla_type = type,
        }
    );
    append(datagram_, std::as_bytes(std::span{text}));
    datagram_.push_back(std::byte{0});
    pad(datagram_);
}

void put_rule(ReplyBuilder& reply, std::uint16_t type, const AttributeRule& rule) {
    const std::uint32_t kind = attribute_type(rule.kind);
    if (kind == NL_ATTR_TYPE_INVALID) return;
    const auto nest = reply.nest(type | NLA_F_NESTED);
    if (rule.kind == Kind::u8) put_range(reply, UINT8_MAX);
    if (rule.kind == Kind::u16) put_range(reply, UINT16_MAX);
    if (rule.kind == Kind::u32) put_range(reply, UINT32_MAX);
    if (rule.kind == Kind::string || rule.kind == Kind::binary) {
        reply.put<std::uint32_t>(NL_POLICY_TYPE_ATTR_MAX_LENGTH, rule.size);
    }
    reply.put<std::uint32_t>(NL_POLICY_TYPE_ATTR_TYPE, kind);
}

Datagram make_ack(
    const MessageView& request,
    std::uint32_t port,
    const AckOptions& options,
    const ExtendedAck& said
) {
    return make_acknowledgement(request, port, 0, options, said);
}

Datagram make_error(
    const MessageView& request,
    std::uint32_t port,
    int error,
    const AckOptions& options,
    const ExtendedAck& said
) {
    return make_acknowledgement(request, port, error, options, said);
}

Datagram make_done(const ReplyTo& to, std::string_view text) {
    Datagram datagram;
    {
        const int flags = text.empty() ? NLM_F_MULTI : NLM_F_MULTI | NLM_F_ACK_TLVS;
        ReplyBuilder reply{datagram, NLMSG_DONE, static_cast<std::uint16_t>(flags), to};
        append(datagram, std::int32_t{0});
        if (!text.empty()) reply.put_text(NLMSGERR_ATTR_MSG, text);
    }
    return datagram;
}

}  // namespace nlvs::netlink
