#include "netlink-shim/preload/path_redirect.hpp"

#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/core/rules.hpp"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

bool DaemonPath::find(const char* path) noexcept {
    char remainder[128];
    const std::size_t length = daemon_path(path, remainder, sizeof(remainder));
    if (length == 0) return false;
    const int saved = errno;
    Registration daemon;
    const Lookup lookup = find_daemon(current_network_namespace(), daemon);
    errno = saved;
    if (lookup != Lookup::found || daemon.files[0] == 0) return false;
    const std::size_t root = strlen(daemon.files);
    if (root + length + 1 > sizeof(text_)) return false;
    memcpy(text_, daemon.files, root);
    memcpy(text_ + root, remainder, length + 1);
    return true;
}

void discard(int descriptor) noexcept {
    syscall(SYS_close, descriptor);
}

void discard(FILE* stream) noexcept {
    fclose(stream);
}

void discard(DIR* directory) noexcept {
    closedir(directory);
}

}  // namespace nlvs::shim
