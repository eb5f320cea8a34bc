#include "daemon/pcapng.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace nlvs::daemon::pcapng {
namespace {

constexpr std::uint32_t section_block = 0x0A0D0D0A;
constexpr std::uint32_t interface_block = 1;
constexpr std::uint32_t byte_order = 0x1A2B3C4D;
constexpr std::uint16_t link_ethernet = 1;
constexpr std::uint64_t unknown_length = ~std::uint64_t{0};

constexpr std::uint16_t option_end = 0;
constexpr std::uint16_t section_application = 4;
constexpr std::uint16_t interface_name = 2;
constexpr std::uint16_t interface_description = 3;
constexpr std::uint16_t interface_resolution = 9;
constexpr std::uint16_t packet_flags = 2;

/// One block: its length is written at both ends once its content is there.
class Block {
public:
    Block(std::string& out, std::uint32_t type) : out_{out}, start_{out.size()} {
        add(type);
        add(std::uint32_t{0});
    }

    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    ~Block() {
        const auto length = static_cast<std::uint32_t>(out_.size() - start_ + sizeof(std::uint32_t));
        std::memcpy(out_.data() + start_ + sizeof(std::uint32_t), &length, sizeof(length));
        add(length);
    }

    template <class Number>
    void add(Number number) {
        const auto bytes = std::bit_cast<std::array<char, sizeof(number)>>(number);
        out_.append(bytes.data(), bytes.size());
    }

    /// Padded to 32 bits.
    void add_bytes(const void* bytes, std::size_t length) {
        out_.append(static_cast<const char*>(bytes), length);
        out_.append((4 - length % 4) % 4, '\0');
    }

    void add_time(std::uint64_t time) {
        add(static_cast<std::uint32_t>(time >> 32));
        add(static_cast<std::uint32_t>(time));
    }

    void option(std::uint16_t code, const void* value, std::size_t length) {
        add(code);
        add(static_cast<std::uint16_t>(length));
        add_bytes(value, length);
    }

    void option(std::uint16_t code, std::string_view text) { option(code, text.data(), text.size()); }

    void end_of_options() { option(option_end, {}); }

private:
    std::string& out_;
    std::size_t start_;
};

}  // namespace

void append_section(std::string& out, std::string_view application) {
    Block block{out, section_block};
    block.add(byte_order);
    block.add(std::uint16_t{1});  // version 1.0
    block.add(std::uint16_t{0});
    block.add(unknown_length);
    block.option(section_application, application);
    block.end_of_options();
}

void append_interface(
    std::string& out, std::string_view name, std::string_view description, std::uint32_t snap
) {
    constexpr std::uint8_t nanoseconds = 9;
    Block block{out, interface_block};
    block.add(link_ethernet);
    block.add(std::uint16_t{0});
    block.add(snap);
    block.option(interface_name, name);
    block.option(interface_description, description);
    block.option(interface_resolution, &nanoseconds, sizeof(nanoseconds));
    block.end_of_options();
}

void append_packet(std::string& out, const Packet& packet, std::span<const std::byte> bytes) {
    const auto flags = static_cast<std::uint32_t>(packet.direction);
    Block block{out, packet_block};
    block.add(packet.interface);
    block.add_time(packet.time);
    block.add(static_cast<std::uint32_t>(bytes.size()));
    block.add(packet.length);
    block.add_bytes(bytes.data(), bytes.size());
    block.option(packet_flags, &flags, sizeof(flags));
    block.end_of_options();
}

void append_statistics(
    std::string& out, std::uint32_t interface, std::uint64_t time, std::uint64_t lost
) {
    Block block{out, statistics_block};
    block.add(interface);
    block.add_time(time);
    block.option(option_lost, &lost, sizeof(lost));
    block.end_of_options();
}

}  // namespace nlvs::daemon::pcapng
