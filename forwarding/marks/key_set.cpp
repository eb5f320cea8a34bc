#include "forwarding/marks/key_set.hpp"

#include "forwarding/config/configuration.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

namespace nlvs::forwarding {
namespace {

using Number = unsigned __int128;

constexpr std::size_t longest_field = sizeof(Number);
/// Of all elements together; what a list of 10,000 ranges of IPv4 addresses and ports may need.
constexpr std::size_t most_prefixes = std::size_t{1} << 22;

std::uint64_t hash_key(const std::byte* key, std::size_t length) noexcept {
    std::uint64_t hash = length;
    for (std::size_t at = 0; at < length; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, key + at, std::min<std::size_t>(8, length - at));
        hash = mix(hash, word);
    }
    return hash;
}

constexpr std::size_t padded(std::size_t length) noexcept {
    return (length + 3) & ~std::size_t{3};
}

/// A field of a key as a number, most significant byte first.
Number read_number(const std::byte* at, std::size_t length) noexcept {
    Number number = 0;
    for (std::size_t i = 0; i < length; ++i)
        number = number << 8 | std::to_integer<unsigned>(at[i]);
    return number;
}

void write_number(std::byte* at, std::size_t length, Number number) noexcept {
    for (std::size_t i = length; i > 0; --i, number >>= 8) {
        at[i - 1] = static_cast<std::byte>(static_cast<std::uint8_t>(number));
    }
}

struct FieldPrefix {
    Number value;
    unsigned length;  ///< in bits
};

/// The fewest prefixes that cover exactly first..last.
std::vector<FieldPrefix> prefixes_of(Number first, Number last, unsigned bits) {
    std::vector<FieldPrefix> result;
    while (first <= last) {
        unsigned free = 0;  // low bits that may be anything
        while (free < bits) {
            const Number size_mask = free + 1 == 128 ? ~Number{0} : (Number{1} << (free + 1)) - 1;
            if ((first & size_mask) != 0 || last - first < size_mask) break;
            ++free;
        }
        result.push_back({first, bits - free});
        const Number step = free >= 128 ? 0 : Number{1} << free;
        if (free == bits || last - first < step) break;
        first += step;
    }
    return result;
}

KeyBytes mask_of(std::span<const std::size_t> fields, std::span<const unsigned> lengths) {
    KeyBytes mask;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const std::size_t start = mask.size();
        mask.resize(start + padded(fields[i]));
        const auto bits = static_cast<unsigned>(fields[i] * 8);
        const unsigned free = bits - lengths[i];
        const Number all = bits == 128 ? ~Number{0} : (Number{1} << bits) - 1;
        const Number low = free == 128 ? ~Number{0} : (Number{1} << free) - 1;
        write_number(mask.data() + start, fields[i], all & ~low);
    }
    return mask;
}

/// Every combination of the prefixes of a range's fields, by the lengths of the prefixes.
class Combinations {
public:
    explicit Combinations(std::span<const std::size_t> fields) : fields_{fields} {}

    /// False when there are too many.
    bool add(const KeySet::Range& range, std::uint32_t element) {
        std::vector<std::vector<FieldPrefix>> by_field;
        std::size_t at = 0, combinations = 1;
        for (const std::size_t length : fields_) {
            if (length == 0 || length > longest_field || at + length > range.first.size())
                return false;
            by_field.push_back(prefixes_of(
                read_number(range.first.data() + at, length),
                read_number(range.last.data() + at, length),
                static_cast<unsigned>(length * 8)
            ));
            combinations *= by_field.back().size();
            at += padded(length);
            count_ += combinations;
            if (count_ > most_prefixes) return false;
        }
        std::vector<unsigned> lengths(fields_.size());
        KeyBytes key(at);
        extend(by_field, 0, 0, lengths, key, element);
        return true;
    }

    using Keys = std::vector<std::pair<KeyBytes, std::uint32_t>>;

    const std::map<std::vector<unsigned>, Keys>& by_lengths() const noexcept { return by_lengths_; }

private:
    void extend(
        const std::vector<std::vector<FieldPrefix>>& by_field,
        std::size_t field,
        std::size_t at,
        std::vector<unsigned>& lengths,
        KeyBytes& key,
        std::uint32_t element
    ) {
        if (field == fields_.size()) {
            by_lengths_[lengths].emplace_back(key, element);
            return;
        }
        for (const FieldPrefix& prefix : by_field[field]) {
            lengths[field] = prefix.length;
            write_number(key.data() + at, fields_[field], prefix.value);
            extend(by_field, field + 1, at + padded(fields_[field]), lengths, key, element);
        }
    }

    std::span<const std::size_t> fields_;
    std::map<std::vector<unsigned>, Keys> by_lengths_;
    std::size_t count_ = 0;
};

}  // namespace

KeySet::HashTable::HashTable(std::size_t length, std::size_t keys)
    : length_{length},
      mask_{std::bit_ceil(keys * 2 + 1) - 1},
      elements_(mask_ + 1, none),
      keys_((mask_ + 1) * length) {}

/// Where the key is, or the free slot where it belongs.
std::size_t KeySet::HashTable::slot_of(const std::byte* key) const noexcept {
    std::size_t slot = hash_key(key, length_) & mask_;
    while (elements_[slot] != none && std::memcmp(&keys_[slot * length_], key, length_) != 0) {
        slot = (slot + 1) & mask_;
    }
    return slot;
}

void KeySet::HashTable::insert(const std::byte* key, std::uint32_t element) noexcept {
    const std::size_t slot = slot_of(key);
    std::memcpy(&keys_[slot * length_], key, length_);
    elements_[slot] = std::min(elements_[slot], element);
}

std::uint32_t KeySet::HashTable::find(const std::byte* key) const noexcept {
    return elements_[slot_of(key)];
}

KeySet KeySet::exact(std::size_t length, const std::vector<KeyBytes>& keys) {
    HashTable table{length, keys.size()};
    for (std::uint32_t i = 0; i < keys.size(); ++i) table.insert(keys[i].data(), i);
    return {length, std::move(table)};
}

KeySet KeySet::boundaries(std::size_t length, std::vector<Boundary> boundaries) {
    // Where one interval ends and the next begins, the beginning counts.
    std::ranges::sort(boundaries, [](const Boundary& a, const Boundary& b) {
        const int order = std::memcmp(a.key.data(), b.key.data(), a.key.size());
        return order != 0 ? order < 0 : a.element == none && b.element != none;
    });
    SortedBoundaries sorted;
    for (const Boundary& boundary : boundaries) {
        sorted.keys.insert(sorted.keys.end(), boundary.key.begin(), boundary.key.end());
        sorted.elements.push_back(boundary.element);
    }
    return {length, std::move(sorted)};
}

std::optional<KeySet> KeySet::ranges(
    std::span<const std::size_t> field_lengths, const std::vector<Range>& ranges
) {
    Combinations combinations{field_lengths};
    for (std::uint32_t i = 0; i < ranges.size(); ++i) {
        if (!combinations.add(ranges[i], i)) return std::nullopt;
    }
    std::vector<Tuple> tuples;
    std::size_t length = 0;
    for (const std::size_t field : field_lengths) length += padded(field);
    for (const auto& [lengths, keys] : combinations.by_lengths()) {
        tuples.push_back({mask_of(field_lengths, lengths), HashTable{length, keys.size()}});
        for (const auto& [key, element] : keys) tuples.back().keys.insert(key.data(), element);
    }
    return KeySet{length, std::move(tuples)};
}

std::uint32_t KeySet::find(const std::byte* key) const noexcept {
    const std::uint32_t found =
        std::visit([&](const auto& form) { return find_in(form, key); }, form_);
    return found != none ? found : fallback_;
}

std::uint32_t KeySet::find_in(const HashTable& table, const std::byte* key) const noexcept {
    return table.find(key);
}

std::uint32_t KeySet::find_in(const SortedBoundaries& sorted, const std::byte* key) const noexcept {
    std::size_t low = 0, high = sorted.elements.size();  // the answer is before `low` in the end
    while (low < high) {
        const std::size_t middle = std::midpoint(low, high);
        if (std::memcmp(&sorted.keys[middle * length_], key, length_) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? none : sorted.elements[low - 1];
}

std::uint32_t KeySet::find_in(const std::vector<Tuple>& tuples, const std::byte* key)
    const noexcept {
    std::uint32_t first = none;
    std::array<std::byte, longest_key> masked;
    for (const Tuple& tuple : tuples) {
        for (std::size_t i = 0; i < length_; ++i) masked[i] = key[i] & tuple.mask[i];
        first = std::min(first, tuple.keys.find(masked.data()));
    }
    return first;
}

}  // namespace nlvs::forwarding
