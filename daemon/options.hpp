#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command_line.hpp"
#include "daemon/journal.hpp"
#include "daemon/log.hpp"
#include "forwarding/config/ftp_ports.hpp"
#include "forwarding/kernel_path.hpp"
#include "forwarding/nic/ethernet_port.hpp"

namespace nlvs::daemon {

/// What carries packets between NIC and shadow interface; automatic: the best that is there.
enum class ShadowBackend : std::uint8_t { automatic, tap, vhost };

/// One NIC and its shadow interface.
struct PortOptions {
    /// As EthernetPort takes it: PCI address, DPDK virtual device with arguments, or netdev name.
    std::string device;
    std::string shadow;  ///< name of the kernel-side interface
    ShadowBackend backend = ShadowBackend::automatic;
    forwarding::ReceiveHash hash = forwarding::ReceiveHash::flow;
};

/// nlvs.toml. A default-constructed value is what an empty file means: the control plane alone.
struct Options {
    enum class Poll : std::uint8_t { adaptive, busy };
    enum class HugePages : std::uint8_t { automatic, on, off };

    std::vector<PortOptions> ports;
    std::uint16_t workers = 1;
    std::vector<unsigned> cpus;  ///< one for each worker; empty: the kernel's scheduler decides
    Poll poll = Poll::adaptive;
    HugePages huge_pages = HugePages::automatic;
    unsigned memory_megabytes = 128;
    std::uint32_t maximum_connections = 4'000'000;  ///< of each family, all workers together
    forwarding::PuntRates punt_rates;
    forwarding::FtpPorts ftp_ports;
    bool routes_packets = true;  ///< of no service, where the kernel would
    LogLevel log_level = LogLevel::notice;
    LogTarget log_target = LogTarget::automatic;
    std::optional<std::filesystem::path> run_directory;  ///< empty: as the front ends look for it
    std::optional<std::filesystem::path> journal_directory;  ///< empty: below the run directory
    JournalSync journal_sync = JournalSync::batch;
    bool keep_addresses = false;  ///< leave shadow interfaces and their addresses at the end
};

/// What is wrong with the configuration, one sentence with file and line.
class OptionsError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Throws OptionsError. `file` is only named in messages.
Options parse_options(std::string_view toml, const std::string& file);

/// Throws OptionsError also when the file cannot be read.
Options load_options(const std::filesystem::path& file);

/// The file that the command line names, or the default one if it exists, or an empty one.
Options load_options(const CommandLine& command_line);

}  // namespace nlvs::daemon
