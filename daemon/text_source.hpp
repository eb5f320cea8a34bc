#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace nlvs::daemon {

/// A text of any length, made piece by piece as somebody reads it.
/// Thread: control.
class TextSource {
public:
    using Deliver = std::function<void(std::string piece)>;

    /// About how long a piece is.
    static constexpr std::size_t piece_size = 64 * 1024;

    TextSource() = default;
    TextSource(const TextSource&) = delete;
    TextSource& operator=(const TextSource&) = delete;
    virtual ~TextSource() = default;

    /// Calls `deliver` once, at once or later, with the next piece; an empty one is the end. One
    /// call at a time; a source that dies before calls nobody.
    virtual void next(Deliver deliver) = 0;
};

/// A short text that is ready.
class ReadyText final : public TextSource {
public:
    explicit ReadyText(std::string text) : text_{std::move(text)} {}

    void next(Deliver deliver) override { deliver(std::exchange(text_, {})); }

private:
    std::string text_;
};

}  // namespace nlvs::daemon
