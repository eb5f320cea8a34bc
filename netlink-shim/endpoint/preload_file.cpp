#include "netlink-shim/endpoint/preload_file.hpp"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

using Error = std::unexpected<std::string>;

// Linux: glibc elf/rtld.c do_preload — these separate names in the file.
constexpr std::string_view separators = " \t\n:";

Error failure(const std::string& what, int error = errno) {
    return Error(what + ": " + std::strerror(error));
}

struct Entry {
    std::size_t position;
    std::string_view name;
};

std::vector<Entry> entries_of(std::string_view text) {
    std::vector<Entry> entries;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(separators, at)) != std::string_view::npos) {
        if (text[at] == '#') {
            at = text.find('\n', at);
            if (at == std::string_view::npos) break;
            continue;
        }
        const std::size_t end = std::min(text.find_first_of(" \t\n:#", at), text.size());
        entries.push_back({at, text.substr(at, end - at)});
        at = end;
    }
    return entries;
}

std::expected<std::string, std::string> read_text(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) return std::string();
    if (file < 0) return failure("cannot read " + path.string());
    std::string text;
    char buffer[4096];
    ssize_t size;
    while ((size = ::read(file, buffer, sizeof(buffer))) > 0)
        text.append(buffer, static_cast<std::size_t>(size));
    const int error = errno;
    ::close(file);
    if (size < 0) return failure("cannot read " + path.string(), error);
    return text;
}

bool write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

/// The old file's owner and mode go over to the new one; a new file is for everybody to read.
bool write_like(int file, const std::filesystem::path& old, std::string_view text) {
    struct stat status;
    if (::stat(old.c_str(), &status) != 0) {
        if (::fchmod(file, 0644) != 0) return false;
    } else if (::fchown(file, status.st_uid, status.st_gid) != 0 || ::fchmod(file, status.st_mode & 07777) != 0) {
        return false;
    }
    return write_all(file, text) && ::fsync(file) == 0;
}

std::expected<void, std::string> replace(const std::filesystem::path& path, std::string_view text) {
    // A symbolic link stays one: what it points to is replaced.
    std::error_code error;
    std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
    if (error) target = path;
    if (entries_of(text).empty() && text.find('#') == std::string_view::npos) {
        if (::unlink(target.c_str()) != 0 && errno != ENOENT)
            return failure("cannot remove " + target.string());
        return {};
    }
    std::string temporary = target.string() + ".XXXXXX";
    const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (file < 0) return failure("cannot write beside " + target.string());
    const bool written = write_like(file, target, text);
    const int cause = errno;
    ::close(file);
    if (!written || ::rename(temporary.c_str(), target.c_str()) != 0) {
        const auto result = failure("cannot replace " + target.string(), written ? errno : cause);
        ::unlink(temporary.c_str());
        return result;
    }
    return {};
}

std::expected<void, std::string> check_library(const std::filesystem::path& library) {
    const std::string name = library.string();
    if (!library.is_absolute()) return Error(name + " is not an absolute path");
    if (name.find_first_of(" \t\n:#") != std::string::npos)
        return Error("the loader cannot read the name \"" + name + '"');
    struct stat status;
    if (::stat(name.c_str(), &status) != 0) return failure(name);
    if (!S_ISREG(status.st_mode)) return Error(name + " is not a file");
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return Error(name + " is writable for others than its owner");
    void* loaded = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (loaded == nullptr) return Error(std::string("cannot load ") + ::dlerror());
    ::dlclose(loaded);
    return {};
}

}  // namespace

PreloadFile::PreloadFile(std::filesystem::path path) : path_(std::move(path)) {}

std::expected<bool, std::string> PreloadFile::contains(const std::filesystem::path& library) const {
    const auto text = read_text(path_);
    if (!text) return Error(text.error());
    for (const Entry& entry : entries_of(*text)) {
        if (entry.name == library.string()) return true;
    }
    return false;
}

std::expected<PreloadFile::Change, std::string> PreloadFile::add(
    const std::filesystem::path& library
) const {
    if (const auto checked = check_library(library); !checked) return Error(checked.error());
    auto text = read_text(path_);
    if (!text) return Error(text.error());
    for (const Entry& entry : entries_of(*text)) {
        if (entry.name == library.string()) return Change::not_needed;
    }
    if (!text->empty() && text->back() != '\n') *text += '\n';
    *text += library.string() + '\n';
    if (const auto replaced = replace(path_, *text); !replaced) return Error(replaced.error());
    return Change::made;
}

std::expected<PreloadFile::Change, std::string> PreloadFile::remove(
    const std::filesystem::path& library
) const {
    auto text = read_text(path_);
    if (!text) return Error(text.error());
    const std::string before = *text;
    const std::vector<Entry> entries = entries_of(before);
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        if (entry->name != library.string()) continue;
        const std::size_t end = entry->position + entry->name.size();
        const bool own_line = (entry->position == 0 || before[entry->position - 1] == '\n') &&
                              (end == before.size() || before[end] == '\n');
        text->erase(
            entry->position, entry->name.size() + (own_line && end < before.size() ? 1 : 0)
        );
    }
    if (*text == before) return Change::not_needed;
    if (const auto replaced = replace(path_, *text); !replaced) return Error(replaced.error());
    return Change::made;
}

}  // namespace nlvs::shim
