#include "forwarding/nic/tap_signals.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

auto handler_of(int signal) {
    struct sigaction action {};

    sigaction(signal, nullptr, &action);
    return action.sa_handler;
}

void mine(int) {}

}  // namespace

BOOST_AUTO_TEST_SUITE(tap_signals_test)

BOOST_AUTO_TEST_CASE(while_it_lives_no_signal_is_free_and_then_all_are_as_before) {
    struct sigaction action {};

    action.sa_handler = mine;
    sigaction(SIGRTMIN + 3, &action, nullptr);
    const auto before = handler_of(SIGIO);  // the test framework may have one
    {
        const TapSignals signals;
        for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
            BOOST_TEST((handler_of(signal) != SIG_DFL), "signal " << signal);
        }
        BOOST_TEST((handler_of(SIGIO) != SIG_DFL));
        BOOST_TEST((handler_of(SIGRTMIN + 3) == mine));
    }
    BOOST_TEST((handler_of(SIGIO) == before));
    BOOST_TEST((handler_of(SIGRTMIN + 2) == SIG_DFL));
    BOOST_TEST((handler_of(SIGRTMIN + 3) == mine));
    action.sa_handler = SIG_DFL;
    sigaction(SIGRTMIN + 3, &action, nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
