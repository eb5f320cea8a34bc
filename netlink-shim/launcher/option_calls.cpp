#include "netlink-shim/launcher/option_calls.hpp"

#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/launcher/called_socket.hpp"
#include "netlink-shim/preload/sockopt_redirect.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

namespace nlvs::shim {

namespace {

// No answer is longer; the address space of the launcher is spared.
constexpr std::uint32_t max_answer = 256U << 20;

/// The caller's argument on our side, as far as it is read; a pointer to nowhere if the caller's
/// is, so that the redirection fails at the same point as the kernel would.
class Argument {
public:
    Argument(const Call& call, std::uint32_t length, std::uint32_t capacity)
        : bytes_(new std::byte[std::max<std::size_t>(capacity, max_sockopt_argument)]),
          readable_(call.memory().read(
              call.argument(3), bytes_.get(), std::min<std::size_t>(length, max_sockopt_argument)
          )) {}

    void* get() const noexcept {
        return readable_ ? bytes_.get() : reinterpret_cast<void*>(std::uintptr_t{1});
    }

private:
    std::unique_ptr<std::byte[]> bytes_;
    bool readable_;
};

}  // namespace

Answer answer_set_option(const Call& call) {
    const auto length = static_cast<std::uint32_t>(call.argument(4));
    if (length > INT_MAX) return Answer::resume();
    const auto socket = CalledSocket::of(call);
    if (!socket) return Answer::resume();
    const Argument argument(call, length, 0);
    if (!call.is_alive()) return Answer::resume();
    const InPlaceOf place(call.thread(), socket->caller, network_namespace_file(socket->get()));
    if (!place) return Answer::resume();
    int result = 0;
    const bool ours = redirect_setsockopt(
        socket->get(), call.int_argument(1), call.int_argument(2), argument.get(), length, result
    );
    return ours ? Answer::of(result) : Answer::resume();
}

Answer answer_get_option(const Call& call) {
    const RemoteMemory memory = call.memory();
    const auto capacity = memory.read<std::uint32_t>(call.argument(4));
    if (!capacity || *capacity > INT_MAX) return Answer::resume();
    const auto socket = CalledSocket::of(call);
    if (!socket) return Answer::resume();
    socklen_t length = std::min(*capacity, max_answer);
    const Argument argument(call, length, length);
    if (!call.is_alive()) return Answer::resume();
    socklen_t written = 0;
    int result = 0;
    {
        const InPlaceOf place(call.thread(), socket->caller, network_namespace_file(socket->get()));
        if (!place) return Answer::resume();
        const bool ours = redirect_getsockopt(
            socket->get(),
            call.int_argument(1),
            call.int_argument(2),
            argument.get(),
            &length,
            written,
            result
        );
        if (!ours) return Answer::resume();
        if (result < 0) return Answer::failing(errno);
    }
    const bool done = memory.write(call.argument(3), argument.get(), written) &&
                      memory.write(call.argument(4), &length, sizeof(length));
    return done ? Answer::returning(0) : Answer::failing(EFAULT);
}

}  // namespace nlvs::shim
