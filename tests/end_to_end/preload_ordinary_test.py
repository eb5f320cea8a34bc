#!/usr/bin/python3
"""An ordinary program's own tests, without and with the preload library: the same results.

usage: preload_ordinary_test.py LIBRARY TEST_DAEMON      exit status 77: nothing to run

The program is CPython: its tests of files, sockets, signals and processes make most of the calls
that the library interposes, with good and bad arguments. A daemon is registered meanwhile.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile

TESTS = ["test_fcntl", "test_file", "test_fileio", "test_os", "test_posix", "test_select",
         *(f"test_socket.{name}" for name in (
             "GeneralModuleTests", "BasicTCPTest", "BasicUDPTest", "SendmsgTCPTest",
             "SendmsgUDPTest", "RecvmsgTCPTest", "RecvmsgUDPTest", "RecvmsgIntoTCPTest",
             "RecvmsgSCMRightsStreamTest", "NonBlockingTCPTests", "BufferIOTest",
             "SendRecvFdsTests"))]
# These depend on the clock or on other processes.
UNSTABLE = re.compile(r"[Tt]imeout|[Ss]tress|getloadavg|times\b|UDPLITE|CAN|VSOCK|interrupted")


def results(environment):
    """{test: verdict}, "ok", "FAIL", "ERROR" or "skipped"."""
    with tempfile.TemporaryDirectory() as directory:
        output = subprocess.run(
            [sys.executable, "-m", "unittest", "-v", *(f"test.{name}" for name in TESTS)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd=directory, env=environment, timeout=120, check=False).stderr
    found = re.findall(r"^(test\w+ \(.*?\)).*?\.\.\. (?:.*?)(ok|FAIL|ERROR|skipped.*)$", output, re.M)
    return {name: verdict.split()[0] for name, verdict in found if not UNSTABLE.search(name)}


def main(library, daemon_path):
    library, daemon_path = os.path.abspath(library), os.path.abspath(daemon_path)
    if subprocess.run([sys.executable, "-c", "import test.test_socket"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        print("CPython's tests are not installed (libpython3.11-testsuite)")
        return 77
    without = results(dict(os.environ))
    with tempfile.TemporaryDirectory() as run_directory:
        environment = {**os.environ, "NLVS_RUN_DIR": run_directory}
        with subprocess.Popen([daemon_path], stdout=subprocess.PIPE, text=True,
                              env=environment) as daemon:
            daemon.stdout.readline()
            try:
                with_library = results({**environment, "LD_PRELOAD": library})
            finally:
                daemon.send_signal(signal.SIGTERM)
    differing = {name: (without.get(name), with_library.get(name))
                 for name in without.keys() | with_library.keys()
                 if without.get(name) != with_library.get(name)}
    print(f"{len(without)} tests, {sum(v == 'ok' for v in without.values())} ok, "
          f"{len(differing)} differ")
    for name, verdicts in sorted(differing.items()):
        print(f"{name}: without {verdicts[0]}, with {verdicts[1]}")
    return 1 if differing or len(without) < 300 else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
