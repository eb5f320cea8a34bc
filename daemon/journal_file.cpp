#include "daemon/journal_file.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nlvs::daemon {
namespace {

[[noreturn]] void fail(int error, const std::filesystem::path& path) {
    throw std::system_error{error, std::generic_category(), "cannot open " + path.string()};
}

}  // namespace

JournalFile::JournalFile(std::filesystem::path path)
    : path_{std::move(path)},
      descriptor_{::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)} {
    if (descriptor_ < 0) fail(errno, path_);

    struct stat status {};

    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor_);
        fail(EINVAL, path_);
    }
    fchmod(descriptor_, 0600);
    size_ = static_cast<std::uint64_t>(status.st_size);
}

JournalFile::JournalFile(JournalFile&& other) noexcept
    : path_{std::move(other.path_)},
      descriptor_{std::exchange(other.descriptor_, -1)},
      size_{other.size_} {}

JournalFile& JournalFile::operator=(JournalFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(size_, other.size_);
    return *this;
}

JournalFile::~JournalFile() {
    if (descriptor_ >= 0) close(descriptor_);
}

int JournalFile::append(std::string_view bytes) noexcept {
    std::uint64_t at = size_;
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            const int error = written < 0 ? errno : ENOSPC;
            truncate(size_);
            return error;
        }
        at += static_cast<std::uint64_t>(written);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    size_ = at;
    return 0;
}

int JournalFile::overwrite_start(std::string_view bytes) noexcept {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), 0);
    if (written < 0) return errno;
    return static_cast<std::size_t>(written) == bytes.size() ? 0 : ENOSPC;
}

int JournalFile::truncate(std::uint64_t size) noexcept {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return errno;
    size_ = size;
    return 0;
}

int JournalFile::synchronize() noexcept {
    return ::fdatasync(descriptor_) == 0 ? 0 : errno;
}

int JournalFile::rename_to(const std::filesystem::path& path) noexcept {
    if (::rename(path_.c_str(), path.c_str()) != 0) return errno;
    path_ = path;
    return 0;
}

int synchronize_directory(const std::filesystem::path& directory) noexcept {
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return errno;
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    close(descriptor);
    return error;
}

BackgroundSync::BackgroundSync() : thread_{[this] { work(); }} {}

BackgroundSync::~BackgroundSync() {
    {
        const std::lock_guard lock{mutex_};
        ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

bool BackgroundSync::request(const JournalFile& file) {
    const std::lock_guard lock{mutex_};
    if (descriptor_ >= 0) return false;
    descriptor_ = ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0);
    error_ = descriptor_ < 0 ? errno : 0;
    wake_.notify_one();
    return true;
}

bool BackgroundSync::idle() const {
    const std::lock_guard lock{mutex_};
    return descriptor_ < 0;
}

int BackgroundSync::last_error() const {
    const std::lock_guard lock{mutex_};
    return error_;
}

void BackgroundSync::work() {
    std::unique_lock lock{mutex_};
    for (;;) {
        wake_.wait(lock, [this] { return ending_ || descriptor_ >= 0; });
        if (descriptor_ < 0) return;
        const int descriptor = descriptor_;
        lock.unlock();
        const int error = ::fdatasync(descriptor) == 0 ? 0 : errno;
        close(descriptor);
        lock.lock();
        error_ = error;
        descriptor_ = -1;
    }
}

}  // namespace nlvs::daemon
