#include "daemon/journal.hpp"

#include "compat/procfs/sysctl.hpp"
#include "daemon/control_plane.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nlvs::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto period = 1000ms;
constexpr auto slice_period = 10ms;
constexpr std::size_t slice_entries = 4096;
/// A small journal is not worth writing anew.
constexpr std::uint64_t tolerated_dead_frames = 4096;
/// Settings belong to no service: they come before all of them.
constexpr ipvs::Cursor before_services = 0;

void make_directory(const std::filesystem::path& path) {
    if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
    throw std::system_error{errno, std::generic_category(), "cannot make " + path.string()};
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{}};
}

StoredSysctls stored(const ipvs::Sysctls& values) {
    StoredSysctls record;
    for (const procfs::Sysctl& sysctl : procfs::sysctls()) {
        std::string text = procfs::read(sysctl, values);
        text.pop_back();  // the newline
        record.values.emplace_back(sysctl.name, std::move(text));
    }
    return record;
}

StoredDestination stored(
    const RegisteredService& service, const RegisteredDestination& destination
) {
    return {service.key, destination.spec, destination.last_weight};
}

bool is_of_same_place(const JournalContents& contents, const JournalOrigin& here) {
    return contents.origin && contents.origin->boot == here.boot &&
           contents.origin->network_namespace == here.network_namespace;
}

}  // namespace

std::optional<JournalSync> parse_journal_sync(std::string_view name) noexcept {
    if (name == "never") return JournalSync::never;
    if (name == "batch") return JournalSync::batch;
    if (name == "always") return JournalSync::always;
    return std::nullopt;
}

JournalOrigin current_origin() {
    JournalOrigin origin;
    std::ifstream{"/proc/sys/kernel/random/boot_id"} >> origin.boot;
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(origin.network_namespace);
    // Kernels before 5.14 do not tell: there the inode number in the directory's name must do.
    if (getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, &origin.network_namespace, &size) !=
        0) {
        origin.network_namespace = 0;
    }
    if (descriptor >= 0) close(descriptor);
    return origin;
}

Journal::Journal(const JournalSettings& settings, const Log& log)
    : settings_{settings}, log_{log}, path_{settings.directory / "journal"} {
    if (settings_.permanent) make_directory(settings_.directory);
    lock_.emplace(settings_.directory / "journal.lock");
    if (!lock_->locked()) {
        throw std::runtime_error{
            "another daemon keeps its journal in " + settings_.directory.string()};
    }
    if (settings_.fresh || !read_present()) start_empty();
}

Journal::~Journal() {
    if (rewrite_) abandon_rewrite();
    if (settings_.sync != JournalSync::never && dirty_ && !failed_) file_->synchronize();
}

void Journal::start_empty() {
    image_ = {};
    JournalFile file{path_.string() + ".new"};
    frame_.clear();
    append_frame(settings_.origin, frame_);
    int error = file.truncate(0);
    if (error == 0) error = file.append(frame_);
    if (error == 0 && settings_.sync != JournalSync::never) error = file.synchronize();
    if (error == 0) error = file.rename_to(path_);
    if (error != 0) {
        throw std::runtime_error{"cannot write " + path_.string() + ": " + std::strerror(error)};
    }
    if (settings_.sync != JournalSync::never) synchronize_directory(settings_.directory);
    file_.emplace(std::move(file));
    frames_ = 0;
}

bool Journal::read_present() {
    if (!std::filesystem::exists(path_)) return false;
    JournalFile file{path_};
    const std::string text = read_file(path_);
    JournalContents contents = read_journal(std::as_bytes(std::span{text}));
    if (contents.origin && !contents.origin->is_readable()) {
        throw std::runtime_error{fmt::format(
            "{} is of format version {} and this nlvsd reads versions up to {}; --fresh starts without it",
            path_.string(),
            contents.origin->version,
            JournalOrigin::current_version
        )};
    }
    const bool ours = settings_.permanent || is_of_same_place(contents, settings_.origin);
    if (contents.origin && !ours) {
        log_.notice(
            "the journal {} is of another boot or network namespace: starting empty", path_.string()
        );
        return false;
    }
    file_.emplace(std::move(file));
    if (contents.end != JournalContents::End::clean) drop_tail(contents, text.size());
    if (!contents.origin) return false;
    if (contents.origin->version != JournalOrigin::current_version) raise_version(*contents.origin);
    frames_ = contents.whole_frames - 1;
    image_ = std::move(contents.image);
    return true;
}

// What follows stays, for this version reads it. The frame keeps its length and lies within the
// first sector of the file.
void Journal::raise_version(JournalOrigin origin) {
    origin.version = JournalOrigin::current_version;
    frame_.clear();
    append_frame(origin, frame_);
    if (const int error = file_->overwrite_start(frame_); error != 0) fail(error);
}

void Journal::drop_tail(const JournalContents& contents, std::uint64_t size) {
    const std::uint64_t dropped = size - contents.whole_bytes;
    if (contents.end == JournalContents::End::incomplete) {
        log_.warning(
            "the journal {} ends with an incomplete record: {} bytes dropped, {} records kept",
            path_.string(),
            dropped,
            contents.whole_frames
        );
    } else {
        const std::filesystem::path copy{path_.string() + ".damaged"};
        std::error_code ignored;
        std::filesystem::copy_file(
            path_, copy, std::filesystem::copy_options::overwrite_existing, ignored
        );
        log_.warning(
            "the journal {} is damaged after {} records: {} bytes dropped, see {}",
            path_.string(),
            contents.whole_frames,
            dropped,
            copy.string()
        );
    }
    file_->truncate(contents.whole_bytes);
}

void Journal::follow(ControlPlane& control) {
    control_ = &control;
    control.set_observer(this);
}

void Journal::append(const JournalRecord& record, ipvs::Cursor place) {
    frame_.clear();
    append_frame(record, frame_);
    if (!failed_) {
        int error = file_->append(frame_);
        if (error == 0 && settings_.sync == JournalSync::always) error = file_->synchronize();
        if (error != 0) fail(error);
        ++frames_;
        dirty_ = settings_.sync == JournalSync::batch;
    }
    if (rewrite_ && place < rewrite_->next) append_to_rewrite(frame_, 1);
}

void Journal::append_to_rewrite(std::string_view frames, std::uint64_t count) {
    if (const int error = rewrite_->file.append(frames); error != 0) {
        abandon_rewrite();
        fail(error);
        return;
    }
    rewrite_->frames += count;
}

void Journal::fail(int error) {
    if (!failed_) {
        log_.error(
            "cannot write the journal {}: {}; the next nlvsd will miss what changes from now on",
            path_.string(),
            std::strerror(error)
        );
    }
    failed_ = true;
}

void Journal::service_stored(const RegisteredService& service) {
    append(StoredService{service.key, service.spec}, service.sequence);
}

void Journal::service_removed(const RegisteredService& service) {
    append(RemovedService{service.key}, service.sequence);
}

void Journal::destination_stored(
    const RegisteredService& service, const RegisteredDestination& destination
) {
    append(stored(service, destination), service.sequence);
}

void Journal::destination_removed(
    const RegisteredService& service, const ipvs::DestinationKey& destination
) {
    append(RemovedDestination{service.key, destination}, service.sequence);
}

void Journal::flushed() {
    if (rewrite_) abandon_rewrite();
    append(Flushed{}, before_services);
}

void Journal::timeouts_stored(const ipvs::Timeouts& timeouts) {
    append(timeouts, before_services);
}

void Journal::sync_daemons_stored(const std::vector<ipvs::SyncDaemonConfig>& daemons) {
    append(StoredSyncDaemons{daemons}, before_services);
}

void Journal::sysctls_stored(const ipvs::Sysctls& sysctls) {
    append(stored(sysctls), before_services);
}

std::chrono::milliseconds Journal::maintain() {
    if (rewrite_) {
        advance_rewrite();
    } else if (failed_ || wasteful()) {
        begin_rewrite();
    }
    if (dirty_ && !failed_) synchronize();
    return rewrite_ ? slice_period : period;
}

void Journal::synchronize() {
    if (!sync_.idle()) return;
    if (const int error = sync_.last_error(); error != 0) return fail(error);
    dirty_ = !sync_.request(*file_);
}

bool Journal::wasteful() {
    if (frames_ < check_at_) return false;
    const std::uint64_t tolerated = 2 * count_living() + tolerated_dead_frames;
    check_at_ = tolerated + 1;
    return frames_ > tolerated;
}

std::uint64_t Journal::count_living() const {
    std::uint64_t count = 0;
    control_->registry().visit_services(0, [&count](const RegisteredService& service) {
        count += 1 + service.destinations.size();
        return true;
    });
    return count;
}

void Journal::begin_rewrite() {
    try {
        rewrite_ = std::make_unique<Rewrite>(JournalFile{path_.string() + ".new"});
    } catch (const std::system_error& error) {
        return fail(error.code().value());
    }
    rewrite_->file.truncate(0);
    std::string frames;
    append_frame(settings_.origin, frames);
    append_frame(control_->timeouts(), frames);
    append_frame(stored(control_->sysctls()), frames);
    append_frame(StoredSyncDaemons{control_->daemons()}, frames);
    rewrite_->next = before_services + 1;
    append_to_rewrite(frames, 3);
}

void Journal::advance_rewrite() {
    if (rewrite_->next != ipvs::Control::end) return walk();
    if (settings_.sync == JournalSync::never) return finish_rewrite();
    if (!sync_.idle()) return;
    if (!rewrite_->synchronizing) {
        rewrite_->synchronizing = sync_.request(rewrite_->file);
    } else if (const int error = sync_.last_error(); error != 0) {
        abandon_rewrite();
        fail(error);
    } else {
        finish_rewrite();
    }
}

void Journal::walk() {
    std::string frames;
    std::uint64_t count = 0;
    rewrite_->next =
        control_->registry().visit_services(rewrite_->next, [&](const RegisteredService& service) {
            if (count >= slice_entries) return false;
            append_frame(StoredService{service.key, service.spec}, frames);
            for (const auto& destination : service.destinations) {
                append_frame(stored(service, *destination), frames);
            }
            count += 1 + service.destinations.size();
            return true;
        });
    append_to_rewrite(frames, count);
}

void Journal::finish_rewrite() {
    if (const int error = rewrite_->file.rename_to(path_); error != 0) {
        abandon_rewrite();
        return fail(error);
    }
    if (settings_.sync != JournalSync::never) synchronize_directory(settings_.directory);
    file_ = std::move(rewrite_->file);
    frames_ = rewrite_->frames;
    check_at_ = 0;
    dirty_ = settings_.sync == JournalSync::batch;
    rewrite_.reset();
    if (failed_) log_.notice("the journal {} is complete again", path_.string());
    failed_ = false;
}

void Journal::abandon_rewrite() {
    ::unlink(rewrite_->file.path().c_str());
    rewrite_.reset();
}

}  // namespace nlvs::daemon
