#include "daemon/mark_publisher.hpp"

#include <utility>

#include <linux/netfilter.h>

namespace nlvs::daemon {

MarkPublisher::MarkPublisher(
    boost::asio::io_context& context,
    forwarding::Configuration& configuration,
    forwarding::Reclaimer& reclaimer,
    Names names,
    const Log& log
)
    : configuration_{configuration},
      reclaimer_{reclaimer},
      names_{std::move(names)},
      log_{log},
      monitor_{context, [this](const nftables::Ruleset& ruleset) { follow(ruleset); }} {}

void MarkPublisher::follow(const nftables::Ruleset& ruleset) {
    ruleset_ = ruleset;
    publish();
    tell();
}

void MarkPublisher::names_changed() {
    if (ruleset_ && names_() != published_names_) publish();
}

void MarkPublisher::publish() {
    published_names_ = names_();
    CompiledMarks compiled = compile_marks(*ruleset_, published_names_);
    rules_ = std::move(compiled.rules);
    configuration_.marks_v4.publish(std::move(compiled.v4), reclaimer_);
    configuration_.marks_v6.publish(std::move(compiled.v6), reclaimer_);
}

void MarkPublisher::tell() {
    std::set<MarkRule> told;
    for (const MarkRule& rule : rules_) {
        if (rule.reason.empty()) continue;
        told.insert(rule);
        if (told_.contains(rule)) continue;
        log_.warning(
            "rule {} of {} {} {} cannot be followed ({}): packets whose firewall mark depends on "
            "it "
            "go to the kernel",
            rule.handle,
            name_of_family(rule.family),
            rule.table,
            rule.chain,
            rule.reason
        );
    }
    told_ = std::move(told);
}

const char* name_of_family(std::uint8_t family) noexcept {
    switch (family) {
        case NFPROTO_IPV4:
            return "ip";
        case NFPROTO_IPV6:
            return "ip6";
        case NFPROTO_INET:
            return "inet";
        default:
            return "other";
    }
}

}  // namespace nlvs::daemon
