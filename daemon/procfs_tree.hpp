#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/procfs_files.hpp"

namespace nlvs::daemon {

/// Directories and files as a file system numbers them. Fixed after construction.
/// Thread: immutable.
class ProcfsTree {
public:
    using Inode = std::uint64_t;
    static constexpr Inode root = 1;  ///< as FUSE_ROOT_ID

    struct Node {
        std::string name;
        Inode parent = root;
        std::vector<Inode> children;         ///< of a directory
        const ProcfsFile* file = nullptr;    ///< null for a directory

        bool exists() const { return file == nullptr || !file->exists || file->exists(); }
    };

    explicit ProcfsTree(std::vector<ProcfsFile> files);
    ProcfsTree(const ProcfsTree&) = delete;
    ProcfsTree& operator=(const ProcfsTree&) = delete;

    /// Null for a number that names nothing.
    const Node* find(Inode inode) const noexcept;
    /// 0 if `parent` has no such child.
    Inode find(Inode parent, std::string_view name) const noexcept;

    struct stat attributes(Inode inode) const noexcept;

private:
    Inode add(Inode parent, std::string_view name);

    std::vector<ProcfsFile> files_;
    std::vector<Node> nodes_;  ///< [inode - 1]
    std::time_t made_;
};

}  // namespace nlvs::daemon
