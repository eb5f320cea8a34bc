#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/text_source.hpp"

namespace nlvs::daemon {

/// One open file over a TextSource: reads at any offset, as seq_file does — forward at no cost,
/// back by starting over. It holds one piece at a time, so the length of the text does not matter.
/// Linux: fs/seq_file.c traverse.
/// Thread: control.
class TextReader : public std::enable_shared_from_this<TextReader> {
public:
    using Open = std::function<std::unique_ptr<TextSource>()>;
    /// Valid during the call only; empty at the end of the text.
    using Done = std::function<void(std::string_view bytes)>;

    explicit TextReader(Open open);

    /// Up to `size` bytes from `offset`; fewer only at the end of the text. Calls done once, at
    /// once or later. One read at a time.
    void read(std::uint64_t offset, std::size_t size, Done done);

private:
    void advance();
    void forget_passed();
    void finish();

    Open open_;
    std::unique_ptr<TextSource> source_;
    std::string window_;               ///< text at [start_, start_ + window_.size())
    std::uint64_t start_ = 0;
    bool at_end_ = false;              ///< the window ends where the text does
    bool advancing_ = false;
    bool waiting_ = false;             ///< for the source
    std::uint64_t wanted_offset_ = 0;
    std::size_t wanted_size_ = 0;
    Done done_;
};

}  // namespace nlvs::daemon
