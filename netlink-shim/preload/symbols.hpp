#pragma once

// Every symbol the library defines for others, and why. export.map says the same to the linker;
// a test compares the two.

#include <cstddef>

namespace nlvs::shim {

struct Symbol {
    const char* name;
    const char* reason;
};

inline constexpr Symbol symbols[] = {
    {"socket", "notices that the process may hold a generic netlink socket"},
    {"sendmsg", "libnl, libmnl: requests get the daemon's port"},
    {"sendto", "raw netlink clients, Python"},
    {"send", "connected netlink clients"},
    {"sendmmsg", "several requests at once"},
    {"write", "a netlink socket is a file too"},
    {"writev", "same, gathered"},
    {"recvmsg", "libnl, libmnl: answers come from port 0"},
    {"recvfrom", "raw netlink clients, Python"},
    {"recvmmsg", "several answers at once"},
    {"recv", "answers are there for a client that does not wait"},
    {"read", "same"},
    {"readv", "same, scattered"},
    {"__recvfrom_chk", "recvfrom of programs built with _FORTIFY_SOURCE"},
    {"__recv_chk", "recv of programs built with _FORTIFY_SOURCE"},
    {"__read_chk", "read of programs built with _FORTIFY_SOURCE"},
    {"getsockopt", "IP_VS_SO_GET_*"},
    {"setsockopt", "IP_VS_SO_SET_*"},
    {"open", "/proc/net/ip_vs*, /proc/sys/net/ipv4/vs"},
    {"open64", "same, large files"},
    {"openat", "same, as most runtimes open"},
    {"openat64", "same, large files"},
    {"__open_2", "open of programs built with _FORTIFY_SOURCE"},
    {"__open64_2", "same, large files"},
    {"__openat_2", "openat of programs built with _FORTIFY_SOURCE"},
    {"__openat64_2", "same, large files"},
    {"fopen", "ipvsadm -lc, sysctl: libc opens without calling open"},
    {"fopen64", "same, large files"},
    {"opendir", "listing of /proc/sys/net/ipv4/vs"},
    {"stat", "is the file there? (glibc 2.33 and later)"},
    {"stat64", "same, large files"},
    {"lstat", "same, not following links"},
    {"lstat64", "same, large files"},
    {"fstatat", "same, as most runtimes ask"},
    {"fstatat64", "same, large files"},
    {"__xstat", "stat of programs built with glibc before 2.33"},
    {"__xstat64", "same, large files"},
    {"__lxstat", "same, not following links"},
    {"__lxstat64", "same, large files"},
    {"__fxstatat", "fstatat of programs built with glibc before 2.33"},
    {"__fxstatat64", "same, large files"},
    {"statx", "is the file there? (coreutils, Rust)"},
    {"getxattr", "ls -l asks for labels and access lists"},
    {"lgetxattr", "same, not following links"},
    {"listxattr", "same, all of them"},
    {"llistxattr", "same, not following links"},
    {"realpath", "sysctl checks the name before it opens"},
    {"__realpath_chk", "realpath of programs built with _FORTIFY_SOURCE"},
    {"canonicalize_file_name", "realpath by another name"},
    {"readlink", "realpath(1) looks at every part of a name"},
    {"readlinkat", "same, relative"},
    {"__readlink_chk", "readlink of programs built with _FORTIFY_SOURCE"},
    {"__readlinkat_chk", "readlinkat of programs built with _FORTIFY_SOURCE"},
    {"chdir", "a shell goes to /proc/sys/net/ipv4/vs"},
    {"readdir", "sysctl -a and ls find our names in /proc/sys/net/ipv4 and /proc/net"},
    {"readdir64", "same, large files"},
    {"closedir", "the end of a listing that showed our names"},
    {"access", "is the file there?"},
    {"faccessat", "same, relative"},
    {"euidaccess", "sort, test: may I read it?"},
    {"eaccess", "same, by another name"},
    {"statfs", "stat -f, df: what file system is it on?"},
    {"statfs64", "same, large files"},
    {"statvfs", "same, as POSIX has it"},
    {"statvfs64", "same, large files"},
    {"inotify_add_watch", "tail -f"},
    {"truncate", "truncate, where open would not do"},
    {"truncate64", "same, large files"},
    {"chmod", "what is not allowed is EPERM, not ENOENT"},
    {"fchmodat", "same, relative"},
    {"chown", "same"},
    {"lchown", "same, not following links"},
    {"fchownat", "same, relative"},
    {"utimensat", "touch"},
    {"utimes", "same, with microseconds"},
    {"unlink", "what is not allowed is EACCES, not ENOENT"},
    {"unlinkat", "same, relative"},
    {"getcwd", "where chdir went to"},
    {"sendfile", "busybox cat, Python: copies by the size of the file, which is 0"},
    {"sendfile64", "same, large files"},
    {"splice", "same, to a pipe"},
};

inline constexpr std::size_t symbol_count = sizeof(symbols) / sizeof(symbols[0]);

}  // namespace nlvs::shim
