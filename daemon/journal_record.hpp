#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nlvs::daemon {

// The journal is a sequence of frames, integers in little-endian order:
//
//     u32 length of the payload | u32 CRC-32C of length, type and payload | u8 type | payload
//
// The first frame is the origin, with the version of the format; every other one states what an
// entry is now, so that applying a frame twice is applying it once.
//
// Version 2 adds to a service by mark what it was given besides the mark, and flags to the method of
// a destination; both are absent from frames of version 1, which are read as ever.

/// Whose journal it is. The first frame of a file and of nothing else.
struct JournalOrigin {
    static constexpr std::uint32_t first_version = 1;
    static constexpr std::uint32_t current_version = 2;

    std::uint32_t version = current_version;
    std::string boot;                     ///< /proc/sys/kernel/random/boot_id
    std::uint64_t network_namespace = 0;  ///< its cookie, never used twice in a boot

    bool is_readable() const noexcept {
        return version >= first_version && version <= current_version;
    }

    friend bool operator==(const JournalOrigin&, const JournalOrigin&) = default;
};

struct StoredService {
    ipvs::ServiceKey key;
    ipvs::ServiceSpec spec;

    friend bool operator==(const StoredService&, const StoredService&) = default;
};

struct RemovedService {
    ipvs::ServiceKey key;

    friend bool operator==(const RemovedService&, const RemovedService&) = default;
};

struct StoredDestination {
    ipvs::ServiceKey service;
    ipvs::DestinationSpec spec;
    std::int32_t last_weight = 0;  ///< see RegisteredDestination

    friend bool operator==(const StoredDestination&, const StoredDestination&) = default;
};

struct RemovedDestination {
    ipvs::ServiceKey service;
    ipvs::DestinationKey key;

    friend bool operator==(const RemovedDestination&, const RemovedDestination&) = default;
};

struct Flushed {
    friend bool operator==(const Flushed&, const Flushed&) = default;
};

struct StoredSyncDaemons {
    std::vector<ipvs::SyncDaemonConfig> daemons;

    friend bool operator==(const StoredSyncDaemons&, const StoredSyncDaemons&) = default;
};

/// Names and texts as their files show them, so that versions with other files understand it.
struct StoredSysctls {
    std::vector<std::pair<std::string, std::string>> values;

    friend bool operator==(const StoredSysctls&, const StoredSysctls&) = default;
};

/// A frame's type is its place in this list, counted from 1: append only.
using JournalRecord = std::variant<
    JournalOrigin,
    StoredService,
    RemovedService,
    StoredDestination,
    RemovedDestination,
    Flushed,
    ipvs::Timeouts,
    StoredSyncDaemons,
    StoredSysctls>;

/// Appends the record's frame.
void append_frame(const JournalRecord& record, std::string& out);

/// What stands at the start of `bytes`.
struct JournalFrame {
    enum class State : std::uint8_t {
        whole,
        incomplete,  ///< the bytes end before the frame does
        damaged,
    };

    State state = State::damaged;
    std::size_t size = 0;  ///< of a whole frame
    JournalRecord record;  ///< of a whole frame
};

/// Never reads beyond `bytes`, never throws for what they hold.
JournalFrame read_frame(std::span<const std::byte> bytes);

}  // namespace nlvs::daemon
