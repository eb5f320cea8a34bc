#include "forwarding/config/published.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

/// Reports its end to a counter.
struct Node {
    Node(int number, std::atomic<int>& destroyed_nodes)
        : value{number}, destroyed{destroyed_nodes} {}

    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    ~Node() { ++destroyed; }

    int value;
    int twice = 2 * value;
    std::atomic<int>& destroyed;
};

struct Fixture {
    std::atomic<int> destroyed{0};
    QuiescentState quiescence;

    std::unique_ptr<const Node> node(int value) {
        return std::make_unique<const Node>(value, destroyed);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(published_test)

BOOST_FIXTURE_TEST_CASE(nothing_is_current_before_the_first_publish, Fixture) {
    Published<Node> published;
    BOOST_TEST(published.current() == nullptr);
}

BOOST_FIXTURE_TEST_CASE(a_node_lives_until_every_worker_has_been_quiescent, Fixture) {
    Reclaimer reclaimer{quiescence};
    Published<Node> published;
    quiescence.register_worker(0);
    quiescence.register_worker(5);
    published.publish(node(1), reclaimer);
    const Node* seen = published.current();
    published.publish(node(2), reclaimer);
    BOOST_TEST(published.current()->value == 2);

    reclaimer.collect();
    BOOST_TEST(destroyed == 0);
    BOOST_TEST(seen->value == 1);
    quiescence.report(0);
    reclaimer.collect();
    BOOST_TEST(destroyed == 0);
    quiescence.report(5);
    reclaimer.collect();
    BOOST_TEST(destroyed == 1);
    BOOST_TEST(reclaimer.pending() == 0U);
    quiescence.unregister_worker(0);
    quiescence.unregister_worker(5);
}

BOOST_FIXTURE_TEST_CASE(a_report_before_the_replacement_does_not_count, Fixture) {
    Reclaimer reclaimer{quiescence};
    Published<Node> published;
    quiescence.register_worker(0);
    published.publish(node(1), reclaimer);
    quiescence.report(0);
    published.publish(node(2), reclaimer);
    reclaimer.collect();
    BOOST_TEST(destroyed == 0);
    quiescence.unregister_worker(0);
}

BOOST_FIXTURE_TEST_CASE(a_sleeping_worker_does_not_hold_up_reclamation, Fixture) {
    Reclaimer reclaimer{quiescence};
    Published<Node> published;
    quiescence.register_worker(0);
    quiescence.offline(0);
    published.publish(node(1), reclaimer);
    published.publish(node(2), reclaimer);
    reclaimer.collect();
    BOOST_TEST(destroyed == 1);

    quiescence.online(0);
    published.publish(node(3), reclaimer);
    reclaimer.collect();
    BOOST_TEST(destroyed == 1);
    quiescence.unregister_worker(0);
    reclaimer.collect();
    BOOST_TEST(destroyed == 2);
}

BOOST_FIXTURE_TEST_CASE(
    actions_run_in_the_order_of_retirement_and_at_the_latest_at_the_end, Fixture
) {
    std::vector<int> order;
    {
        Reclaimer reclaimer{quiescence};
        quiescence.register_worker(0);
        for (int i = 0; i < 3; ++i) reclaimer.retire([&order, i] { order.push_back(i); });
        reclaimer.collect();
        BOOST_TEST(order.empty());
        quiescence.report(0);
        reclaimer.retire([&order] { order.push_back(3); });
        reclaimer.collect();
        BOOST_TEST(order == (std::vector<int>{0, 1, 2}), boost::test_tools::per_element());
        quiescence.unregister_worker(0);
    }
    BOOST_TEST(order == (std::vector<int>{0, 1, 2, 3}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(everything_is_destroyed_exactly_once, Fixture) {
    {
        Reclaimer reclaimer{quiescence};
        Published<Node> published;
        for (int i = 0; i < 10; ++i) published.publish(node(i), reclaimer);
    }
    BOOST_TEST(destroyed == 10);
}

BOOST_FIXTURE_TEST_CASE(a_reader_always_sees_a_complete_node, Fixture) {
    Reclaimer reclaimer{quiescence};
    Published<Node> published;
    published.publish(node(0), reclaimer);
    std::atomic<bool> stop{false};
    std::atomic<int> broken{0};
    std::atomic<int> started{0};
    const auto read = [&](WorkerId worker) {
        quiescence.register_worker(worker);
        started.fetch_add(1);
        int last = 0;
        while (!stop.load(std::memory_order_relaxed)) {
            const Node* current = published.current();
            if (current->twice != 2 * current->value || current->value < last) ++broken;
            last = current->value;
            quiescence.report(worker);
        }
        quiescence.unregister_worker(worker);
    };
    std::thread first{read, WorkerId{0}};
    std::thread second{read, WorkerId{1}};
    while (started.load() < 2) std::this_thread::yield();
    for (int i = 1; i <= 5000; ++i) {
        published.publish(node(i), reclaimer);
        reclaimer.collect();
    }
    stop = true;
    first.join();
    second.join();
    BOOST_TEST(broken == 0);
    reclaimer.collect();
    BOOST_TEST(destroyed == 5000);
}

BOOST_AUTO_TEST_SUITE_END()
