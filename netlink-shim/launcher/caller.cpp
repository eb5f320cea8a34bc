#include "netlink-shim/launcher/caller.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace nlvs::shim {

namespace {

constexpr char own_network_namespace[] = "/proc/thread-self/ns/net";

/// The words after "key:" in a text of such lines.
std::vector<std::string_view> words_of(std::string_view text, std::string_view key) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (!line.starts_with(key) || line.substr(key.size()).substr(0, 1) != ":") continue;
        std::string_view rest = line.substr(key.size() + 1);
        for (;;) {
            const auto begin = rest.find_first_not_of(" \t");
            if (begin == std::string_view::npos) return words;
            rest.remove_prefix(begin);
            words.push_back(rest.substr(0, rest.find_first_of(" \t")));
            rest.remove_prefix(words.back().size());
        }
    }
    return words;
}

template <class Number>
bool parse(std::string_view text, Number& result, int base = 10) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result, base);
    return error == std::errc{} && end == text.data() + text.size();
}

template <class Number>
bool parse_word(
    std::string_view text, std::string_view key, std::size_t index, Number& result, int base = 10
) {
    const auto words = words_of(text, key);
    return index < words.size() && parse(words[index], result, base);
}

std::string process_file(pid_t thread, const char* name) {
    return "/proc/" + std::to_string(thread) + "/" + name;
}

std::uint64_t inode_of(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

std::uint64_t inode_of(int file) {
    struct stat status;
    return fstat(file, &status) == 0 ? status.st_ino : 0;
}

struct Capabilities {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};

    bool get() { return syscall(SYS_capget, &header, words) == 0; }

    std::uint64_t effective() const {
        return words[0].effective | static_cast<std::uint64_t>(words[1].effective) << 32;
    }

    /// Concerns the calling thread only.
    bool set_effective(std::uint64_t effective) {
        words[0].effective = static_cast<std::uint32_t>(effective);
        words[1].effective = static_cast<std::uint32_t>(effective >> 32);
        return syscall(SYS_capset, &header, words) == 0;
    }
};

}  // namespace

std::optional<ThreadStatus> parse_thread_status(std::string_view text) {
    ThreadStatus status;
    std::uint64_t pending = 0;
    std::uint64_t pending_for_process = 0;
    const auto numbers = words_of(text, "NStgid");
    if (numbers.empty() || !parse(numbers.back(), status.process_in_its_namespace))
        return std::nullopt;
    const bool complete = parse_word(text, "Tgid", 0, status.process) &&
                          parse_word(text, "Uid", 3, status.file_user) &&
                          parse_word(text, "Gid", 3, status.file_group) &&
                          parse_word(text, "CapEff", 0, status.capabilities, 16) &&
                          parse_word(text, "SigPnd", 0, pending, 16) &&
                          parse_word(text, "ShdPnd", 0, pending_for_process, 16) &&
                          parse_word(text, "SigBlk", 0, status.blocked_signals, 16);
    if (!complete) return std::nullopt;
    status.pending_signals = pending | pending_for_process;
    return status;
}

std::optional<ThreadStatus> read_thread_status(pid_t thread) {
    const Descriptor file(open(process_file(thread, "status").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::string text;
    char part[4096];
    for (;;) {
        const ssize_t size = read(file.get(), part, sizeof(part));
        if (size < 0) return std::nullopt;
        if (size == 0) return parse_thread_status(text);
        text.append(part, static_cast<std::size_t>(size));
    }
}

Descriptor open_process(pid_t process) {
    return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
}

Descriptor copy_descriptor(const Descriptor& process, int number) {
    return Descriptor(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
}

Descriptor network_namespace_file(int socket) {
    return Descriptor(ioctl(socket, SIOCGSKNS, 0));
}

InPlaceOf::InPlaceOf(
    pid_t thread, const ThreadStatus& status, const Descriptor& network_namespace
) {
    possible_ = enter(thread, network_namespace) && take_on(thread, status);
}

bool InPlaceOf::enter(pid_t thread, const Descriptor& network_namespace) {
    Descriptor current;
    int wanted = network_namespace.get();
    if (!network_namespace) {
        current = Descriptor(open(process_file(thread, "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
        wanted = current.get();
    }
    const std::uint64_t inode = inode_of(wanted);
    if (inode == 0) return false;
    Descriptor own(open(own_network_namespace, O_RDONLY | O_CLOEXEC));
    if (!own || inode == inode_of(own.get())) return static_cast<bool>(own);
    if (setns(wanted, CLONE_NEWNET) != 0) return false;
    own_namespace_ = std::move(own);
    return true;
}

bool InPlaceOf::take_on(pid_t thread, const ThreadStatus& status) {
    Capabilities capabilities;
    if (!capabilities.get()) return false;
    own_capabilities_ = capabilities.effective();
    const bool same_user_namespace =
        inode_of(process_file(thread, "ns/user")) == inode_of("/proc/self/ns/user");
    // Who gave up capabilities in a user namespace that we own would have ours.
    if (!same_user_namespace && (status.capabilities & CAP_TO_MASK(CAP_NET_ADMIN)) == 0)
        return false;
    const std::uint64_t wanted = same_user_namespace ? own_capabilities_ & status.capabilities : 0;
    // An invalid number changes nothing and tells the present one.
    own_user_ = static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1)));
    own_group_ = static_cast<gid_t>(setfsgid(static_cast<gid_t>(-1)));
    changed_ = wanted != own_capabilities_ || status.file_user != own_user_ ||
               status.file_group != own_group_;
    if (!changed_) return true;
    setfsgid(status.file_group);
    setfsuid(status.file_user);
    if (static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1))) != status.file_user) return false;
    // Linux: commoncap.c cap_task_fix_setuid — changing the file user changed the effective set.
    return capabilities.set_effective(wanted);
}

InPlaceOf::~InPlaceOf() {
    const int saved = errno;
    if (changed_) {
        Capabilities capabilities;
        if (capabilities.get()) capabilities.set_effective(own_capabilities_);
        setfsuid(own_user_);
        setfsgid(own_group_);
        if (capabilities.get()) capabilities.set_effective(own_capabilities_);
    }
    // A namespace lives as long as there is a thread in it: none is kept for a supervisor's sake.
    if (own_namespace_) setns(own_namespace_.get(), CLONE_NEWNET);
    errno = saved;
}

}  // namespace nlvs::shim
