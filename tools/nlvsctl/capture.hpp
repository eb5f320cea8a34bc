#pragma once

#include <span>
#include <string_view>

namespace nlvs {

/// `nlvsctl capture`: writes what nlvsd captures until a signal, the end of the reader behind a pipe, or
/// the wanted number of packets; then says on standard error how many there were and how many were
/// lost. Returns nothing for words it does not understand; throws std::runtime_error.
bool capture(std::span<const std::string_view> words);

}  // namespace nlvs
