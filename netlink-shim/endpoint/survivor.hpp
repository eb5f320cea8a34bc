#pragma once

#include "netlink-shim/endpoint/owed_answers.hpp"

namespace nlvs::shim {

/// A small process that outlives the daemon, kill -9 included, and then tells everybody who waits
/// for an answer that there will be none: to a client the kernel never dies between question and
/// answer, so nothing else would end its poll(). It has a copy of the daemon's socket; what was
/// owed (OwedAnswers), what lies unread in the socket and what comes within a second (a tenth, if
/// the daemon ended of itself) is answered with ECONNRESET from the daemon's port. Then it ends, or,
/// while clients do not read what they got before, when the last of them has or is gone.
///
/// Construct it before threads exist and anything is open that must be closed with the daemon. It
/// ignores signals; SIGTERM, which a service manager sends to what a dead service leaves, shortens
/// its patience. Throws std::system_error from construction.
/// Thread: control.
class Survivor {
public:
    Survivor();
    Survivor(const Survivor&) = delete;
    Survivor& operator=(const Survivor&) = delete;
    ~Survivor();

    OwedAnswers& owed() noexcept { return owed_; }

    /// Hands over a copy of the daemon's netlink socket. Throws std::system_error.
    void entrust(int socket);

private:
    OwedAnswers owed_;
    int channel_ = -1;
};

}  // namespace nlvs::shim
