// Any bytes as one send of a client: the dispatcher must neither crash nor answer with anything
// but whole messages. A length field beyond the end is cut to it, or nothing would be looked at.

#include "compat/net/bytes.hpp"
#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "tests/support/fake_control.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

namespace {

using namespace nlvs;

void check(const shim::Datagram& datagram) {
    netlink::Bytes rest{datagram};
    std::size_t size = 0;
    while (const auto message = netlink::take_message(rest)) {
        size += netlink::aligned(message->bytes().size());
    }
    if (size == 0 || size != datagram.size()) std::abort();
}

std::optional<netlink::MessageView> take(std::span<std::byte>& rest) {
    if (const auto header = net::extract<nlmsghdr>(rest);
        header && header->nlmsg_len > rest.size()) {
        net::store(rest.data(), static_cast<std::uint32_t>(rest.size()));
    }
    netlink::Bytes bytes{rest};
    const auto message = netlink::take_message(bytes);
    rest = rest.last(bytes.size());
    return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    test::FakeControl control;
    shim::GenlDispatcher dispatcher{control, 32};
    std::vector<std::uint8_t> input(data, data + size);
    auto rest = std::as_writable_bytes(std::span{input});
    while (const auto message = take(rest)) {
        auto answer = dispatcher.handle(message->bytes(), {.port = 1});
        for (const auto& datagram : answer.datagrams) check(datagram);
        if (!answer.dump) continue;
        for (auto part = answer.dump->next(1); !part.empty(); part = answer.dump->next(1)) {
            check(part);
        }
        check(answer.dump->done());
    }
    return 0;
}
