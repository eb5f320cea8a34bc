#!/usr/bin/python3
"""Programs under nlvs-run against a daemon, in a network namespace of their own.

usage: launcher_test.py NLVS_RUN TEST_DAEMON STATIC_CLIENT [TEST...]

Exit status 77: no namespace possible.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from orphans import orphan_is_told

HERE = pathlib.Path(__file__).resolve().parent
CASES = re.findall(r"^def case_(\w+)", (HERE / "preload_client.py").read_text(), re.M)
# Those that need a partner have tests of their own. One case hands a socket over by SCM_RIGHTS,
# which leaves its number to the kernel (netlink-shim/README.md).
APART = {"dump_to_a_client_that_does_not_wait", "list_families", "paths", "orphan",
         "orphaned_option", "slow_reader", "unprivileged", "threads_fork_and_dup"}


# struct open_how: flags, mode, resolve.
OPENAT2 = """
import ctypes, os

how = (ctypes.c_uint64 * 3)(os.O_RDONLY | os.O_CLOEXEC, 0, RESOLVE)
opened = ctypes.CDLL(None).syscall(437, -100, b"/proc/net/ip_vs", how, ctypes.sizeof(how))
"""


def enter_namespace():
    if os.environ.get("NLVS_TEST_NAMESPACE"):
        return
    if os.geteuid() or subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL,
                                      check=False).returncode:
        print("no permission for a network namespace")
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv],
               {**os.environ, "NLVS_TEST_NAMESPACE": "1"})


class Launcher(unittest.TestCase):
    launcher = daemon_path = static_client = go_client = ""

    @classmethod
    def setUpClass(cls):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        cls.built = tempfile.TemporaryDirectory(prefix="nlvs-launcher-go-")
        os.chmod(cls.built.name, 0o755)
        if shutil.which("go"):
            cls.go_client = f"{cls.built.name}/go_client"
            environment = {"GOCACHE": f"{cls.built.name}/cache", **os.environ,
                           "CGO_ENABLED": "0", "GO111MODULE": "off"}
            subprocess.run(["go", "build", "-o", cls.go_client, "main.go"], check=True,
                           cwd=HERE / "go_client", env=environment)

    @classmethod
    def tearDownClass(cls):
        cls.built.cleanup()

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nlvs-launcher-")
        os.chmod(self.directory.name, 0o755)
        root = pathlib.Path(self.directory.name)
        self.run_directory = root / "run"
        files = self.run_directory / "files"
        (files / "net").mkdir(parents=True)
        (files / "net/ip_vs").write_text("the daemon's\n")
        (files / "sys/net/ipv4/vs").mkdir(parents=True)
        (files / "sys/net/ipv4/vs/conntrack").write_text("0\n")
        self.environment = {**os.environ, "NLVS_RUN_DIR": str(self.run_directory), "LC_ALL": "C"}
        self.environment.pop("LD_PRELOAD", None)
        self.files = files
        self.start_daemon()

    def tearDown(self):
        self.stop_daemon()
        self.directory.cleanup()

    def start_daemon(self):
        self.daemon = subprocess.Popen([self.daemon_path, str(self.files)], stdout=subprocess.PIPE,
                                       text=True, env=self.environment)
        self.assertTrue(self.daemon.stdout.readline().strip().isdigit())

    def stop_daemon(self, number=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(number)
            self.daemon.wait(10)
            self.daemon.stdout.close()
            self.daemon = None

    def run_program(self, *command, **options):
        return subprocess.run([self.launcher, "--", *command], capture_output=True, text=True,
                              check=False, timeout=60, env=self.environment, **options)

    def expect_success(self, *command, **options):
        result = self.run_program(*command, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""), command)
        return result.stdout

    def start_program(self, *command, **options):
        return subprocess.Popen([self.launcher, "--", *command], stdout=subprocess.PIPE, text=True,
                                stdin=subprocess.PIPE, env=self.environment, **options)

    def python_case(self, name):
        return self.expect_success(sys.executable, str(HERE / "preload_client.py"), name)

    # The program

    def test_exit_status_is_the_programs(self):
        for status in (0, 1, 42, 125, 255):
            self.assertEqual(self.run_program("sh", "-c", f"exit {status}").returncode, status)
        result = self.run_program("sh", "-c", "kill -SEGV $$")
        self.assertEqual(result.returncode, -signal.SIGSEGV)

    def test_programs_that_cannot_be_run(self):
        missing = self.run_program("/no/such/program")
        self.assertEqual(missing.returncode, 127)
        self.assertEqual(missing.stderr,
                         "nlvs-run: /no/such/program: No such file or directory\n")
        self.assertEqual(self.run_program("/etc/passwd").returncode, 126)
        for arguments in ([], ["--"], ["--unknown"]):
            result = subprocess.run([self.launcher, *arguments], capture_output=True, text=True,
                                    check=False, timeout=10)
            self.assertEqual(result.returncode, 125, arguments)
            self.assertIn("usage: nlvs-run", result.stderr)

    def test_where_the_kernel_forbids_it(self):
        result = self.run_program(self.launcher, "--", "true")
        self.assertEqual(result.returncode, 125)
        self.assertRegex(result.stderr, r"^nlvs-run: another supervisor .* only one: .*\n$")
        result = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", self.launcher, "--", "true"],
            capture_output=True, text=True, check=False, timeout=10)
        self.assertIn(result.returncode, (0, 125), result.stderr)
        self.assertEqual(result.returncode == 125, "nlvs-run: the kernel forbids" in result.stderr)

    def test_signals_reach_the_program_by_the_launchers_pid(self):
        script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
        with self.start_program("sh", "-c", script) as program:
            self.assertEqual(program.stdout.readline(), "ready\n")
            program.send_signal(signal.SIGTERM)
            self.assertEqual(program.stdout.readline(), "caught\n")
            self.assertEqual(program.wait(10), 9)
        with self.start_program("sleep", "60") as program:
            time.sleep(0.2)
            program.terminate()
            self.assertEqual(program.wait(10), -signal.SIGTERM)

    def test_input_output_and_pid_are_the_programs_own(self):
        self.assertEqual(self.expect_success("cat", input="through\n"), "through\n")
        with self.start_program("sh", "-c", "echo $$; read line") as program:
            self.assertEqual(int(program.stdout.readline()), program.pid)
            program.communicate("\n", timeout=10)
        # The supervisor keeps no pipe open, or this would not end before the sleep does.
        begin = time.monotonic()
        self.expect_success("sh", "-c", "sleep 5 >/dev/null 2>&1 &")
        self.assertLess(time.monotonic() - begin, 4)

    def test_the_supervisor_ends_with_the_last_process(self):
        with self.start_program("sh", "-c", "exec 3<&0; (read line <&3) & exit 4") as program:
            self.assertEqual(program.wait(10), 4)
            self.assertEqual(len(self.supervisors()), 1)
            program.communicate("\n", timeout=10)
        deadline = time.monotonic() + 5
        while self.supervisors():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_the_supervisor_stays_out_of_the_programs_namespaces(self):
        script = f"{self.static_client} namespace && echo done; read line"
        with self.start_program("sh", "-c", script) as program:
            self.assertEqual(program.stdout.readline(), "done\n")
            supervisor, = self.supervisors()
            self.assertEqual({os.readlink(path) for path in
                              pathlib.Path(f"/proc/{supervisor}/task").glob("*/ns/net")},
                             {os.readlink("/proc/self/ns/net")})
            program.communicate("\n", timeout=10)

    def supervisors(self):
        found = subprocess.run(["pgrep", "-x", "nlvs-run", "-r", "S"], capture_output=True,
                               text=True, check=False).stdout.split()
        return [pid for pid in found if self.has_our_environment(pid)]

    def has_our_environment(self, pid):
        try:
            return str(self.run_directory).encode() in pathlib.Path(
                f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False

    # Its calls

    def test_static_c(self):
        for case in ("calls", "options", "processes", "namespace", "signals"):
            with self.subTest(case):
                self.expect_success(self.static_client, case)

    def test_without_the_capability_nothing_gets_through(self):
        self.expect_success("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                            "--inh-caps=-all", "--bounding-set=-all", self.static_client, "weak")

    def test_static_go(self):
        if not self.go_client:
            self.skipTest("no go")
        for case in ("blocking", "polled", "routines", "descriptors"):
            with self.subTest(case):
                self.expect_success(self.go_client, case)
        self.assertIn("-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 2\n",
                      self.expect_success("ipvsadm", "-Sn"))
        self.assertEqual(self.expect_success(self.go_client, "files"),
                         "the daemon's\nconntrack\n1\n")

    def test_a_waiting_go_program_takes_signals(self):
        if not self.go_client:
            self.skipTest("no go")
        with self.start_program(self.go_client, "interrupted") as program:
            self.assertEqual(program.stdout.readline(), "waiting\n")
            program.terminate()
            self.assertEqual(program.communicate(timeout=10)[0], "handled\n")
            self.assertEqual(program.returncode, 0)

    def test_python(self):
        for case in CASES:
            if case not in APART:
                with self.subTest(case):
                    self.python_case(case)
        self.assertEqual(self.python_case("list_families").splitlines()[-1], "IPVS")
        self.assertEqual(self.python_case("paths"), "the daemon's\n" * 2 + "1\n")

    def test_ipvsadm_and_a_long_list(self):
        lines = "".join(f"-A -u 10.0.{n >> 8}.{n & 255}:53 -s rr\n" for n in range(1000))
        self.expect_success("ipvsadm", "-R", input=lines)
        self.assertEqual(self.expect_success("ipvsadm", "-Sn").count("\n"), 1000)
        self.assertEqual(self.python_case("dump_to_a_client_that_does_not_wait"), "1000\n")
        with self.start_program(sys.executable, str(HERE / "preload_client.py"), "slow_reader"
                                ) as slow:
            self.assertEqual(slow.stdout.readline(), "stopped\n")
            self.assertEqual(self.expect_success("ipvsadm", "-Sn").count("\n"), 1000)
            self.assertEqual(slow.communicate("go\n", timeout=30)[0], "1000\n")

    def test_no_client_waits_for_a_dead_daemon(self):
        lines = "".join(f"-A -u 10.0.{n >> 8}.{n & 255}:53 -s rr\n" for n in range(1000))
        for request in "info", "dump":
            for way in "poll", "epoll", "select", "receive":
                with self.subTest(request=request, way=way):
                    self.expect_success("ipvsadm", "-R", input=lines)
                    orphan_is_told(self, self.start_program(
                        sys.executable, str(HERE / "preload_client.py"), "orphan", way, request,
                        stderr=subprocess.PIPE), request)
                    self.expect_success("ipvsadm", "-C")

    def test_without_a_daemon_calls_are_the_kernels(self):
        self.stop_daemon()
        native = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=False)
        result = self.run_program("ipvsadm", "-Sn")
        self.assertEqual((result.returncode, result.stdout, result.stderr),
                         (native.returncode, native.stdout, native.stderr))
        self.assertEqual(self.expect_success("sh", "-c", "test -e /proc/net/ip_vs || echo none"),
                         "" if os.path.exists("/proc/net/ip_vs") else "none\n")
        self.assertNotIn("IPVS", [] if os.path.exists("/proc/net/ip_vs")
                         else self.python_case("list_families").split())

    def test_other_programs_files_and_links(self):
        self.assertEqual(self.expect_success("ip", "-o", "link", "show", "lo").split(":")[1], " lo")
        listing = ["find", "/proc/sys/net/ipv4", "-maxdepth", "1", "-name", "ip_*"]
        native = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
        self.assertEqual(self.expect_success(*listing), native)

    def test_relative_paths_and_what_ls_asks(self):
        for script, expected in (
                ("cd /proc/net && cat ip_vs", "the daemon's\n"),
                ("cd /proc/sys/net/ipv4 && cat vs/conntrack ./vs/../vs/conntrack", "0\n0\n"),
                ("cd /proc && cat net/ip_vs self/net/ip_vs", "the daemon's\n" * 2),
                ("cmp /proc/sys/net/ipv4/vs/../ip_forward /proc/sys/net/ipv4/ip_forward && echo y", "y\n"),
                ("ls -la /proc/sys/net/ipv4/vs 2>&1 | grep -c '[.]$'", "2\n"),
                ("stat -f -c %l /proc/net/ip_vs", "255\n"),
                ("busybox cat /proc/net/ip_vs", "the daemon's\n")):
            with self.subTest(script):
                result = self.run_program("sh", "-c", script)
                self.assertEqual(result.stdout, expected, result.stderr)

    def test_openat2(self):
        print_file = OPENAT2 + "print(os.read(opened, 99).decode() if opened >= 0 else opened, end='')"
        for resolve, expected in (0, "the daemon's\n"), (0x04, "-1"):  # RESOLVE_NO_SYMLINKS
            code = print_file.replace("RESOLVE", str(resolve))
            self.assertEqual(self.expect_success(sys.executable, "-c", code), expected)

    def test_cost_of_calls_that_are_not_ours(self):
        native = subprocess.run([self.static_client, "measure"], capture_output=True, text=True,
                                check=True).stdout
        supervised = self.expect_success(self.static_client, "measure")
        print("\nns per call       alone  nlvs-run")
        for alone, under in zip(native.splitlines(), supervised.splitlines()):
            name, time_alone = alone.split()
            print(f"{name:15} {time_alone:>7} {under.split()[1]:>9}")
        self.assertEqual(len(native.splitlines()), len(supervised.splitlines()))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    enter_namespace()
    Launcher.launcher, Launcher.daemon_path, Launcher.static_client = sys.argv[1:4]
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
