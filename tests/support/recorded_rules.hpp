#pragma once

#include "compat/netlink/message.hpp"
#include "kni/nftables/objects.hpp"
#include "tests/support/corpus.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace nlvs::test {

/// The rule set that tests/kni/nftables/record.py wrote to the corpus under this name.
inline nftables::Ruleset recorded_rules(const std::string& name) {
    std::ifstream file{corpus() / "nftables" / name, std::ios::binary};
    const std::vector<char> content{std::istreambuf_iterator<char>{file}, {}};
    if (content.empty()) throw std::runtime_error{"no recorded rules " + name};
    netlink::Bytes rest = std::as_bytes(std::span{content});
    nftables::Ruleset ruleset;
    while (const auto message = netlink::take_message(rest))
        nftables::add_object(ruleset, *message);
    return ruleset;
}

}  // namespace nlvs::test
