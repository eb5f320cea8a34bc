#include "kni/multicast_groups.hpp"

#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

namespace nlvs::kni {
namespace {

/// Twelve hexadecimal digits; empty for the longer addresses of other media.
std::optional<net::MacAddress> group_of(std::string_view digits) {
    net::MacAddress group;
    if (digits.size() != 2 * group.bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < group.bytes.size(); ++i) {
        const char* first = digits.data() + 2 * i;
        const auto [end, error] = std::from_chars(first, first + 2, group.bytes[i], 16);
        if (error != std::errc{} || end != first + 2) return std::nullopt;
    }
    return group;
}

}  // namespace

MulticastGroups parse_multicast_groups(std::string_view text) {
    MulticastGroups groups;
    std::istringstream lines{std::string{text}};
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words{line};
        std::uint32_t interface = 0;
        std::string name, users, global_users, digits;
        if (!(words >> interface >> name >> users >> global_users >> digits)) continue;
        if (const auto group = group_of(digits)) groups[interface].insert(*group);
    }
    return groups;
}

MulticastGroups read_multicast_groups() {
    std::ifstream file{"/proc/self/net/dev_mcast"};
    return parse_multicast_groups(
        std::string{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}}
    );
}

}  // namespace nlvs::kni
