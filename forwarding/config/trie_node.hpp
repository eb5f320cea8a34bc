#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace nlvs::forwarding {

/// One node of a PrefixTrie: six bits of the address. 16 bytes of bitmaps and one pointer per
/// child and per value, in one block: children in order of their six bits, then values in order of
/// their position. The layout is immutable, the pointers may be exchanged.
template <class Value>
class TrieNode {
public:
    static constexpr unsigned stride = 6;

    using ChildLink = std::atomic<const TrieNode*>;
    using ValueLink = std::atomic<const Value*>;

    /// Where a prefix of `length` < 6 further bits stands: longer ones higher, so that the highest
    /// matching bit is the longest match. 1…63.
    static constexpr unsigned position(unsigned chunk, unsigned length) noexcept {
        return (1U << length) | (chunk >> (stride - length));
    }

    static unsigned longest(std::uint64_t matches) noexcept {
        return static_cast<unsigned>(std::bit_width(matches)) - 1;
    }

    /// The values that cover `chunk`, as bits by position.
    std::uint64_t matches(unsigned chunk) const noexcept { return values_ & covering[chunk]; }

    bool has_child(unsigned chunk) const noexcept { return (children_ >> chunk & 1) != 0; }

    bool has_value(unsigned at) const noexcept { return (values_ >> at & 1) != 0; }

    /// Only if has_child. Writable through a const node: layout and links change separately.
    ChildLink& child(unsigned chunk) const noexcept {
        return child_links()[std::popcount(children_ & below(chunk))];
    }

    /// Only if has_value.
    ValueLink& value(unsigned at) const noexcept {
        return value_links()[std::popcount(values_ & below(at))];
    }

    unsigned entries() const noexcept { return child_count() + value_count(); }

    std::size_t bytes() const noexcept { return sizeof(TrieNode) + entries() * sizeof(void*); }

    static const TrieNode* of_child(unsigned chunk, const TrieNode* child) {
        TrieNode* node = allocate(bit(chunk), 0);
        node->child(chunk).store(child, std::memory_order_relaxed);
        return node;
    }

    static const TrieNode* of_value(unsigned at, const Value* value) {
        TrieNode* node = allocate(0, bit(at));
        node->value(at).store(value, std::memory_order_relaxed);
        return node;
    }

    const TrieNode* with_child(unsigned chunk, const TrieNode* child) const {
        TrieNode* node = copy(children_ | bit(chunk), values_);
        node->child(chunk).store(child, std::memory_order_relaxed);
        return node;
    }

    const TrieNode* without_child(unsigned chunk) const {
        return copy(children_ & ~bit(chunk), values_);
    }

    const TrieNode* with_value(unsigned at, const Value* value) const {
        TrieNode* node = copy(children_, values_ | bit(at));
        node->value(at).store(value, std::memory_order_relaxed);
        return node;
    }

    const TrieNode* without_value(unsigned at) const { return copy(children_, values_ & ~bit(at)); }

    template <class Visitor>
    void for_each_child(Visitor visit) const {
        for (unsigned i = 0; i < child_count(); ++i) {
            visit(child_links()[i].load(std::memory_order_relaxed));
        }
    }

    static void free(const TrieNode* node) noexcept {
        ::operator delete(const_cast<TrieNode*>(node));
    }

private:
    TrieNode() = default;

    static constexpr std::uint64_t bit(unsigned at) noexcept { return std::uint64_t{1} << at; }

    static constexpr std::uint64_t below(unsigned at) noexcept { return bit(at) - 1; }

    static constexpr std::array<std::uint64_t, 64> make_covering() noexcept {
        std::array<std::uint64_t, 64> masks{};
        for (unsigned chunk = 0; chunk < 64; ++chunk) {
            for (unsigned length = 0; length < stride; ++length) {
                masks[chunk] |= bit(position(chunk, length));
            }
        }
        return masks;
    }

    static constexpr std::array<std::uint64_t, 64> covering = make_covering();

    unsigned child_count() const noexcept {
        return static_cast<unsigned>(std::popcount(children_));
    }

    unsigned value_count() const noexcept { return static_cast<unsigned>(std::popcount(values_)); }

    ChildLink* child_links() const noexcept {
        return reinterpret_cast<ChildLink*>(const_cast<TrieNode*>(this) + 1);
    }

    ValueLink* value_links() const noexcept {
        return reinterpret_cast<ValueLink*>(child_links() + child_count());
    }

    /// A node with these bitmaps and null links.
    static TrieNode* allocate(std::uint64_t children, std::uint64_t values) {
        const auto count =
            static_cast<std::size_t>(std::popcount(children) + std::popcount(values));
        auto* node = new (::operator new(sizeof(TrieNode) + count * sizeof(void*))) TrieNode;
        node->children_ = children;
        node->values_ = values;
        for (unsigned i = 0; i < node->child_count(); ++i)
            new (node->child_links() + i) ChildLink{};
        for (unsigned i = 0; i < node->value_count(); ++i)
            new (node->value_links() + i) ValueLink{};
        return node;
    }

    /// A node with these bitmaps and those of its links that this one has, too.
    TrieNode* copy(std::uint64_t children, std::uint64_t values) const {
        TrieNode* node = allocate(children, values);
        for (auto rest = children & children_; rest != 0; rest &= rest - 1) {
            const auto chunk = static_cast<unsigned>(std::countr_zero(rest));
            copy_link(child(chunk), node->child(chunk));
        }
        for (auto rest = values & values_; rest != 0; rest &= rest - 1) {
            const auto at = static_cast<unsigned>(std::countr_zero(rest));
            copy_link(value(at), node->value(at));
        }
        return node;
    }

    template <class Link>
    static void copy_link(const Link& from, Link& to) noexcept {
        to.store(from.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }

    std::uint64_t children_ = 0;  ///< bit = six bits of the address
    std::uint64_t values_ = 0;    ///< bit = position
};

}  // namespace nlvs::forwarding
