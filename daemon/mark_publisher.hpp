#pragma once

#include "daemon/log.hpp"
#include "daemon/mark_compiler.hpp"
#include "forwarding/config/configuration.hpp"
#include "kni/nftables/monitor.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace nlvs::daemon {

/// Makes the marks that the kernel's own rules give visible to workers: every state of the rules
/// becomes one program per family, published as a whole. Says once in the log about each rule that
/// it cannot be followed.
/// Thread: control.
class MarkPublisher {
public:
    /// `names` tells how interfaces are called now.
    using Names = std::function<InterfaceNames()>;

    MarkPublisher(
        boost::asio::io_context& context,
        forwarding::Configuration& configuration,
        forwarding::Reclaimer& reclaimer,
        Names names,
        const Log& log
    );
    MarkPublisher(const MarkPublisher&) = delete;
    MarkPublisher& operator=(const MarkPublisher&) = delete;

    void start() { monitor_.start(); }

    /// An interface may have another name.
    void names_changed();

    /// Of the rules that have a say in marks.
    const std::vector<MarkRule>& rules() const noexcept { return rules_; }

    std::uint32_t generation() const noexcept { return ruleset_ ? ruleset_->generation : 0; }

    const nftables::RulesetMonitor& monitor() const noexcept { return monitor_; }

private:
    void follow(const nftables::Ruleset& ruleset);
    void publish();
    void tell();

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    Names names_;
    const Log& log_;
    nftables::RulesetMonitor monitor_;
    std::optional<nftables::Ruleset> ruleset_;
    InterfaceNames published_names_;
    std::vector<MarkRule> rules_;
    std::set<MarkRule> told_;
};

/// "ip", "ip6", …: a family of nf_tables as nft calls it.
const char* name_of_family(std::uint8_t family) noexcept;

}  // namespace nlvs::daemon
