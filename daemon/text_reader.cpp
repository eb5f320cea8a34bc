#include "daemon/text_reader.hpp"

#include <algorithm>
#include <utility>

namespace nlvs::daemon {

TextReader::TextReader(Open open) : open_{std::move(open)} {}

void TextReader::read(std::uint64_t offset, std::size_t size, Done done) {
    wanted_offset_ = offset;
    wanted_size_ = size;
    done_ = std::move(done);
    // A read at the beginning shows the text as it is now.
    if (!source_ || offset == 0 || offset < start_) {
        source_ = open_();
        window_.clear();
        start_ = 0;
        at_end_ = false;
    }
    advance();
}

void TextReader::advance() {
    if (advancing_) return;  // the source delivered at once: the loop below goes on
    advancing_ = true;
    bool delivered = true;
    while (delivered && !at_end_ && start_ + window_.size() < wanted_offset_ + wanted_size_) {
        forget_passed();
        waiting_ = true;
        source_->next([self = weak_from_this()](std::string piece) {
            const auto reader = self.lock();
            if (!reader) return;
            reader->waiting_ = false;
            reader->at_end_ = piece.empty();
            reader->window_ += piece;
            reader->advance();
        });
        delivered = !waiting_;
    }
    advancing_ = false;
    if (delivered) finish();
}

/// What lies before the wanted bytes is not needed any more.
void TextReader::forget_passed() {
    if (wanted_offset_ <= start_) return;
    const auto passed = std::min<std::uint64_t>(window_.size(), wanted_offset_ - start_);
    window_.erase(0, passed);
    start_ += passed;
}

void TextReader::finish() {
    std::string_view bytes;
    if (wanted_offset_ - start_ < window_.size()) {
        bytes = std::string_view{window_}.substr(wanted_offset_ - start_, wanted_size_);
    }
    std::exchange(done_, {})(bytes);
}

}  // namespace nlvs::daemon
