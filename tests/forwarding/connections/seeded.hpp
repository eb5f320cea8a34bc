#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::test {

/// A random source for property tests: NLVS_SEED repeats a run, NLVS_CASES scales its length.
class Seeded {
public:
    Seeded() : seed_{number("NLVS_SEED", std::random_device{}())}, engine_{seed_} {
        BOOST_TEST_MESSAGE("NLVS_SEED=" << seed_);
    }

    std::uint64_t seed() const { return seed_; }

    std::uint64_t operator()() { return engine_(); }

    std::uint32_t below(std::uint64_t limit) {
        return static_cast<std::uint32_t>(engine_() % limit);
    }

    static std::uint64_t cases(std::uint64_t usual) {
        return usual * number("NLVS_CASES", 100) / 100;
    }

private:
    static std::uint64_t number(const char* name, std::uint64_t otherwise) {
        const char* text = std::getenv(name);
        return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
    }

    std::uint64_t seed_;
    std::mt19937_64 engine_;
};

}  // namespace nlvs::test
