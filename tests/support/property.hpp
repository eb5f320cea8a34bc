#pragma once

#include <cstdlib>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::test {

/// Where the cases of a property come from. Small numbers on purpose: what meets is what breaks.
class Random {
public:
    explicit Random(unsigned seed) : engine_{seed} {}

    /// 0 … bound - 1.
    unsigned below(unsigned bound) { return static_cast<unsigned>(engine_() % bound); }

    bool one_in(unsigned n) { return below(n) == 0; }

    template <class Range>
    const auto& any_of(const Range& range) {
        return range[below(static_cast<unsigned>(std::size(range)))];
    }

    std::mt19937& engine() noexcept { return engine_; }

private:
    std::mt19937 engine_;
};

/// Puts `property(random)` to the test with as many seeds as NLVS_CASES says, else `usual`; with
/// NLVS_SEED to that one alone, which is what a failure prints.
template <class Property>
void for_each_seed(unsigned usual, Property&& property) {
    const auto number = [](const char* name, unsigned otherwise) {
        const char* text = std::getenv(name);
        return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
    };
    const unsigned only = number("NLVS_SEED", 0);
    const unsigned last = only != 0 ? only : number("NLVS_CASES", usual);
    for (unsigned seed = only != 0 ? only : 1; seed <= last; ++seed) {
        BOOST_TEST_CONTEXT("NLVS_SEED=" << seed) {
            Random random{seed};
            property(random);
        }
    }
}

}  // namespace nlvs::test
