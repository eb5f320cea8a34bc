#include "tests/support/corpus.hpp"

namespace nlvs::test {

std::filesystem::path corpus() {
    return NLVS_CORPUS_DIRECTORY;
}

}  // namespace nlvs::test
