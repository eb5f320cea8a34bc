#include "netlink-shim/endpoint/owed_answers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <sys/mman.h>

namespace nlvs::shim {

OwedAnswers::Debt::Debt(
    OwedAnswers& owner, std::uint32_t port, const nlmsghdr& request
) noexcept {
    if (owner.free_.empty()) return;
    owner_ = &owner;
    index_ = owner.free_.back();
    owner.free_.pop_back();
    owner.shared_->clients[index_].request = request;
    owner.shared_->clients[index_].port.store(port, std::memory_order_release);
}

OwedAnswers::Debt::Debt(Debt&& other) noexcept
    : owner_{std::exchange(other.owner_, nullptr)}, index_{other.index_} {}

OwedAnswers::Debt& OwedAnswers::Debt::operator=(Debt&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(index_, other.index_);
    return *this;
}

OwedAnswers::Debt::~Debt() {
    if (owner_ == nullptr || owner_->frozen_) return;
    owner_->shared_->clients[index_].port.store(0, std::memory_order_release);
    owner_->free_.push_back(static_cast<std::uint32_t>(index_));
}

OwedAnswers::OwedAnswers() {
    void* const memory = mmap(
        nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0
    );
    if (memory == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "cannot share memory");
    // Pages of zeros are what the constructors would write.
    shared_ = static_cast<Shared*>(memory);
    free_.reserve(max_clients);
    for (std::uint32_t index = max_clients; index > 0; --index) free_.push_back(index - 1);
}

OwedAnswers::~OwedAnswers() {
    munmap(shared_, sizeof(Shared));
}

void OwedAnswers::clear_inbox(std::size_t size) noexcept {
    shared_->sender.nl_pid = 0;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::memset(shared_->inbox, 0, std::min(size, max_datagram));
}

}  // namespace nlvs::shim
