#pragma once

#include <string>
#include <vector>

namespace nlvs::forwarding {

/// What the environment abstraction layer needs to know before anything else can be made.
struct EalSettings {
    bool huge = true;                 ///< hugepages; given up with a notice when none are free
    unsigned memory = 128;            ///< MB, reserved at start; without hugepages the whole budget
    std::vector<unsigned> main_cpus;  ///< where control may run; empty: anywhere allowed
    std::vector<unsigned> worker_cpus;  ///< one worker each, repeats allowed
    /// In worker_cpus: the kernel's scheduler places this worker.
    static constexpr unsigned any_cpu = ~0U;
    /// Driver libraries to load, e.g. "net_tap" (drivers_for_device). Empty: none beyond the
    /// memory pool's. "all": everything installed, which takes about half a second.
    std::vector<std::string> drivers;
    std::vector<std::string> extra_arguments;
    bool debug = false;  ///< DPDK's own messages on stderr
};

/// The running EAL; one for each process. Several processes on one host do not see each other:
/// memory is anonymous, nothing is shared, no telemetry socket is opened.
///
/// Its end leaves memory and lcores to the end of the process, which should be near.
///
/// Worker n runs on the lcore n + 1, the constructing thread becomes lcore 0.
///
/// Throws std::runtime_error with one sentence.
/// Thread: control, before any worker.
class Eal {
public:
    explicit Eal(const EalSettings& settings);
    Eal(const Eal&) = delete;
    Eal& operator=(const Eal&) = delete;
    /// No rte_eal_cleanup: it would close the ports that are to be left running.
    ~Eal() = default;

    /// What the user should know about how it started, or empty.
    const std::string& notice() const noexcept { return notice_; }

    bool huge() const noexcept { return huge_; }

    static unsigned lcore_of(unsigned worker) noexcept { return worker + 1; }

private:
    std::vector<std::string> arguments(const EalSettings& settings) const;

    bool huge_;
    std::string notice_;
};

/// The driver that a port's device string needs: "net_tap" for "net_tap0,iface=x", "all" for a
/// PCI address (any NIC), "net_af_packet" for the name of a netdev.
std::string driver_for_device(const std::string& device);

}  // namespace nlvs::forwarding
