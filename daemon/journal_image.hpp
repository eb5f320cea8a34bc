#pragma once

#include "daemon/journal_record.hpp"
#include "forwarding/config/configuration.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nlvs::daemon {

/// The configuration that a journal ends with. Services and the destinations of each are in the
/// order in which they were added.
class JournalImage {
public:
    /// Applies one frame after the origin. A frame about an entry that is not there does nothing.
    void apply(JournalRecord record);

    std::size_t services() const noexcept { return entries_.size(); }

    std::size_t destinations() const noexcept;

    const std::optional<ipvs::Timeouts>& timeouts() const noexcept { return timeouts_; }

    const std::vector<ipvs::SyncDaemonConfig>& sync_daemons() const noexcept { return daemons_; }

    /// Names and texts, empty when none was ever stored.
    const auto& sysctls() const noexcept { return sysctls_; }

    /// Calls visitor(key, spec) for each service, then visitor(StoredDestination) for its
    /// destinations.
    template <class Visitor>
    void visit(const Visitor& visitor) const {
        for (const auto& [sequence, entry] : entries_) {
            visitor(entry.key, entry.spec);
            for (const auto& [number, destination] : entry.destinations) visitor(destination);
        }
    }

private:
    struct Entry {
        ipvs::ServiceKey key;
        ipvs::ServiceSpec spec;
        std::map<std::uint64_t, StoredDestination> destinations;
        std::map<ipvs::DestinationKey, std::uint64_t> numbers;
    };

    struct KeyHash {
        std::size_t operator()(const ipvs::ServiceKey& key) const noexcept {
            return forwarding::ServiceTraits::hash(key);
        }
    };

    Entry* find(const ipvs::ServiceKey& key);

    void store(StoredService&& record);
    void store(RemovedService&& record);
    void store(StoredDestination&& record);
    void store(RemovedDestination&& record);
    void store(Flushed&&);

    void store(ipvs::Timeouts&& record) { timeouts_ = record; }

    void store(StoredSyncDaemons&& record) { daemons_ = std::move(record.daemons); }

    void store(StoredSysctls&& record) { sysctls_ = std::move(record.values); }

    void store(JournalOrigin&&) {}

    std::map<std::uint64_t, Entry> entries_;
    std::unordered_map<ipvs::ServiceKey, std::uint64_t, KeyHash> sequences_;
    std::uint64_t next_ = 0;
    std::optional<ipvs::Timeouts> timeouts_;
    std::vector<ipvs::SyncDaemonConfig> daemons_;
    std::vector<std::pair<std::string, std::string>> sysctls_;
};

/// What a journal's bytes hold, as far as they are good.
struct JournalContents {
    enum class End : std::uint8_t {
        clean,
        incomplete,  ///< the last frame is not all there: the machine stopped while it was written
        damaged,     ///< a frame is not what was written
    };

    std::optional<JournalOrigin> origin;  ///< none: not even the first frame is good
    JournalImage image;
    std::size_t whole_bytes = 0;  ///< up to the end of the last good frame
    std::size_t whole_frames = 0;
    End end = End::clean;
};

/// Stops at the first frame that is not whole.
JournalContents read_journal(std::span<const std::byte> bytes);

}  // namespace nlvs::daemon
