#include "forwarding/nic/tap_signals.hpp"

namespace nlvs::forwarding {
namespace {

void ignore(int) {}

}  // namespace

TapSignals::TapSignals() {
    const auto take = [this](int signal) {
        struct sigaction action {};
        if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
        action.sa_handler = ignore;
        action.sa_flags = SA_RESTART;
        if (sigaction(signal, &action, nullptr) == 0) taken_.push_back(signal);
    };
    take(SIGIO);  // older releases know only this one
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) take(signal);
}

TapSignals::~TapSignals() {
    for (const int signal : taken_) {
        struct sigaction action {};

        action.sa_handler = SIG_DFL;
        sigaction(signal, &action, nullptr);
    }
}

}  // namespace nlvs::forwarding
