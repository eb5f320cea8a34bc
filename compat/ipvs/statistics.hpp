#pragma once

#include <cstdint>

namespace nlvs::ipvs {

/// Linux: struct ip_vs_kstats, counters part. Bytes are L3 bytes.
struct Totals {
    std::uint64_t connections = 0;
    std::uint64_t in_packets = 0;
    std::uint64_t out_packets = 0;
    std::uint64_t in_bytes = 0;
    std::uint64_t out_bytes = 0;

    friend constexpr bool operator==(const Totals&, const Totals&) = default;

    constexpr Totals& operator+=(const Totals& o) noexcept {
        connections += o.connections;
        in_packets += o.in_packets;
        out_packets += o.out_packets;
        in_bytes += o.in_bytes;
        out_bytes += o.out_bytes;
        return *this;
    }

    friend constexpr Totals operator-(Totals a, const Totals& b) noexcept {
        a.connections -= b.connections;
        a.in_packets -= b.in_packets;
        a.out_packets -= b.out_packets;
        a.in_bytes -= b.in_bytes;
        a.out_bytes -= b.out_bytes;
        return a;
    }
};

/// Rates per second as displayed: connections, packets, and bytes (not bits).
struct Rates {
    std::uint64_t connections = 0;
    std::uint64_t in_packets = 0;
    std::uint64_t out_packets = 0;
    std::uint64_t in_bytes = 0;
    std::uint64_t out_bytes = 0;

    friend constexpr bool operator==(const Rates&, const Rates&) = default;
};

struct Statistics {
    Totals totals;
    Rates rates;

    friend constexpr bool operator==(const Statistics&, const Statistics&) = default;
};

}  // namespace nlvs::ipvs
