#include "daemon/services_text.hpp"

#include "compat/procfs/services_text.hpp"

namespace nlvs::daemon {

void ServicesText::next(Deliver deliver) {
    std::string out;
    while (out.size() < piece_size && pass_ != Pass::end) {
        if (pass_ == Pass::header) {
            procfs::append_services_header(out, control_.information());
            pass_ = Pass::endpoints;
        } else if (in_service_) {
            append_destinations(out);
        } else {
            append_next_service(out);
        }
    }
    deliver(std::move(out));
}

void ServicesText::append_next_service(std::string& out) {
    next_service_ = control_.visit_services(next_service_, [&](const ipvs::ServiceView& view) {
        if (in_service_) return false;
        const bool is_mark = std::holds_alternative<ipvs::FirewallMarkKey>(view.key);
        if (is_mark != (pass_ == Pass::marks)) return true;
        procfs::append_service(out, view);
        service_ = view.key;
        next_destination_ = 0;
        in_service_ = true;
        return true;
    });
    if (in_service_ || next_service_ != ipvs::Control::end) return;
    pass_ = pass_ == Pass::endpoints ? Pass::marks : Pass::end;
    next_service_ = 0;
}

void ServicesText::append_destinations(std::string& out) {
    next_destination_ = control_.visit_destinations(
        service_, next_destination_,
        [&](const ipvs::DestinationView& view) {
            if (out.size() >= piece_size) return false;
            procfs::append_destination(out, view);
            return true;
        }
    );
    in_service_ = next_destination_ != ipvs::Control::end;
}

}  // namespace nlvs::daemon
