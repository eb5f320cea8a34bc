#pragma once

#include "compat/netlink/message.hpp"
#include "kni/nftables/objects.hpp"
#include "kni/nftables/ruleset.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nlvs::nftables {

/// Reads the rules of the network namespace it is made in. nf_tables changes in transactions, each
/// with a generation number: what is read between two equal numbers is a state the kernel was in,
/// and never half of a transaction.
///
/// Elements are read of sets that have a say in marks only; a list of a hundred thousand banned
/// addresses costs nothing.
/// Thread: control; a read takes some milliseconds, as the kernel answers within the call.
class Reader {
public:
    Reader() = default;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();

    /// Empty when the rules kept changing, or could not be read: see error(). A kernel without
    /// nf_tables has no rules.
    std::optional<Ruleset> read();

    /// One sentence about the last failure.
    const std::string& error() const noexcept { return error_; }

private:
    struct Request {
        std::uint16_t kind = 0;
        std::uint8_t family = 0;
        std::string table, set;
    };

    using Take = std::function<void(const netlink::MessageView&)>;

    bool open();
    bool ask(const Request& request, bool dump, const Take& take);
    std::optional<std::uint32_t> generation();
    std::optional<Ruleset> read_once();
    bool read_elements(Ruleset& ruleset, const Table& table, const std::string& set);
    bool fail(const char* what);

    int socket_ = -1;
    std::uint32_t sequence_ = 0;
    bool missing_ = false;  ///< the kernel has no nf_tables
    std::string error_;
    std::vector<std::byte> buffer_;
};

}  // namespace nlvs::nftables
