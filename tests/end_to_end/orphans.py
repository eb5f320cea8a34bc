"""Clients that wait while their daemon is killed, for tests of both front ends."""

import signal
import time


def orphan_is_told(test, orphan, request):
    """`test` has a daemon to kill; it is another one afterwards."""
    with orphan:
        test.assertEqual(orphan.stdout.readline(), "ready\n")
        if request == "info":
            test.daemon.send_signal(signal.SIGSTOP)
        print(flush=True, file=orphan.stdin)
        test.assertEqual(orphan.stdout.readline(), "asked\n")
        time.sleep(0.2)
        test.stop_daemon(signal.SIGKILL)
        killed = time.monotonic()
        if request == "dump":
            print(flush=True, file=orphan.stdin)
        test.assertEqual(orphan.stdout.readline(), "ECONNRESET\n", orphan.poll())
        test.assertLess(time.monotonic() - killed, 5)
        test.start_daemon()
        test.assertEqual(orphan.communicate("\n", timeout=20), ("served\n", ""))
        test.assertEqual(orphan.returncode, 0)
