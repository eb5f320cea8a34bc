#include "compat/procfs/connections_text.hpp"

#include "compat/procfs/address_text.hpp"
#include "compat/procfs/text.hpp"

namespace nlvs::procfs {

namespace {

/// Both files up to and including the state and the blank after it.
void append_endpoints(std::string& out, const ipvs::ConnectionView& connection) {
    const auto append_endpoint = [&](const net::IpAddress& address, net::Port port) {
        append_address(out, address);
        out += ' ';
        append_port(out, port);
        out += ' ';
    };
    append_left(out, protocol_name(connection.protocol), 3);
    out += ' ';
    append_endpoint(connection.client, connection.client_port);
    append_endpoint(connection.virtual_address, connection.virtual_port);
    append_endpoint(connection.destination, connection.destination_port);
    append_left(
        out, ipvs::state_name(connection.protocol, connection.state, connection.is_template), 11
    );
    out += ' ';
}

}  // namespace

void append_connection(std::string& out, const ipvs::ConnectionView& connection) {
    append_endpoints(out, connection);
    append_decimal_right(out, connection.expires, 7);
    if (!connection.persistence_engine.empty()) {
        out += ' ';
        out += connection.persistence_engine;
        out += ' ';
        out += connection.persistence_data;
    }
    out += '\n';
}

void append_synced_connection(std::string& out, const ipvs::ConnectionView& connection) {
    append_endpoints(out, connection);
    append_left(out, connection.synced ? "SYNC" : "LOCAL", 6);
    out += ' ';
    append_decimal_right(out, connection.expires, 7);
    out += '\n';
}

}  // namespace nlvs::procfs
