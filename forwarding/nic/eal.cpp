#include "forwarding/nic/eal.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <dlfcn.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_pci.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

namespace nlvs::forwarding {
namespace {

/// Sends stdout and stderr to a file in memory while it lives: EAL prints its usage on the one
/// and its reasons on the other.
class CapturedOutput {
public:
    explicit CapturedOutput(bool active) {
        if (!active) return;
        file_ = memfd_create("eal-output", MFD_CLOEXEC);
        if (file_ < 0) return;
        for (int stream = 0; stream < 2; ++stream) {
            saved_[stream] = dup(stream + 1);
            dup2(file_, stream + 1);
        }
    }

    CapturedOutput(const CapturedOutput&) = delete;
    CapturedOutput& operator=(const CapturedOutput&) = delete;

    ~CapturedOutput() {
        restore();
        if (file_ >= 0) close(file_);
    }

    void restore() {
        fflush(stdout);
        for (int stream = 0; stream < 2; ++stream) {
            if (saved_[stream] < 0) continue;
            dup2(saved_[stream], stream + 1);
            close(saved_[stream]);
            saved_[stream] = -1;
        }
    }

    /// The first line that tells of a failure, without EAL's prefix; empty when there is none.
    std::string first_complaint() const {
        std::string text(64 * 1024, '\0');
        const ssize_t size = file_ < 0 ? 0 : pread(file_, text.data(), text.size(), 0);
        text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        for (std::size_t start = 0; start < text.size();) {
            const std::size_t end = std::min(text.find('\n', start), text.size());
            const std::string line = text.substr(start, end - start);
            start = end + 1;
            for (const char* sign : {"annot", "ailed", "nvalid", "rror", "not ", "nrecognized"}) {
                const bool is_notice = line.find("hugetlbfs") != std::string::npos;
                if (!is_notice && line.find(sign) != std::string::npos) {
                    return line.starts_with("EAL: ") ? line.substr(5) : line;
                }
            }
        }
        return {};
    }

private:
    int file_ = -1;
    int saved_[2] = {-1, -1};
};

/// MB of hugepages of the smaller size that nobody uses.
unsigned free_hugepage_memory() {
    std::ifstream information{"/proc/meminfo"};
    unsigned long pages = 0;
    unsigned long kilobytes = 0;
    for (std::string name; information >> name;) {
        if (name == "HugePages_Free:") information >> pages;
        if (name == "Hugepagesize:") information >> kilobytes;
        information.ignore(256, '\n');
    }
    return static_cast<unsigned>(pages * kilobytes / 1024);
}

std::vector<unsigned> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<unsigned> result;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return {0};
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) result.push_back(cpu);
    }
    return result;
}

/// "(0,1)"
std::string cpu_set(const std::vector<unsigned>& cpus) {
    std::string set = "(";
    for (std::size_t i = 0; i < cpus.size(); ++i) {
        set += (i == 0 ? "" : ",") + std::to_string(cpus[i]);
    }
    return set + ")";
}

/// "0@(0,1),1@0,2@1": control on lcore 0, worker n on lcore n + 1.
std::string lcore_map(const EalSettings& settings) {
    const std::string anywhere = cpu_set(allowed_cpus());
    std::string map = "0@" + (settings.main_cpus.empty() ? anywhere : cpu_set(settings.main_cpus));
    for (unsigned worker = 0; worker < settings.worker_cpus.size(); ++worker) {
        const unsigned cpu = settings.worker_cpus[worker];
        map += "," + std::to_string(Eal::lcore_of(worker)) + "@" +
               (cpu == EalSettings::any_cpu ? anywhere : std::to_string(cpu));
    }
    return map;
}

/// Library names carry the version of the EAL that is loaded: "librte_net_tap.so.23".
std::string driver_library(const std::string& driver) {
    Dl_info information{};
    std::string suffix = ".so";
    if (dladdr(std::bit_cast<const void*>(&rte_eal_init), &information) != 0) {
        const std::string path = information.dli_fname;
        if (const auto at = path.find(".so."); at != std::string::npos) suffix = path.substr(at);
    }
    return "librte_" + driver + suffix;
}

/// EAL makes a directory in any case, but without shared memory keeps nothing in it that is used
/// by name. Removed at once, it does not outlive a crash.
void remove_run_directory() {
    const std::filesystem::path directory{rte_eal_get_runtime_dir()};
    std::error_code ignored;
    if (directory.filename().string().starts_with("nlvs-")) {
        std::filesystem::remove_all(directory, ignored);
    }
}

}  // namespace

std::string driver_for_device(const std::string& device) {
    rte_pci_addr address;
    const std::string name = device.substr(0, device.find(','));
    if (rte_pci_addr_parse(name.c_str(), &address) == 0) return "all";
    if (!name.starts_with("net_") && !name.starts_with("virtio_user")) return "net_af_packet";
    if (name.starts_with("virtio_user")) return "net_virtio";
    const auto last = std::find_if(name.rbegin(), name.rend(), [](unsigned char c) {
        return std::isdigit(c) == 0;
    });
    return {name.begin(), last.base()};
}

Eal::Eal(const EalSettings& settings) : huge_{settings.huge} {
    if (const unsigned free = free_hugepage_memory(); huge_ && free < settings.memory) {
        huge_ = false;
        notice_ = std::to_string(free) + " MB of hugepages are free, " +
                  std::to_string(settings.memory) + " MB are wanted: running without hugepages";
    }
    auto texts = arguments(settings);
    std::vector<char*> pointers;
    for (auto& text : texts) pointers.push_back(text.data());

    if (!settings.debug) rte_log_set_global_level(RTE_LOG_ERR);
    CapturedOutput output{!settings.debug};
    const int result = rte_eal_init(static_cast<int>(pointers.size()), pointers.data());
    const int error = rte_errno;
    output.restore();
    // It complains about queueing disciplines and secondary processes that nobody asked for.
    if (!settings.debug) rte_log_set_level_pattern("pmd.net.tap", RTE_LOG_CRIT);
    remove_run_directory();
    if (result < 0) {
        const std::string complaint = output.first_complaint();
        throw std::runtime_error(
            "cannot start DPDK: " +
            (complaint.empty() ? std::string{rte_strerror(error)} : complaint)
        );
    }
}

std::vector<std::string> Eal::arguments(const EalSettings& settings) const {
    const bool pci = std::ranges::count(settings.drivers, "all") != 0;
    std::vector<std::string> result{
        "nlvsd",
        "--no-telemetry",
        "--lcores",
        lcore_map(settings),
        "--main-lcore",
        "0",
        "-m",
        std::to_string(settings.memory)};
    // The prefix only names a directory that EAL makes in any case.
    result.push_back("--file-prefix=nlvs-" + std::to_string(getpid()));
    if (huge_) {
        result.emplace_back("--in-memory");
        result.emplace_back("--single-file-segments");  // not one descriptor for each page
    } else {
        // DPDK 22.11 refuses --in-memory together with --no-huge.
        result.emplace_back("--no-huge");
        result.emplace_back("--no-shconf");
    }
    if (!pci) {
        result.emplace_back("--no-pci");
        result.emplace_back("--iova-mode=va");
        std::vector<std::string> drivers{"mempool_ring", "bus_vdev"};
        drivers.insert(drivers.end(), settings.drivers.begin(), settings.drivers.end());
        for (const auto& driver : drivers) {
            result.emplace_back("-d");
            result.push_back(driver_library(driver));
        }
    }
    result.insert(result.end(), settings.extra_arguments.begin(), settings.extra_arguments.end());
    return result;
}

}  // namespace nlvs::forwarding
