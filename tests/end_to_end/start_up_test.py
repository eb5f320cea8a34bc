#!/usr/bin/env python3
"""nlvsd and nlvsctl as processes: start, refuse, restart, several at once, end.

usage: start_up_test.py NLVSD NLVSCTL SHIM
Without root the cases that need network namespaces are skipped.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

NLVSD, NLVSCTL, SHIM = (os.path.abspath(path) for path in sys.argv[1:4])
PREFIX = "startup%d" % os.getpid()


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


class BadInput(unittest.TestCase):
    """Every mistake is one sentence on stderr and a failure; nothing is left behind."""

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.environment = dict(os.environ, NLVS_RUN_DIR=self.directory)

    def write(self, text):
        path = os.path.join(self.directory, "nlvs.toml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def fails(self, arguments, sentence):
        result = run([NLVSD, *arguments], env=self.environment)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertRegex(result.stderr, "^nlvsd: " + sentence)

    def test_unknown_argument(self):
        self.fails(["--nonsense"], 'unknown argument "--nonsense"')

    def test_argument_without_value(self):
        self.fails(["-c"], "-c needs a file")

    def test_missing_file(self):
        self.fails(["-c", "/nonexistent.toml"], "cannot read /nonexistent.toml: No such file")

    def test_unknown_key(self):
        path = self.write("\n[workers]\nthreads = 2\n")
        self.fails(["-c", path], re.escape(path) + ':3: unknown key "threads"')

    def test_syntax_error(self):
        path = self.write("[workers\n")
        self.fails(["-c", path, "--check"], re.escape(path) + ":1: ")

    def test_binary_file(self):
        path = os.path.join(self.directory, "binary.toml")
        with open(path, "wb") as file:
            file.write(bytes(range(256)))
        self.fails(["-c", path], re.escape(path) + ":1: ")

    def test_run_directory_that_cannot_be(self):
        path = self.write("")
        self.environment["NLVS_RUN_DIR"] = path
        self.fails(["-c", path], "cannot |.*Not a directory|.*directory")

    def test_check_of_a_good_file_says_nothing(self):
        result = run([NLVSD, "-c", self.write("[workers]\ncount = 2\n"), "--check"])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_every_key_of_the_shipped_file_is_read(self):
        """Comments that look like `key = value` are examples: they must be accepted, too."""
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        with open(os.path.join(root, "conf/nlvs.toml")) as file:
            text = file.read()
        self.assertEqual(run([NLVSD, "-c", self.write(text), "--check"]).returncode, 0)
        keys = re.findall(r"^# (\w+ = .*)$", text, re.M)
        self.assertGreater(len(keys), 10)
        uncommented = re.sub(r"^# (\w+ = |\[\[port\]\])", r"\1", text, flags=re.M)
        for unwanted in ("vdev", "netdev"):
            uncommented = re.sub(r"^%s = .*$" % unwanted, "", uncommented, flags=re.M)
        # Ports come before the tables in the file; the root keys before both.
        result = run([NLVSD, "-c", self.write(uncommented), "--check"])
        self.assertEqual(result.stderr, "")
        broken = uncommented.replace("shadow = ", "shadows = ")
        self.assertNotEqual(run([NLVSD, "-c", self.write(broken), "--check"]).returncode, 0)

    def test_nlvsctl_without_daemon(self):
        result = run([NLVSCTL, "status"], env=self.environment)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, "nlvsctl: no nlvsd serves this network namespace\n")

    def test_nlvsctl_usage(self):
        for words in ([], ["nonsense"], ["shim"], ["status", "--nonsense"], ["shim", "status", "a", "b"]):
            result = run([NLVSCTL, *words], env=self.environment)
            self.assertEqual(result.returncode, 2, words)
            self.assertRegex(result.stderr, "^Usage: nlvsctl")


@unittest.skipUnless(os.geteuid() == 0, "needs root for network namespaces")
class Life(unittest.TestCase):
    def setUp(self):
        self.run_directory = tempfile.mkdtemp()
        self.daemons = []
        self.namespaces = []
        self.environment = dict(os.environ, NLVS_RUN_DIR=self.run_directory)

    def tearDown(self):
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.terminate()  # it may have mounted its files for everybody
            daemon.communicate()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=True)
        shutil.rmtree(self.run_directory, ignore_errors=True)

    def namespace(self, suffix):
        name = PREFIX + suffix
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.namespaces.append(name)
        return name

    def start(self, namespace, *arguments, enter=("ip", "netns", "exec"), **options):
        """Returns when the daemon has told its service manager that it is ready."""
        path = os.path.join(self.run_directory, "notify%d" % len(self.daemons))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(10)
            daemon = subprocess.Popen(
                [*enter, *([namespace] if enter[0] == "ip" else []), NLVSD, "-c", "/dev/null", *arguments],
                env=dict(self.environment, NOTIFY_SOCKET=path),
                stderr=subprocess.PIPE,
                text=True,
                **options,
            )
            self.daemons.append(daemon)
            self.assertEqual(manager.recv(100), b"READY=1")
        return daemon

    def inside(self, namespace, *command, preload=True, **options):
        environment = dict(self.environment)
        if preload:
            environment["LD_PRELOAD"] = SHIM
        return run(["ip", "netns", "exec", namespace, *command], env=environment, **options)

    def status(self, namespace):
        result = self.inside(namespace, NLVSCTL, "status", "--json", preload=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["status"]

    def test_starts_fast_and_small_and_ends_cleanly(self):
        name = self.namespace("a")
        before = time.monotonic()
        daemon = self.start(name)
        self.assertLess(time.monotonic() - before, 5)  # the machine may be busy; alone it is 0.05
        self.assertLess(self.status(name)["resident_memory_mb"], 64)
        daemon.terminate()
        self.assertEqual(daemon.wait(10), 0)
        left = [f for _, _, files in os.walk(self.run_directory) for f in files]
        self.assertNotIn("registration", left)
        self.assertNotIn("control", left)
        self.assertEqual(self.inside(name, NLVSCTL, "status").returncode, 1)

    def test_sigint_ends_cleanly(self):
        daemon = self.start(self.namespace("a"))
        daemon.send_signal(signal.SIGINT)
        self.assertEqual(daemon.wait(10), 0)

    def test_a_second_daemon_is_refused(self):
        name = self.namespace("a")
        self.start(name)
        second = self.inside(name, NLVSD, "-c", "/dev/null", preload=False)
        self.assertNotEqual(second.returncode, 0)
        self.assertRegex(second.stderr, "^nlvsd: another daemon serves this network namespace")
        self.assertEqual(second.stderr.count("\n"), 1)
        self.assertEqual(self.inside(name, "ipvsadm", "-A", "-t", "10.0.0.1:80").returncode, 0)

    def test_two_namespaces_do_not_see_each_other(self):
        one, two = self.namespace("a"), self.namespace("b")
        self.start(one)
        self.start(two)
        self.assertEqual(self.inside(one, "ipvsadm", "-A", "-t", "10.0.0.1:80").returncode, 0)
        self.assertEqual(self.status(one)["services_v4"], 1)
        self.assertEqual(self.status(two)["services_v4"], 0)
        self.assertIn("0A000001:0050", self.inside(one, "cat", "/proc/net/ip_vs").stdout)
        self.assertNotIn("0A000001:0050", self.inside(two, "cat", "/proc/net/ip_vs").stdout)

    def test_a_killed_daemon_is_replaced_by_the_next_one(self):
        name = self.namespace("a")
        daemon = self.start(name)
        daemon.kill()
        daemon.wait(10)
        self.assertEqual(self.inside(name, NLVSCTL, "status").returncode, 1)
        self.start(name)
        self.assertEqual(self.inside(name, "ipvsadm", "-A", "-t", "10.0.0.1:80").returncode, 0)
        self.assertIn("0A000001:0050", self.inside(name, "cat", "/proc/net/ip_vs").stdout)

    def test_a_port_that_cannot_be_told_its_groups_receives_everything(self):
        """DPDK's packet socket driver by itself knows neither all multicast nor groups."""
        name, receives_everything = self.namespace("a"), 0x100  # IFF_PROMISC
        for words in ("link add nic0 up type veth peer name cable0", "link set cable0 up"):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        path = os.path.join(self.run_directory, "nlvs.toml")
        with open(path, "w") as file:
            file.write(
                '[[port]]\nvdev = "net_af_packet0,iface=nic0"\nshadow = "dp0"\n'
                '[workers]\ncount = 1\n[memory]\nhuge = "off"\nmegabytes = 128\n'
            )
        self.start(name, "-c", path)
        flags = self.inside(name, "cat", "/sys/class/net/nic0/flags", preload=False).stdout
        self.assertTrue(int(flags, 16) & receives_everything, flags)

    def services(self, namespace):
        result = self.inside(namespace, "ipvsadm", "-Sn")
        self.assertEqual(result.stderr, "")
        return result.stdout

    def configure(self, namespace):
        # A sync daemon needs a way to its group.
        for words in ("link set lo up", "route replace 224.0.0.0/4 dev lo"):
            subprocess.run(["ip", "-n", namespace, *words.split()], check=True)
        for words in (
            "-A -t 10.0.0.1:80 -s wrr -p 60", "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 -x 9 -y 2",
            "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -i", "-A -f 7 -6 -s sh -b sh-port",
            "-a -f 7 -6 -r [2001:db8::1]:80 -g", "-A -u [2001:db8::5]:53 -o", "--set 10 20 30",
            "--start-daemon master --mcast-interface lo --syncid 9",
        ):
            result = self.inside(namespace, "ipvsadm", *words.split())
            self.assertEqual((result.returncode, result.stderr), (0, ""), words)

    def everything(self, namespace):
        listings = [("-Sn",), ("-Ln", "--timeout"), ("-L", "--daemon"), ("-Ln", "--thresholds")]
        return [self.inside(namespace, "ipvsadm", *words).stdout for words in listings]

    def journal(self):
        found, = [os.path.join(directory, "journal") for directory, _, files in os.walk(self.run_directory)
                  if "journal" in files]
        return found

    def end(self, daemon):
        daemon.terminate()
        return daemon.communicate(timeout=20)[1]

    def test_services_outlive_the_daemon_however_it_ends(self):
        name = self.namespace("a")
        self.inside(name, "ip", "link", "set", "lo", "up")
        daemon = self.start(name)
        self.configure(name)
        before = self.everything(name)
        self.assertEqual(before[0].count("\n"), 6)
        for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            daemon.send_signal(end)
            daemon.wait(20)
            daemon = self.start(name)
            self.assertEqual(self.everything(name), before)
        self.assertEqual(os.stat(self.journal()).st_mode & 0o777, 0o600)
        self.inside(name, "ipvsadm", "-C")
        daemon.kill()
        daemon.wait(20)
        self.start(name)
        self.assertEqual(self.services(name), "")

    def test_a_fresh_daemon_has_no_services(self):
        name = self.namespace("a")
        daemon = self.start(name)
        self.configure(name)
        daemon.kill()
        daemon.wait(20)
        daemon = self.start(name, "--fresh")
        self.assertEqual(self.services(name), "")
        self.end(daemon)
        self.start(name)
        self.assertEqual(self.services(name), "")

    def test_a_torn_or_damaged_journal_costs_one_line_and_its_tail(self):
        name = self.namespace("a")
        daemon = self.start(name)
        self.configure(name)
        before = self.services(name)
        self.inside(name, "ipvsadm", "-A", "-t", "10.0.0.9:80")
        self.end(daemon)
        path = self.journal()
        with open(path, "r+b") as file:
            whole = file.read()
            file.truncate(len(whole) - 3)
        daemon = self.start(name)
        self.assertEqual(self.services(name), before)
        log = self.end(daemon)
        self.assertEqual(len(re.findall("warning|error", log)), 1, log)
        self.assertRegex(log, "ends with an incomplete record: [0-9]+ bytes dropped")
        with open(path, "wb") as file:
            file.write(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
        daemon = self.start(name)
        self.assertEqual(self.services(name), before)
        log = self.end(daemon)
        self.assertEqual(len(re.findall("warning|error", log)), 1, log)
        self.assertRegex(log, "is damaged after [0-9]+ records")

    def test_a_named_directory_serves_another_namespace(self):
        """What a reboot is: another namespace, the same directory."""
        directory = os.path.join(self.run_directory, "state")
        self.environment["NLVS_STATE_DIR"] = directory
        one, two = self.namespace("a"), self.namespace("b")
        daemon = self.start(one)
        self.configure(one)
        before = self.services(one)
        second = self.inside(two, NLVSD, "-c", "/dev/null", preload=False)
        self.assertEqual(second.stderr, "nlvsd: another daemon keeps its journal in %s\n" % directory)
        daemon.kill()
        daemon.wait(20)
        self.start(two)
        self.assertEqual(self.services(two), before)

    def test_a_full_disk_stops_nothing_and_is_made_good_for(self):
        name = self.namespace("a")
        directory = os.path.join(self.run_directory, "state")
        os.mkdir(directory)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", directory], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", directory], check=False)
        self.environment["NLVS_STATE_DIR"] = directory
        daemon = self.start(name)
        filler = os.path.join(directory, "filler")
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        rules = "".join("-A -t 10.0.0.1:%d\n" % (i + 1) for i in range(400))
        result = self.inside(name, "ipvsadm", "-R", input=rules)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        before = self.services(name)
        os.unlink(filler)
        deadline = time.monotonic() + 30
        journal = os.path.join(directory, "journal")
        while os.path.getsize(journal) < 8000 and time.monotonic() < deadline:
            time.sleep(0.2)
        daemon.kill()
        log = daemon.communicate(timeout=20)[1]
        self.assertEqual(log.count("cannot write the journal"), 1, log)
        self.assertEqual(log.count("is complete again"), 1, log)
        self.start(name)
        self.assertEqual(self.services(name), before)

    def test_sysctls_are_read_checked_and_kept(self):
        name = self.namespace("a")
        self.start(name)
        script = (
            "import errno, os\n"
            "path = '/proc/sys/net/ipv4/vs/'\n"
            "def write(file, text):\n"
            "    with open(path + file, 'w') as f: f.write(text)\n"
            "write('expire_nodest_conn', '1\\n')\n"
            "write('sync_threshold', '4 60')\n"
            "try:\n"
            "    write('drop_entry', '9')\n"
            "    raise SystemExit('accepted')\n"
            "except OSError as error:\n"
            "    assert error.errno == errno.EINVAL, error\n"
            "print(open(path + 'expire_nodest_conn').read(), open(path + 'sync_threshold').read(),\n"
            "      open(path + 'drop_entry').read(), oct(os.stat(path + 'drop_entry').st_mode),\n"
            "      oct(os.stat('/proc/net/ip_vs').st_mode), os.stat('/proc/net/ip_vs').st_size)\n"
        )
        result = self.inside(name, sys.executable, "-c", script)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.split(), ["1", "4", "60", "0", "0o100644", "0o100444", "0"])

    def test_what_nobody_may_do(self):
        name = self.namespace("a")
        os.chmod(self.run_directory, 0o755)
        # Without a mount namespace of its own, as a service manager starts it.
        daemon = self.start(name, enter=("nsenter", "--net=/run/netns/" + name))
        self.configure(name)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        for command, status, said in (
                (["cat", "/proc/net/ip_vs"], 0, ""),
                (["cat", "/proc/sys/net/ipv4/vs/drop_entry"], 0, ""),
                (["sh", "-c", "echo 1 > /proc/sys/net/ipv4/vs/drop_entry"], 2, "Permission denied"),
                (["ipvsadm", "-A", "-t", "10.0.0.9:80"], 2, "Permission denied"),
                (["cat", self.journal()], 1, "Permission denied"),
                ([NLVSCTL, "status"], 1, "only root may ask nlvsd")):
            with self.subTest(command):
                result = self.inside(name, *nobody, *command)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertIn(said, result.stderr)
        self.assertNotIn("10.0.0.9", self.services(name))
        self.end(daemon)

    def test_sysctl_lists_them_with_the_kernels(self):
        name = self.namespace("a")
        self.start(name)
        result = self.inside(name, "sysctl", "-a")
        listed = re.findall(r"^net\.ipv4\.vs\.(\w+) = ", result.stdout, re.M)
        self.assertIn("net.ipv4.ip_forward = ", result.stdout)
        self.assertEqual(len(listed), 27)
        self.assertEqual(self.inside(name, "ipvsadm", "-A", "-t", "10.0.0.1:80", "-s", "lblcr").stderr, "")
        self.assertEqual(self.inside(name, "sysctl", "-n", "net.ipv4.vs.lblcr_expiration").stdout, "86400\n")
        self.assertNotEqual(self.inside(name, "sysctl", "-n", "net.ipv4.vs.lblc_expiration").returncode, 0)

    def test_destinations_in_a_namespace_without_an_address(self):
        name = self.namespace("a")
        self.start(name)
        self.assertEqual(self.inside(name, "ip", "route", "show", "table", "local").stdout, "")
        self.inside(name, "ipvsadm", "-A", "-t", "10.0.0.1:80")
        added = self.inside(name, "ipvsadm", "-a", "-t", "10.0.0.1:80", "-r", "10.1.0.1:80")
        self.assertEqual((added.returncode, added.stderr), (0, ""))

    def test_a_long_listing_is_read_at_any_offset(self):
        name = self.namespace("a")
        self.start(name)
        rules = ["-A -t 10.0.0.1:80"]
        rules += ["-a -t 10.0.0.1:80 -r 10.1.%d.%d:80" % (i // 250, i % 250 + 1) for i in range(1200)]
        restored = subprocess.run(
            ["ip", "netns", "exec", name, "ipvsadm", "-R"],
            env=dict(self.environment, LD_PRELOAD=SHIM),
            input="\n".join(rules) + "\n",
            text=True,
            capture_output=True,
            timeout=150,
        )
        self.assertEqual((restored.returncode, restored.stderr), (0, ""))
        script = (
            "import os\n"
            "fd = os.open('/proc/net/ip_vs', os.O_RDONLY)\n"
            "parts = []\n"
            "while part := os.read(fd, 1000): parts.append(part)\n"
            "whole = b''.join(parts)\n"
            "assert whole.count(b'\\n') == 1204, whole.count(b'\\n')\n"
            "for offset in (0, 1, 70000, 5000, len(whole) - 1, len(whole), len(whole) + 5):\n"
            "    assert os.pread(fd, 700, offset) == whole[offset:offset + 700], offset\n"
        )
        result = self.inside(name, sys.executable, "-c", script)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
