#include "kni/nftables/monitor.hpp"

#include "kni/nftables/selection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

namespace nlvs::nftables {
namespace {

constexpr int receive_buffer = 4 << 20;
constexpr std::size_t largest_datagram = 64 << 10;
constexpr unsigned batch = 64;
constexpr std::chrono::milliseconds moment{5};
constexpr std::chrono::seconds repeat_failed{1};

}  // namespace

RulesetMonitor::RulesetMonitor(boost::asio::io_context& context, Changed changed)
    : socket_{context},
      timer_{context},
      expiry_{context},
      changed_{std::move(changed)},
      buffer_(largest_datagram) {}

void RulesetMonitor::start() {
    if (subscribe()) wait();
    read();
}

bool RulesetMonitor::subscribe() {
    const int descriptor =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    if (descriptor < 0) return false;
    socket_.assign(descriptor);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTABLES;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer));
    auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    return bind(descriptor, generic, sizeof(address)) == 0 &&
           setsockopt(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0;
}

void RulesetMonitor::wait() {
    socket_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) return;
            for (unsigned i = 0; i < batch && receive_once(); ++i) {
            }
            wait();
        }
    );
}

bool RulesetMonitor::receive_once() {
    const ssize_t size = recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (size < 0) {
        if (errno != ENOBUFS) return false;
        ++counters_.overflows;
        read_after(moment);
        return true;
    }
    if (static_cast<std::size_t>(size) > buffer_.size()) {
        read_after(moment);
        return true;
    }
    netlink::Bytes rest{buffer_.data(), static_cast<std::size_t>(size)};
    while (const auto message = netlink::take_message(rest)) {
        ++counters_.announcements;
        if (matters(*message)) read_after(moment);
    }
    return true;
}

/// The end of a transaction says nothing about what changed; its parts come before it.
bool RulesetMonitor::matters(const netlink::MessageView& message) const {
    if (message.type() >> 8 != NFNL_SUBSYS_NFTABLES || generation_of(message)) return false;
    const auto elements_of = set_of_elements(message);
    return !elements_of || sets_.contains(*elements_of);
}

void RulesetMonitor::read_after(Clock::duration pause) {
    if (scheduled_) return;
    scheduled_ = true;
    timer_.expires_at(std::max(Clock::now() + pause, not_before_));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        scheduled_ = false;
        read();
    });
}

void RulesetMonitor::read() {
    constexpr int share = 10;
    const auto begin = Clock::now();
    const auto ruleset = reader_.read();
    ++counters_.reads;
    error_ = reader_.error();
    if (!ruleset) {
        ++counters_.failures;
        not_before_ = {};
        return read_after(repeat_failed);
    }
    sets_.clear();
    for (const Table& table : ruleset->tables) {
        for (const Set& set : table.sets) {
            if (set.has_verdicts) sets_.insert({table.family, table.name, set.name});
        }
        for (const std::string& name : select(table).sets) {
            sets_.insert({table.family, table.name, name});
        }
    }
    changed_(*ruleset);
    follow_expiry(*ruleset);
    const auto end = Clock::now();
    not_before_ = end + (end - begin) * share;
}

void RulesetMonitor::follow_expiry(const Ruleset& ruleset) {
    std::optional<std::uint64_t> first;
    for (const Table& table : ruleset.tables) {
        for (const Set& set : table.sets) {
            for (const Element& element : set.elements) {
                if (element.remaining && (!first || *element.remaining < *first)) {
                    first = element.remaining;
                }
            }
        }
    }
    if (!first) {
        expiry_.cancel();
        return;
    }
    expiry_.expires_after(std::chrono::milliseconds{*first});
    expiry_.async_wait([this](const boost::system::error_code& error) {
        if (!error) read_after(moment);
    });
}

}  // namespace nlvs::nftables
