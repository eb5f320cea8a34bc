#pragma once

#include "compat/netlink/message.hpp"
#include "kni/kernel_state.hpp"

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace nlvs::kni {

/// Who wants neighbours resolved sees only this.
class NeighbourResolver {
public:
    NeighbourResolver() = default;
    NeighbourResolver(const NeighbourResolver&) = delete;
    NeighbourResolver& operator=(const NeighbourResolver&) = delete;
    virtual ~NeighbourResolver() = default;

    /// From now on the kernel keeps the neighbour resolved. Again for one that it has dropped.
    virtual void keep(const NeighbourKey& key) = 0;
    virtual void release(const NeighbourKey& key) = 0;
    /// The administrator made it permanent: it is his, and nothing is said to the kernel.
    virtual void forget(const NeighbourKey& key) = 0;
    /// Resolves once, because a packet waits.
    virtual void probe(const NeighbourKey& key) = 0;
};

/// Has the kernel resolve neighbours: it does ARP and neighbour discovery, and announces what it
/// finds to the mirror.
///
/// A kept neighbour is "managed": the kernel probes it for ever. Kernels before 5.16 do not know
/// that and get a reminder every `refresh`. An entry that the administrator made (permanent, noarp)
/// is never taken over, although the mirror may not have heard of it yet: an order to manage only
/// creates, and what exists already is looked at first.
/// Linux: neighbour.c neigh_add, neigh_managed_work.
/// Throws boost::system::system_error from construction only. Thread: control.
class NeighbourKeeper final : public NeighbourResolver {
public:
    static constexpr std::chrono::seconds refresh{10};
    static constexpr std::chrono::seconds probe_pause{1};  ///< between probes of one neighbour
    static constexpr std::size_t most_probed = 4096;       ///< neighbours in one such pause

    explicit NeighbourKeeper(boost::asio::io_context& context);
    ~NeighbourKeeper() override;

    void keep(const NeighbourKey& key) override;
    void release(const NeighbourKey& key) override;
    void forget(const NeighbourKey& key) override { kept_.erase(key); }
    void probe(const NeighbourKey& key) override;

    /// Gives every kept neighbour back to the kernel's own aging.
    void stop();

    std::size_t kept() const noexcept { return kept_.size(); }

    /// Orders that the kernel did not follow, mostly because an interface was down or gone.
    std::uint64_t refused() const noexcept { return refused_; }

private:
    enum class Order : std::uint8_t { create_managed, manage, use, look };

    void send(const NeighbourKey& key, Order order);
    void wait();
    void receive();
    void refused(const netlink::MessageView& error);
    void found(const netlink::MessageView& answer);
    void schedule();

    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    std::unordered_set<NeighbourKey, KeyHash> kept_;
    std::unordered_set<NeighbourKey, KeyHash> probed_;
    std::uint32_t sequence_ = 0;
    std::uint64_t refused_ = 0;
    bool managed_works_;
    unsigned ticks_ = 0;
};

}  // namespace nlvs::kni
