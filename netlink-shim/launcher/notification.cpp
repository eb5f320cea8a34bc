#include "netlink-shim/launcher/notification.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

namespace nlvs::shim {

Answer Answer::of(std::int64_t result) noexcept {
    return result < 0 ? failing(errno) : returning(result);
}

std::optional<Call> Call::next(int listener) noexcept {
    seccomp_notif notification = {};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) return std::nullopt;
    return Call(listener, notification);
}

bool Call::is_alive() const noexcept {
    std::uint64_t id = notification_.id;
    return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void Call::answer(const Answer& answer) const noexcept {
    if (answer.kind == Answer::Kind::given) return;
    seccomp_notif_resp response = {};
    response.id = notification_.id;
    if (answer.kind == Answer::Kind::resume) {
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (answer.value < 0) {
        response.error = static_cast<std::int32_t>(answer.value);
    } else {
        response.val = answer.value;
    }
    // ENOENT: the thread was killed meanwhile.
    ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

bool Call::answer_with_file(int file, int number, bool close_on_exec) const noexcept {
    seccomp_notif_addfd request = {};
    request.id = notification_.id;
    request.flags = SECCOMP_ADDFD_FLAG_SEND;
    request.srcfd = static_cast<std::uint32_t>(file);
    if (number >= 0) {
        request.flags |= SECCOMP_ADDFD_FLAG_SETFD;
        request.newfd = static_cast<std::uint32_t>(number);
    }
    request.newfd_flags = close_on_exec ? O_CLOEXEC : 0;
    return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &request) >= 0;
}

}  // namespace nlvs::shim
