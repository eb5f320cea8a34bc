#pragma once

#include <cstdint>
#include <memory>

#include "compat/ipvs/connection.hpp"
#include "daemon/text_source.hpp"
#include "daemon/worker_group.hpp"
#include "daemon/worker_mail.hpp"

namespace nlvs::daemon {

/// /proc/net/ip_vs_conn and ip_vs_conn_sync: asks one worker after the other for a page of its
/// connections and prints it, so that ten million of them cost no more memory than one page and
/// a worker never more than one page's time. What the workers share comes last: the persistence
/// templates, and FTP's data connections that nobody has begun.
/// Thread: control.
class ConnectionLister final : public TextSource {
public:
    using Append = void (*)(std::string& out, const ipvs::ConnectionView& connection);

    /// `append` prints a line; `header` is the first one. `mail` and `workers`, which is null in a
    /// daemon without ports, outlive the lister.
    ConnectionLister(
        WorkerMail& mail, WorkerGroup* workers, std::string_view header, Append append
    );

    void next(Deliver deliver) override;

private:
    void ask();
    void answered(forwarding::WorkerRequest& request);
    void list_shared();

    WorkerMail& mail_;
    WorkerGroup* workers_;
    std::string header_;
    Append append_;
    std::size_t worker_ = 0;
    std::uint64_t cursor_ = 0;
    std::uint32_t template_cursor_ = 0;
    std::uint32_t expected_cursor_ = 0;
    Deliver deliver_;
    std::shared_ptr<ConnectionLister*> self_;  ///< expires with the lister
};

}  // namespace nlvs::daemon
