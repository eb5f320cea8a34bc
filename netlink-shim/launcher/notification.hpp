#pragma once

#include "netlink-shim/launcher/remote_memory.hpp"

#include <cstdint>
#include <optional>

#include <linux/seccomp.h>
#include <sys/types.h>

namespace nlvs::shim {

/// What a stopped system call gets.
struct Answer {
    enum class Kind : std::uint8_t {
        resume,  ///< the kernel carries the call out as if nobody had looked
        value,   ///< it returns `value`; negative: -errno
        given,   ///< has been answered already
    };

    Kind kind;
    std::int64_t value = 0;

    static Answer resume() noexcept { return {Kind::resume}; }

    static Answer returning(std::int64_t value) noexcept { return {Kind::value, value}; }

    static Answer failing(int error) noexcept { return {Kind::value, -error}; }

    static Answer given() noexcept { return {Kind::given}; }

    /// For a result of the C library: -1 means errno.
    static Answer of(std::int64_t result) noexcept;
};

/// One system call of a supervised thread, stopped until it is answered.
class Call {
public:
    /// Waits for the next one. Nothing: ask again, or the listener is at its end (errno).
    static std::optional<Call> next(int listener) noexcept;

    long number() const noexcept { return notification_.data.nr; }

    pid_t thread() const noexcept { return static_cast<pid_t>(notification_.pid); }

    std::uint64_t argument(int index) const noexcept { return notification_.data.args[index]; }

    int int_argument(int index) const noexcept { return static_cast<int>(argument(index)); }

    RemoteMemory memory() const noexcept { return RemoteMemory(thread()); }

    /// False once the thread is gone, when thread() may be somebody else's number.
    bool is_alive() const noexcept;

    void answer(const Answer& answer) const noexcept;

    /// Gives the caller a copy of a file as the call's result, under that number or, if negative,
    /// the lowest that is free. The call is answered unless this is false (errno).
    bool answer_with_file(int file, int number, bool close_on_exec) const noexcept;

private:
    Call(int listener, const seccomp_notif& notification) noexcept
        : listener_(listener), notification_(notification) {}

    int listener_;
    seccomp_notif notification_;
};

}  // namespace nlvs::shim
