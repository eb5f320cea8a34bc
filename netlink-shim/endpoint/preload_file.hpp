#pragma once

#include <expected>
#include <filesystem>
#include <string>

namespace nlvs::shim {

/// The list of libraries that the loader puts into every dynamic program (ld.so(8)): names
/// separated by white space or colons, comments from '#' to the end of the line. Everything else
/// in the file stays as it is. A change is a complete new file renamed into place, so no program
/// that starts meanwhile sees half of it. Errors are sentences for the user.
class PreloadFile {
public:
    enum class Change { made, not_needed };

    explicit PreloadFile(std::filesystem::path path = "/etc/ld.so.preload");

    std::expected<bool, std::string> contains(const std::filesystem::path& library) const;

    /// Refuses a library that would make every program complain or that others may replace: not
    /// absolute, not loadable, writable for group or others, a name the file cannot hold.
    std::expected<Change, std::string> add(const std::filesystem::path& library) const;

    /// Removes the file with its last entry: the loader reads it for every program.
    std::expected<Change, std::string> remove(const std::filesystem::path& library) const;

private:
    std::filesystem::path path_;
};

}  // namespace nlvs::shim
