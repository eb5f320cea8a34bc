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

Datagram make_acknowledgement(
    const MessageView& request, std::uint32_t port, int error, std::uint16_t flags, Bytes echoed
) {
    Datagram datagram;
    {
        ReplyBuilder reply{datagram, NLMSG_ERROR, flags, {request.header().nlmsg_seq, port}};
        append(datagram, std::int32_t{-error});
        append(datagram, echoed);
        // Linux: af_netlink.c netlink_ack reserves the echo with nlmsg_append, which counts the
        // padding of an unaligned request in the length.
        pad(datagram);
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

Datagram make_ack(const MessageView& request, std::uint32_t port) {
    return make_acknowledgement(
        request, port, 0, NLM_F_CAPPED, request.bytes().first(sizeof(nlmsghdr))
    );
}

Datagram make_error(const MessageView& request, std::uint32_t port, int error) {
    return make_acknowledgement(request, port, error, 0, request.bytes());
}

Datagram make_done(const ReplyTo& to) {
    Datagram datagram;
    {
        ReplyBuilder reply{datagram, NLMSG_DONE, NLM_F_MULTI, to};
        append(datagram, std::int32_t{0});
    }
    return datagram;
}

}  // namespace nlvs::netlink
