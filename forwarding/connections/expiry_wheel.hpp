#pragma once

#include "forwarding/identifiers.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace nlvs::forwarding {

/// Hierarchical timer wheel threaded through the entries of a pool (timer_next, timer_previous,
/// timer_due): four levels of 256 slots, a slot of level n being 256^n ticks long. Ticks are
/// 32 bits and wrap around; what counts is the distance to the wheel's own tick, so life times
/// must stay below 2^31 ticks (the longest the kernel accepts is 8589934 s = 2^26 ticks).
///
/// Lazy: an entry is due at last_seen + timeout, whatever slot it is in. Touching a connection
/// moves only last_seen; when the slot comes up the entry is linked again further ahead. The
/// cost is thus paid per timeout, not per packet. Only a shorter timeout needs a relink.
///
/// A slot is emptied from its head one entry at a time and the wheel's tick moves on only once
/// its slots are empty, so that work can stop after any entry and resume in the next call.
///
/// timer_previous is the index of the entry before, or with the top bit set the slot whose head
/// this is; 0 means not linked (pools have no entry 0).
///
/// Thread: its worker.
template <class Pool>
class ExpiryWheel {
public:
    using Entry = typename Pool::value_type;

    ExpiryWheel(Pool& pool, Ticks now) noexcept : pool_{pool}, tick_{now} {}

    static bool is_linked(const Entry& entry) noexcept { return entry.timer_previous != 0; }

    /// Arms an unlinked entry for last_seen + timeout.
    void link(Entry& entry) noexcept;
    void unlink(Entry& entry) noexcept;

    /// Makes sure that a linked entry is looked at no later than last_seen + timeout.
    void reschedule(Entry& entry) noexcept {
        if (is_linked(entry) && is_before(due(entry), entry.timer_due)) {
            unlink(entry);
            link(entry);
        }
    }

    /// Moves on towards `now`. `expired(Entry&)` is called for each unlinked overdue entry; true
    /// means that it is gone, false that it is to be linked again. Touches at most `limit`
    /// entries and returns how many it did; if that is all of them, the rest follows on the next
    /// call. `ahead(Entry&)` is called for the overdue entry after the one at work, so that what
    /// its end will read can be fetched meanwhile.
    template <class Callback, class Ahead>
    std::uint32_t advance(Ticks now, std::uint32_t limit, Callback&& expired, Ahead&& ahead);

    template <class Callback>
    std::uint32_t advance(Ticks now, std::uint32_t limit, Callback&& expired) {
        return advance(now, limit, expired, [](Entry&) {});
    }

private:
    static constexpr unsigned levels = 4;
    static constexpr unsigned slot_bits = 8;
    static constexpr unsigned slots = 1U << slot_bits;
    static constexpr std::uint32_t head_flag = 0x80000000U;
    /// Bound on ticks looked at per call; catches up with 9 hours when nothing is due.
    static constexpr unsigned maximum_jumps = 1024;

    static Ticks due(const Entry& entry) noexcept { return entry.last_seen + entry.timeout; }

    static bool is_before(Ticks a, Ticks b) noexcept {
        return static_cast<std::int32_t>(a - b) < 0;
    }

    static unsigned slot_of(unsigned level, Ticks tick) noexcept {
        return level * slots + ((tick >> (level * slot_bits)) & (slots - 1));
    }

    void set_head(unsigned slot, std::uint32_t index) noexcept {
        heads_[slot] = index;
        const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
        std::uint64_t& word = occupied_[slot / 64];
        word = index != 0 ? word | bit : word & ~bit;
    }

    /// The next tick after tick_, at most `now`, at which a slot may have to be emptied.
    Ticks next_event(Ticks now) const noexcept;

    template <class Callback, class Ahead>
    bool empty_slot(
        unsigned slot, Ticks now, std::uint32_t& budget, Callback&& expired, Ahead&& ahead
    );

    Pool& pool_;
    Ticks tick_;  ///< everything due before it has been handled, what is due at it perhaps not
    std::array<std::uint32_t, std::size_t{levels} * slots> heads_{};
    std::array<std::uint64_t, levels * slots / 64> occupied_{};
};

template <class Pool>
void ExpiryWheel<Pool>::link(Entry& entry) noexcept {
    Ticks at = due(entry);
    // The slots of tick_ itself may be in the middle of being emptied.
    if (!is_before(tick_, at)) at = tick_ + 1;
    const Ticks distance = at - tick_;
    const unsigned level = (31U - static_cast<unsigned>(std::countl_zero(distance))) / slot_bits;
    const unsigned slot = slot_of(level, at);
    const std::uint32_t index = pool_.index_of(&entry);
    const std::uint32_t old_head = heads_[slot];
    entry.timer_due = at;
    entry.timer_next = old_head;
    entry.timer_previous = head_flag | slot;
    if (old_head != 0) pool_[old_head].timer_previous = index;
    set_head(slot, index);
}

template <class Pool>
void ExpiryWheel<Pool>::unlink(Entry& entry) noexcept {
    if (!is_linked(entry)) return;
    if ((entry.timer_previous & head_flag) != 0) {
        set_head(entry.timer_previous & ~head_flag, entry.timer_next);
    } else {
        pool_[entry.timer_previous].timer_next = entry.timer_next;
    }
    if (entry.timer_next != 0) pool_[entry.timer_next].timer_previous = entry.timer_previous;
    entry.timer_next = 0;
    entry.timer_previous = 0;
}

template <class Pool>
template <class Callback, class Ahead>
std::uint32_t ExpiryWheel<Pool>::advance(
    Ticks now, std::uint32_t limit, Callback&& expired, Ahead&& ahead
) {
    std::uint32_t budget = limit;
    for (unsigned jumps = 0; jumps < maximum_jumps; ++jumps) {
        for (unsigned level = levels; level-- > 0;) {
            const Ticks low_bits = (Ticks{1} << (level * slot_bits)) - 1;
            if ((tick_ & low_bits) != 0) continue;
            if (!empty_slot(slot_of(level, tick_), now, budget, expired, ahead)) return limit;
        }
        if (!is_before(tick_, now)) break;
        tick_ = next_event(now);
    }
    return limit - budget;
}

template <class Pool>
Ticks ExpiryWheel<Pool>::next_event(Ticks now) const noexcept {
    const Ticks block_end = (tick_ | (slots - 1)) + 1;
    const Ticks horizon = is_before(now, block_end) ? now : block_end;
    for (Ticks tick = tick_ + 1; is_before(tick, horizon);) {
        const unsigned slot = tick & (slots - 1);
        const std::uint64_t rest = occupied_[slot / 64] >> (slot % 64);
        if (rest != 0) {
            tick += static_cast<Ticks>(std::countr_zero(rest));
            return is_before(tick, horizon) ? tick : horizon;
        }
        tick += 64 - slot % 64;
    }
    return horizon;
}

/// Two entries ahead, so that the next one's line, fetched a turn ago, is there to be read.
template <class Pool>
template <class Callback, class Ahead>
bool ExpiryWheel<Pool>::empty_slot(
    unsigned slot, Ticks now, std::uint32_t& budget, Callback&& expired, Ahead&& ahead
) {
    while (heads_[slot] != 0) {
        if (budget == 0) return false;
        --budget;
        Entry& entry = pool_[heads_[slot]];
        if (entry.timer_next != 0) {
            Entry& next = pool_[entry.timer_next];
            if (next.timer_next != 0) __builtin_prefetch(&pool_[next.timer_next], 1);
            if (!is_before(now, due(next))) ahead(next);
        }
        unlink(entry);
        const bool overdue = !is_before(now, due(entry));
        if (!overdue || !expired(entry)) link(entry);
    }
    return true;
}

}  // namespace nlvs::forwarding
