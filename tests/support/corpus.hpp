#pragma once

#include <filesystem>

namespace nlvs::test {

/// tests/corpus in the source tree: what was recorded on kernels and clients.
std::filesystem::path corpus();

}  // namespace nlvs::test
