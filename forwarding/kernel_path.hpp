#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "forwarding/host_flows.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/statistics/counter.hpp"

namespace nlvs::forwarding {

/// Classes of the exception path, most precious first. Each has its own allowance, so that a
/// flood of one cannot starve another.
enum class PuntClass : std::uint8_t {
    control,     ///< VRRP, BFD, LACP: silence of these moves addresses and links
    neighbours,  ///< ARP, neighbour discovery, IGMP, MLD: what a loop or a scan makes plenty of
    routing,     ///< BGP, OSPF, BFD over several hops
    health,      ///< TCP and UDP that answer the host: health-check replies, ssh, DNS; multicast
    unsolicited, ///< TCP and UDP from whom the host has said nothing to: new ssh sessions, and junk
    icmp,        ///< ping, and errors about what the host has sent
    rest,
    count_,
};

inline constexpr std::size_t punt_classes = static_cast<std::size_t>(PuntClass::count_);
inline constexpr std::array<std::string_view, punt_classes> punt_class_names{
    "control", "neighbours", "routing", "health", "unsolicited", "icmp", "rest"
};

/// Packets a second for each class and worker; 0 = unlimited.
struct PuntRates {
    std::array<std::uint32_t, punt_classes> packets_per_second{
        20'000, 20'000, 20'000, 100'000, 50'000, 20'000, 50'000
    };
};

/// A token bucket that refills with time and holds up to a quarter second's worth.
/// Thread: its worker.
class TokenBucket {
public:
    void configure(std::uint64_t rate, std::uint64_t tsc_hz) noexcept {
        cycles_per_token_ = rate == 0 ? 0 : tsc_hz / rate;
        depth_ = cycles_per_token_ * (rate / 4 + 1);
        filled_ = depth_;
    }

    bool take(std::uint64_t tsc) noexcept {
        if (cycles_per_token_ == 0) return true;
        const std::uint64_t earned = tsc - last_;
        last_ = tsc;
        filled_ = earned >= depth_ - filled_ ? depth_ : filled_ + earned;
        if (filled_ < cycles_per_token_) return false;
        filled_ -= cycles_per_token_;
        return true;
    }

private:
    std::uint64_t cycles_per_token_ = 0;
    std::uint64_t depth_ = 0;
    std::uint64_t filled_ = 0;
    std::uint64_t last_ = 0;
};

/// Which class a packet for the kernel belongs to. Reads only what parse() has checked. VRRP, BFD
/// and neighbour discovery count as such only with the hop limit of 255 that no router leaves
/// behind (RFC 5798 5.1.1.3, RFC 5881 5, RFC 4861 6.1): who is not on the link cannot use their
/// allowance up. `flows`: what the host has sent; a packet to one address and no part of these is
/// unsolicited, BGP included, for who floods knows its port.
PuntClass classify_punt(
    const std::byte* frame,
    std::size_t length,
    const Parsed& parsed,
    const HostFlows& flows,
    Ticks now
) noexcept;

/// Admission to the exception path on one worker.
/// Thread: its worker; the counters any.
class PuntPolicer {
public:
    void configure(const PuntRates& rates, std::uint64_t tsc_hz) noexcept {
        for (std::size_t i = 0; i < punt_classes; ++i) {
            buckets_[i].configure(rates.packets_per_second[i], tsc_hz);
        }
    }

    bool admit(PuntClass punt_class, std::uint64_t tsc) noexcept {
        const auto i = static_cast<std::size_t>(punt_class);
        const bool admitted = buckets_[i].take(tsc);
        (admitted ? admitted_[i] : refused_[i]).add(1);
        return admitted;
    }

    const Counter& admitted(PuntClass c) const noexcept { return admitted_[static_cast<std::size_t>(c)]; }

    const Counter& refused(PuntClass c) const noexcept { return refused_[static_cast<std::size_t>(c)]; }

private:
    std::array<TokenBucket, punt_classes> buckets_;
    std::array<Counter, punt_classes> admitted_;
    std::array<Counter, punt_classes> refused_;
};

}  // namespace nlvs::forwarding
