// Any bytes as a get- or setsockopt call: a direction, an option near the range, a length, then
// the argument.

#include "compat/net/bytes.hpp"
#include "netlink-shim/endpoint/sockopt_dispatcher.hpp"
#include "tests/support/fake_control.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nlvs;
    test::FakeControl control;
    shim::SockoptDispatcher dispatcher{control};
    auto rest = std::as_bytes(std::span{data, size});
    while (rest.size() >= 4) {
        const bool is_get = rest[0] != std::byte{0};
        const auto option = std::to_integer<std::uint32_t>(rest[1]) + 1148;
        const auto length = std::uint32_t{net::load<std::uint16_t>(rest.data() + 2)};
        rest = rest.subspan(4);
        const auto argument = rest.first(std::min<std::size_t>({length, 128, rest.size()}));
        rest = rest.subspan(argument.size());
        const auto result = dispatcher.handle(
            {.is_get = is_get, .option = option, .length = length, .argument = argument}
        );
        if (result.bytes.size() > length || (result.error != 0 && !result.bytes.empty())) {
            std::abort();
        }
    }
    return 0;
}
