#include "daemon/journal_image.hpp"

namespace nlvs::daemon {

void JournalImage::apply(JournalRecord record) {
    std::visit([this](auto&& value) { store(std::move(value)); }, std::move(record));
}

std::size_t JournalImage::destinations() const noexcept {
    std::size_t count = 0;
    for (const auto& [sequence, entry] : entries_) count += entry.destinations.size();
    return count;
}

JournalImage::Entry* JournalImage::find(const ipvs::ServiceKey& key) {
    const auto i = sequences_.find(key);
    return i == sequences_.end() ? nullptr : &entries_.find(i->second)->second;
}

void JournalImage::store(StoredService&& record) {
    Entry* entry = find(record.key);
    if (entry == nullptr) {
        sequences_.emplace(record.key, next_);
        entry = &entries_[next_++];
        entry->key = record.key;
    }
    entry->spec = std::move(record.spec);
}

void JournalImage::store(RemovedService&& record) {
    const auto i = sequences_.find(record.key);
    if (i == sequences_.end()) return;
    entries_.erase(i->second);
    sequences_.erase(i);
}

void JournalImage::store(StoredDestination&& record) {
    Entry* entry = find(record.service);
    if (entry == nullptr) return;
    const auto [i, added] = entry->numbers.try_emplace(record.spec.key, next_);
    if (added) ++next_;
    entry->destinations.insert_or_assign(i->second, std::move(record));
}

void JournalImage::store(RemovedDestination&& record) {
    Entry* entry = find(record.service);
    if (entry == nullptr) return;
    const auto i = entry->numbers.find(record.key);
    if (i == entry->numbers.end()) return;
    entry->destinations.erase(i->second);
    entry->numbers.erase(i);
}

void JournalImage::store(Flushed&&) {
    entries_.clear();
    sequences_.clear();
}

JournalContents read_journal(std::span<const std::byte> bytes) {
    JournalContents contents;
    while (!bytes.empty()) {
        JournalFrame frame = read_frame(bytes);
        const bool is_origin = std::holds_alternative<JournalOrigin>(frame.record);
        const bool whole = frame.state == JournalFrame::State::whole;
        // A frame of a later version is for a later daemon to read, see JournalOrigin.
        const bool expected = is_origin == (contents.whole_frames == 0);
        if (!whole || !expected) {
            contents.end = frame.state == JournalFrame::State::incomplete
                               ? JournalContents::End::incomplete
                               : JournalContents::End::damaged;
            break;
        }
        if (is_origin) {
            contents.origin = std::get<JournalOrigin>(std::move(frame.record));
            if (!contents.origin->is_readable()) break;
        } else {
            contents.image.apply(std::move(frame.record));
        }
        ++contents.whole_frames;
        contents.whole_bytes += frame.size;
        bytes = bytes.subspan(frame.size);
    }
    return contents;
}

}  // namespace nlvs::daemon
