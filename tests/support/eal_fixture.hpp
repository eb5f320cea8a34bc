#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <vector>

#include <rte_eal.h>
#include <rte_mbuf.h>

namespace nlvs::test {

/// The EAL without hugepages, devices, files or privileges; started once per process, by
/// whichever test first needs it, and one pool of mbufs.
class Eal {
public:
    static Eal& instance() {
        static Eal eal;
        return eal;
    }

    Eal(const Eal&) = delete;
    Eal& operator=(const Eal&) = delete;

    rte_mempool* pool() const noexcept { return pool_; }

private:
    Eal() {
        std::array<const char*, 8> arguments{
            "test",
            "--no-huge",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
            "-m",
            "64",
            "--log-level=critical"};
        std::array<char*, arguments.size()> argv{};
        for (std::size_t i = 0; i < argv.size(); ++i) argv[i] = const_cast<char*>(arguments[i]);
        if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
            throw std::runtime_error{"rte_eal_init failed"};
        }
        pool_ = rte_pktmbuf_pool_create(
            "packets", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, static_cast<int>(SOCKET_ID_ANY)
        );
        if (pool_ == nullptr) throw std::runtime_error{"rte_pktmbuf_pool_create failed"};
    }

    rte_mempool* pool_ = nullptr;
};

/// For suites that need mbufs: `BOOST_FIXTURE_TEST_SUITE(x, EalFixture)`.
struct EalFixture {
    rte_mempool* pool = Eal::instance().pool();
};

/// A frame in an mbuf, in segments of at most `segment` bytes. The caller owns it.
inline rte_mbuf* to_mbuf(std::span<const std::byte> bytes, std::size_t segment = 2048) {
    rte_mbuf* head = nullptr;
    do {
        const auto part = bytes.first(std::min(segment, bytes.size()));
        rte_mbuf* next = rte_pktmbuf_alloc(Eal::instance().pool());
        if (next == nullptr) throw std::bad_alloc{};
        std::memcpy(
            rte_pktmbuf_append(next, static_cast<std::uint16_t>(part.size())),
            part.data(),
            part.size()
        );
        if (head == nullptr) {
            head = next;
        } else if (rte_pktmbuf_chain(head, next) != 0) {
            throw std::length_error{"too many segments"};
        }
        bytes = bytes.subspan(part.size());
    } while (!bytes.empty());
    return head;
}

/// All bytes of a chain.
inline std::vector<std::byte> to_bytes(const rte_mbuf* packet) {
    std::vector<std::byte> result;
    for (; packet != nullptr; packet = packet->next) {
        const auto* from = rte_pktmbuf_mtod(packet, const std::byte*);
        result.insert(result.end(), from, from + packet->data_len);
    }
    return result;
}

}  // namespace nlvs::test
