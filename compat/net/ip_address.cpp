#include "compat/net/ip_address.hpp"

#include <arpa/inet.h>

#include <cstdlib>

namespace nlvs::net {

std::string print(Ipv4Address address) {
    std::array<char, INET_ADDRSTRLEN> text{};
    const std::uint32_t wire = address.wire().wire();
    inet_ntop(AF_INET, &wire, text.data(), text.size());
    return text.data();
}

std::string print(const Ipv6Address& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, address.bytes().data(), text.data(), text.size());
    return text.data();
}

std::string print(const IpAddress& address) {
    return address.is_v4() ? print(address.v4()) : print(address.v6());
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
    const std::string terminated{text};
    if (std::uint32_t wire = 0; inet_pton(AF_INET, terminated.c_str(), &wire) == 1) {
        return Ipv4Address{Be32::from_wire(wire)};
    }
    if (Ipv6Address::Bytes bytes; inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) {
        return Ipv6Address{bytes};
    }
    return std::nullopt;
}

IpAddress operator""_ip(const char* text, std::size_t size) {
    const auto address = parse_ip_address({text, size});
    if (!address) std::abort();
    return *address;
}

}  // namespace nlvs::net
