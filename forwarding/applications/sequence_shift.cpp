#include "forwarding/applications/sequence_shift.hpp"

#include "compat/net/bytes.hpp"
#include "forwarding/packet/parsed.hpp"

namespace nlvs::forwarding {
namespace {

void shift_selective(std::byte* options, std::size_t length, const SequenceShift& shift) noexcept {
    constexpr std::uint8_t end_of_list = 0;
    constexpr std::uint8_t no_operation = 1;
    constexpr std::uint8_t selective = 5;
    constexpr std::size_t edge = sizeof(std::uint32_t);
    for (std::size_t at = 0; at < length;) {
        const auto kind = std::to_integer<std::uint8_t>(options[at]);
        if (kind == end_of_list) return;
        if (kind == no_operation) {
            ++at;
            continue;
        }
        if (length - at < 2) return;
        const auto size = std::to_integer<std::size_t>(options[at + 1]);
        if (size < 2 || size > length - at) return;
        if (kind == selective && (size - 2) % (2 * edge) == 0) {
            for (std::size_t i = at + 2; i < at + size; i += edge) {
                const std::uint32_t value = net::load<net::Be32>(options + i).host();
                net::store(options + i, net::Be32{value - shift.behind(value)});
            }
        }
        at += size;
    }
}

}  // namespace

void shift_sequence(TcpHeader& header, const SequenceShift& shift) noexcept {
    const std::uint32_t sequence = header.sequence.host();
    header.sequence = net::Be32{sequence + shift.at(sequence)};
}

void shift_acknowledgement(
    TcpHeader& header, std::size_t options, const SequenceShift& shift
) noexcept {
    if ((header.flags & TcpFlags::ack) == 0) return;
    const std::uint32_t acknowledgement = header.acknowledgement.host();
    header.acknowledgement = net::Be32{acknowledgement - shift.behind(acknowledgement)};
    auto* first = reinterpret_cast<std::byte*>(&header) + sizeof(TcpHeader);
    shift_selective(first, options, shift);
}

}  // namespace nlvs::forwarding
