#pragma once

#include <csignal>
#include <cstdint>
#include <utility>

namespace nlvs::bench {

/// Instructions that a piece of code retires, on machines that hide their performance counters
/// (most virtual ones): the processor's trap flag raises SIGTRAP after every instruction, and the
/// handler counts. Exact, and about a thousand times slower than running.
/// A `rep` string instruction counts once for every repetition.
class InstructionCount {
public:
    template <class Code>
    static std::uint64_t of(Code&& code) {
        struct sigaction action {};
        struct sigaction before {};
        action.sa_handler = [](int) { count_ = count_ + 1; };
        sigaction(SIGTRAP, &action, &before);
        count_ = 0;
        trap_flag<true>();
        std::forward<Code>(code)();
        trap_flag<false>();
        sigaction(SIGTRAP, &before, nullptr);
        return count_ - own_instructions;
    }

private:
    /// Of trap_flag: after the flag is set, and until it is cleared.
    static constexpr std::uint64_t own_instructions = 4;

    /// Below the red zone.
    template <bool on>
    [[gnu::always_inline]] static void trap_flag() {
        if constexpr (on) {
            asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                         ::: "memory", "cc");
        } else {
            asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                         ::: "memory", "cc");
        }
    }

    static inline volatile std::uint64_t count_ = 0;
};

}  // namespace nlvs::bench
