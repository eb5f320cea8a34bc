// Plays command sequences to whatever answers IPVS in this network namespace, and writes down what
// comes back: what is local to one side (port ids, the family's number, the order of services) is
// replaced by what is common to both.
//
// stdin    sequences: u32 size, then steps: Step, then its bytes
// stdout   per sequence: u32 size, then per step: u32 number of items, each u32 size and bytes.
//          The first item of a step is the call's result; a last step holds the final state.

#include "tests/fuzz/differential/client.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include <linux/ip_vs.h>

namespace {

using namespace nlvs::differential;

enum class Kind : std::uint8_t { datagram, netlink_option, set_option, get_option };

struct Step {
    Kind kind;
    std::uint8_t null_pointer;
    std::uint16_t option;
    std::uint32_t length;  ///< of the option's value, as passed to the call
    std::uint32_t size;    ///< of the bytes that follow
};

static_assert(sizeof(Step) == 12);

class Answers {
public:
    void add(View item) {
        append(items_, static_cast<std::uint32_t>(item.size()));
        items_.insert(items_.end(), item.begin(), item.end());
        ++count_;
    }

    template <class T>
    void add_value(const T& value) {
        add({reinterpret_cast<const unsigned char*>(&value), sizeof(value)});
    }

    void end_step() {
        append(bytes_, count_);
        bytes_.insert(bytes_.end(), items_.begin(), items_.end());
        items_.clear();
        count_ = 0;
    }

    const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
    Bytes items_;
    std::uint32_t count_ = 0;
};

bool is_service_listing(View datagram) {
    bool only = !datagram.empty();
    walk_messages(datagram, [&](std::size_t offset, const nlmsghdr& header) {
        only &= header.nlmsg_type == common_family && (header.nlmsg_flags & NLM_F_MULTI) != 0 &&
                header.nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN &&
                datagram[offset + NLMSG_HDRLEN] == IPVS_CMD_NEW_SERVICE;
    });
    return only;
}

/// The kernel lists services by a hash with a seed of the boot, so one listing is one sorted item.
std::vector<Bytes> with_sorted_services(const std::vector<Bytes>& datagrams) {
    std::vector<Bytes> result;
    std::vector<Bytes> services;
    const auto end_listing = [&] {
        if (services.empty()) return;
        std::ranges::sort(services);
        Bytes joined;
        for (const Bytes& one : services) joined.insert(joined.end(), one.begin(), one.end());
        services.clear();
        result.push_back(std::move(joined));
    };
    for (const Bytes& datagram : datagrams) {
        if (is_service_listing(datagram)) {
            walk_messages(datagram, [&](std::size_t offset, const nlmsghdr& header) {
                const auto start = datagram.begin() + static_cast<std::ptrdiff_t>(offset);
                services.emplace_back(start, start + header.nlmsg_len);
            });
            continue;
        }
        end_listing();
        result.push_back(datagram);
    }
    end_listing();
    return result;
}

void add_answers(Client& client, Answers& answers) {
    for (const Bytes& item : with_sorted_services(client.receive_all())) answers.add(item);
}

std::uint32_t services_of_old_interface(const Client& client) {
    ip_vs_getinfo information{};
    socklen_t size = sizeof(information);
    if (::getsockopt(client.raw(), IPPROTO_IP, IP_VS_SO_GET_INFO, &information, &size) != 0)
        fail("IP_VS_SO_GET_INFO");
    return information.num_services;
}

/// As with_sorted_services(); a list that was cut shows an arbitrary part, which is left out.
void sort_entries(const Client& client, Bytes& value) {
    constexpr std::size_t head = sizeof(ip_vs_get_services);
    constexpr std::size_t size = sizeof(ip_vs_service_entry);
    const std::size_t shown = (value.size() - head) / size;
    if (shown < services_of_old_interface(client)) return value.resize(head);
    std::vector<Bytes> entries;
    for (std::size_t i = 0; i < shown; ++i) {
        const auto start = value.begin() + static_cast<std::ptrdiff_t>(head + i * size);
        entries.emplace_back(start, start + size);
    }
    std::ranges::sort(entries);
    value.resize(head);
    for (const Bytes& one : entries) value.insert(value.end(), one.begin(), one.end());
}

void call_set_option(Client& client, const Step& step, Bytes value, Answers& answers) {
    // The kernel copies what the table of lengths says, also from a shorter buffer.
    value.resize(std::max<std::size_t>(value.size(), 256));
    const int result = ::setsockopt(
        client.raw(),
        IPPROTO_IP,
        step.option,
        step.null_pointer ? nullptr : value.data(),
        static_cast<socklen_t>(step.length)
    );
    answers.add_value(std::int32_t{result == 0 ? 0 : -errno});
}

void call_get_option(Client& client, const Step& step, Bytes value, Answers& answers) {
    value.resize(std::max<std::size_t>({value.size(), 256, step.length & 0xFFFF}));
    auto length = static_cast<socklen_t>(step.length);
    const int result = ::getsockopt(
        client.raw(), IPPROTO_IP, step.option, step.null_pointer ? nullptr : value.data(), &length
    );
    answers.add_value(std::int32_t{result == 0 ? 0 : -errno});
    if (result != 0) return;
    answers.add_value(std::uint32_t{length});
    value.resize(std::min<std::size_t>(length, value.size()));
    if (step.option == IP_VS_SO_GET_SERVICES) sort_entries(client, value);
    answers.add(value);
}

/// The attributes of each service of a listing.
std::vector<Bytes> services_of(View listing) {
    std::vector<Bytes> result;
    walk_messages(listing, [&](std::size_t offset, const nlmsghdr& header) {
        const View message = listing.subspan(offset, header.nlmsg_len);
        const View attributes = message.subspan(NLMSG_HDRLEN + GENL_HDRLEN);
        result.emplace_back(attributes.begin(), attributes.end());
    });
    return result;
}

constexpr std::uint16_t dump_flags = NLM_F_REQUEST | NLM_F_DUMP;

void exchange(Client& client, const Bytes& bytes, Answers& answers) {
    answers.add_value(client.send(bytes));
    add_answers(client, answers);
}

bool starts_daemon(View datagram) {
    bool found = false;
    walk_messages(datagram, [&](std::size_t offset, const nlmsghdr& header) {
        found |= header.nlmsg_len > NLMSG_HDRLEN &&
                 datagram[offset + NLMSG_HDRLEN] == IPVS_CMD_NEW_DAEMON;
    });
    return found;
}

/// Linux: kthread_stop() is EINTR when the thread has not run yet.
void let_daemon_run() {
    ::usleep(2000);
}

void add_final_state(Client& client, Answers& answers) {
    exchange(client, request(common_family, NLM_F_REQUEST, IPVS_CMD_GET_CONFIG), answers);
    exchange(client, request(common_family, dump_flags, IPVS_CMD_GET_DAEMON), answers);
    client.send(request(common_family, dump_flags, IPVS_CMD_GET_SERVICE));
    std::vector<Bytes> services;
    for (const Bytes& item : with_sorted_services(client.receive_all())) {
        answers.add(item);
        if (is_service_listing(item)) services = services_of(item);
    }
    for (const Bytes& service : services) {
        exchange(client, request(common_family, dump_flags, IPVS_CMD_GET_DEST, service), answers);
    }
    answers.add_value(services_of_old_interface(client));
}

/// No services, no daemons, the default timeouts.
void reset(Client& client) {
    Bytes bytes = request(common_family, NLM_F_REQUEST, IPVS_CMD_FLUSH);
    const auto more = [&](std::uint8_t command, const Bytes& attributes) {
        const Bytes one = request(common_family, NLM_F_REQUEST, command, attributes);
        bytes.insert(bytes.end(), one.begin(), one.end());
    };
    const auto number = [](Bytes& attributes, std::uint16_t type, std::uint32_t value) {
        Bytes payload;
        append(payload, value);
        append_attribute(attributes, type, payload);
    };
    for (const std::uint32_t state : {IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP}) {
        Bytes nest;
        number(nest, IPVS_DAEMON_ATTR_STATE, state);
        Bytes attributes;
        append_attribute(attributes, IPVS_CMD_ATTR_DAEMON | NLA_F_NESTED, nest);
        more(IPVS_CMD_DEL_DAEMON, attributes);
    }
    Bytes timeouts;
    number(timeouts, IPVS_CMD_ATTR_TIMEOUT_TCP, 900);
    number(timeouts, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, 120);
    number(timeouts, IPVS_CMD_ATTR_TIMEOUT_UDP, 300);
    more(IPVS_CMD_SET_CONFIG, timeouts);
    client.send(std::move(bytes));
    client.receive_all();
}

Bytes play(std::uint16_t family, View sequence) {
    Client client{family};
    reset(client);
    Answers answers;
    std::size_t offset = 0;
    while (offset < sequence.size()) {
        const auto step = load<Step>(sequence, offset);
        const View bytes = sequence.subspan(offset + sizeof(step), step.size);
        offset += sizeof(step) + step.size;
        Bytes value(bytes.begin(), bytes.end());
        switch (step.kind) {
            case Kind::datagram:
                exchange(client, value, answers);
                if (starts_daemon(value)) let_daemon_run();
                break;
            case Kind::netlink_option:
                client.set_netlink_option(step.option, static_cast<int>(step.length));
                break;
            case Kind::set_option:
                call_set_option(client, step, std::move(value), answers);
                if (step.option == IP_VS_SO_SET_STARTDAEMON) let_daemon_run();
                break;
            case Kind::get_option:
                call_get_option(client, step, std::move(value), answers);
                break;
        }
        answers.end_step();
    }
    client.set_netlink_option(NETLINK_CAP_ACK, 0);
    client.set_netlink_option(NETLINK_EXT_ACK, 0);
    add_final_state(client, answers);
    answers.end_step();
    return answers.bytes();
}

std::uint16_t family_number() {
    Client client{0};
    Bytes attributes;
    constexpr std::array<unsigned char, 5> name{'I', 'P', 'V', 'S', 0};
    append_attribute(attributes, CTRL_ATTR_FAMILY_NAME, name);
    client.send(request(GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, attributes));
    for (const Bytes& answer : client.receive_all()) {
        std::size_t offset = NLMSG_HDRLEN + GENL_HDRLEN;
        while (load<nlmsghdr>(answer, 0).nlmsg_type == GENL_ID_CTRL && offset < answer.size()) {
            const auto attribute = load<nlattr>(answer, offset);
            if (attribute.nla_type == CTRL_ATTR_FAMILY_ID)
                return load<std::uint16_t>(answer, offset + NLA_HDRLEN);
            offset += NLA_ALIGN(std::size_t{attribute.nla_len});
        }
    }
    throw std::runtime_error("nobody answers for the family IPVS");
}

bool read_exactly(void* to, std::size_t size) {
    return std::fread(to, 1, size, stdin) == size;
}

}  // namespace

int main() try {
    const std::uint16_t family = family_number();
    std::uint32_t size;
    while (read_exactly(&size, sizeof(size))) {
        Bytes sequence(size);
        if (size != 0 && !read_exactly(sequence.data(), size))
            throw std::runtime_error("a truncated sequence");
        const Bytes answers = play(family, sequence);
        const auto length = static_cast<std::uint32_t>(answers.size());
        std::fwrite(&length, sizeof(length), 1, stdout);
        std::fwrite(answers.data(), 1, answers.size(), stdout);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;

} catch (const std::exception& error) {
    std::fprintf(stderr, "player: %s\n", error.what());
    return 1;
}
