#include "forwarding/toeplitz.hpp"

namespace nlvs::forwarding {

const Toeplitz::Key Toeplitz::default_key{
    0xf4, 0x5e, 0x12, 0xc1, 0xf3, 0x4d, 0x4b, 0x77, 0xfd, 0x0c, 0x27, 0xed, 0x8b,
    0x8d, 0x05, 0x36, 0x8c, 0x96, 0xfa, 0xfc, 0x6f, 0x7b, 0xa2, 0x4e, 0x40, 0x23,
    0x0c, 0xef, 0x5d, 0x49, 0x0d, 0xe1, 0x8d, 0xf0, 0xc4, 0xb3, 0xa7, 0xb8, 0x3e,
    0x8c, 0x08, 0x74, 0xcd, 0x91, 0x2f, 0x46, 0x76, 0x17, 0xf4, 0x3b, 0x87, 0xc8,
};

Toeplitz::Toeplitz(const Key& key) noexcept {
    // The 32 bits of the key from bit `at` on.
    const auto window = [&](std::size_t at) {
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < 5; ++i) bits = bits << 8 | key[at / 8 + i];
        return static_cast<std::uint32_t>(bits >> (8 - at % 8));
    };
    for (std::size_t octet = 0; octet < longest_input; ++octet) {
        for (unsigned value = 0; value < 256; ++value) {
            std::uint32_t hash = 0;
            for (unsigned bit = 0; bit < 8; ++bit) {
                if ((value & (0x80U >> bit)) != 0) hash ^= window(octet * 8 + bit);
            }
            tables_[octet][value] = hash;
        }
    }
}

}  // namespace nlvs::forwarding
