#include "daemon/options.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <utility>

#include "forwarding/identifiers.hpp"

namespace nlvs::daemon {
namespace {

/// Reads one table strictly: a key that nobody asked for is an error, and so is a value of the
/// wrong type or range, each with its place.
class TableReader {
public:
    TableReader(const toml::table& table, const std::string& file) : table_{table}, file_{file} {}

    /// The node under `key`, or null.
    const toml::node* take(std::string_view key) {
        known_.insert(std::string{key});
        return table_.get(key);
    }

    void read(std::string_view key, bool& value) {
        const toml::node* node = take(key);
        if (node == nullptr) return;
        const auto present = node->value_exact<bool>();
        if (!present) fail(*node, fmt::format("{} must be true or false", key));
        value = *present;
    }

    void read(std::string_view key, std::string& value) {
        const toml::node* node = take(key);
        if (node == nullptr) return;
        value = text(*node, key);
    }

    template <class Integer>
    void read(std::string_view key, Integer& value, std::int64_t least, std::int64_t most) {
        const toml::node* node = take(key);
        if (node == nullptr) return;
        value = static_cast<Integer>(number(*node, key, least, most));
    }

    /// Through a function that knows the names: text → optional<Value>.
    template <class Value, class Parse>
    void read(std::string_view key, Value& value, Parse parse, std::string_view choices) {
        const toml::node* node = take(key);
        if (node == nullptr) return;
        const auto parsed = parse(text(*node, key));
        if (!parsed) fail(*node, fmt::format("{} must be one of {}", key, choices));
        value = *parsed;
    }

    std::string text(const toml::node& node, std::string_view key) const {
        const auto present = node.value_exact<std::string>();
        if (!present) fail(node, fmt::format("{} must be a string", key));
        return *present;
    }

    std::int64_t number(
        const toml::node& node, std::string_view key, std::int64_t least, std::int64_t most
    ) const {
        const auto present = node.value_exact<std::int64_t>();
        if (!present || *present < least || *present > most) {
            fail(node, fmt::format("{} must be a whole number from {} to {}", key, least, most));
        }
        return *present;
    }

    /// Nothing that was not asked for may be left.
    void finish() const {
        for (const auto& [key, node] : table_) {
            if (known_.contains(std::string{key.str()})) continue;
            fail_at(key.source(), fmt::format("unknown key \"{}\"", key.str()));
        }
    }

    [[noreturn]] void fail(const toml::node& node, const std::string& what) const {
        fail_at(node.source(), what);
    }

    [[noreturn]] void fail_at(const toml::source_region& where, const std::string& what) const {
        throw OptionsError{fmt::format("{}:{}: {}", file_, where.begin.line, what)};
    }

    const toml::table& table() const noexcept { return table_; }

    const std::string& file() const noexcept { return file_; }

private:
    const toml::table& table_;
    const std::string& file_;
    std::set<std::string> known_;
};

/// Calls read(TableReader&) on the sub-table `key`, if there is one.
template <class Read>
void section(TableReader& parent, std::string_view key, Read read) {
    const toml::node* node = parent.take(key);
    if (node == nullptr) return;
    if (!node->is_table()) parent.fail(*node, fmt::format("{} must be a table: [{}]", key, key));
    TableReader reader{*node->as_table(), parent.file()};
    read(reader);
    reader.finish();
}

void check_interface_name(
    const TableReader& reader, const toml::node& node, std::string_view key, const std::string& name
) {
    const bool bad = name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." ||
                     name.find_first_of("/: \t\n") != std::string::npos;
    if (bad) reader.fail(node, fmt::format("{} \"{}\" is no interface name", key, name));
}

std::optional<ShadowBackend> parse_backend(std::string_view name) {
    if (name == "auto") return ShadowBackend::automatic;
    if (name == "tap") return ShadowBackend::tap;
    if (name == "vhost") return ShadowBackend::vhost;
    return std::nullopt;
}

std::optional<forwarding::ReceiveHash> parse_hash(std::string_view name) {
    if (name == "both") return forwarding::ReceiveHash::flow;
    if (name == "source") return forwarding::ReceiveHash::source;
    if (name == "destination") return forwarding::ReceiveHash::destination;
    return std::nullopt;
}

PortOptions read_port(TableReader& reader) {
    PortOptions port;
    const toml::node* device_node = nullptr;
    for (const char* kind : {"pci", "vdev", "netdev"}) {
        const toml::node* node = reader.take(kind);
        if (node == nullptr) continue;
        if (device_node != nullptr) reader.fail(*node, "a port has only one of pci, vdev, netdev");
        device_node = node;
        port.device = reader.text(*node, kind);
        if (port.device.empty()) reader.fail(*node, fmt::format("{} is empty", kind));
        if (std::string_view{kind} == "netdev") {
            check_interface_name(reader, *node, kind, port.device);
        }
    }
    if (device_node == nullptr) {
        reader.fail(reader.table(), "a port needs one of pci, vdev, netdev");
    }
    const toml::node* shadow = reader.take("shadow");
    if (shadow == nullptr) {
        reader.fail(reader.table(), "a port needs shadow, the name of its kernel-side interface");
    }
    port.shadow = reader.text(*shadow, "shadow");
    check_interface_name(reader, *shadow, "shadow", port.shadow);
    if (port.shadow == port.device) {
        reader.fail(*shadow, fmt::format("shadow \"{}\" is the netdev itself", port.shadow));
    }
    reader.read("backend", port.backend, parse_backend, "\"auto\", \"tap\", \"vhost\"");
    reader.read("rss", port.hash, parse_hash, "\"both\", \"source\", \"destination\"");
    return port;
}

void read_ports(TableReader& root, Options& options) {
    const toml::node* node = root.take("port");
    if (node == nullptr) return;
    if (!node->is_array_of_tables()) root.fail(*node, "port must be an array of tables: [[port]]");
    for (const toml::node& element : *node->as_array()) {
        TableReader reader{*element.as_table(), root.file()};
        PortOptions port = read_port(reader);
        reader.finish();
        for (const PortOptions& other : options.ports) {
            if (other.device == port.device || other.shadow == port.shadow) {
                root.fail(element, fmt::format("port \"{}\" repeats another one", port.shadow));
            }
        }
        options.ports.push_back(std::move(port));
    }
    if (options.ports.size() > forwarding::max_ports) {
        root.fail(*node, fmt::format("more than {} ports", forwarding::max_ports));
    }
}

std::optional<Options::Poll> parse_poll(std::string_view name) {
    if (name == "adaptive") return Options::Poll::adaptive;
    if (name == "busy") return Options::Poll::busy;
    return std::nullopt;
}

std::optional<Options::HugePages> parse_huge_pages(std::string_view name) {
    if (name == "auto") return Options::HugePages::automatic;
    if (name == "on") return Options::HugePages::on;
    if (name == "off") return Options::HugePages::off;
    return std::nullopt;
}

void read_workers(TableReader& reader, Options& options) {
    const toml::node* count = reader.take("count");
    if (count != nullptr) {
        options.workers = static_cast<std::uint16_t>(
            reader.number(*count, "count", 1, forwarding::max_workers)
        );
    }
    if (const toml::node* cpus = reader.take("cpus")) {
        if (!cpus->is_array()) reader.fail(*cpus, "cpus must be an array of CPU numbers");
        for (const toml::node& cpu : *cpus->as_array()) {
            options.cpus.push_back(
                static_cast<unsigned>(reader.number(cpu, "a CPU number", 0, 1023))
            );
        }
        const std::size_t workers = count != nullptr ? options.workers : options.cpus.size();
        if (options.cpus.size() != workers || workers == 0 || workers > forwarding::max_workers) {
            reader.fail(*cpus, "cpus must name one CPU for each worker");
        }
        options.workers = static_cast<std::uint16_t>(workers);
    }
    reader.read("poll", options.poll, parse_poll, "\"adaptive\", \"busy\"");
}

void read_punt(TableReader& reader, Options& options) {
    for (std::size_t i = 0; i < forwarding::punt_classes; ++i) {
        reader.read(
            forwarding::punt_class_names[i], options.punt_rates.packets_per_second[i], 0,
            1'000'000'000
        );
    }
}

void read_ftp(TableReader& reader, Options& options) {
    const toml::node* node = reader.take("ports");
    if (node == nullptr) return;
    forwarding::FtpPorts& ftp = options.ftp_ports;
    if (!node->is_array() || node->as_array()->size() > forwarding::FtpPorts::most) {
        reader.fail(
            *node, fmt::format("ports must be an array of at most {} ports", forwarding::FtpPorts::most)
        );
    }
    ftp.count = 0;
    for (const toml::node& element : *node->as_array()) {
        const net::Port port{static_cast<std::uint16_t>(reader.number(element, "a port", 1, 65535))};
        if (ftp.find(port)) reader.fail(element, fmt::format("port {} is there twice", port.host()));
        ftp.ports[ftp.count++] = port;
    }
}

std::optional<std::filesystem::path> read_directory(TableReader& reader, std::string_view key) {
    const toml::node* node = reader.take(key);
    if (node == nullptr) return std::nullopt;
    std::filesystem::path directory{reader.text(*node, key)};
    if (!directory.is_absolute()) {
        reader.fail(*node, fmt::format("{} must be an absolute path", key));
    }
    return directory;
}

void read_journal(TableReader& reader, Options& options) {
    options.journal_directory = read_directory(reader, "directory");
    reader.read(
        "sync", options.journal_sync, parse_journal_sync, "\"never\", \"batch\", \"always\""
    );
}

Options read_root(const toml::table& table, const std::string& file) {
    constexpr std::int64_t maximum_entries = 1LL << 30;
    Options options;
    TableReader root{table, file};
    read_ports(root, options);
    section(root, "workers", [&](TableReader& reader) { read_workers(reader, options); });
    section(root, "memory", [&](TableReader& reader) {
        reader.read("huge", options.huge_pages, parse_huge_pages, "\"auto\", \"on\", \"off\"");
        reader.read("megabytes", options.memory_megabytes, 32, 1 << 20);
    });
    section(root, "connections", [&](TableReader& reader) {
        reader.read("maximum", options.maximum_connections, 1024, maximum_entries);
    });
    section(root, "routing", [&](TableReader& reader) {
        reader.read("in_engine", options.routes_packets);
    });
    section(root, "ftp", [&](TableReader& reader) { read_ftp(reader, options); });
    section(root, "punt", [&](TableReader& reader) { read_punt(reader, options); });
    section(root, "journal", [&](TableReader& reader) { read_journal(reader, options); });
    section(root, "log", [&](TableReader& reader) {
        reader.read(
            "level", options.log_level, parse_log_level,
            "\"error\", \"warning\", \"notice\", \"debug\""
        );
        reader.read(
            "target", options.log_target, parse_log_target, "\"auto\", \"stderr\", \"journal\""
        );
    });
    options.run_directory = read_directory(root, "run_directory");
    root.read("keep_addresses", options.keep_addresses);
    root.finish();
    return options;
}

}  // namespace

Options parse_options(std::string_view toml, const std::string& file) {
    try {
        return read_root(toml::parse(toml), file);
    } catch (const toml::parse_error& error) {
        std::string what{error.description()};
        std::ranges::replace(what, '\n', ' ');
        throw OptionsError{fmt::format("{}:{}: {}", file, error.source().begin.line, what)};
    }
}

Options load_options(const std::filesystem::path& file) {
    std::ifstream stream{file};
    std::ostringstream text;
    if (stream && !std::filesystem::is_directory(file)) text << stream.rdbuf();
    if (!stream || std::filesystem::is_directory(file)) {
        const int cause = std::filesystem::is_directory(file) ? EISDIR : errno;
        throw OptionsError{fmt::format("cannot read {}: {}", file.string(), std::strerror(cause))};
    }
    return parse_options(text.str(), file.string());
}

Options load_options(const CommandLine& command_line) {
    if (command_line.configuration) return load_options(*command_line.configuration);
    const std::filesystem::path file{CommandLine::default_configuration};
    return std::filesystem::exists(file) ? load_options(file) : Options{};
}

}  // namespace nlvs::daemon
