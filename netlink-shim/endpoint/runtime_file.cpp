#include "netlink-shim/endpoint/runtime_file.hpp"

#include "netlink-shim/core/registration.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

[[noreturn]] void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

/// A directory that everybody may search, whatever the umask.
void make_directory(const std::filesystem::path& path) {
    if (mkdir(path.c_str(), 0755) == 0) {
        if (chmod(path.c_str(), 0755) != 0) fail(errno, "cannot set the mode of " + path.string());
    } else if (errno != EEXIST) {
        fail(errno, "cannot make " + path.string());
    }
}

std::filesystem::path make_runtime_directory() {
    const std::filesystem::path path = runtime_directory();
    make_directory(path.parent_path());
    make_directory(path);
    return path;
}

std::string registration_text(std::uint32_t port, const std::filesystem::path& files) {
    Registration registration;
    registration.port = port;
    registration.pid = static_cast<std::uint32_t>(getpid());
    const std::string name = files.string();
    if (name.size() >= sizeof(registration.files)) fail(ENAMETOOLONG, name);
    name.copy(registration.files, name.size());
    std::array<char, max_registration_text> text;
    const std::size_t size = print_registration(registration, text.data(), text.size());
    if (size == 0) fail(ENAMETOOLONG, name);
    return {text.data(), size};
}

}  // namespace

std::filesystem::path runtime_directory() {
    const std::uint64_t inode = current_network_namespace();
    if (inode == 0) fail(ENOENT, "cannot tell the network namespace");
    return std::filesystem::path(run_directory()) / std::to_string(inode);
}

LockedFile::LockedFile(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)) {
    if (descriptor_ < 0) fail(errno, "cannot open " + path.string());
    // The umask must not hide the file from unprivileged front ends.
    fchmod(descriptor_, 0644);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    locked_ = fcntl(descriptor_, F_OFD_SETLK, &lock) == 0;
}

LockedFile::LockedFile(LockedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), locked_(other.locked_) {}

LockedFile::~LockedFile() {
    if (descriptor_ >= 0) close(descriptor_);
}

void LockedFile::write(const std::string& text) {
    if (::ftruncate(descriptor_, 0) != 0 ||
        ::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        fail(errno, "cannot write the registration");
}

RuntimeDirectory::RuntimeDirectory() : path_(make_runtime_directory()), lock_(path_ / "lock") {
    if (!lock_.locked()) fail(EBUSY, "another daemon serves this network namespace");
}

RuntimeFile::RuntimeFile(
    const RuntimeDirectory& directory, std::uint32_t port, const std::filesystem::path& files
)
    : path_(directory.path() / registration_file_name),
      file_(directory.path() / "registration.new") {
    if (!file_.locked()) fail(errno, "cannot lock " + path_.string());
    file_.write(registration_text(port, files));
    // Front ends see the file complete and locked, or not at all.
    std::filesystem::rename(directory.path() / "registration.new", path_);
}

RuntimeFile::~RuntimeFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

}  // namespace nlvs::shim
