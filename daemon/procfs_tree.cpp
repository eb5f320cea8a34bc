#include "daemon/procfs_tree.hpp"

#include <utility>

namespace nlvs::daemon {

ProcfsTree::ProcfsTree(std::vector<ProcfsFile> files)
    : files_{std::move(files)},
      made_{std::time(nullptr)} {
    nodes_.emplace_back();
    for (const ProcfsFile& file : files_) {
        Inode at = root;
        std::string_view rest{file.path};
        while (!rest.empty()) {
            rest.remove_prefix(1);  // the slash
            const std::string_view name = rest.substr(0, rest.find('/'));
            rest.remove_prefix(name.size());
            const Inode present = find(at, name);
            at = present != 0 ? present : add(at, name);
        }
        nodes_[at - 1].file = &file;
    }
}

ProcfsTree::Inode ProcfsTree::add(Inode parent, std::string_view name) {
    Node node;
    node.name = name;
    node.parent = parent;
    nodes_.push_back(std::move(node));
    const Inode inode = nodes_.size();
    nodes_[parent - 1].children.push_back(inode);
    return inode;
}

const ProcfsTree::Node* ProcfsTree::find(Inode inode) const noexcept {
    return inode == 0 || inode > nodes_.size() ? nullptr : &nodes_[inode - 1];
}

ProcfsTree::Inode ProcfsTree::find(Inode parent, std::string_view name) const noexcept {
    const Node* directory = find(parent);
    if (directory == nullptr) return 0;
    for (const Inode child : directory->children) {
        if (nodes_[child - 1].name == name) return child;
    }
    return 0;
}

struct stat ProcfsTree::attributes(Inode inode) const noexcept {
    const Node& node = nodes_[inode - 1];
    struct stat result{};
    result.st_ino = inode;
    result.st_nlink = node.file != nullptr ? 1 : 2;
    result.st_mode = S_IFDIR | 0555;
    if (node.file != nullptr) result.st_mode = S_IFREG | (node.file->write ? 0644U : 0444U);
    result.st_atime = result.st_mtime = result.st_ctime = made_;
    return result;
}

}  // namespace nlvs::daemon
