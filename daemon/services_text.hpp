#pragma once

#include "compat/ipvs/control.hpp"
#include "daemon/text_source.hpp"

namespace nlvs::daemon {

/// /proc/net/ip_vs over the registry's cursors: a service or destination that stays is shown
/// exactly once, whatever changes between two reads.
/// Thread: control.
class ServicesText final : public TextSource {
public:
    explicit ServicesText(const ipvs::Control& control) : control_{control} {}

    void next(Deliver deliver) override;

private:
    /// Linux: ip_vs_ctl.c ip_vs_info_array — first the table of addresses, then that of marks.
    enum class Pass : std::uint8_t { header, endpoints, marks, end };

    void append_next_service(std::string& out);
    void append_destinations(std::string& out);

    const ipvs::Control& control_;
    Pass pass_ = Pass::header;
    ipvs::Cursor next_service_ = 0;
    bool in_service_ = false;
    ipvs::ServiceKey service_;
    ipvs::Cursor next_destination_ = 0;
};

}  // namespace nlvs::daemon
