#pragma once

#include "tests/support/packet_layers.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

/// Packets as their layers: `ipv4(client, vip) / tcp(40000, 80).syn() / payload(8)`.
///
/// Lengths, next-protocol numbers and checksums are filled in when the stack becomes bytes, by
/// code that shares nothing with the data path, so that a test may compare whole packets. A
/// layer's setter for such a field (`.checksum(0)`) keeps what the test asked for.
namespace nlvs::test {

/// Layers from the outermost in.
class Stack {
public:
    explicit Stack(Layer first) { layers_.push_back(std::move(first)); }

    Stack& operator/=(Layer layer) {
        layers_.push_back(std::move(layer));
        return *this;
    }

    /// Everything, starting with the first layer named.
    Bytes bytes() const {
        Bytes inner;
        for (std::size_t i = layers_.size(); i-- > 0;) inner = wrap(i, std::move(inner));
        return inner;
    }

    /// As it appears on a wire: with a default Ethernet header if the stack starts above it.
    Bytes frame() const {
        if (layers_.front().kind == Layer::Kind::ethernet) return bytes();
        Stack whole{ethernet()};
        for (const Layer& layer : layers_) whole /= layer;
        return whole.bytes();
    }

    /// frame() cut or zero-padded to `size`.
    Bytes frame(std::size_t size) const {
        Bytes result = frame();
        result.resize(size);
        return result;
    }

private:
    Bytes wrap(std::size_t index, Bytes inner) const {
        const Layer& layer = layers_[index];
        const Layer* next = index + 1 < layers_.size() ? &layers_[index + 1] : nullptr;
        Bytes result = layer.header;
        if (next != nullptr && !layer.keep_protocol) name_next(layer, *next, result);
        const std::size_t header_size = result.size();
        result.insert(result.end(), inner.begin(), inner.end());
        switch (layer.kind) {
            case Layer::Kind::ipv4:
                if (!layer.keep_length) builder::set16(result, 2, result.size());
                if (!layer.keep_checksum) {
                    builder::set16(
                        result, 10, builder::internet_checksum(std::span{result}.first(header_size))
                    );
                }
                fill_checksum(index, result);
                break;
            case Layer::Kind::ipv6:
                if (!layer.keep_length) builder::set16(result, 4, result.size() - 40);
                fill_checksum(index, result);
                break;
            case Layer::Kind::transport:
                if (layer.protocol == 17 && !layer.keep_length) {
                    builder::set16(result, 4, result.size());
                }
                break;
            default:
                break;
        }
        return result;
    }

    static void name_next(const Layer& layer, const Layer& next, Bytes& header) {
        switch (layer.kind) {
            case Layer::Kind::ethernet:
                builder::set16(header, 12, next.ether_type);
                break;
            case Layer::Kind::vlan:
                builder::set16(header, 2, next.ether_type);
                break;
            case Layer::Kind::ipv4:
                header[9] = std::byte{next.protocol};
                break;
            case Layer::Kind::ipv6:
                header[6] = std::byte{next.protocol};
                break;
            case Layer::Kind::extension:
                header[0] = std::byte{next.protocol};
                break;
            case Layer::Kind::transport:
                if (layer.protocol == 47) builder::set16(header, 2, next.ether_type);
                break;
            case Layer::Kind::payload:
                break;
        }
    }

    /// Completes the checksum of the transport directly inside the IP layer at `index`.
    void fill_checksum(std::size_t index, Bytes& packet) const {
        std::size_t at = layers_[index].header.size();
        std::size_t i = index + 1;
        while (i < layers_.size() && layers_[i].kind == Layer::Kind::extension) {
            at += layers_[i++].header.size();
        }
        if (i == layers_.size() || layers_[i].kind != Layer::Kind::transport) return;
        const Layer& transport = layers_[i];
        if (transport.keep_checksum || transport.checksum_at == 0) return;
        const std::span<const std::byte> covered = std::span{packet}.subspan(at);
        if (transport.protocol == 132) {
            const std::uint32_t crc = builder::crc32c(covered);
            for (std::size_t n = 0; n < 4; ++n) {
                packet[at + 8 + n] = static_cast<std::byte>(crc >> (8 * n));
            }
            return;
        }
        Bytes summed = pseudo_header(layers_[index], transport.protocol, covered.size());
        summed.insert(summed.end(), covered.begin(), covered.end());
        std::uint16_t checksum = builder::internet_checksum(summed);
        if (transport.protocol == 17 && checksum == 0) checksum = 0xFFFF;
        builder::set16(packet, at + transport.checksum_at, checksum);
    }

    static Bytes pseudo_header(const Layer& ip, std::uint8_t protocol, std::size_t length) {
        if (protocol == 1 || protocol == 47) return {};
        const std::size_t begin = ip.kind == Layer::Kind::ipv4 ? 12 : 8;
        const std::size_t size = ip.kind == Layer::Kind::ipv4 ? 8 : 32;
        Bytes result(
            ip.header.begin() + static_cast<std::ptrdiff_t>(begin),
            ip.header.begin() + static_cast<std::ptrdiff_t>(begin + size)
        );
        result.resize(size + 8);
        builder::set32(result, size, static_cast<std::uint32_t>(length));
        result[size + 7] = std::byte{protocol};
        return result;
    }

    std::vector<Layer> layers_;
};

inline Stack operator/(const Layer& outer, const Layer& inner) {
    Stack stack{outer};
    stack /= inner;
    return stack;
}

inline Stack operator/(Stack stack, const Layer& inner) {
    stack /= inner;
    return stack;
}

}  // namespace nlvs::test
