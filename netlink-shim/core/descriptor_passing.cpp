#include "netlink-shim/core/descriptor_passing.hpp"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

namespace nlvs::shim {

namespace {

/// A message of one byte with room for one descriptor.
struct Envelope {
    char byte = 0;
    iovec part = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};

    Envelope() noexcept {
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
    }

    Envelope(const Envelope&) = delete;
    Envelope& operator=(const Envelope&) = delete;
};

}  // namespace

bool send_descriptor(int channel, int descriptor) noexcept {
    Envelope envelope;
    cmsghdr* const header = CMSG_FIRSTHDR(&envelope.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(descriptor));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
    ssize_t size;
    do {
        size = sendmsg(channel, &envelope.message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size == 1;
}

int receive_descriptor(int channel) noexcept {
    Envelope envelope;
    ssize_t size;
    do {
        size = recvmsg(channel, &envelope.message, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size != 1) return -1;
    const cmsghdr* const header = CMSG_FIRSTHDR(&envelope.message);
    const bool is_descriptor = header != nullptr && header->cmsg_level == SOL_SOCKET &&
                               header->cmsg_type == SCM_RIGHTS &&
                               header->cmsg_len == CMSG_LEN(sizeof(int));
    if (!is_descriptor) return -1;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
    return descriptor;
}

}  // namespace nlvs::shim
