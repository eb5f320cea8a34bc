#!/usr/bin/python3
"""Programs under the preload library against a daemon, in a network namespace of their own.

usage: preload_test.py LIBRARY TEST_DAEMON [TEST...]      exit status 77: no namespace possible
"""

import errno
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from orphans import orphan_is_told

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CASES = re.findall(r"^def case_(\w+)", (HERE / "preload_client.py").read_text(), re.M)
DRIVEN = {"dump_to_a_client_that_does_not_wait", "list_families", "orphan", "orphaned_option",
          "paths", "slow_reader", "unprivileged"}


# scandir(3) and glob(3), which Python does not use itself.
LISTERS = """
import ctypes

libc = ctypes.CDLL(None, use_errno=True)

def scan(path, part):
    entries = ctypes.POINTER(ctypes.c_void_p)()
    count = libc.scandir(path.encode(), ctypes.byref(entries), None, libc.alphasort)
    if count < 0:
        return ctypes.get_errno()
    name_offset = 19
    names = [ctypes.string_at(entries[n] + name_offset).decode() for n in range(count)]
    for n in range(count):
        libc.free(ctypes.c_void_p(entries[n]))
    libc.free(entries)
    return [name for name in names if part in name]

class Expansion(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("paths", ctypes.POINTER(ctypes.c_char_p)),
                ("reserved", ctypes.c_size_t), ("flags", ctypes.c_int),
                ("functions", ctypes.c_void_p * 5)]

def expand(pattern):
    found = Expansion()
    libc.glob(pattern.encode(), 0, None, ctypes.byref(found))
    assert found.flags & 1 << 6 == 0  # GLOB_ALTDIRFUNC
    names = [found.paths[n].decode() for n in range(found.count)]
    libc.globfree(ctypes.byref(found))
    return names
"""


def python_code(call):
    return shlex.join([sys.executable, "-c", LISTERS + call])


def enter_namespace():
    if os.environ.get("NLVS_TEST_NAMESPACE"):
        return
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "-r", "--net"]
    if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        print("no permission for a network namespace")
        sys.exit(77)
    os.execvpe("unshare", [*command, sys.executable, *sys.argv],
               {**os.environ, "NLVS_TEST_NAMESPACE": "1"})


class Preload(unittest.TestCase):
    library = daemon_path = ""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nlvs-preload-")
        os.chmod(self.directory.name, 0o755)
        root = pathlib.Path(self.directory.name)
        self.run_directory = root / "run"
        self.files = self.run_directory / "files"
        (self.files / "net").mkdir(parents=True)
        (self.files / "net/ip_vs").write_text("the daemon's\n")
        (self.files / "sys/net/ipv4/vs").mkdir(parents=True)
        (self.files / "sys/net/ipv4/vs/conntrack").write_text("0\n")
        self.daemon = None
        self.start_daemon()

    def tearDown(self):
        self.stop_daemon()
        self.directory.cleanup()

    def start_daemon(self):
        self.daemon = subprocess.Popen(
            [self.daemon_path, str(self.files)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "NLVS_RUN_DIR": str(self.run_directory)})
        self.assertTrue(self.daemon.stdout.readline().strip().isdigit())

    def stop_daemon(self, number=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(number)
            status = self.daemon.wait(10)
            self.daemon.stdout.close()
            self.daemon = None
            return status
        return None

    def environment(self):
        return {**os.environ, "LD_PRELOAD": self.library,
                "NLVS_RUN_DIR": str(self.run_directory), "LC_ALL": "C"}

    def run_program(self, *command, **options):
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                              env=self.environment(), **options)

    def run_case(self, name, **options):
        result = self.run_program(sys.executable, str(HERE / "preload_client.py"), name, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def ipvsadm(self, *arguments, **options):
        return self.run_program("ipvsadm", *arguments, **options)

    def registration(self):
        found, = self.run_directory.glob("*/registration")
        return found

    def test_raw_clients(self):
        for name in CASES:
            if name not in DRIVEN:
                with self.subTest(name):
                    self.run_case(name)

    def test_ipvsadm_round_trip(self):
        for arguments in (["-A", "-t", "10.0.0.1:80", "-s", "wrr"],
                          ["-a", "-t", "10.0.0.1:80", "-r", "10.1.0.1:80", "-m", "-w", "3"],
                          ["-A", "-u", "[2001:db8::1]:53", "-s", "rr"],
                          ["-A", "-f", "7", "-s", "rr", "-p", "60"]):
            result = self.ipvsadm(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
        saved = self.ipvsadm("-Sn").stdout
        self.assertEqual(sorted(saved.splitlines()), sorted([
            "-A -t 10.0.0.1:80 -s wrr",
            "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3",
            "-A -u [2001:db8::1]:53 -s rr",
            "-A -f 7 -s rr -p 60"]))
        again = self.ipvsadm("-A", "-t", "10.0.0.1:80", "-s", "rr")
        self.assertEqual((again.returncode, again.stderr), (255, "Service already exists\n"))
        self.assertEqual(self.ipvsadm("-C").returncode, 0)
        self.assertEqual(self.ipvsadm("-Sn").stdout, "")

    def wait_for(self, wanted):
        deadline = time.monotonic() + 15
        while (saved := self.ipvsadm("-Sn").stdout) != wanted:
            self.assertLess(time.monotonic(), deadline, saved)
            time.sleep(0.1)

    @unittest.skipUnless(shutil.which("keepalived"), "no keepalived")
    def test_keepalived_follows_its_health_checks(self):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        root = pathlib.Path(self.directory.name)
        (root / "keepalived.conf").write_text(
            "global_defs {\n lvs_timeouts tcp 100\n}\n"
            "virtual_server 10.9.0.1 80 {\n delay_loop 1\n lvs_sched wrr\n lvs_method NAT\n"
            f" protocol TCP\n real_server 127.0.0.1 {port} {{\n  weight 3\n"
            "  TCP_CHECK {\n   connect_timeout 1\n   retry 0\n  }\n }\n}\n")
        with subprocess.Popen(
                ["keepalived", "--dont-fork", "--check", f"--use-file={root}/keepalived.conf",
                 f"--pid={root}/pid", f"--checkers_pid={root}/checkers"], env=self.environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as keepalived:
            service = "-A -t 10.9.0.1:80 -s wrr\n"
            self.wait_for(f"{service}-a -t 10.9.0.1:80 -r 127.0.0.1:{port} -m -w 3\n")
            self.assertIn("100 120 300", self.ipvsadm("-L", "--timeout").stdout)
            server.close()
            self.wait_for(service)
            keepalived.terminate()
            self.assertEqual(keepalived.wait(10), 0)
        self.assertEqual(self.ipvsadm("-Sn").stdout, "")

    def test_a_list_of_families_is_the_kernels_and_ours(self):
        mine = self.run_case("list_families").splitlines()
        self.stop_daemon()
        kernels = self.run_case("list_families").splitlines()
        self.assertIn("nlctrl", kernels)
        self.assertEqual(mine, [name for name in kernels if name != "IPVS"] + ["IPVS"])

    def test_paths_below_proc(self):
        self.assertEqual(self.run_case("paths"), "the daemon's\n" * 2 + "1\n")
        for program in (["cat", "/proc/net/ip_vs"], ["head", "-1", "/proc/net/ip_vs"],
                        ["dd", "if=/proc/net/ip_vs", "status=none"],
                        ["perl", "-pe", "", "/proc/net/ip_vs"]):
            self.assertEqual(self.run_program(*program).stdout, "the daemon's\n", program)
        self.assertEqual(self.run_program("ls", "/proc/sys/net/ipv4/vs").stdout, "conntrack\n")
        self.assertEqual(self.run_program("sh", "-c", "test -r /proc/net/ip_vs").returncode, 0)

    def test_every_way_to_the_files(self):
        for script, expected in (
                ("cd /proc/net && cat ip_vs", "the daemon's\n"),
                ("cd /proc && cat net/ip_vs ./self/net/ip_vs", "the daemon's\n" * 2),
                ("cd /proc/sys/net && cat ipv4/vs/conntrack", "0\n"),
                ("cd /proc/sys/net/ipv4/vs && cat conntrack; ls", "0\nconntrack\n"),
                ("cat /proc/$$/net/ip_vs", "the daemon's\n"),
                ("cd /proc/sys/net/ipv4/vs && " + python_code("print(expand('*'))"), "['conntrack']\n"),
                ("ls /proc/net | grep vs", "ip_vs\n"),
                ("ls /proc/sys/net/ipv4 | grep -x vs", "vs\n"),
                ("cd /proc/sys/net/ipv4; ls | grep -x vs; cd ..; ls | grep -c vs", "vs\n0\n"),
                ("realpath /proc/sys/net/ipv4/vs/conntrack", "/proc/sys/net/ipv4/vs/conntrack\n"),
                ("realpath -e /proc/sys/net/ipv4/vs/none", ""),
                ("find /proc/sys/net/ipv4/vs", "/proc/sys/net/ipv4/vs\n/proc/sys/net/ipv4/vs/conntrack\n"),
                ("find /proc/sys/net/ipv4 -name conntrack", "/proc/sys/net/ipv4/vs/conntrack\n"),
                ("ls -l /proc/sys/net/ipv4/vs/conntrack | cut -c 1-3", "-rw\n"),
                ("cat /proc/sys/net/ipv4/conf/all/../../vs/conntrack", "0\n"),
                ("cat /proc/sys/net/ipv4/vs/../vs/conntrack /proc/net/../net/ip_vs", "0\nthe daemon's\n"),
                ("cmp /proc/sys/net/ipv4/vs/../ip_forward /proc/sys/net/ipv4/ip_forward && echo y", "y\n"),
                ("ls -la /proc/sys/net/ipv4/vs 2>&1 | grep -c '[.]$'", "2\n"),
                ("cd /proc/sys/net/ipv4/vs && pwd -P && cat ../vs/conntrack && cmp ../ip_forward "
                 "/proc/sys/net/ipv4/ip_forward && ls -d ../ip_forward",
                 "/proc/sys/net/ipv4/vs\n0\n../ip_forward\n"),
                ("cd /proc/sys/net/ipv4/vs; env -C .. pwd", "/proc/sys/net/ipv4\n"),
                ("sort /proc/net/ip_vs; stat -c %F /proc/net/ip_vs/ 2>&1 | grep -o 'Not a directory'",
                 "the daemon's\nNot a directory\n"),
                ("stat /proc/net/ip_vs/x 2>&1 | grep -o 'Not a directory'", "Not a directory\n"),
                ("stat -f -c %l /proc/net/ip_vs", "255\n"),
                ("sysctl net.ipv4.vs.conntrack", "net.ipv4.vs.conntrack = 0\n"),
                ("sysctl -w net.ipv4.vs.conntrack=1", "net.ipv4.vs.conntrack = 1\n"),
                ("echo net.ipv4.vs.conntrack=0 | sysctl -p -", "net.ipv4.vs.conntrack = 0\n"),
                ("echo 'net.*.vs.con*=0' | sysctl -p -", "net.ipv4.vs.conntrack = 0\n")):
            with self.subTest(script):
                self.assertEqual(self.run_program("sh", "-c", script).stdout, expected)
        code = ("import os\nd = os.open('/proc/net', os.O_RDONLY)\n"
                "print(os.read(os.open('ip_vs', os.O_RDONLY, dir_fd=d), 99).decode(), end='')\n"
                "print(os.stat('ip_vs', dir_fd=d).st_size, os.access('ip_vs', 4, dir_fd=d))\n"
                "print(os.path.realpath('/proc/self/net/ip_vs') == f'/proc/{os.getpid()}/net/ip_vs')\n"
                "for _ in range(20): assert os.listdir('/proc/net').count('ip_vs') == 1\n")
        result = self.run_program(sys.executable, "-c", code)
        self.assertEqual((result.stdout, result.stderr), ("the daemon's\n13 True\nTrue\n", ""))

    def test_listings_that_libc_makes_by_itself(self):
        for where, script, expected in (
                ("/", "scan('/proc/net', 'vs')", ["ip_vs"]),
                ("/", "scan('/proc/sys/net/ipv4', 'vs')", ["vs"]),
                ("/", "scan('/proc/sys/net/ipv4/vs', '')", [".", "..", "conntrack"]),
                ("/proc/self/net", "scan('.', 'vs')", ["ip_vs"]),
                ("/", "scan('/proc/sys/net', '')", [".", "..", *sorted(os.listdir("/proc/sys/net"))]),
                ("/", "scan('/proc/sys/net/none', '')", errno.ENOENT),
                ("/", "expand('/proc/net/ip_v*')", ["/proc/net/ip_vs"]),
                ("/", "expand('/proc/sys/net/*/v*/con*')", ["/proc/sys/net/ipv4/vs/conntrack"]),
                ("/", "expand('/proc/sys/net/ipv4/vs')", ["/proc/sys/net/ipv4/vs"]),
                ("/proc/sys/net/ipv4", "expand('v*/c*')", ["vs/conntrack"]),
                ("/proc/sys", "expand('/etc/pass[w]d')", ["/etc/passwd"]),
                ("/proc/sys", "expand('/none*')", [])):
            with self.subTest(where=where, script=script):
                result = self.run_program(
                    sys.executable, "-c", LISTERS + f"print({script})", cwd=where)
                self.assertEqual((result.stdout, result.stderr), (f"{expected}\n", ""))

    def test_names_like_ours_elsewhere_are_the_kernels(self):
        root = pathlib.Path(self.directory.name)
        for name in ("ip_vs", "vs", "net"):
            (root / name).mkdir() if name == "net" else (root / name).write_text("mine\n")
        (root / "net/ip_vs").write_text("mine\n")
        result = self.run_program("cat", "ip_vs", "vs", "net/ip_vs", "./ip_vs", cwd=root)
        self.assertEqual((result.stdout, result.stderr), ("mine\n" * 4, ""))
        self.stop_daemon()
        result = self.run_program("sh", "-c", "cd /proc/net && cat ip_vs")
        self.assertNotIn("the daemon's", result.stdout)

    def test_a_stopped_reader_stalls_nobody(self):
        lines = "".join(f"-A -u 10.0.{n >> 8}.{n & 255}:53 -s rr\n" for n in range(1000))
        self.assertEqual(self.ipvsadm("-R", input=lines).returncode, 0)
        slow = subprocess.Popen(
            [sys.executable, str(HERE / "preload_client.py"), "slow_reader"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
        with slow:
            self.assertEqual(slow.stdout.readline(), "stopped\n")
            for _ in range(3):
                self.assertEqual(len(self.ipvsadm("-Sn").stdout.splitlines()), 1000)
            out, _ = slow.communicate("go\n", timeout=30)
        self.assertEqual(out, "1000\n")
        self.assertEqual(self.run_case("dump_to_a_client_that_does_not_wait"), "1000\n")

    def test_a_client_that_dies_during_its_dump_harms_nobody(self):
        lines = "".join(f"-A -u 10.0.{n >> 8}.{n & 255}:53 -s rr\n" for n in range(1000))
        self.assertEqual(self.ipvsadm("-R", input=lines).returncode, 0)
        for _ in range(5):
            slow = subprocess.Popen(
                [sys.executable, str(HERE / "preload_client.py"), "slow_reader"], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
            with slow:
                slow.stdout.readline()
                slow.kill()
        self.assertEqual(len(self.ipvsadm("-Sn").stdout.splitlines()), 1000)

    def test_a_killed_daemons_registration_is_harmless(self):
        self.stop_daemon(signal.SIGKILL)
        self.assertTrue(self.registration().exists())
        without = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=False)
        result = self.ipvsadm("-Sn")
        self.assertEqual((result.returncode, result.stdout, result.stderr),
                         (without.returncode, without.stdout, without.stderr))
        self.start_daemon()
        self.assertEqual(self.ipvsadm("-Sn").returncode, 0)

    def start_case(self, *words):
        return subprocess.Popen(
            [sys.executable, str(HERE / "preload_client.py"), *words], env=self.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_no_client_waits_for_a_dead_daemon(self):
        """However it waits: before its answer, and in the middle of a dump."""
        lines = "".join(f"-A -u 10.0.{n >> 8}.{n & 255}:53 -s rr\n" for n in range(1000))
        for request in "info", "dump":
            for way in "poll", "epoll", "select", "receive":
                with self.subTest(request=request, way=way):
                    self.assertEqual(self.ipvsadm("-R", input=lines).returncode, 0)
                    orphan_is_told(self, self.start_case("orphan", way, request), request)
                    self.assertEqual(self.ipvsadm("-C").returncode, 0)

    def test_no_socket_option_waits_for_a_dead_daemon(self):
        self.daemon.send_signal(signal.SIGSTOP)
        with self.start_case("orphaned_option") as waiting:
            self.assertEqual(waiting.stdout.readline(), "asked\n")
            time.sleep(0.2)
            self.stop_daemon(signal.SIGKILL)
            self.assertEqual(waiting.communicate(timeout=20), ("ENOPROTOOPT\n", ""))

    def test_a_waiting_client_needs_no_survivor(self):
        """If everything of the daemon is killed, a receive call still comes back."""
        survivor = self.survivor()
        self.daemon.send_signal(signal.SIGSTOP)
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import preload_client as c\n"
                "s = c.generic_socket(); s.settimeout(None); s.sendto(c.get_family('IPVS'), (0, 0))\n"
                "print('asked', flush=True); s.recv(100)\n")
        waiting = subprocess.Popen([sys.executable, "-c", code, str(HERE)], env=self.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with waiting:
            self.assertEqual(waiting.stdout.readline(), "asked\n")
            os.kill(survivor, signal.SIGKILL)
            self.stop_daemon(signal.SIGKILL)
            _, errors = waiting.communicate(timeout=20)
        self.assertIn("ConnectionResetError", errors)

    def survivor(self):
        children = pathlib.Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children")
        pid, = map(int, children.read_text().split())
        deadline = time.monotonic() + 15
        while pathlib.Path(f"/proc/{pid}/cmdline").read_text().strip("\0") != "nlvs-survivor":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertEqual(pathlib.Path(f"/proc/{pid}/comm").read_text(), "nlvs-survivor\n")
        return pid

    def test_the_survivor_ends_with_its_work(self):
        for number in signal.SIGKILL, signal.SIGTERM:
            survivor = self.survivor()
            self.stop_daemon(number)
            deadline = time.monotonic() + 15
            while pathlib.Path(f"/proc/{survivor}").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            self.start_daemon()

    @unittest.skipUnless(os.geteuid() == 0 and os.environ.get("NLVS_TEST_NAMESPACE"), "needs root")
    def test_nobody_without_rights_plays_the_daemon(self):
        """Not to root's clients: neither by a registration, nor by messages to their sockets."""
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        registration = self.registration()
        for path in (registration, registration.parent / "x", self.run_directory / "x"):
            result = self.run_program(*nobody, "sh", "-c", f"echo nlvs 1 > {path}")
            self.assertIn("Permission denied", result.stderr)
        self.stop_daemon(signal.SIGKILL)
        code = ("import fcntl, os, struct, sys, time\n"
                "f = os.open(sys.argv[1], os.O_RDONLY)\n"
                "try: fcntl.fcntl(f, 37, struct.pack('hhqqi4x', 1, 0, 0, 0, 0))\n"  # F_OFD_SETLK
                "except OSError: print('no lock')\n")
        result = self.run_program(*nobody, sys.executable, "-c", code, str(registration))
        self.assertEqual(result.stdout, "no lock\n")
        # A registration of somebody else's making, even one whose lock is held, is not believed.
        text = registration.read_text()
        os.chown(registration, 65534, 65534)
        with open(registration, "r+") as file:
            fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            without = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=False)
            result = self.ipvsadm("-Sn")
            self.assertEqual((result.returncode, result.stderr), (without.returncode, without.stderr), text)
        victim = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        victim.bind((0, 0))
        code = ("import socket, sys\ns = socket.socket(16, socket.SOCK_RAW, 16)\n"
                "s.sendto(bytes(20), (int(sys.argv[1]), 0))\n")
        result = self.run_program(*nobody, sys.executable, "-c", code, str(victim.getsockname()[0]))
        victim.close()
        self.assertIn("PermissionError", result.stderr)

    def test_a_stopped_daemon_leaves_no_registration(self):
        self.assertEqual(self.stop_daemon(), 0)
        self.assertEqual(list(self.run_directory.glob("*/registration*")), [])

    def test_a_registered_daemon_that_is_unreachable_is_an_error(self):
        registration = self.registration()
        port = re.search(r"port (\d+)", registration.read_text())[1]
        text = registration.read_text().replace(f"port {port}", "port 4000000001")
        registration.write_text(text)
        result = self.ipvsadm("-A", "-t", "10.0.0.1:80", "-s", "rr")
        self.assertNotEqual(result.returncode, 0)
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import preload_client as c;"
                "c.generic_socket().sendto(c.get_family('IPVS'), (0, 0))")
        result = self.run_program(sys.executable, "-c", code, str(HERE))
        self.assertIn("ConnectionRefusedError", result.stderr)

    def test_a_second_daemon_is_refused(self):
        second = subprocess.run([self.daemon_path], capture_output=True, text=True, check=False,
                                env={**os.environ, "NLVS_RUN_DIR": str(self.run_directory)})
        self.assertEqual(second.returncode, 1)
        self.assertIn("another daemon serves this network namespace", second.stderr)
        self.assertEqual(self.ipvsadm("-Sn").returncode, 0)

    def test_another_namespace_is_not_served(self):
        code = f"{sys.executable} {HERE / 'preload_client.py'} list_families"
        result = self.run_program("unshare", "--net", "sh", "-c", code)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("IPVS", result.stdout.split())

    @unittest.skipUnless(os.geteuid() == 0 and os.environ.get("NLVS_TEST_NAMESPACE"), "needs root")
    def test_without_the_capability_nothing_gets_through(self):
        result = self.run_program(
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
            sys.executable, str(HERE / "preload_client.py"), "unprivileged")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_only_libc_is_needed_and_only_listed_symbols_are_defined(self):
        needed = subprocess.run(["readelf", "-d", self.library], capture_output=True, text=True,
                                check=True).stdout
        self.assertEqual(re.findall(r"NEEDED.*\[(.*)\]", needed), ["libc.so.6"])
        self.assertNotIn("TLS", subprocess.run(["readelf", "-l", self.library], check=True,
                                               capture_output=True, text=True).stdout)
        listed = re.findall(r'^    \{"(\w+)"', (ROOT / "netlink-shim/preload/symbols.hpp")
                            .read_text(), re.M)
        exported = re.findall(r"^        (\w+);", (ROOT / "netlink-shim/preload/export.map")
                              .read_text(), re.M)
        self.assertEqual(listed, exported)
        defined = subprocess.run(["nm", "-D", "--defined-only", self.library],
                                 capture_output=True, text=True, check=True).stdout
        self.assertEqual(sorted(re.findall(r" T (\w+)", defined)), sorted(listed))
        self.assertEqual(len(defined.splitlines()), len(listed))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    enter_namespace()
    # Some cases change the directory.
    Preload.library, Preload.daemon_path = map(os.path.abspath, sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
