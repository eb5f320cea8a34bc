#include "forwarding/connections/expiry_wheel.hpp"

#include "tests/forwarding/connections/seeded.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

struct Timed {
    Ticks last_seen = 0;
    Ticks timeout = 0;
    Ticks timer_due = 0;
    std::uint32_t timer_next = 0;
    std::uint32_t timer_previous = 0;
};

struct TimedPool {
    using value_type = Timed;

    explicit TimedPool(std::size_t size) : entries(size) {}

    Timed& operator[](std::uint32_t index) { return entries[index]; }

    std::uint32_t index_of(const Timed* entry) const {
        return static_cast<std::uint32_t>(entry - entries.data());
    }

    std::vector<Timed> entries;
};

using Wheel = ExpiryWheel<TimedPool>;

constexpr std::uint32_t unlimited = ~0U;

/// The wheel and what it ought to do: entries by the 64-bit tick at which they expire. `start`
/// places the wheel's 32-bit ticks anywhere, also just before they wrap around.
struct Model {
    Model(std::size_t size, Ticks start) : origin{start}, pool{size}, wheel{pool, start} {}

    Ticks wheel_time(std::uint64_t time) const { return origin + static_cast<Ticks>(time); }

    void forget(std::uint32_t index) {
        auto [from, to] = by_due.equal_range(due[index]);
        by_due.erase(std::find_if(from, to, [index](const auto& at) { return at.second == index; })
        );
        due.erase(index);
    }

    void expect(std::uint32_t index, std::uint64_t when) {
        if (due.contains(index)) forget(index);
        due[index] = when;
        by_due.emplace(when, index);
    }

    void arm(std::uint32_t index, std::uint64_t now, Ticks timeout) {
        pool[index].last_seen = wheel_time(now);
        pool[index].timeout = timeout;
        expect(index, now + timeout);
        wheel.link(pool[index]);
    }

    void touch(std::uint32_t index, std::uint64_t now, Ticks timeout) {
        pool[index].last_seen = wheel_time(now);
        pool[index].timeout = timeout;
        expect(index, now + timeout);
        wheel.reschedule(pool[index]);
    }

    Ticks origin;
    TimedPool pool;
    Wheel wheel;
    std::map<std::uint32_t, std::uint64_t> due;
    std::multimap<std::uint64_t, std::uint32_t> by_due;
};

/// Random life of 500 entries; after each step exactly those that are due have fired.
void live(nlvs::test::Seeded& random, Ticks start, Ticks longest_timeout, Ticks longest_step) {
    Model model{501, start};
    std::uint64_t now = 0;
    for (std::uint64_t step = 0; step < nlvs::test::Seeded::cases(3000); ++step) {
        for (unsigned action = 0; action < 20; ++action) {
            const std::uint32_t index = 1 + random.below(500);
            const Ticks timeout = random.below(random.below(3) == 0 ? 300 : longest_timeout);
            if (!model.due.contains(index)) {
                model.arm(index, now, timeout);
            } else if (random.below(8) == 0) {
                model.wheel.unlink(model.pool[index]);
                model.forget(index);
            } else {
                model.touch(index, now, timeout);
            }
        }
        now += random.below(random.below(2) == 0 ? 3 : longest_step);
        std::vector<std::uint32_t> fired;
        const auto fire = [&fired, &model](Timed& entry) {
            fired.push_back(model.pool.index_of(&entry));
            return true;
        };
        // What is armed with timeout 0 fires in the tick after.
        ++now;
        const std::uint32_t limit = 1 + random.below(40);
        for (unsigned idle = 0; idle < 300;) {
            idle = model.wheel.advance(model.wheel_time(now), limit, fire) < limit ? idle + 1 : 0;
        }
        std::vector<std::uint32_t> expected;
        while (!model.by_due.empty() && model.by_due.begin()->first <= now) {
            expected.push_back(model.by_due.begin()->second);
            model.forget(expected.back());
        }
        std::ranges::sort(fired);
        std::ranges::sort(expected);
        BOOST_REQUIRE(fired == expected);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(expiry_wheel_test)

BOOST_AUTO_TEST_CASE(fires_exactly_what_is_due) {
    nlvs::test::Seeded random;
    live(random, 1000, 8000, 2000);
}

BOOST_AUTO_TEST_CASE(ticks_may_wrap_around) {
    nlvs::test::Seeded random;
    live(random, ~Ticks{0} - 20000, 70000, 300);
    live(random, (Ticks{1} << 24) - 300, 70000, 300);
}

BOOST_AUTO_TEST_CASE(keeps_the_longest_timeout_the_kernel_accepts) {
    nlvs::test::Seeded random;
    live(random, ~Ticks{0} - (Ticks{1} << 27), 8589934U * ticks_per_second + 1, 1U << 16);
}

BOOST_AUTO_TEST_CASE(an_entry_that_was_touched_costs_one_look_per_timeout) {
    Model model{2, 5};
    model.arm(1, 0, 7200);
    std::uint32_t looks = 0;
    for (std::uint64_t now = 1; now < 72000; ++now) {
        model.touch(1, now, 7200);
        looks += model.wheel.advance(model.wheel_time(now), unlimited, [](Timed&) {
            BOOST_TEST(false, "a touched entry fired");
            return true;
        });
    }
    BOOST_TEST(looks <= 11U);
}

BOOST_AUTO_TEST_CASE(a_shorter_timeout_takes_effect) {
    Model model{2, 0};
    model.arm(1, 0, 7200);
    model.touch(1, 10, 80);
    unsigned fired = 0;
    const auto fire = [&fired](Timed&) { return ++fired != 0; };
    model.wheel.advance(89, unlimited, fire);
    BOOST_TEST(fired == 0U);
    model.wheel.advance(90, unlimited, fire);
    BOOST_TEST(fired == 1U);
}

BOOST_AUTO_TEST_CASE(work_is_bounded_by_the_limit_and_goes_on_where_it_stopped) {
    Model model{1001, 0};
    for (std::uint32_t index = 1; index <= 1000; ++index) model.arm(index, 0, 256 * 20);
    unsigned fired = 0;
    for (unsigned call = 0; call < 100; ++call) {
        BOOST_TEST(model.wheel.advance(256 * 20, 10, [&fired](Timed&) {
            return ++fired != 0;
        }) == 10U);
    }
    BOOST_TEST(fired == 1000U);
}

BOOST_AUTO_TEST_CASE(an_entry_that_is_refused_fires_again) {
    Model model{2, 0};
    model.arm(1, 0, 10);
    std::vector<Ticks> fired;
    for (Ticks now = 1; now < 100; ++now) {
        model.wheel.advance(now, unlimited, [&fired, now](Timed& entry) {
            fired.push_back(now);
            entry.last_seen = now;
            entry.timeout = 40;
            return false;
        });
    }
    BOOST_TEST(fired == (std::vector<Ticks>{10, 50, 90}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(firing_may_unlink_and_link_others) {
    Model model{4, 0};
    for (std::uint32_t index = 1; index <= 3; ++index) model.arm(index, 0, 10);
    std::vector<std::uint32_t> fired;
    model.wheel.advance(10, unlimited, [&](Timed& entry) {
        const std::uint32_t index = model.pool.index_of(&entry);
        fired.push_back(index);
        const std::uint32_t other = index % 3 + 1;
        model.wheel.unlink(model.pool[other]);
        return true;
    });
    BOOST_TEST(fired.size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
