#include "compat/procfs/applications_text.hpp"

#include "compat/procfs/address_text.hpp"
#include "compat/procfs/text.hpp"

namespace nlvs::procfs {

void append_application(std::string& out, const ApplicationView& application) {
    append_left(out, protocol_name(application.protocol), 3);
    out += "  ";
    append_decimal_left(out, application.port.host(), 7);
    out += ' ';
    append_decimal_left(out, application.users, 6);
    out += ' ';
    append_left(out, application.name, 17);
    out += '\n';
}

}  // namespace nlvs::procfs
