#include "forwarding/marks/program.hpp"

#include "compat/net/bytes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <sys/socket.h>

namespace nlvs::forwarding {
namespace {

/// One run of a program. Registers of the kernel are 32-bit words; shorter values are stored at
/// the beginning of a cleared word. Linux: nf_tables_core.c nft_do_chain, nft_meta.c,
/// nft_payload.c.
class Machine {
public:
    Machine(const MarkProgram& program, const MarkInput& packet) noexcept
        : program_{program}, packet_{packet} {}

    MarkResult run() noexcept {
        // Chains have no loops, but may call each other often.
        constexpr unsigned most_steps = 1U << 16;
        for (unsigned i = 0; i < most_steps; ++i) {
            const MarkStep& step = program_.steps[at_];
            switch (execute(step)) {
                case Next::step:
                    ++at_;
                    break;
                case Next::rule:
                    at_ = step.next_rule;
                    break;
                case Next::elsewhere:
                    break;
                case Next::end:
                    return result_;
            }
        }
        return {.outcome = MarkResult::Outcome::undecided};
    }

private:
    enum class Next : std::uint8_t { step, rule, elsewhere, end };

    // Linux: net/netfilter/nf_conntrack_common.h NF_CT_STATE_BIT(IP_CT_NEW), _UNTRACKED_BIT.
    static constexpr std::uint32_t tracking_new = 8, tracking_none = 64;
    // As the kernel stores them: in network byte order, at the beginning of a word.
    static constexpr std::uint32_t ether_type_v4 = 0x0008, ether_type_v6 = 0xDD86;
    static constexpr std::uint32_t packet_for_host = 0;  ///< Linux: PACKET_HOST
    static constexpr std::size_t deepest = 16;           ///< Linux: NFT_JUMP_STACK_SIZE

    static Next holds(bool condition) noexcept { return condition ? Next::step : Next::rule; }

    Next execute(const MarkStep& step) noexcept {
        if (step.operation <= MarkOperation::load_constant) return load_register(step);
        if (step.operation <= MarkOperation::match_addresses) return compute_or_match(step);
        return act(step);
    }

    Next load_register(const MarkStep& step) noexcept {
        using enum MarkOperation;
        switch (step.operation) {
            case load_link:
                return load(step, 0, packet_.frame.size());
            case load_network:
                return load(step, packet_.parsed.l3_offset, end_of_packet());
            case load_transport:
                return load(step, packet_.parsed.l4_offset, end_of_packet());
            case load_packet_length:
                return store(step, packet_.parsed.l3_length);
            case load_ether_type:
                return store(step, is_v4() ? ether_type_v4 : ether_type_v6);
            case load_family:
                return store(step, is_v4() ? AF_INET : AF_INET6);
            case load_protocol:
                return store(step, packet_.parsed.protocol);
            case load_interface:
                return store(step, packet_.interface);
            case load_interface_name:
                return load_name(step);
            case load_packet_type:
                return store(step, packet_for_host);
            case load_mark:
                return poisoned_ ? undecide() : store(step, result_.mark);
            case load_tracking_state:
                return store(step, tracking_state_);
            case load_tracking_mark:
                return store(step, tracking_mark_);
            case load_constant:
                std::memcpy(&registers_[step.to], constant(step), step.length);
                return Next::step;
            default:
                return undecide();
        }
    }

    Next compute_or_match(const MarkStep& step) noexcept {
        using enum MarkOperation;
        switch (step.operation) {
            case mask:
                return mask_bits(step);
            case swap_bytes:
                return swap(step);
            case compare:
                return holds(is_related(step));
            case within:
                return holds(is_within(step));
            case outside:
                return holds(!is_within(step));
            case look_up:
                return holds((element(step) != KeySet::none) == (step.option == 0));
            case look_up_value:
                return take_value(step);
            case look_up_verdict:
                return take_verdict(step);
            case match_ports:
                return holds(has_ports(step));
            case match_tcp_flags:
                return match_flags(step);
            case match_mark:
                return match_the_mark(step);
            case match_tracking: {
                const bool any = (tracking_state_ & constant_word(step, 0)) != 0;
                return holds(any == (step.option == 0));
            }
            case match_addresses:
                return holds(has_address(step));
            default:
                return undecide();
        }
    }

    Next act(const MarkStep& step) noexcept {
        using enum MarkOperation;
        switch (step.operation) {
            case set_mark:
                return set(net::load<std::uint32_t>(&registers_[step.from]));
            case set_tracking_mark:
                tracking_mark_ = net::load<std::uint32_t>(&registers_[step.from]);
                return Next::step;
            case change_mark:
                return change(step);
            case stop_tracking:
                tracking_state_ = tracking_none;
                return Next::step;
            case poison:
                poisoned_ = true;
                return Next::step;
            case enter:
                return enter_chain(step);
            case route:
                result_.routing_mark = result_.mark;
                result_.routing_mark_known = !poisoned_;
                return Next::step;
            case finish:
                return poisoned_ ? undecide() : Next::end;
            default:
                return leave(step.operation, step.constant, step.next_rule);
        }
    }

    bool is_v4() const noexcept { return packet_.parsed.family == net::Family::inet; }

    std::size_t end_of_packet() const noexcept {
        return std::size_t{packet_.parsed.l3_offset} + packet_.parsed.l3_length;
    }

    const std::byte* constant(const MarkStep& step) const noexcept {
        return &program_.constants[step.constant];
    }

    std::uint32_t constant_word(const MarkStep& step, std::size_t index) const noexcept {
        return net::load<std::uint32_t>(constant(step) + index * sizeof(std::uint32_t));
    }

    Next undecide() noexcept {
        result_.outcome = MarkResult::Outcome::undecided;
        return Next::end;
    }

    Next store(const MarkStep& step, std::uint32_t value) noexcept {
        net::store(&registers_[step.to], value);
        return Next::step;
    }

    /// A packet that ends before the field does not match; one whose field is not in its first
    /// segment cannot be judged.
    Next load(const MarkStep& step, std::size_t header, std::size_t end) noexcept {
        const std::size_t start = header + step.constant;
        if (start + step.length > end) return Next::rule;
        if (start + step.length > packet_.frame.size()) return undecide();
        const std::size_t word_end = (step.length + std::size_t{3}) & ~std::size_t{3};
        std::memset(&registers_[step.to], 0, std::min(word_end, registers_.size() - step.to));
        std::memcpy(&registers_[step.to], packet_.frame.data() + start, step.length);
        return Next::step;
    }

    /// An interface that came up a moment ago may not be known yet.
    Next load_name(const MarkStep& step) noexcept {
        const auto found = std::ranges::lower_bound(
            program_.interfaces, packet_.interface, {}, &MarkInterface::index
        );
        if (found == program_.interfaces.end() || found->index != packet_.interface) {
            return undecide();
        }
        std::memcpy(&registers_[step.to], found->name.data(), found->name.size());
        return Next::step;
    }

    Next mask_bits(const MarkStep& step) noexcept {
        const std::byte* keep = constant(step);
        const std::byte* flip = keep + step.length;
        for (std::size_t i = 0; i < step.length; ++i) {
            registers_[step.to + i] = (registers_[step.from + i] & keep[i]) ^ flip[i];
        }
        return Next::step;
    }

    Next swap(const MarkStep& step) noexcept {
        std::memmove(&registers_[step.to], &registers_[step.from], step.length);
        for (std::size_t i = 0; i + step.constant <= step.length; i += step.constant) {
            std::reverse(&registers_[step.to + i], &registers_[step.to + i] + step.constant);
        }
        return Next::step;
    }

    bool is_related(const MarkStep& step) const noexcept {
        const int order = std::memcmp(&registers_[step.from], constant(step), step.length);
        switch (static_cast<Relation>(step.option)) {
            case Relation::equal:
                return order == 0;
            case Relation::unequal:
                return order != 0;
            case Relation::less:
                return order < 0;
            case Relation::at_most:
                return order <= 0;
            case Relation::greater:
                return order > 0;
            case Relation::at_least:
                return order >= 0;
        }
        return false;
    }

    bool is_within(const MarkStep& step) const noexcept {
        const std::byte* value = &registers_[step.from];
        const std::byte* lowest = constant(step);
        return std::memcmp(value, lowest, step.length) >= 0 &&
               std::memcmp(value, lowest + step.length, step.length) <= 0;
    }

    std::uint32_t element(const MarkStep& step) const noexcept {
        return program_.sets[step.constant].keys.find(&registers_[step.from]);
    }

    Next take_value(const MarkStep& step) noexcept {
        const std::uint32_t found = element(step);
        if (found == KeySet::none) return Next::rule;
        const MarkSet& map = program_.sets[step.constant];
        const std::size_t start = std::size_t{found} * map.value_length;
        std::memcpy(&registers_[step.to], &map.values[start], map.value_length);
        return Next::step;
    }

    Next take_verdict(const MarkStep& step) noexcept {
        const std::uint32_t found = element(step);
        if (found == KeySet::none) return Next::rule;
        const MarkVerdict& verdict = program_.sets[step.constant].verdicts[found];
        return leave(verdict.operation, verdict.step, step.next_rule);
    }

    bool has_ports(const MarkStep& step) const noexcept {
        const std::uint16_t source = is_v4() ? packet_.parsed.flow4.source_port.host()
                                             : packet_.parsed.flow6.source_port.host();
        const std::uint16_t destination = is_v4() ? packet_.parsed.flow4.destination_port.host()
                                                  : packet_.parsed.flow6.destination_port.host();
        bool found = false;
        for (std::size_t i = 0; i < step.length && !found; ++i) {
            const std::uint32_t range = constant_word(step, i);
            const std::uint32_t first = range & 0xFFFF, last = range >> 16;
            found = ((step.option & PortMatch::source) != 0 && first <= source && source <= last) ||
                    ((step.option & PortMatch::destination) != 0 && first <= destination &&
                     destination <= last);
        }
        return found != ((step.option & PortMatch::inverted) != 0);
    }

    Next match_flags(const MarkStep& step) noexcept {
        const bool equal =
            (packet_.parsed.tcp_flags & constant_word(step, 0)) == constant_word(step, 1);
        return holds(equal == (step.option == 0));
    }

    Next match_the_mark(const MarkStep& step) noexcept {
        if (poisoned_) return undecide();
        const bool equal = (result_.mark & constant_word(step, 0)) == constant_word(step, 1);
        return holds(equal == (step.option == 0));
    }

    bool has_address(const MarkStep& step) const noexcept {
        const bool source = (step.option & AddressMatch::source) != 0;
        std::size_t offset = packet_.parsed.l3_offset;
        if (is_v4()) {
            offset += source ? 12U : 16U;
        } else {
            offset += source ? 8U : 24U;
        }
        const std::byte* address = packet_.frame.data() + offset;
        const bool inside = std::memcmp(address, constant(step), step.length) >= 0 &&
                            std::memcmp(address, constant(step) + step.length, step.length) <= 0;
        return inside != ((step.option & AddressMatch::inverted) != 0);
    }

    Next set(std::uint32_t mark) noexcept {
        result_.mark = mark;
        poisoned_ = false;
        return Next::step;
    }

    Next change(const MarkStep& step) noexcept {
        const std::uint32_t keep = constant_word(step, 0);
        result_.mark = (result_.mark & keep) ^ constant_word(step, 1);
        if (keep == 0) poisoned_ = false;
        return Next::step;
    }

    Next enter_chain(const MarkStep& step) noexcept {
        hook_return_ = at_ + 1;
        drops_ = step.option != 0;
        depth_ = 0;
        at_ = step.constant;
        return Next::elsewhere;
    }

    /// Carries out a verdict.
    Next leave(MarkOperation verdict, std::uint32_t target, std::uint32_t next_rule) noexcept {
        switch (verdict) {
            case MarkOperation::accept:
                at_ = hook_return_;
                return Next::elsewhere;
            case MarkOperation::hand_to_kernel:
                result_.outcome = MarkResult::Outcome::kernel;
                return Next::end;
            case MarkOperation::jump:
                if (depth_ == deepest) return undecide();
                returns_[depth_++] = next_rule;
                at_ = target;
                return Next::elsewhere;
            case MarkOperation::go_to:
                at_ = target;
                return Next::elsewhere;
            case MarkOperation::next_rule:
                return Next::rule;
            case MarkOperation::proceed:
                return Next::step;
            case MarkOperation::return_:
                if (depth_ > 0) {
                    at_ = returns_[--depth_];
                    return Next::elsewhere;
                }
                return leave(
                    drops_ ? MarkOperation::hand_to_kernel : MarkOperation::accept, 0, next_rule
                );
            default:
                return undecide();
        }
    }

    const MarkProgram& program_;
    const MarkInput& packet_;
    MarkResult result_;
    std::uint32_t at_ = 0;
    std::uint32_t tracking_mark_ = 0;
    std::uint32_t tracking_state_ = tracking_new;
    bool poisoned_ = false;
    bool drops_ = false;
    std::uint32_t hook_return_ = 0;
    std::size_t depth_ = 0;
    std::array<std::uint32_t, deepest> returns_{};
    alignas(8) std::array<std::byte, MarkProgram::registers> registers_{};
};

}  // namespace

MarkResult MarkProgram::evaluate(const MarkInput& packet) const noexcept {
    return Machine{*this, packet}.run();
}

}  // namespace nlvs::forwarding
