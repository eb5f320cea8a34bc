#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace nlvs::shim {

/// <run directory>/<inode of the calling thread's network namespace>: for everything a daemon
/// keeps at run time (registration, mount point, control socket).
/// Throws std::system_error if /proc does not tell the namespace.
std::filesystem::path runtime_directory();

/// An open file that the kernel locks for this process until it is closed.
class LockedFile {
public:
    explicit LockedFile(const std::filesystem::path& path);
    LockedFile(LockedFile&& other) noexcept;
    LockedFile(const LockedFile&) = delete;
    LockedFile& operator=(const LockedFile&) = delete;
    LockedFile& operator=(LockedFile&&) = delete;
    ~LockedFile();

    bool locked() const noexcept { return locked_; }

    void write(const std::string& text);

private:
    int descriptor_;
    bool locked_ = false;
};

/// The right to be the daemon of this network namespace: makes the runtime directory (0755) and
/// holds its lock. Take it before touching anything a running daemon may use. Throws
/// std::system_error, with EBUSY if another daemon has it.
/// Thread: control.
class RuntimeDirectory {
public:
    RuntimeDirectory();

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
    LockedFile lock_;
};

/// The daemon's entry for front ends (core/registration.hpp), from construction to destruction.
/// Construct it last: from then on clients come. Throws std::system_error.
/// Thread: control.
class RuntimeFile {
public:
    /// `files` is the mount point of the file system, empty for none.
    RuntimeFile(
        const RuntimeDirectory& directory, std::uint32_t port, const std::filesystem::path& files
    );
    RuntimeFile(const RuntimeFile&) = delete;
    RuntimeFile& operator=(const RuntimeFile&) = delete;
    ~RuntimeFile();

private:
    std::filesystem::path path_;
    LockedFile file_;
};

}  // namespace nlvs::shim
