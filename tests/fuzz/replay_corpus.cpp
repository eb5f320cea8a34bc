// Stands in for libFuzzer: runs every file of the folders given through the decoder, and prefixes of
// it, which is where bounds checks fail: all of a short file, of a long one about most_prefixes.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t most_prefixes = 256;

// Odd, so that the prefixes of a long file end at every alignment.
std::size_t step_of(std::size_t size) { return (size / most_prefixes) | 1; }

}  // namespace

int main(int count, char** arguments) {
    std::size_t files = 0;
    for (int i = 1; i < count; ++i) {
        for (const auto& entry : std::filesystem::directory_iterator{arguments[i]}) {
            std::ifstream file{entry.path(), std::ios::binary};
            const std::vector<char> text{std::istreambuf_iterator<char>{file}, {}};
            const std::vector<std::uint8_t> bytes{text.begin(), text.end()};
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            for (std::size_t size = 0; size < bytes.size(); size += step_of(bytes.size())) {
                // A copy of its own, so that a sanitizer sees a read past the end.
                const std::vector<std::uint8_t> prefix(bytes.data(), bytes.data() + size);
                LLVMFuzzerTestOneInput(prefix.data(), prefix.size());
            }
            ++files;
        }
    }
    std::printf("%zu files\n", files);
    return files == 0 ? 1 : 0;
}
