// nlvs-run: runs a program whose IPVS calls reach nlvsd, whatever the program is linked with.
//
// The program takes over this very process (exec), so process id, exit status, signals and job
// control are its own. The supervisor is a process beside it, adopted by init, without terminal
// and without the program's files; it ends when the last supervised process has gone.

#include "netlink-shim/core/descriptor_passing.hpp"
#include "netlink-shim/launcher/caller.hpp"
#include "netlink-shim/launcher/descriptor.hpp"
#include "netlink-shim/launcher/filter.hpp"
#include "netlink-shim/launcher/supervisor.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using nlvs::shim::Descriptor;
using nlvs::shim::WatchedDescriptors;

// As env(1) and timeout(1) have them.
constexpr int cannot_supervise = 125;
constexpr int cannot_execute = 126;
constexpr int not_found = 127;

constexpr char usage[] =
    "usage: nlvs-run [--] PROGRAM [ARGUMENT...]\n"
    "Runs PROGRAM so that what it tells the kernel's IPVS reaches the nlvsd of its network\n"
    "namespace. For programs that LD_PRELOAD does not reach, such as static ones.\n"
    "Exit status: PROGRAM's; 125 if nlvs-run fails, 126 if PROGRAM cannot be run, 127 if there\n"
    "is none.\n";

[[noreturn]] void fail(const char* what, int error) {
    std::fprintf(stderr, "nlvs-run: %s: %s\n", what, std::strerror(error));
    std::exit(cannot_supervise);
}

const char* reason_of_refusal(int error) {
    switch (error) {
        case EBUSY:
            return "another supervisor (a container runtime, nlvs-run itself) watches this process "
                   "already, and the kernel allows only one";
        case EINVAL:
        case ENOSYS:
            return "this kernel has no seccomp user notification as of Linux 5.19";
        default:
            return "the kernel forbids seccomp user notification here";
    }
}

rlim_t open_file_limit() {
    rlimit limit = {};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

/// The supervisor has the open files of many processes in its hands.
void raise_open_file_limit() {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/// Signals are for the program: a terminal's, and those that a service manager sends to all
/// processes of a service. The supervisor must outlast their handling.
void live_apart_from_the_program(int channel) {
    setsid();
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM})
        signal(number, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int kept = fcntl(channel, F_DUPFD, 4);
    const int nothing = open("/dev/null", O_RDWR);
    for (int standard = 0; standard <= 2; ++standard) dup2(nothing, standard);
    dup2(kept, 3);
    syscall(SYS_close_range, 4, ~0U, 0);
    // A caller's own groups are not taken on (InPlaceOf), so ours must give nobody anything.
    if (setgroups(0, nullptr) != 0 && errno != EPERM) _exit(cannot_supervise);
    if (chdir("/") != 0) _exit(cannot_supervise);
    raise_open_file_limit();
}

/// Tells the program's side whether it can have what it needs from the kernel: 0, or an errno.
int permission_to_look_into(pid_t program) {
    if (!nlvs::shim::read_thread_status(program)) return errno != 0 ? errno : EPROTO;
    const Descriptor process = nlvs::shim::open_process(program);
    if (!process) return errno;
    return nlvs::shim::copy_descriptor(process, 0) || errno == EBADF ? 0 : errno;
}

[[noreturn]] void supervise(int channel, pid_t program, const WatchedDescriptors& watched) {
    live_apart_from_the_program(channel);
    const int listener = nlvs::shim::receive_descriptor(3);
    if (listener < 0) _exit(cannot_supervise);
    int error = permission_to_look_into(program);
    try {
        nlvs::shim::Supervisor supervisor(listener, watched);
        if (error == 0) supervisor.start();
        if (write(3, &error, sizeof(error)) != sizeof(error) || error != 0) _exit(cannot_supervise);
        close(3);
        supervisor.wait();
    } catch (const std::exception&) {
        _exit(cannot_supervise);
    }
    // The workers wait for calls that cannot come.
    _exit(0);
}

/// As a grandchild, so that the program finds no child that it did not start.
void start_supervisor(int channel, const WatchedDescriptors& watched) {
    const pid_t program = getpid();
    const pid_t child = fork();
    if (child < 0) fail("cannot start the supervisor", errno);
    if (child == 0) {
        const pid_t supervisor = fork();
        if (supervisor == 0) supervise(channel, program, watched);
        _exit(supervisor < 0 ? errno : 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("cannot start the supervisor", WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
}

void come_under_supervision() {
    const WatchedDescriptors watched = nlvs::shim::watched_descriptors(open_file_limit());
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail("cannot make a socket", errno);
    start_supervisor(ends[1], watched);
    close(ends[1]);
    const Descriptor channel(ends[0]);
    const Descriptor listener(nlvs::shim::install_filter(nlvs::shim::build_filter(watched)));
    if (!listener) fail(reason_of_refusal(errno), errno);
    int error = ECHILD;
    if (!nlvs::shim::send_descriptor(channel.get(), listener.get()) ||
        recv(channel.get(), &error, sizeof(error), MSG_WAITALL) != sizeof(error))
        fail("the supervisor has ended", ECHILD);
    if (error != 0) fail("the kernel forbids the supervisor to look into the program", error);
}

}  // namespace

int main(int argc, char** argv) {
    int program = 1;
    if (argc > 1 && std::string_view(argv[1]) == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    if (argc > 1 && std::string_view(argv[1]) == "--") {
        program = 2;
    } else if (argc > 1 && argv[1][0] == '-') {
        std::fprintf(stderr, "nlvs-run: unknown option %s\n%s", argv[1], usage);
        return cannot_supervise;
    }
    if (program >= argc) {
        std::fputs(usage, stderr);
        return cannot_supervise;
    }
    come_under_supervision();
    execvp(argv[program], argv + program);
    const int error = errno;
    std::fprintf(stderr, "nlvs-run: %s: %s\n", argv[program], std::strerror(error));
    return error == ENOENT ? not_found : cannot_execute;
}
