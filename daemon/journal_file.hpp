#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

namespace nlvs::daemon {

/// A file that grows at its end. Failures are errno values; 0 is success.
/// Thread: control.
class JournalFile {
public:
    /// Opens or creates the file, readable by its owner only; throws std::system_error.
    explicit JournalFile(std::filesystem::path path);
    JournalFile(JournalFile&& other) noexcept;
    JournalFile& operator=(JournalFile&& other) noexcept;
    ~JournalFile();

    const std::filesystem::path& path() const noexcept { return path_; }

    int descriptor() const noexcept { return descriptor_; }

    std::uint64_t size() const noexcept { return size_; }

    /// All or nothing: what a failed write has left behind is cut off again.
    int append(std::string_view bytes) noexcept;
    /// Replaces the first bytes.
    int overwrite_start(std::string_view bytes) noexcept;
    int truncate(std::uint64_t size) noexcept;
    /// fdatasync(2).
    int synchronize() noexcept;
    /// Takes the place of the file of that name.
    int rename_to(const std::filesystem::path& path) noexcept;

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

/// fsync(2) of the directory: a new name is on the disk afterwards.
int synchronize_directory(const std::filesystem::path& directory) noexcept;

/// Calls fdatasync in a thread of its own, since a disk may take its time.
/// Thread: control.
class BackgroundSync {
public:
    BackgroundSync();
    BackgroundSync(const BackgroundSync&) = delete;
    BackgroundSync& operator=(const BackgroundSync&) = delete;
    /// Finishes the job at hand.
    ~BackgroundSync();

    /// False while an earlier request is at work. The file may be closed meanwhile.
    bool request(const JournalFile& file);

    /// 0 or the errno of the last request; nothing is at work.
    bool idle() const;
    int last_error() const;

private:
    void work();

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    int descriptor_ = -1;  ///< the job, -1 for none
    int error_ = 0;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace nlvs::daemon
