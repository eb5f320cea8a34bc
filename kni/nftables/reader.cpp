#include "kni/nftables/reader.hpp"

#include "compat/net/big_endian.hpp"
#include "compat/net/bytes.hpp"
#include "kni/nftables/selection.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace nlvs::nftables {
namespace {

constexpr std::size_t largest_datagram = 256 << 10;
constexpr unsigned most_attempts = 5;

/// A request's bytes: header, nfgenmsg, string attributes.
class RequestBuilder {
public:
    RequestBuilder(std::uint16_t kind, std::uint8_t family, bool dump, std::uint32_t sequence) {
        nlmsghdr header{};
        header.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | kind);
        header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0));
        header.nlmsg_seq = sequence;
        append(header);
        append(nfgenmsg{family, NFNETLINK_V0, 0});
    }

    void add(std::uint16_t type, const std::string& text) {
        append(nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + text.size() + 1), type});
        const auto characters = std::as_bytes(std::span{text.c_str(), text.size() + 1});
        bytes_.insert(bytes_.end(), characters.begin(), characters.end());
        bytes_.resize(netlink::aligned(bytes_.size()));
    }

    const std::vector<std::byte>& finish() {
        net::store(bytes_.data(), static_cast<std::uint32_t>(bytes_.size()));
        return bytes_;
    }

private:
    template <class T>
    void append(const T& value) {
        const auto part = net::as_bytes_of(value);
        bytes_.insert(bytes_.end(), part.begin(), part.end());
    }

    std::vector<std::byte> bytes_;
};

}  // namespace

Reader::~Reader() {
    if (socket_ >= 0) close(socket_);
}

bool Reader::fail(const char* what) {
    error_ = std::string{what} + ": " + std::strerror(errno);
    return false;
}

bool Reader::open() {
    if (socket_ >= 0) return true;
    socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (socket_ < 0) {
        missing_ = errno == EPROTONOSUPPORT;
        return fail("cannot open a netfilter netlink socket");
    }
    // The kernel answers at once; this is for the day on which it does not.
    const timeval patience{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    buffer_.resize(largest_datagram);
    return true;
}

bool Reader::ask(const Request& request, bool dump, const Take& take) {
    RequestBuilder builder{request.kind, request.family, dump, ++sequence_};
    if (!request.table.empty()) builder.add(NFTA_SET_ELEM_LIST_TABLE, request.table);
    if (!request.set.empty()) builder.add(NFTA_SET_ELEM_LIST_SET, request.set);
    const auto& bytes = builder.finish();
    if (send(socket_, bytes.data(), bytes.size(), 0) < 0) return fail("cannot ask for rules");
    for (;;) {
        const ssize_t size = recv(socket_, buffer_.data(), buffer_.size(), 0);
        if (size < 0) return fail("no answer about rules");
        netlink::Bytes rest{buffer_.data(), static_cast<std::size_t>(size)};
        while (const auto message = netlink::take_message(rest)) {
            const nlmsghdr& header = message->header();
            if (header.nlmsg_seq != sequence_) continue;
            if (header.nlmsg_type == NLMSG_DONE) return true;
            if (header.nlmsg_type == NLMSG_ERROR) {
                const auto code = net::extract<std::int32_t>(message->payload());
                errno = code ? -*code : EBADMSG;
                missing_ = errno == EOPNOTSUPP || errno == EINVAL;
                return errno == 0 || fail("the kernel refuses to list rules");
            }
            if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) error_ = "the rules keep changing";
            take(*message);
            if (!dump) return true;
        }
    }
}

std::optional<std::uint32_t> Reader::generation() {
    std::optional<std::uint32_t> result;
    const auto take = [&](const netlink::MessageView& message) { result = generation_of(message); };
    if (!ask({NFT_MSG_GETGEN, AF_UNSPEC, {}, {}}, false, take)) return std::nullopt;
    return result;
}

bool Reader::read_elements(Ruleset& ruleset, const Table& table, const std::string& set) {
    const Request request{NFT_MSG_GETSETELEM, table.family, table.name, set};
    return ask(request, true, [&](const netlink::MessageView& message) {
        add_object(ruleset, message);
    });
}

std::optional<Ruleset> Reader::read_once() {
    const auto before = generation();
    if (!before) return std::nullopt;
    Ruleset ruleset;
    ruleset.generation = *before;
    constexpr std::array<std::uint16_t, 4> kinds{
        NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETRULE};
    const auto take = [&](const netlink::MessageView& message) { add_object(ruleset, message); };
    for (const std::uint16_t kind : kinds) {
        if (!ask({kind, AF_UNSPEC, {}, {}}, true, take)) return std::nullopt;
    }
    for (const Table& table : ruleset.tables) {
        std::set<std::string> known;
        for (const Set& set : table.sets) {
            if (set.has_verdicts && !read_elements(ruleset, table, set.name)) return std::nullopt;
            if (set.has_verdicts) known.insert(set.name);
        }
        for (const std::string& name : select(table).sets) {
            if (known.contains(name)) continue;
            if (!read_elements(ruleset, table, name)) return std::nullopt;
        }
    }
    if (generation() != before) {
        error_ = "the rules keep changing";
        return std::nullopt;
    }
    return ruleset;
}

std::optional<Ruleset> Reader::read() {
    missing_ = false;
    error_.clear();
    for (unsigned i = 0; i < most_attempts && !missing_; ++i) {
        if (!open()) break;
        if (auto ruleset = read_once()) return ruleset;
        // Answers to a request that was given up must not be taken for the next one's.
        close(std::exchange(socket_, -1));
    }
    if (missing_) return Ruleset{};
    return std::nullopt;
}

}  // namespace nlvs::nftables
