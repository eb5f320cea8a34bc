#pragma once

#include "forwarding/config/published.hpp"
#include "forwarding/config/trie_node.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace nlvs::forwarding {

/// Longest-prefix match: a direct table over the first 16 bits, below it a trie of 6 bits a level
/// whose nodes are compressed by population count (after Eatherton, Varghese and Dittia, "Tree
/// Bitmap", CCR 2004).
///
/// Prefixes up to /16 are pushed into the direct table: each of its slots knows the best of them.
/// Longer ones sit in the node of their length and nowhere else, so an insert or remove replaces
/// one node (a few, if a branch appears or disappears) and publishes it with one store. A lookup
/// costs one load per level: three for an IPv4 /24.
///
/// `Key` is an unsigned integer that holds the address in its top bits. Values are not owned.
///
/// Memory order: a node or value is complete before the release store that makes it reachable;
/// readers load with acquire. Unlinked nodes retire through the Reclaimer.
/// Thread: insert/remove/memory control; find worker (or control).
template <class Key, class Value>
class PrefixTrie {
public:
    PrefixTrie() = default;
    PrefixTrie(const PrefixTrie&) = delete;
    PrefixTrie& operator=(const PrefixTrie&) = delete;

    ~PrefixTrie() {
        for (auto& slot : *slots_) destroy(slot.node.load(std::memory_order_relaxed));
    }

    const Value* find(Key key) const noexcept {
        const Slot& slot = (*slots_)[direct_index(key)];
        const auto* best = slot.value.load(std::memory_order_acquire);
        const auto* node = slot.node.load(std::memory_order_acquire);
        const Node* last_match = nullptr;
        std::uint64_t matched = 0;
        for (key <<= direct_bits; node != nullptr; key <<= Node::stride) {
            const unsigned chunk = chunk_of(key);
            if (const auto here = node->matches(chunk); here != 0) {
                last_match = node;
                matched = here;
            }
            if (!node->has_child(chunk)) break;
            node = node->child(chunk).load(std::memory_order_acquire);
        }
        if (last_match == nullptr) return best;
        return last_match->value(Node::longest(matched)).load(std::memory_order_acquire);
    }

    /// Returns the value it replaces, null if none.
    const Value* insert(Key key, unsigned length, const Value* value, Reclaimer& reclaimer) {
        if (length <= direct_bits) return set_short(key, length, value);
        auto* link = &(*slots_)[direct_index(key)].node;
        key <<= direct_bits;
        length -= direct_bits;
        for (;; key <<= Node::stride, length -= Node::stride) {
            const Node* node = link->load(std::memory_order_relaxed);
            if (node == nullptr) {
                link->store(make_branch(key, length, value), std::memory_order_release);
                return nullptr;
            }
            if (length < Node::stride)
                return insert_here(*link, *node, key, length, value, reclaimer);
            const unsigned chunk = chunk_of(key);
            if (!node->has_child(chunk)) {
                const Node* branch = make_branch(key << Node::stride, length - Node::stride, value);
                replace(*link, *node, node->with_child(chunk, branch), reclaimer);
                return nullptr;
            }
            link = &node->child(chunk);
        }
    }

    /// Returns the value it removes, null if none.
    const Value* remove(Key key, unsigned length, Reclaimer& reclaimer) {
        if (length <= direct_bits) return set_short(key, length, nullptr);
        // The way down, so that a branch left empty can be cut off where it starts.
        std::array<Step, sizeof(Key) * 8 / Node::stride + 1> path;
        std::size_t depth = 0;
        auto* link = &(*slots_)[direct_index(key)].node;
        key <<= direct_bits;
        length -= direct_bits;
        for (;; key <<= Node::stride, length -= Node::stride) {
            const Node* node = link->load(std::memory_order_relaxed);
            if (node == nullptr) return nullptr;
            path[depth++] = {link, node, chunk_of(key)};
            if (length < Node::stride) break;
            if (!node->has_child(chunk_of(key))) return nullptr;
            link = &node->child(chunk_of(key));
        }
        const Node* node = path[depth - 1].node;
        const unsigned position = Node::position(chunk_of(key), length);
        if (!node->has_value(position)) return nullptr;
        const Value* old = node->value(position).load(std::memory_order_relaxed);
        if (node->entries() > 1) {
            replace(*link, *node, node->without_value(position), reclaimer);
        } else {
            cut(path.data(), depth, reclaimer);
        }
        return old;
    }

    /// Bytes.
    std::size_t memory() const noexcept {
        return sizeof(*this) + sizeof(*slots_) + sizeof(*short_values_) + node_bytes_;
    }

private:
    using Node = TrieNode<Value>;
    using Link = std::atomic<const Node*>;

    static constexpr unsigned direct_bits = 16;
    static constexpr std::size_t direct_size = std::size_t{1} << direct_bits;

    struct Slot {
        std::atomic<const Value*> value{nullptr};  ///< of the longest prefix up to /16
        Link node{nullptr};                        ///< longer prefixes
    };

    struct Step {
        Link* link;
        const Node* node;
        unsigned chunk;
    };

    static std::size_t direct_index(Key key) noexcept {
        return static_cast<std::size_t>(key >> (sizeof(Key) * 8 - direct_bits));
    }

    static unsigned chunk_of(Key key) noexcept {
        return static_cast<unsigned>(key >> (sizeof(Key) * 8 - Node::stride));
    }

    const Node* count(const Node* node) noexcept {
        node_bytes_ += node->bytes();
        return node;
    }

    void retire(const Node& node, Reclaimer& reclaimer) {
        node_bytes_ -= node.bytes();
        reclaimer.retire([unlinked = &node] { Node::free(unlinked); });
    }

    void replace(Link& link, const Node& old, const Node* next, Reclaimer& reclaimer) {
        link.store(count(next), std::memory_order_release);
        retire(old, reclaimer);
    }

    /// Nodes from here down to the one that holds the value.
    const Node* make_branch(Key key, unsigned length, const Value* value) {
        const unsigned chunk = chunk_of(key);
        if (length < Node::stride)
            return count(Node::of_value(Node::position(chunk, length), value));
        return count(
            Node::of_child(chunk, make_branch(key << Node::stride, length - Node::stride, value))
        );
    }

    const Value* insert_here(
        Link& link,
        const Node& node,
        Key key,
        unsigned length,
        const Value* value,
        Reclaimer& reclaimer
    ) {
        const unsigned position = Node::position(chunk_of(key), length);
        if (node.has_value(position)) {
            return node.value(position).exchange(value, std::memory_order_acq_rel);
        }
        replace(link, node, node.with_value(position, value), reclaimer);
        return nullptr;
    }

    /// Unlinks the last node of the path and those above that only led there.
    void cut(const Step* path, std::size_t depth, Reclaimer& reclaimer) {
        std::size_t top = depth - 1;
        while (top > 0 && path[top - 1].node->entries() == 1) --top;
        if (top == 0) {
            path[0].link->store(nullptr, std::memory_order_release);
        } else {
            const Step& above = path[top - 1];
            replace(*above.link, *above.node, above.node->without_child(above.chunk), reclaimer);
        }
        for (std::size_t i = top; i < depth; ++i) retire(*path[i].node, reclaimer);
    }

    /// Short prefixes form a binary tree in an array: /0 at 1, the halves of i at 2i and 2i + 1,
    /// the /16s last.
    const Value* set_short(Key key, unsigned length, const Value* value) {
        auto& values = *short_values_;
        const std::size_t index = (direct_size | direct_index(key)) >> (direct_bits - length);
        const Value* old = values[index];
        values[index] = value;
        const Value* best = value;
        for (std::size_t above = index >> 1; best == nullptr && above != 0; above >>= 1) {
            best = values[above];
        }
        push_down(index, best);
        return old;
    }

    /// Gives `best` to every direct slot below `index` that no more specific prefix covers.
    void push_down(std::size_t index, const Value* best) {
        if (index >= direct_size) {
            (*slots_)[index - direct_size].value.store(best, std::memory_order_release);
            return;
        }
        for (std::size_t half = 2 * index; half <= 2 * index + 1; ++half) {
            if ((*short_values_)[half] == nullptr) push_down(half, best);
        }
    }

    static void destroy(const Node* node) noexcept {
        if (node == nullptr) return;
        node->for_each_child(destroy);
        Node::free(node);
    }

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    /// Two megabytes of null pointers, of which a small table touches a few pages only. Linux maps
    /// a large allocation of calloc as zero pages.
    template <class Array>
    static std::unique_ptr<Array, Free> zeroed() {
        void* memory = std::calloc(1, sizeof(Array));
        if (memory == nullptr) throw std::bad_alloc{};
        return std::unique_ptr<Array, Free>{static_cast<Array*>(memory)};
    }

    using Slots = std::array<Slot, direct_size>;
    using ShortValues = std::array<const Value*, 2 * direct_size>;

    std::unique_ptr<Slots, Free> slots_ = zeroed<Slots>();
    std::unique_ptr<ShortValues, Free> short_values_ = zeroed<ShortValues>();
    std::size_t node_bytes_ = 0;
};

}  // namespace nlvs::forwarding
