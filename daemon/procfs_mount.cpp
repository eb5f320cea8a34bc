#include "daemon/procfs_mount.hpp"

#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "daemon/procfs_tree.hpp"
#include "daemon/text_reader.hpp"

namespace nlvs::daemon {
namespace {

/// Names and modes never change.
constexpr double attributes_valid = 86400;

struct Mount {
    std::string device;  ///< major:minor
    std::string point;
};

/// proc(5), /proc/PID/mountinfo. Unlike stat() it does not ask the file system, that is, us.
std::vector<Mount> mounts_of(const char* process) {
    std::ifstream stream{fmt::format("/proc/{}/mountinfo", process)};
    std::vector<Mount> result;
    for (std::string line; std::getline(stream, line);) {
        std::istringstream fields{line};
        std::string id, parent, root;
        Mount mount;
        if (fields >> id >> parent >> mount.device >> root >> mount.point) {
            result.push_back(std::move(mount));
        }
    }
    return result;
}

/// The path itself if the first process sees the mount there, which then holds for everybody who
/// did not leave its mount namespace on purpose.
std::filesystem::path path_for_others(const std::filesystem::path& directory) {
    std::string device;
    for (const Mount& mount : mounts_of("self")) {
        if (mount.point == directory) device = mount.device;
    }
    for (const Mount& mount : mounts_of("1")) {
        if (mount.device == device && mount.point == directory) return directory;
    }
    return fmt::format("/proc/{}/root{}", getpid(), directory.string());
}

}  // namespace

/// One FUSE session: answers requests from the tree.
class ProcfsMount::Session {
public:
    Session(
        boost::asio::io_context& context, std::vector<ProcfsFile> files,
        const std::filesystem::path& directory
    )
        : tree_{std::move(files)},
          descriptor_{context} {
        const std::string options = "fsname=nlvs,subtype=procfs,allow_other,default_permissions";
        std::array<std::string, 3> words{"nlvsd", "-o", options};
        std::array<char*, 3> pointers{words[0].data(), words[1].data(), words[2].data()};
        fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
        const fuse_lowlevel_ops operations = make_operations();
        session_ = fuse_session_new(&arguments, &operations, sizeof(operations), this);
        fuse_opt_free_args(&arguments);
        if (session_ == nullptr || fuse_session_mount(session_, directory.c_str()) != 0) {
            if (session_ != nullptr) fuse_session_destroy(session_);
            throw std::runtime_error{
                fmt::format("cannot mount a FUSE file system at {}", directory.string())
            };
        }
        const int fd = fuse_session_fd(session_);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        descriptor_.assign(fd);
        wait();
    }

    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    ~Session() {
        open_files_.clear();
        descriptor_.release();  // the session closes it
        fuse_session_unmount(session_);
        fuse_session_destroy(session_);
        std::free(buffer_.mem);
    }

private:
    static Session& self(fuse_req_t request) noexcept {
        return *static_cast<Session*>(fuse_req_userdata(request));
    }

    static fuse_lowlevel_ops make_operations() noexcept {
        fuse_lowlevel_ops operations{};
        operations.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
            self(request).lookup(request, parent, name);
        };
        operations.getattr = [](fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
            self(request).reply_attributes(request, inode);
        };
        operations.setattr = [](fuse_req_t request, fuse_ino_t inode, struct stat*, int to_set,
                                fuse_file_info*) {
            // Linux: fs/proc/proc_sysctl.c proc_sys_setattr — O_TRUNC is nothing, the rest EPERM.
            constexpr int forbidden = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
            if ((to_set & forbidden) != 0) {
                fuse_reply_err(request, EPERM);
            } else {
                self(request).reply_attributes(request, inode);
            }
        };
        // Linux: fs/proc — what is not there is not made, what is there is not removed.
        operations.create = [](fuse_req_t request, fuse_ino_t, const char*, mode_t,
                               fuse_file_info*) { fuse_reply_err(request, ENOENT); };
        operations.mkdir = [](fuse_req_t request, fuse_ino_t, const char*, mode_t) {
            fuse_reply_err(request, ENOENT);
        };
        operations.mknod = [](fuse_req_t request, fuse_ino_t, const char*, mode_t, dev_t) {
            fuse_reply_err(request, ENOENT);
        };
        operations.unlink = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
            self(request).refuse_removal(request, parent, name);
        };
        operations.rmdir = operations.unlink;
        operations.readdir = [](fuse_req_t request, fuse_ino_t inode, std::size_t size,
                                off_t offset, fuse_file_info*) {
            self(request).list(request, inode, size, static_cast<std::size_t>(offset));
        };
        operations.open = [](fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
            self(request).open(request, inode, *info);
        };
        operations.read = [](fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset,
                             fuse_file_info* info) {
            self(request).read(request, size, static_cast<std::uint64_t>(offset), info->fh);
        };
        operations.write = [](fuse_req_t request, fuse_ino_t inode, const char* text,
                              std::size_t size, off_t offset, fuse_file_info*) {
            self(request).write(request, inode, {text, size}, offset);
        };
        operations.release = [](fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
            self(request).open_files_.erase(info->fh);
            fuse_reply_err(request, 0);
        };
        return operations;
    }

    void wait() {
        descriptor_.async_wait(
            boost::asio::posix::stream_descriptor::wait_read,
            [this](const boost::system::error_code& error) {
                if (error || !receive()) return;
                wait();
            }
        );
    }

    /// Handles what is there, a few requests at a time so that others get their turn. False when
    /// somebody else has unmounted the file system.
    bool receive() {
        constexpr int requests_per_turn = 16;
        for (int i = 0; i < requests_per_turn; ++i) {
            const int size = fuse_session_receive_buf(session_, &buffer_);
            if (size == -EAGAIN || size == -EINTR) return true;
            if (size <= 0) return false;
            fuse_session_process_buf(session_, &buffer_);
        }
        return true;
    }

    void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
        const ProcfsTree::Inode inode = tree_.find(parent, name);
        if (inode == 0 || !tree_.find(inode)->exists()) {
            fuse_reply_err(request, ENOENT);
            return;
        }
        fuse_entry_param entry{};
        entry.ino = inode;
        entry.attr = tree_.attributes(inode);
        entry.attr_timeout = entry.entry_timeout = attributes_valid;
        fuse_reply_entry(request, &entry);
    }

    /// Linux: fs/proc/proc_sysctl.c proc_sys_permission forbids what fs/namei.c finds impossible.
    void refuse_removal(fuse_req_t request, fuse_ino_t parent, const char* name) {
        const ProcfsTree::Node* node = tree_.find(tree_.find(parent, name));
        const bool plain = node != nullptr && node->file != nullptr && !node->file->write;
        fuse_reply_err(request, plain ? EPERM : EACCES);
    }

    void reply_attributes(fuse_req_t request, fuse_ino_t inode) {
        if (tree_.find(inode) == nullptr) {
            fuse_reply_err(request, ENOENT);
            return;
        }
        const struct stat attributes = tree_.attributes(inode);
        fuse_reply_attr(request, &attributes, attributes_valid);
    }

    void list(fuse_req_t request, fuse_ino_t inode, std::size_t size, std::size_t offset) {
        const ProcfsTree::Node* node = tree_.find(inode);
        if (node == nullptr || node->file != nullptr) {
            fuse_reply_err(request, ENOTDIR);
            return;
        }
        std::vector<std::pair<std::string, ProcfsTree::Inode>> entries{
            {".", inode}, {"..", node->parent}
        };
        for (const ProcfsTree::Inode child : node->children) {
            const ProcfsTree::Node& file = *tree_.find(child);
            if (file.exists()) entries.emplace_back(file.name, child);
        }
        std::vector<char> out(size);
        std::size_t used = 0;
        for (std::size_t i = offset; i < entries.size(); ++i) {
            const auto& [name, number] = entries[i];
            const struct stat attributes = tree_.attributes(number);
            const std::size_t length = fuse_add_direntry(
                request, out.data() + used, size - used, name.c_str(), &attributes,
                static_cast<off_t>(i + 1)
            );
            if (length > size - used) break;
            used += length;
        }
        fuse_reply_buf(request, out.data(), used);
    }

    void open(fuse_req_t request, fuse_ino_t inode, fuse_file_info& info) {
        const ProcfsTree::Node* node = tree_.find(inode);
        if (node == nullptr || node->file == nullptr) {
            fuse_reply_err(request, EISDIR);
            return;
        }
        // Linux: fs/proc/inode.c — nobody, root included, writes what has no write operation.
        if ((info.flags & O_ACCMODE) != O_RDONLY && !node->file->write) {
            fuse_reply_err(request, EACCES);
            return;
        }
        info.fh = next_handle_++;
        info.direct_io = 1;  // the size says 0: read until the end
        open_files_.emplace(info.fh, std::make_shared<TextReader>(node->file->open));
        fuse_reply_open(request, &info);
    }

    void read(fuse_req_t request, std::size_t size, std::uint64_t offset, std::uint64_t handle) {
        const auto file = open_files_.find(handle);
        if (file == open_files_.end()) {
            fuse_reply_err(request, EBADF);
            return;
        }
        file->second->read(offset, size, [request](std::string_view bytes) {
            fuse_reply_buf(request, bytes.data(), bytes.size());
        });
    }

    void write(fuse_req_t request, fuse_ino_t inode, std::string_view text, off_t offset) {
        const ProcfsTree::Node* node = tree_.find(inode);
        if (node == nullptr || node->file == nullptr || !node->file->write) {
            fuse_reply_err(request, EIO);
            return;
        }
        // Linux: kernel/sysctl.c proc_first_pos_non_zero_ignore — only a write at 0 counts.
        const int error = offset == 0 ? node->file->write(text) : 0;
        if (error != 0) {
            fuse_reply_err(request, error);
        } else {
            fuse_reply_write(request, text.size());
        }
    }

    ProcfsTree tree_;
    boost::asio::posix::stream_descriptor descriptor_;
    fuse_session* session_ = nullptr;
    fuse_buf buffer_{};
    std::map<std::uint64_t, std::shared_ptr<TextReader>> open_files_;
    std::uint64_t next_handle_ = 1;
};

ProcfsMount::ProcfsMount(
    boost::asio::io_context& context, std::vector<ProcfsFile> files,
    const std::filesystem::path& directory
) {
    while (umount2(directory.c_str(), MNT_DETACH) == 0) continue;
    std::filesystem::create_directories(directory);
    session_ = std::make_unique<Session>(context, std::move(files), directory);
    root_ = path_for_others(directory);
}

ProcfsMount::~ProcfsMount() = default;

}  // namespace nlvs::daemon
