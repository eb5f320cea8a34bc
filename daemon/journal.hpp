#pragma once

#include "compat/ipvs/control.hpp"
#include "daemon/change_observer.hpp"
#include "daemon/journal_file.hpp"
#include "daemon/journal_image.hpp"
#include "daemon/log.hpp"
#include "netlink-shim/endpoint/runtime_file.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nlvs::daemon {

class ControlPlane;

/// When what was written is on the disk.
enum class JournalSync : std::uint8_t {
    never,   ///< when the kernel likes
    batch,   ///< a second later at most; commands never wait for the disk
    always,  ///< before a command is acknowledged
};

std::optional<JournalSync> parse_journal_sync(std::string_view name) noexcept;

struct JournalSettings {
    static constexpr const char* directory_variable = "NLVS_STATE_DIR";

    std::filesystem::path directory;
    /// The directory is for good: what was written in another boot or another network namespace is
    /// restored, too. Otherwise services live as long as the kernel's would.
    bool permanent = false;
    JournalSync sync = JournalSync::batch;
    bool fresh = false;  ///< whatever is there is not read
    JournalOrigin origin;
};

/// Boot and network namespace of the calling thread.
JournalOrigin current_origin();

/// The configuration, on disk: a file to which every change is appended before it is
/// acknowledged, so that it survives the daemon's death at any instant.
///
/// Frames of entries that were changed since are dead weight. Once they outnumber the living, the
/// file is written anew next to the old one, a slice at a time. The walk goes by the sequence of
/// services; a change behind its place goes to both files, one before it will be met. The new
/// file takes the old one's place when it is complete and, unless the policy is `never`, on disk.
///
/// A file that cannot be written stops nothing: one line is logged, and writing it anew is tried
/// until it succeeds.
/// Thread: control.
class Journal final : public ChangeObserver {
public:
    /// Reads what is there. Throws std::runtime_error with one sentence when the directory cannot
    /// be used or belongs to a running daemon, or when the journal is of a later version.
    Journal(const JournalSettings& settings, const Log& log);
    /// What was changed last is on the disk, unless the policy is `never`.
    ~Journal() override;

    /// What the journal ended with; afterwards the journal has forgotten it.
    JournalImage take_image() { return std::move(image_); }

    /// From now on every change of `control`, which outlives this call's effects, is written.
    void follow(ControlPlane& control);

    /// Periodic work; returns when to do it again.
    std::chrono::milliseconds maintain();

    const std::filesystem::path& path() const noexcept { return path_; }

    bool rewriting() const noexcept { return rewrite_ != nullptr; }

    bool failed() const noexcept { return failed_; }

    std::uint64_t frames() const noexcept { return frames_; }

    void service_stored(const RegisteredService& service) override;
    void service_removed(const RegisteredService& service) override;
    void destination_stored(
        const RegisteredService& service, const RegisteredDestination& destination
    ) override;
    void destination_removed(
        const RegisteredService& service, const ipvs::DestinationKey& destination
    ) override;
    void flushed() override;
    void timeouts_stored(const ipvs::Timeouts& timeouts) override;
    void sync_daemons_stored(const std::vector<ipvs::SyncDaemonConfig>& daemons) override;
    void sysctls_stored(const ipvs::Sysctls& sysctls) override;

private:
    struct Rewrite {
        JournalFile file;
        std::uint64_t frames = 0;
        ipvs::Cursor next = 0;  ///< the first service that the walk has not met
        bool synchronizing = false;
    };

    /// The file's new content is the frame of the origin alone.
    void start_empty();
    /// Reads the file; true when there is something to go on with.
    bool read_present();
    void raise_version(JournalOrigin origin);
    void drop_tail(const JournalContents& contents, std::uint64_t size);
    void append(const JournalRecord& record, ipvs::Cursor place);
    void append_to_rewrite(std::string_view frames, std::uint64_t count);
    bool wasteful();
    std::uint64_t count_living() const;
    void begin_rewrite();
    void advance_rewrite();
    void walk();
    void finish_rewrite();
    void abandon_rewrite();
    void synchronize();
    void fail(int error);

    JournalSettings settings_;
    const Log& log_;
    std::filesystem::path path_;
    std::optional<shim::LockedFile> lock_;
    std::optional<JournalFile> file_;
    JournalImage image_;
    const ControlPlane* control_ = nullptr;
    std::string frame_;
    std::uint64_t frames_ = 0;    ///< in the file, the origin not counted
    std::uint64_t check_at_ = 0;  ///< number of frames at which to count the living ones again
    bool dirty_ = false;          ///< written, but not handed to the disk
    bool failed_ = false;         ///< the file misses changes
    std::unique_ptr<Rewrite> rewrite_;
    BackgroundSync sync_;
};

}  // namespace nlvs::daemon
