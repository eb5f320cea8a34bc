// Any bytes as a sync message. What is understood can be said again and is understood the same.

#include "compat/ipvs_sync/decoder.hpp"
#include "compat/ipvs_sync/message_builder.hpp"

#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nlvs::ipvs_sync;
    const auto message = std::as_bytes(std::span{data, size});
    std::uint32_t shown = 0;
    const auto decoded = decode(message, 0, [&shown](const Connection& connection) {
        ++shown;
        Connection said = connection;
        // The option is there if, and only if, a flag says so.
        if (!said.sequences) said.flags &= ~Flags::sequence_mask;
        if ((said.flags & Flags::sequence_mask) == 0) said.sequences.reset();
        MessageBuilder builder{1, 0};
        builder.add(said, Version::v1);
        bool same = false;
        decode(builder.take(), 0, [&](const Connection& again) { same = again == said; });
        if (!same) std::abort();
    });
    if (decoded.shown != shown) std::abort();
    return 0;
}
