#include "netlink-shim/preload/directory_entries.hpp"

#include "netlink-shim/preload/path_redirect.hpp"

#include <atomic>
#include <cstddef>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

struct Entry {
    const char* name;
    unsigned char type;
};

constexpr Entry entries[] = {
    {"vs", DT_DIR},  // alone in /proc/sys/net/ipv4, the others in /proc/PID/net
    {"ip_vs", DT_REG},
    {"ip_vs_app", DT_REG},
    {"ip_vs_conn", DT_REG},
    {"ip_vs_conn_sync", DT_REG},
    {"ip_vs_stats", DT_REG},
    {"ip_vs_stats_percpu", DT_REG},
};
constexpr std::size_t entry_count = sizeof(entries) / sizeof(entries[0]);

/// Streams whose end has been reached. A stream belongs to one thread at a time, so only the claim
/// of a slot is a race. More streams at once than slots are listed without our names.
struct Slot {
    std::atomic<DIR*> stream;
    std::size_t next;
    struct dirent shown;
};

constinit Slot slots[8] = {};

Slot* slot_of(DIR* stream) noexcept {
    for (Slot& slot : slots) {
        if (slot.stream.load(std::memory_order_relaxed) == stream) return &slot;
    }
    return nullptr;
}

Slot* claim_slot(DIR* stream) noexcept {
    for (Slot& slot : slots) {
        DIR* nobody = nullptr;
        if (slot.stream.compare_exchange_strong(nobody, stream)) {
            slot.next = 0;
            return &slot;
        }
    }
    return nullptr;
}

/// "/proc/PID/net" and "/proc/sys/net/ipv4" are the only ones of interest; the common other
/// directory costs one system call that the kernel answers at once, at its end.
bool is_one_of_ours(DIR* stream, bool& is_sysctl) noexcept {
    char link[40] = "/proc/self/fd/";
    char path[64];
    int number = dirfd(stream);
    struct statfs system;
    if (number < 0 || syscall(SYS_fstatfs, number, &system) != 0 ||
        system.f_type != PROC_SUPER_MAGIC) {
        return false;
    }
    char digits[16];
    char* at = digits + sizeof(digits) - 1;
    *at = 0;
    do {
        *--at = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    strcat(link, at);
    const long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
    if (length < 0 || length >= static_cast<long>(sizeof(path) - 1)) return false;
    path[length] = 0;
    is_sysctl = strcmp(path, "/proc/sys/net/ipv4") == 0;
    if (is_sysctl) return true;
    if (strncmp(path, "/proc/", 6) != 0) return false;
    return strcmp(path + 6 + strspn(path + 6, "0123456789"), "/net") == 0;
}

/// The daemon has it and the kernel does not show it anyway.
bool is_missing(const Entry& entry, int directory) noexcept {
    DaemonPath ours;
    if (!ours.find(directory, entry.name)) return false;
    if (syscall(SYS_faccessat, AT_FDCWD, ours.text(), F_OK) != 0) return false;
    return syscall(SYS_faccessat, directory, entry.name, F_OK) != 0;
}

struct dirent* next_entry(DIR* stream) noexcept {
    Slot* slot = slot_of(stream);
    bool is_sysctl = false;
    if (slot == nullptr && !is_one_of_ours(stream, is_sysctl)) return nullptr;
    if (slot == nullptr) {
        slot = claim_slot(stream);
        if (slot == nullptr) return nullptr;
        if (!is_sysctl) slot->next = 1;
    }
    const bool in_sysctl = slot->next == 0;
    while (slot->next < entry_count) {
        const Entry& entry = entries[slot->next];
        slot->next = in_sysctl ? entry_count : slot->next + 1;
        if (!is_missing(entry, dirfd(stream))) continue;
        slot->shown = {};
        slot->shown.d_ino = 1;
        slot->shown.d_reclen = sizeof(slot->shown);
        slot->shown.d_type = entry.type;
        strcpy(slot->shown.d_name, entry.name);
        return &slot->shown;
    }
    return nullptr;
}

}  // namespace

struct dirent* further_entry(DIR* stream) noexcept {
    const int saved = errno;
    struct dirent* entry = next_entry(stream);
    errno = saved;
    return entry;
}

void forget_directory(DIR* stream) noexcept {
    if (Slot* slot = slot_of(stream); slot != nullptr && stream != nullptr) {
        slot->stream.store(nullptr, std::memory_order_release);
    }
}

}  // namespace nlvs::shim
