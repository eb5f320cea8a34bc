#include "netlink-shim/core/rules.hpp"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

namespace nlvs::shim {

namespace {

// The longest attribute list that is searched; a GETFAMILY request has one attribute.
constexpr std::size_t max_controller_request = 256;
constexpr std::size_t headers_size = NLMSG_HDRLEN + GENL_HDRLEN;
// Linux: include/uapi/linux/ip_vs.h IP_VS_BASE_CTL … IP_VS_SO_SET_MAX, IP_VS_SO_GET_MAX.
constexpr int first_option = 64 + 1024 + 64;
constexpr int last_option = first_option + 15;
constexpr int get_version = first_option;

bool names_family(const unsigned char* attributes, std::size_t size) noexcept {
    std::size_t at = 0;
    while (size - at >= sizeof(nlattr)) {
        nlattr header;
        memcpy(&header, attributes + at, sizeof(header));
        if (header.nla_len < sizeof(header) || header.nla_len > size - at) return false;
        const unsigned char* payload = attributes + at + NLA_HDRLEN;
        const std::size_t length = header.nla_len - static_cast<std::size_t>(NLA_HDRLEN);
        const int type = header.nla_type & NLA_TYPE_MASK;
        if (type == CTRL_ATTR_FAMILY_NAME) {
            // Linux: the policy wants a NUL-terminated string, or one that the length ends.
            const std::size_t name = sizeof(ipvs_family_name) - 1;
            if (length >= name && memcmp(payload, ipvs_family_name, name) == 0 &&
                (length == name || payload[name] == 0))
                return true;
        }
        if (type == CTRL_ATTR_FAMILY_ID && length >= sizeof(std::uint16_t)) {
            std::uint16_t id;
            memcpy(&id, payload, sizeof(id));
            if (id == ipvs_family_id) return true;
        }
        const std::size_t step = NLA_ALIGN(static_cast<std::size_t>(header.nla_len));
        if (step >= size - at) return false;
        at += step;
    }
    return false;
}

Recipient controller_recipient(
    const ScatteredBytes& bytes, std::size_t offset, const nlmsghdr& header
) noexcept {
    unsigned char request[max_controller_request];
    const std::size_t wanted =
        header.nlmsg_len < sizeof(request) ? header.nlmsg_len : sizeof(request);
    const std::size_t size = bytes.copy(offset, request, wanted);
    if (size < headers_size) return Recipient::kernel;
    const unsigned char command = request[NLMSG_HDRLEN];
    if (command != CTRL_CMD_GETFAMILY && command != CTRL_CMD_GETPOLICY) return Recipient::kernel;
    const bool dump = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    // Linux: genetlink.c ctrl_dumpfamily ignores attributes.
    if (dump && command == CTRL_CMD_GETFAMILY) return Recipient::daemon_preferred;
    return names_family(request + headers_size, size - headers_size) ? Recipient::daemon
                                                                     : Recipient::kernel;
}

/// Linux: genetlink.c genl_rcv_msg, af_netlink.c netlink_rcv_skb.
bool is_nobodys(std::uint16_t type) noexcept {
    const bool is_private = type >= ipvs_family_id && type <= options_message_type;
    return type < NLMSG_MIN_TYPE || (type > GENL_MAX_ID && !is_private);
}

bool has_prefix(const char* text, const char* prefix) noexcept {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool is_process_directory(const char* path) noexcept {
    if (strcmp(path, "/proc/self") == 0) return true;
    if (!has_prefix(path, "/proc/")) return false;
    const char* number = path + strlen("/proc/");
    const std::size_t digits = strspn(number, "0123456789");
    return digits > 0 && number[digits] == 0;
}

/// Applies ".." to a path below /proc, where only "net" and the links of processes lead elsewhere:
/// the new length, 0 if nobody can tell without looking.
std::size_t go_up(char* path, std::size_t length) noexcept {
    path[length] = 0;
    if (strcmp(path, "/proc/net") == 0) {
        strcpy(path, "/proc/self");
        return strlen(path);
    }
    char* const last = strrchr(path, '/');
    if (last == nullptr) return 0;
    const bool below_sys = has_prefix(path, "/proc/sys/");
    const bool top = strcmp(path, "/proc/sys") == 0 || is_process_directory(path);
    *last = 0;
    const bool net = strcmp(last + 1, "net") == 0 && is_process_directory(path);
    if (!below_sys && !top && !net) return 0;
    return static_cast<std::size_t>(last - path);
}

/// Copies `path` without empty, "." and ".." components, "/" before each one left, and behind the
/// last one if it must be a directory. Returns the length, 0 for a relative path, one with a ".."
/// that cannot be told, or one that does not fit. `goes_through_ours`: a ".." left our directory.
std::size_t normalize(
    const char* path, char* result, std::size_t capacity, bool& goes_through_ours
) noexcept {
    goes_through_ours = false;
    if (path[0] != '/') return 0;
    std::size_t length = 0;
    bool directory = false;
    while (*path != 0) {
        while (*path == '/') ++path;
        const std::size_t component = strcspn(path, "/");
        const bool dot = component == 1 && path[0] == '.';
        directory = component == 0 || dot;
        if (component == 2 && path[0] == '.' && path[1] == '.') {
            result[length] = 0;
            if (strcmp(result, "/proc/sys/net/ipv4/vs") == 0) goes_through_ours = true;
            length = go_up(result, length);
            if (length == 0) return 0;
        } else if (component > 0 && !dot) {
            if (length + component + 3 > capacity) return 0;
            result[length++] = '/';
            memcpy(result + length, path, component);
            length += component;
        }
        path += component;
    }
    if (directory && length > 0) result[length++] = '/';
    result[length] = 0;
    return length;
}

/// The part of "/proc/net/...", "/proc/self/net/..." or "/proc/thread-self/net/..." from "/net";
/// also of "/proc/PID/net/..." where `process` can be told.
const char* after_process(const char* path, std::uint32_t* process) noexcept {
    path += strlen("/proc");
    if (has_prefix(path, "/self/net/")) return path + strlen("/self");
    if (has_prefix(path, "/thread-self/net/")) return path + strlen("/thread-self");
    const std::size_t digits = strspn(path + 1, "0123456789");
    if (process == nullptr || digits == 0 || digits > 9) return path;
    if (!has_prefix(path + 1 + digits, "/net/")) return path;
    for (std::size_t i = 1; i <= digits; ++i) {
        *process = *process * 10 + static_cast<std::uint32_t>(path[i] - '0');
    }
    return path + 1 + digits;
}

bool is_ours(const char* remainder) noexcept {
    constexpr char sysctl[] = "/sys/net/ipv4/vs";
    if (has_prefix(remainder, sysctl)) {
        const char next = remainder[sizeof(sysctl) - 1];
        return next == 0 || next == '/';
    }
    return has_prefix(remainder, "/net/ip_vs");
}

}  // namespace

ScatteredBytes::ScatteredBytes(const iovec* parts, std::size_t count) noexcept
    : parts_(parts), count_(count) {
    for (std::size_t i = 0; i < count; ++i) size_ += parts[i].iov_len;
}

std::size_t ScatteredBytes::copy(std::size_t offset, void* destination, std::size_t length)
    const noexcept {
    std::size_t copied = 0;
    for (std::size_t i = 0; i < count_ && copied < length; ++i) {
        if (offset >= parts_[i].iov_len) {
            offset -= parts_[i].iov_len;
            continue;
        }
        std::size_t chunk = parts_[i].iov_len - offset;
        if (chunk > length - copied) chunk = length - copied;
        memcpy(
            static_cast<char*>(destination) + copied,
            static_cast<const char*>(parts_[i].iov_base) + offset,
            chunk
        );
        copied += chunk;
        offset = 0;
    }
    return copied;
}

std::size_t ScatteredBytes::slice(
    std::size_t offset, std::size_t length, iovec* parts, std::size_t capacity
) const noexcept {
    std::size_t used = 0;
    for (std::size_t i = 0; i < count_ && length > 0; ++i) {
        if (offset >= parts_[i].iov_len) {
            offset -= parts_[i].iov_len;
            continue;
        }
        if (used == capacity) return 0;
        std::size_t chunk = parts_[i].iov_len - offset;
        if (chunk > length) chunk = length;
        parts[used++] = {static_cast<char*>(parts_[i].iov_base) + offset, chunk};
        length -= chunk;
        offset = 0;
    }
    return used;
}

Recipient recipient_of(const ScatteredBytes& bytes, std::size_t offset) noexcept {
    nlmsghdr header;
    if (bytes.copy(offset, &header, sizeof(header)) < sizeof(header)) return Recipient::kernel;
    if (header.nlmsg_len < sizeof(header)) return Recipient::kernel;
    if (header.nlmsg_type == ipvs_family_id || header.nlmsg_type == sockopt_message_type)
        return Recipient::daemon;
    if (header.nlmsg_type == GENL_ID_CTRL) return controller_recipient(bytes, offset, header);
    return Recipient::kernel;
}

Run next_run(const ScatteredBytes& bytes, std::size_t offset) noexcept {
    const std::size_t rest = bytes.size() - offset;
    const Recipient recipient = recipient_of(bytes, offset);
    std::size_t length = 0;
    for (;;) {
        nlmsghdr header;
        if (bytes.copy(offset + length, &header, sizeof(header)) < sizeof(header)) break;
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest - length) break;
        const bool stays = length == 0 || recipient_of(bytes, offset + length) == recipient ||
                           (recipient == Recipient::daemon && is_nobodys(header.nlmsg_type));
        if (!stays) return {length, recipient};
        const std::size_t step = NLMSG_ALIGN(static_cast<std::size_t>(header.nlmsg_len));
        if (step >= rest - length) break;
        length += step;
    }
    return {rest, recipient};
}

bool is_ipvs_socket_option(int level, int option) noexcept {
    return level == IPPROTO_IP && option >= first_option && option <= last_option;
}

bool reports_length(int option) noexcept {
    return option == get_version;
}

std::size_t daemon_path(
    const char* path, char* remainder, std::size_t capacity, std::uint32_t* process
) noexcept {
    char normal[192];
    bool goes_through_ours;
    if (process != nullptr) *process = 0;
    if (normalize(path, normal, sizeof(normal), goes_through_ours) == 0) return 0;
    if (!has_prefix(normal, "/proc/")) return 0;
    const char* ours = after_process(normal, process);
    if (!is_ours(ours)) return 0;
    const std::size_t length = strlen(ours);
    if (length + 1 > capacity) return 0;
    memcpy(remainder, ours, length + 1);
    return length;
}

std::size_t way_out(const char* path, char* result, std::size_t capacity) noexcept {
    char normal[192];
    bool goes_through_ours;
    const std::size_t length = normalize(path, normal, sizeof(normal), goes_through_ours);
    if (length == 0 || !goes_through_ours || length + 1 > capacity) return 0;
    memcpy(result, normal, length + 1);
    return length;
}

}  // namespace nlvs::shim
