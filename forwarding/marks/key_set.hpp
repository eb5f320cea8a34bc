#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace nlvs::forwarding {

using KeyBytes = std::vector<std::byte>;

/// The elements of an nftables set as a look-up sees them: which element does a key belong to?
/// Three forms, as in the kernel (nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c), none of
/// which walks the elements:
///   exact       a hash table
///   boundaries  a sorted list of where intervals begin and end; binary search
///   ranges      of several fields: every range becomes prefixes, and elements whose prefixes have
///               the same lengths share a hash table of masked keys, so that a look-up costs one
///               probe per combination of lengths in use
/// Thread: immutable.
class KeySet {
public:
    static constexpr std::uint32_t none = ~0U;
    static constexpr std::size_t longest_key = 64;

    /// Element i has key i; all keys are `length` bytes.
    static KeySet exact(std::size_t length, const std::vector<KeyBytes>& keys);

    struct Boundary {
        KeyBytes key;
        std::uint32_t element = none;  ///< that begins here; none: a gap begins
    };

    static KeySet boundaries(std::size_t length, std::vector<Boundary> boundaries);

    struct Range {
        KeyBytes first, last;  ///< each field padded to four bytes
    };

    /// Element i has range i; the first of several that hold a key counts. Empty when the ranges
    /// come to too many prefixes.
    static std::optional<KeySet> ranges(
        std::span<const std::size_t> field_lengths, const std::vector<Range>& ranges
    );

    /// For keys of no other element. Linux: NFT_SET_ELEM_CATCHALL.
    void set_fallback(std::uint32_t element) noexcept { fallback_ = element; }

    std::uint32_t find(const std::byte* key) const noexcept;

    /// Bytes of a key in the registers.
    std::size_t length() const noexcept { return length_; }

private:
    /// Open addressing; at most half full.
    class HashTable {
    public:
        HashTable(std::size_t length, std::size_t keys);
        /// The lowest element of a key stays.
        void insert(const std::byte* key, std::uint32_t element) noexcept;
        std::uint32_t find(const std::byte* key) const noexcept;

    private:
        std::size_t slot_of(const std::byte* key) const noexcept;

        std::size_t length_;
        std::size_t mask_;
        std::vector<std::uint32_t> elements_;
        std::vector<std::byte> keys_;
    };

    struct SortedBoundaries {
        std::vector<std::byte> keys;
        std::vector<std::uint32_t> elements;
    };

    struct Tuple {
        KeyBytes mask;
        HashTable keys;
    };

    using Form = std::variant<HashTable, SortedBoundaries, std::vector<Tuple>>;

    KeySet(std::size_t length, Form form) : length_{length}, form_{std::move(form)} {}

    std::uint32_t find_in(const HashTable& table, const std::byte* key) const noexcept;
    std::uint32_t find_in(const SortedBoundaries& sorted, const std::byte* key) const noexcept;
    std::uint32_t find_in(const std::vector<Tuple>& tuples, const std::byte* key) const noexcept;

    std::size_t length_;
    Form form_;
    std::uint32_t fallback_ = none;
};

}  // namespace nlvs::forwarding
