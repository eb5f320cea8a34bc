#pragma once

#include "netlink-shim/launcher/caller.hpp"
#include "netlink-shim/launcher/filter.hpp"
#include "netlink-shim/launcher/notification.hpp"

#include <cstdint>
#include <mutex>

namespace nlvs::shim {

/// Sees to it that generic netlink sockets have watched numbers. Any thread.
class DescriptorCalls {
public:
    explicit DescriptorCalls(const WatchedDescriptors& watched) : watched_(watched) {}

    Answer answer_socket(const Call& call);

    /// dup() and fcntl(F_DUPFD): the copy is watched too.
    Answer answer_duplicate(const Call& call);

    /// dup2() and dup3(): the caller chooses the number. EMFILE if it is not watched, because
    /// what is sent there would go to the kernel's own ip_vs.
    Answer answer_duplicate_to(const Call& call) const;

private:
    Answer give(
        const Call& call,
        const ThreadStatus& caller,
        const Descriptor& file,
        std::uint32_t minimum,
        bool close_on_exec
    );
    bool is_watched(std::uint32_t number) const noexcept;

    WatchedDescriptors watched_;
    // Looking for a free number and taking it are two steps.
    std::mutex numbering_;
};

}  // namespace nlvs::shim
