// What the interposing library costs a program that does not speak IPVS.
//
//     shim-cost-bench LIBRARY [ROUNDS]
//
// Runs itself with and without the library in turns, and prints nanoseconds a call (medians) and the
// median of the rounds' ratios. A machine that does other work shifts both halves of a round alike.

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr const char* child_mode = "--measure";

struct Figure {
    const char* name;
    double nanoseconds;
};

template <class Call>
double time_of(int calls, Call call) {
    double best = 1e18;
    for (int part = 0; part < 5; ++part) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < calls; ++i) call();
        const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
        best = std::min(best, spent.count() / calls);
    }
    return best;
}

void check(bool good, const char* what) {
    if (good) return;
    std::perror(what);
    std::exit(1);
}

double datagrams() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    check(::bind(socket, reinterpret_cast<sockaddr*>(&name), size) == 0, "bind");
    check(::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) == 0, "getsockname");
    check(::connect(socket, reinterpret_cast<sockaddr*>(&name), size) == 0, "connect");
    std::array<char, 64> bytes{};
    return time_of(20000, [&] {
        check(::send(socket, bytes.data(), bytes.size(), 0) > 0, "send");
        check(::recv(socket, bytes.data(), bytes.size(), 0) > 0, "recv");
    });
}

/// A listing by rtnetlink, as `ip route` and every routing daemon asks for.
double listing(std::uint16_t type) {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    check(socket >= 0, "netlink socket");
    struct {
        nlmsghdr header;
        rtmsg route;
        std::array<char, 16> rest;
    } request{};
    request.header = {NLMSG_LENGTH(sizeof(ifinfomsg)), type, NLM_F_REQUEST | NLM_F_DUMP, 1, 0};
    std::array<char, 32768> answer;
    return time_of(1000, [&] {
        check(::send(socket, &request, request.header.nlmsg_len, 0) > 0, "request");
        for (bool more = true; more;) {
            const ssize_t size = ::recv(socket, answer.data(), answer.size(), 0);
            check(size >= NLMSG_HDRLEN, "answer");
            nlmsghdr header;
            std::memcpy(&header, answer.data(), sizeof(header));
            more = header.nlmsg_type != NLMSG_DONE && header.nlmsg_type != NLMSG_ERROR;
        }
    });
}

/// Processor time of a program that does little but call the kernel about files.
double program() {
    double best = 1e18;
    for (int i = 0; i < 5; ++i) {
        rusage before{}, after{};
        ::getrusage(RUSAGE_CHILDREN, &before);
        check(std::system("find /usr/include -newer /etc/hostname >/dev/null") == 0, "find");
        ::getrusage(RUSAGE_CHILDREN, &after);
        const auto nanoseconds = [](const rusage& usage) {
            const auto one = [](const timeval& time) {
                return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
            };
            return one(usage.ru_utime) + one(usage.ru_stime);
        };
        best = std::min(best, nanoseconds(after) - nanoseconds(before));
    }
    return best;
}

int measure() {
    std::array<char, 64> bytes{};
    const int null = ::open("/dev/null", O_WRONLY);
    const int zero = ::open("/dev/zero", O_RDONLY);
    const std::array figures{
        Figure{"write", time_of(100000, [&] { check(::write(null, bytes.data(), bytes.size()) > 0, "write"); })},
        Figure{"read", time_of(100000, [&] { check(::read(zero, bytes.data(), bytes.size()) > 0, "read"); })},
        Figure{"send + recv, UDP", datagrams()},
        Figure{"open + close", time_of(20000, [] { ::close(::open("/etc/hostname", O_RDONLY)); })},
        Figure{"stat", time_of(50000, [] {
            struct stat status;
            check(::stat("/etc", &status) == 0, "stat");
        })},
        Figure{"list routes, netlink", listing(RTM_GETROUTE)},
        Figure{"list links, netlink", listing(RTM_GETLINK)},
        Figure{"find /usr/include", program()},
    };
    for (const Figure& figure : figures) std::printf("%.2f %s\n", figure.nanoseconds, figure.name);
    return 0;
}

std::vector<std::pair<double, std::string>> run(const char* self, const char* library) {
    const std::string preload = library != nullptr ? std::string{"LD_PRELOAD="} + library : "";
    const std::string command = "env " + preload + " " + self + " " + child_mode;
    FILE* output = ::popen(command.c_str(), "r");
    check(output != nullptr, "popen");
    std::vector<std::pair<double, std::string>> figures;
    std::array<char, 128> line;
    while (std::fgets(line.data(), line.size(), output) != nullptr) {
        char* name = nullptr;
        const double value = std::strtod(line.data(), &name);
        figures.emplace_back(value, std::string{name + 1, std::strcspn(name + 1, "\n")});
    }
    check(::pclose(output) == 0 && !figures.empty(), "the measured program");
    return figures;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 2 && std::strcmp(arguments[1], child_mode) == 0) return measure();
    if (count < 2) {
        std::fprintf(stderr, "usage: shim-cost-bench LIBRARY [ROUNDS]\n");
        return 2;
    }
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 15;
    std::vector<std::string> names;
    std::vector<std::vector<double>> alone, with;
    for (int round = 0; round < rounds; ++round) {
        const auto a = run(arguments[0], nullptr);
        const auto b = run(arguments[0], arguments[1]);
        names.resize(a.size());
        alone.resize(a.size());
        with.resize(a.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            names[i] = a[i].second;
            alone[i].push_back(a[i].first);
            with[i].push_back(b[i].first);
        }
    }
    std::printf("%-22s %12s %12s %8s\n", "ns a call", "alone", "library", "ratio");
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::vector<double> ratios;
        for (std::size_t r = 0; r < alone[i].size(); ++r) ratios.push_back(with[i][r] / alone[i][r]);
        std::printf(
            "%-22s %12.1f %12.1f %8.4f\n", names[i].c_str(), median(alone[i]), median(with[i]), median(ratios)
        );
    }
}
