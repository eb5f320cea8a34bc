// A statically linked client for launcher_test.py: no dynamic loader, so no preload library.
//
// usage: launcher_client calls|options|processes|namespace|weak|signals|measure
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : fail(__LINE__, #condition))

static void fail(int line, const char* condition) {
    fprintf(stderr, "line %d: %s: %s\n", line, condition, strerror(errno));
    exit(1);
}

enum { get_info = 15 };

struct request {
    struct nlmsghdr header;
    struct genlmsghdr command;
    struct nlattr attribute;
    char name[8];
};

static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

static struct request ask_for_family(const char* name) {
    struct request request = {
        .header = {.nlmsg_type = GENL_ID_CTRL, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 1},
        .command = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
    };
    request.attribute.nla_type = CTRL_ATTR_FAMILY_NAME;
    request.attribute.nla_len = (unsigned short)(NLA_HDRLEN + strlen(name) + 1);
    snprintf(request.name, sizeof(request.name), "%s", name);
    request.header.nlmsg_len = (unsigned)sizeof(request);
    return request;
}

static struct request ask_for_info(unsigned short family, unsigned sequence) {
    struct request request = {
        .header = {.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN,
                   .nlmsg_type = family,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = sequence},
        .command = {.cmd = get_info, .version = 1},
    };
    return request;
}

static int open_socket(int flags) {
    const int opened = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_GENERIC);
    CHECK(opened >= 0);
    return opened;
}

static void send_to_kernel(int opened, const struct request* request) {
    CHECK(sendto(opened, request, request->header.nlmsg_len, 0, (const struct sockaddr*)&kernel,
                 sizeof(kernel)) == (ssize_t)request->header.nlmsg_len);
}

// One message; its first bytes are the header's. Checks that it comes from the kernel.
static union { struct nlmsghdr header; char bytes[65536]; } answer;

static void receive(int opened) {
    struct sockaddr_nl sender = {0};
    socklen_t size = sizeof(sender);
    const ssize_t received = recvfrom(opened, &answer, sizeof(answer), 0,
                                      (struct sockaddr*)&sender, &size);
    CHECK(received >= (ssize_t)sizeof(struct nlmsghdr));
    CHECK(size == sizeof(sender) && sender.nl_pid == 0);
}

static unsigned short resolve(int opened) {
    const struct request request = ask_for_family("IPVS");
    send_to_kernel(opened, &request);
    receive(opened);
    CHECK(answer.header.nlmsg_type == GENL_ID_CTRL);
    const char* at = answer.bytes + NLMSG_HDRLEN + GENL_HDRLEN;
    while (at < answer.bytes + answer.header.nlmsg_len) {
        const struct nlattr* attribute = (const struct nlattr*)at;
        if (attribute->nla_type == CTRL_ATTR_FAMILY_ID)
            return *(const unsigned short*)(at + NLA_HDRLEN);
        at += NLA_ALIGN(attribute->nla_len);
    }
    CHECK(!"a family id");
    return 0;
}

static void expect_info(int opened, unsigned short family, unsigned sequence) {
    receive(opened);
    CHECK(answer.header.nlmsg_type == family && answer.header.nlmsg_seq == sequence);
}

static void calls(void) {
    const int opened = open_socket(0);
    const unsigned short family = resolve(opened);
    struct sockaddr_nl name;
    socklen_t size = sizeof(name);
    CHECK(getsockname(opened, (struct sockaddr*)&name, &size) == 0);
    CHECK(name.nl_pid == (unsigned)getpid());

    struct request requests[2] = {ask_for_info(family, 2), ask_for_info(family, 3)};
    struct iovec parts[3] = {{&requests[0], 10}, {(char*)&requests[0] + 10, 10}, {&requests[1], 20}};
    CHECK(write(opened, &requests[0], 20) == 20);
    expect_info(opened, family, 2);
    CHECK(writev(opened, parts, 2) == 20);
    expect_info(opened, family, 2);
    struct mmsghdr batch[2] = {{.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}},
                               {.msg_hdr = {.msg_iov = parts + 2, .msg_iovlen = 1}}};
    CHECK(sendmmsg(opened, batch, 2, 0) == 2 && batch[0].msg_len == 20 && batch[1].msg_len == 20);
    struct sockaddr_nl senders[2] = {{.nl_pid = 7}, {.nl_pid = 7}};
    static char rooms[2][4096];
    struct iovec room[2] = {{rooms[0], 4096}, {rooms[1], 4096}};
    for (int i = 0; i < 2; ++i) {
        batch[i].msg_hdr = (struct msghdr){.msg_name = &senders[i], .msg_namelen = sizeof(name),
                                           .msg_iov = &room[i], .msg_iovlen = 1};
    }
    CHECK(recvmmsg(opened, batch, 2, 0, NULL) == 2);
    CHECK(senders[0].nl_pid == 0 && senders[1].nl_pid == 0);
    CHECK(((struct nlmsghdr*)rooms[0])->nlmsg_seq == 2);
    CHECK(((struct nlmsghdr*)rooms[1])->nlmsg_seq == 3);
    CHECK(batch[1].msg_len == ((struct nlmsghdr*)rooms[1])->nlmsg_len);

    // A peek leaves the message, a short read cuts it and says so.
    send_to_kernel(opened, &requests[0]);
    char little[20];
    CHECK(recv(opened, little, sizeof(little), MSG_PEEK | MSG_TRUNC) > 20);
    struct iovec small = {little, sizeof(little)};
    struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof(name),
                             .msg_iov = &small, .msg_iovlen = 1};
    CHECK(recvmsg(opened, &message, 0) == 20);
    CHECK((message.msg_flags & MSG_TRUNC) != 0 && name.nl_pid == 0);

    // Bytes to read are the kernel's to count, and waiting by epoll is the kernel's own.
    const int polled = open_socket(SOCK_NONBLOCK);
    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, polled, &event) == 0);
    CHECK(recv(polled, little, sizeof(little), 0) == -1 && errno == EAGAIN);
    send_to_kernel(polled, &requests[1]);
    CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
    expect_info(polled, family, 3);
    CHECK(read(polled, little, sizeof(little)) == -1 && errno == EAGAIN);

    // Bad pointers are the caller's mistake, not the supervisor's.
    CHECK(sendto(opened, (void*)1, 20, 0, NULL, 0) == -1 && errno == EFAULT);
    CHECK(recvmsg(opened, (void*)1, MSG_DONTWAIT) == -1 && errno == EFAULT);
    send_to_kernel(opened, &requests[0]);
    CHECK(recvfrom(opened, (void*)1, 100, 0, (struct sockaddr*)&name, &size) == -1);
    CHECK(errno == EFAULT);
    CHECK(open((void*)1, O_RDONLY) == -1 && errno == EFAULT);
}

static void options(void) {
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned char value[64] = {5};
    socklen_t size = sizeof(value);
    CHECK(getsockopt(udp, IPPROTO_IP, 1152, value, &size) == 0 && size == 64);
    CHECK(value[0] == 5 && value[63] == 5 + 63);
    CHECK(setsockopt(udp, IPPROTO_IP, 1154, value, 44) == 0);
    CHECK(setsockopt(udp, IPPROTO_IP, 1157, NULL, 0) == 0);
    CHECK(setsockopt(udp, IPPROTO_IP, 1154, value, 13) == -1 && errno == EINVAL);
    CHECK(setsockopt(udp, IPPROTO_IP, 1154, (void*)1, 44) == -1 && errno == EFAULT);
    CHECK(setsockopt(udp, IPPROTO_IP, IP_TTL, &(int){3}, sizeof(int)) == 0);
}

static void* ask_often(void* nothing) {
    const int opened = open_socket(0);
    const unsigned short family = resolve(opened);
    for (unsigned sequence = 1; sequence <= 50; ++sequence) {
        const struct request request = ask_for_info(family, sequence);
        send_to_kernel(opened, &request);
        expect_info(opened, family, sequence);
    }
    close(opened);
    return nothing;
}

static int resolves_in_a_child(int opened) {
    const pid_t child = fork();
    if (child == 0) {
        resolve(opened);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return status == 0;
}

static void processes(void) {
    const int opened = open_socket(0);
    CHECK(resolves_in_a_child(opened));
    const int copy = dup(opened);
    close(opened);
    CHECK(resolves_in_a_child(copy));
    for (int i = 0; i < 4; ++i) {
        if (fork() == 0) {
            ask_often(NULL);
            _exit(0);
        }
    }
    for (int i = 0, status; i < 4; ++i) CHECK(wait(&status) > 0 && status == 0);
    // Nobody else's child: the supervisor is not one of ours.
    CHECK(wait(NULL) == -1 && errno == ECHILD);
}

// In a new network namespace no daemon is registered; back in the first one it is.
static void namespace(void) {
    const int home = open("/proc/self/ns/net", O_RDONLY);
    const int before = open_socket(0);
    CHECK(unshare(CLONE_NEWNET) == 0);
    const int there = open_socket(0);
    const struct request request = ask_for_family("IPVS");
    const struct request controller = ask_for_family("nlctrl");
    send_to_kernel(there, &controller);
    receive(there);
    CHECK(answer.header.nlmsg_type == GENL_ID_CTRL);
    send_to_kernel(there, &request);
    receive(there);
    // The request has loaded the kernel's own ip_vs if there is one.
    const int status = access("/proc/net/ip_vs", F_OK);
    CHECK((answer.header.nlmsg_type == GENL_ID_CTRL) == (status == 0));
    resolve(before);
    CHECK(setns(home, CLONE_NEWNET) == 0);
    resolve(open_socket(0));
    CHECK(access("/proc/net/ip_vs", F_OK) == 0);
}

// Without CAP_NET_ADMIN, under a supervisor that has it.
static void weak(void) {
    const int opened = open_socket(0);
    const struct request request = ask_for_family("IPVS");
    CHECK(sendto(opened, &request, request.header.nlmsg_len, 0, (const struct sockaddr*)&kernel,
                 sizeof(kernel)) == -1 && errno == EPERM);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(setsockopt(udp, IPPROTO_IP, 1154, &request, 44) == -1 && errno == EPERM);
    CHECK(open("/proc/sys/net/ipv4/vs/conntrack", O_WRONLY) == -1 && errno == EACCES);
    CHECK(open("/proc/net/ip_vs", O_RDONLY) >= 0);
    const struct request controller = ask_for_family("nlctrl");
    send_to_kernel(opened, &controller);
    receive(opened);
    CHECK(answer.header.nlmsg_type == GENL_ID_CTRL);
}

static volatile sig_atomic_t caught;

static void catch_signal(int number) { caught = number; }

// A signal that a handler takes ends a wait, or does not with SA_RESTART; both lose no message.
static void signals(void) {
    const int opened = open_socket(0);
    struct sockaddr_nl sender;
    socklen_t size = sizeof(sender);
    struct sigaction action = {.sa_handler = catch_signal};
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(recvfrom(opened, &answer, sizeof(answer), 0, (struct sockaddr*)&sender, &size) == -1);
    CHECK(errno == EINTR && caught == SIGALRM);

    caught = 0;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    const pid_t waker = getpid();
    const pid_t child = fork();
    if (child == 0) {
        usleep(100000);
        kill(waker, SIGALRM);
        usleep(200000);
        const struct request request = ask_for_family("IPVS");
        send_to_kernel(opened, &request);
        _exit(0);
    }
    receive(opened);
    CHECK(caught == SIGALRM && answer.header.nlmsg_type == GENL_ID_CTRL);
    CHECK(waitpid(child, NULL, 0) == child);
}

static double nanoseconds_per_call(int count, void (*call)(int), int argument) {
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < count; ++i) call(argument);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double nanoseconds =
        (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    return nanoseconds / count;
}

static char byte;

static void read_zero(int opened) { CHECK(read(opened, &byte, 1) == 1); }
static void send_and_receive(int opened) {
    CHECK(send(opened, &byte, 1, 0) == 1 && recv(opened, &byte, 1, 0) == 1);
}
static void get_parent(int unused) { (void)unused, (void)getppid(); }
static void stat_root(int unused) {
    struct stat status;
    CHECK(unused == 0 && stat("/", &status) == 0);
}
static void open_null(int unused) {
    const int opened = open("/dev/null", O_RDONLY);
    CHECK(unused == 0 && opened >= 0 && close(opened) == 0);
}

// Calls that are none of the launcher's business.
static void measure(void) {
    const int zero = open("/dev/zero", O_RDONLY);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(self);
    CHECK(bind(udp, (struct sockaddr*)&self, size) == 0);
    CHECK(getsockname(udp, (struct sockaddr*)&self, &size) == 0);
    CHECK(connect(udp, (struct sockaddr*)&self, size) == 0);
    printf("getppid %.0f\n", nanoseconds_per_call(200000, get_parent, 0));
    printf("read %.0f\n", nanoseconds_per_call(200000, read_zero, zero));
    printf("send+recv %.0f\n", nanoseconds_per_call(50000, send_and_receive, udp));
    printf("stat %.0f\n", nanoseconds_per_call(5000, stat_root, 0));
    printf("open+close %.0f\n", nanoseconds_per_call(5000, open_null, 0));
}

int main(int argc, char** argv) {
    const struct {
        const char* name;
        void (*run)(void);
    } cases[] = {{"calls", calls},         {"options", options}, {"processes", processes},
                 {"namespace", namespace}, {"weak", weak},       {"signals", signals},
                 {"measure", measure}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 2;
}
