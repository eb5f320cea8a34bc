#pragma once

#include <utility>

#include <unistd.h>

namespace nlvs::shim {

/// An open file of this process, closed in the end. Empty: negative.
class Descriptor {
public:
    Descriptor() noexcept = default;

    explicit Descriptor(int number) noexcept : number_(number) {}

    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }

    explicit operator bool() const noexcept { return number_ >= 0; }

    int get() const noexcept { return number_; }

    int release() noexcept { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

}  // namespace nlvs::shim
