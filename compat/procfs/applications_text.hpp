#pragma once

#include "compat/net/port.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace nlvs::procfs {

// /proc/net/ip_vs_app: the application helpers in use. Linux: ip_vs_app.c ip_vs_app_seq_show.

inline constexpr std::string_view applications_header = "prot port    usecnt name\n";

struct ApplicationView {
    std::uint8_t protocol = 0;
    net::Port port;
    std::int32_t users = 0;
    std::string_view name;
};

void append_application(std::string& out, const ApplicationView& application);

}  // namespace nlvs::procfs
