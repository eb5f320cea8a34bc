#pragma once

#include "netlink-shim/preload/symbols.hpp"

#include <atomic>
#include <cstddef>
#include <type_traits>

namespace nlvs::shim {

template <std::size_t size>
struct SymbolName {
    char text[size] = {};

    consteval SymbolName(const char (&name)[size]) {  // NOLINT: a literal is the name
        for (std::size_t i = 0; i < size; ++i) text[i] = name[i];
    }
};

/// Position in `symbols`.
template <SymbolName name>
consteval std::size_t symbol_index() {
    for (std::size_t i = 0; i < symbol_count; ++i) {
        std::size_t at = 0;
        while (name.text[at] != 0 && name.text[at] == symbols[i].name[at]) ++at;
        if (name.text[at] == symbols[i].name[at]) return i;
    }
    return symbol_count;
}

/// The definitions that come after ours, by index. Filled once, at load; the only state besides
/// the hints in *_redirect.
extern constinit std::atomic<void*> next_symbols[symbol_count];

/// For a call that comes before our constructor. Never null: where libc lacks the symbol, a
/// function that fails with ENOSYS.
void* resolve(std::size_t index) noexcept;

/// What the program would have called without us.
template <SymbolName name, class Function>
Function* next() noexcept {
    constexpr std::size_t index = symbol_index<name>();
    static_assert(index < symbol_count, "not in symbols.hpp");
    void* found = next_symbols[index].load(std::memory_order_relaxed);
    if (found == nullptr) [[unlikely]]
        found = resolve(index);
    return reinterpret_cast<Function*>(found);
}

}  // namespace nlvs::shim
