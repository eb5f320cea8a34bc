// Any history of a director: packets from both sides, in pieces and in errors, over two workers,
// while services, destinations, settings and neighbours change and time passes. When all is over
// nothing may be left behind: no buffer, no connection, no count. As long as only good packets come
// in, only good packets may leave.
//
// The input is a script: the first octet is the kind of director, then instructions, each an octet
// and its operands (Player::instruction).

#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <span>

#include <rte_mempool.h>

#include "tests/fuzz/pipeline_script.hpp"
#include "tests/support/stage.hpp"
#include "tests/support/wire_check.hpp"

namespace {

using namespace nlvs;
using namespace nlvs::test;

/// Sees what goes in and out.
class Judge {
public:
    void see_arrival(const Bytes& frame) {
        const auto verdict = incoming_.frame(frame);
        strict_ &= verdict == WireCheck::Verdict::good || verdict == WireCheck::Verdict::unknown;
    }

    void see(Stage::Sent sent) {
        for (const Bytes& frame : sent.punted) check(punted_, frame);
        for (Bytes& frame : sent.frames) {
            check(outgoing_, frame);
            lately_.push_back(std::move(frame));
            if (lately_.size() > kept) lately_.pop_front();
        }
    }

    /// What the NIC was given, the newest last.
    const std::deque<Bytes>& lately() const noexcept { return lately_; }

private:
    static constexpr std::size_t kept = 8;

    void check(WireCheck& reader, const Bytes& frame) {
        if (!strict_ || reader.frame(frame) != WireCheck::Verdict::bad) return;
        for (const std::byte byte : frame) std::fprintf(stderr, "%02x", std::to_integer<unsigned>(byte));
        require(false, " only good packets came in and this one left");
    }

    WireCheck incoming_;
    WireCheck outgoing_;
    WireCheck punted_;
    std::deque<Bytes> lately_;
    bool strict_ = true;
};

class Player {
public:
    Player(Script script, Stage& stage) : script_{script}, stage_{stage} {}

    void play() {
        constexpr std::size_t longest = 400;
        for (std::size_t i = 0; i < longest && !script_.empty(); ++i) instruction();
        deliver();
    }

    /// Services for most of what packets can be, of both families.
    void furnish(std::uint8_t method) {
        for (std::uint8_t number = 0; number < keys; ++number) {
            auto& control = stage_.control();
            ipvs::ServiceSpec spec;
            spec.scheduler = "rr";
            if (number % half == 2) spec.flags.word = ipvs::ServiceFlags::persistent;
            spec.timeout = 30;
            (void)control.add_service(key(number), spec);
            for (std::uint8_t server = 0; server < 2; ++server) {
                auto destination = describe(key_is_v4(number), server, method);
                destination.weight = 1;
                (void)control.add_destination(key(number), destination);
            }
        }
    }

private:
    static constexpr std::uint8_t half = 8;
    static constexpr std::uint8_t keys = 2 * half;
    static constexpr std::uint32_t mark = 7;

    static bool key_is_v4(std::uint8_t number) { return number < half; }

    static ipvs::ServiceKey key(std::uint8_t number) {
        const bool v4 = key_is_v4(number);
        const auto at = [&](std::uint16_t protocol, std::uint16_t port) {
            return ipvs::EndpointKey{protocol, PacketMaker::address(v4, false, 10), net::Port{port}};
        };
        switch (number % half) {
            case 0: return at(6, 80);
            case 1: return at(17, 80);
            case 2: return at(6, 0);
            case 3: return at(17, 5060);
            case 4: return at(132, 3868);
            case 5: return at(6, 21);
            case 6: return ipvs::FirewallMarkKey{v4 ? net::Family::inet : net::Family::inet6, mark};
            default: return at(17, 500);
        }
    }

    /// Servers 0 to 3, the host itself (4, 5), one without a way (6); 7: of the other family.
    static ipvs::DestinationSpec describe(bool v4, std::uint8_t server, std::uint8_t how) {
        static constexpr std::uint8_t hosts[]{2, 3, 4, 5, 1, 127, 99, 2};
        ipvs::DestinationSpec spec;
        const std::uint8_t number = server & 7;
        spec.key.address = PacketMaker::address(number == 7 ? !v4 : v4, true, hosts[number]);
        if (number == 5 && v4) spec.key.address = *net::parse_ip_address("127.0.0.1");
        static constexpr std::uint16_t ports[]{80, 80, 8080, 0};
        spec.key.port = net::Port{ports[how >> 6]};
        static constexpr std::uint32_t methods[]{0, 3, 2, 2, 2, 0, 1, 4};
        spec.forwarding = methods[how & 7];
        if (spec.forwarding == 2) {
            spec.tunnel.type = static_cast<ipvs::TunnelType>((how & 7) - 2);
            if (spec.tunnel.type == ipvs::TunnelType::gue) {
                spec.tunnel.port = net::Port{std::uint16_t{6080}};
            }
            if (spec.tunnel.type != ipvs::TunnelType::ipip) spec.tunnel.flags = how >> 3 & 1;
        }
        spec.weight = how >> 4 & 3;
        return spec;
    }

    void instruction() {
        const std::uint8_t code = script_.octet();
        held_ = (code & 0x80) != 0;
        arrival_ = {};
        arrival_.worker = code >> 6 & 1;
        switch (code & 0x0F) {
            case 0: case 1: case 2: case 3: arrival_.guarded = true; return pass(maker_.make(script_));
            case 4: case 5: return pass(answers::answer(recent(), script_.octet()));
            case 6: {
                const Bytes about = recent();
                const std::uint8_t kind = script_.octet();
                return pass(answers::error(about, kind, script_.octet()));
            }
            case 7: return in_pieces();
            case 8: return raw_packet();
            case 9: return advance();
            case 10: case 11: return change_destination();
            case 12: return change_service();
            case 13: return change_setting();
            case 14: return change_surroundings();
            default: return deliver();
        }
    }

    void deliver() { judge_.see(stage_.deliver()); }

    /// How the next packet comes in, then the packet; without "held" it is looked at right away.
    void pass(Bytes packet) {
        const std::uint8_t how = script_.octet();
        if (packet.size() < 20) return;
        arrival_.from_host = (how & 3) == 3;
        if ((how & 0x0C) == 4) arrival_.segment = std::size_t{64} + (how >> 4) * 32U;
        put(packet, how);
        if (!held_) deliver();
    }

    void put(const Bytes& packet, std::uint8_t how) {
        const bool v4 = answers::octet(packet, 0) >> 4 == 4;
        const std::uint16_t type = v4 ? 0x0800 : 0x86DD;
        const bool tagged = (how & 0x0C) == 8 && (how & 0x10) != 0;
        arrival_.frame =
            tagged ? (ethernet() / vlan(how >> 5, type) / raw(packet)).bytes()
                   : (ethernet().type(type) / raw(packet)).bytes();
        // The tag names what follows; nothing else told it.
        if (tagged) builder::set16(arrival_.frame, 16, type);
        if ((how & 0x0C) == 12) arrival_.frame.resize(arrival_.frame.size() + (how >> 4));
        if (arrival_.frame.size() > 9000) return;
        judge_.see_arrival(arrival_.frame);
        stage_.arrive(arrival_);
    }

    /// From the IP header on, something that the director sent lately.
    Bytes recent() {
        const auto& sent = judge_.lately();
        const std::uint8_t back = script_.octet();
        if (sent.empty()) return {};
        const Bytes& frame = sent[sent.size() - 1 - back % sent.size()];
        return frame.size() > 34 ? Bytes(frame.begin() + 14, frame.end()) : Bytes{};
    }

    void in_pieces() {
        const std::uint8_t cut = script_.octet();
        const Bytes packet = maker_.make(script_);
        auto parts = answers::pieces(packet, std::size_t{8} * (cut & 31) + 16, ++fragment_id_);
        if ((cut & 0x20) != 0) std::ranges::reverse(parts);
        if ((cut & 0x40) != 0 && parts.size() > 1) parts.pop_back();
        if ((cut & 0x80) != 0) parts.push_back(parts.front());
        if (parts.size() > 64) parts.resize(64);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (parts[i].size() >= 20) put(parts[i], 0);
            ++arrival_.worker;
        }
        if (!held_) deliver();
    }

    /// Any octets as an IP packet; as no mutation hits a right header checksum, it is made right.
    void raw_packet() {
        const std::size_t length = script_.word() & 0x7FF;
        Bytes packet = script_.take(length);
        if (packet.size() >= 20 && answers::octet(packet, 0) >> 4 == 4) {
            const std::size_t header = (answers::octet(packet, 0) & 15U) * 4;
            if (header >= 20 && header <= packet.size()) {
                builder::set16(packet, 10, 0);
                builder::set16(
                    packet, 10, builder::internet_checksum(std::span{packet}.first(header))
                );
            }
        }
        pass(std::move(packet));
    }

    void advance() {
        deliver();
        static constexpr std::uint32_t ticks[]{1, 4, 8, 80, 240, 480, 960, 3200};
        judge_.see(stage_.advance(ticks[script_.octet() & 7]));
    }

    void change_destination() {
        deliver_first();
        const std::uint8_t service = script_.octet();
        const std::uint8_t server = script_.octet();
        const std::uint8_t number = service % keys;
        auto spec = describe(key_is_v4(number), server, script_.octet());
        if ((server & 0x40) != 0) spec.upper_threshold = 1 + (server >> 4 & 3);
        if ((server & 0x80) != 0) spec.lower_threshold = 1;
        auto& control = stage_.control();
        switch (service >> 4 & 3) {
            case 0: case 1: (void)control.add_destination(key(number), spec); break;
            case 2: (void)control.edit_destination(key(number), spec); break;
            default: (void)control.remove_destination(key(number), spec.key); break;
        }
        stage_.collect();
    }

    void change_service() {
        deliver_first();
        static constexpr const char* schedulers[]{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh",
                                                  "mh", "sed", "nq", "fo", "ovf", "twos", "none", "rr"};
        const std::uint8_t code = script_.octet();
        const std::uint8_t how = script_.octet();
        ipvs::ServiceSpec spec;
        spec.scheduler = schedulers[how & 15];
        if ((how & 0x10) != 0) spec.flags.word |= ipvs::ServiceFlags::persistent;
        if ((how & 0x20) != 0) spec.flags.word |= ipvs::ServiceFlags::one_packet;
        if ((how & 0x40) != 0) spec.flags.word |= ipvs::ServiceFlags::scheduler_1;
        if ((how & 0x80) != 0) spec.flags.word |= ipvs::ServiceFlags::scheduler_2;
        spec.timeout = 30 * (1U + (code >> 6));
        const std::uint8_t number = code % keys;
        if (!key_is_v4(number)) spec.netmask = (code & 0x40) != 0 ? 64 : 128;
        if (number % half == 3 && (how & 0x10) != 0) spec.persistence_engine = "sip";
        auto& control = stage_.control();
        switch (code >> 4 & 3) {
            case 0: (void)control.add_service(key(number), spec); break;
            case 1: (void)control.edit_service(key(number), spec); break;
            case 2: (void)control.remove_service(key(number)); break;
            default: how < 16 ? control.flush() : (void)control.zero(key(number)); break;
        }
        stage_.collect();
    }

    void change_setting() {
        deliver_first();
        auto sysctls = stage_.control().sysctls();
        const std::uint8_t which = script_.octet();
        const std::uint8_t value = script_.octet();
        switch (which & 15) {
            case 0: sysctls.sloppy_tcp = value & 1; break;
            case 1: sysctls.sloppy_sctp = value & 1; break;
            case 2: sysctls.conn_reuse_mode = value & 3; break;
            case 3: sysctls.expire_nodest_conn = value & 1; break;
            case 4: sysctls.expire_quiescent_template = value & 1; break;
            case 5: sysctls.drop_entry = value & 3; break;
            case 6: sysctls.drop_packet = value & 3; break;
            case 7: sysctls.secure_tcp = value & 3; break;
            case 8: sysctls.nat_icmp_send = value & 1; break;
            case 9: sysctls.schedule_icmp = value & 1; break;
            case 10: sysctls.pmtu_disc = value & 1; break;
            case 11: sysctls.snat_reroute = value & 1; break;
            case 12: sysctls.cache_bypass = value & 1; break;
            case 13: sysctls.am_droprate = 1 + (value & 15); break;
            default: sysctls.ignore_tunneled = value & 1; break;
        }
        stage_.control().set_sysctls(sysctls);
        stage_.control().tick_defences((value & 0x10) != 0 ? 10 : forwarding::plenty_of_memory);
        stage_.collect();
    }

    void change_surroundings() {
        deliver_first();
        const std::uint8_t which = script_.octet();
        static constexpr std::uint16_t mtus[]{1500, 1400, 1280, 1000, 576, 296, 1499, 1492};
        switch (which & 7) {
            case 0: stage_.resolve(0, (which & 8) != 0); break;
            case 1: stage_.resolve(1, (which & 8) != 0); break;
            case 2: stage_.set_route_mtu(Stage::Side::servers, mtus[which >> 3 & 7]); break;
            case 3: stage_.set_route_mtu(Stage::Side::clients, mtus[which >> 3 & 7]); break;
            case 4: stage_.set_mark((which & 8) != 0 ? std::optional{mark} : std::nullopt); break;
            case 5: stage_.configuration().forwards_v4 = (which & 8) != 0; break;
            case 6: stage_.configuration().forwards_v6 = (which & 8) != 0; break;
            default: stage_.set_partial_checksums((which & 8) != 0); break;
        }
        stage_.collect();
    }

    /// What is held meets the configuration that it came in under, or the next one.
    void deliver_first() {
        if (!held_) deliver();
    }

    Script script_;
    Stage& stage_;
    Judge judge_;
    PacketMaker maker_;
    Stage::Arrival arrival_;
    std::uint32_t fragment_id_ = 0;
    bool held_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    rte_mempool* pool = Eal::instance().pool();
    const unsigned available = rte_mempool_avail_count(pool);
    {
        Script script{std::as_bytes(std::span{data, size})};
        const std::uint8_t kind = script.octet();
        Stage stage{
            static_cast<std::uint16_t>(1 + (kind & 1)), (kind & 2) != 0 ? 4U : 1024U
        };
        Player player{script, stage};
        if ((kind & 4) == 0) player.furnish(kind >> 3 & 7);
        player.play();
        stage.check_forgets();
    }
    require(rte_mempool_avail_count(pool) == available, "a buffer is lost, or freed twice");
    return 0;
}
