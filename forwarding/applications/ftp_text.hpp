#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nlvs::forwarding {

/// What FTP's control connection says about data connections (RFC 959, RFC 2428), read as
/// Linux: ip_vs_ftp.c ip_vs_ftp_get_addrport, ip_vs_ftp_in, ip_vs_ftp_out. One text is the payload
/// of one packet.

/// How the next data connection will be made, by the client's last word on it.
enum class FtpMode : std::uint8_t {
    unknown,
    active,            ///< PORT, EPRT: the server calls
    passive,           ///< PASV: the client calls where reply 227 says
    extended_passive,  ///< EPSV: … where reply 229 says
};

struct FtpEndpoint {
    net::IpAddress address;
    net::Port port;
};

struct FtpRequest {
    FtpMode mode = FtpMode::unknown;  ///< unknown: nothing about data connections
    FtpEndpoint client;               ///< active: where the client waits
};

/// Of a client of `family`. PASV and EPSV count anywhere in the text, PORT and EPRT at its start.
FtpRequest read_ftp_request(std::string_view text, net::Family family) noexcept;

struct FtpReply {
    FtpEndpoint server;     ///< where the server waits
    std::size_t begin = 0;  ///< the part of the text that says so
    std::size_t end = 0;
};

/// Reply 227 or 229 to a client in `mode`. A 229 without an address means `server`.
std::optional<FtpReply> read_ftp_reply(
    std::string_view text, FtpMode mode, const net::IpAddress& server
) noexcept;

/// Enough for what print_ftp_endpoint writes.
inline constexpr std::size_t ftp_endpoint_length = 24;

/// What stands in the place of FtpReply's part when the client is to call `endpoint`: as
/// "h1,h2,h3,h4,p1,p2" or "|||port|", where an extended client calls the address it knows.
/// Returns the length.
std::size_t print_ftp_endpoint(
    FtpMode mode, const FtpEndpoint& endpoint, std::span<char, ftp_endpoint_length> to
) noexcept;

}  // namespace nlvs::forwarding
