#!/usr/bin/python3
"""Programs of the distribution that speak IPVS, unmodified, against nlvsd.

usage: client_test.py NLVSD SHIM NLVS_RUN
Needs root; a client that is not installed is skipped.
"""

import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

NLVSD, SHIM, NLVS_RUN = (os.path.abspath(path) for path in sys.argv[1:4])
HERE = os.path.dirname(os.path.abspath(__file__))


def enter_namespace():
    if not os.environ.get("NLVS_TEST_NAMESPACE"):
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv],
                   {**os.environ, "NLVS_TEST_NAMESPACE": "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def within(seconds, condition, text):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {text}")
        time.sleep(0.1)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802, the base class's name
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"alive\n")

    def log_message(self, *_):
        pass


class WebServer:
    """A real server with a page for health checks."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipUnless(os.geteuid() == 0, "needs root for a network namespace")
class Clients(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="nlvs-clients-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.plain = {**os.environ, "NLVS_RUN_DIR": os.path.join(self.directory, "run"), "LC_ALL": "C"}
        self.environment = {**self.plain, "LD_PRELOAD": SHIM}
        path = os.path.join(self.directory, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            self.daemon = subprocess.Popen(
                [NLVSD, "-c", "/dev/null"], env={**self.plain, "NOTIFY_SOCKET": path},
                stderr=subprocess.DEVNULL)
            self.addCleanup(self.stop, self.daemon)
            self.assertEqual(manager.recv(100), b"READY=1")

    def stop(self, process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run_program(self, *command, preload=True, **options):
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                              env=self.environment if preload else self.plain, **options)

    def services(self):
        result = self.run_program("ipvsadm", "-Sn")
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_pyroute2(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import pyroute2"], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no python3-pyroute2")
        result = self.run_program("/usr/bin/python3", os.path.join(HERE, "pyroute2_client.py"))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout, "1.2.1\nIPVS\nrr 10.8.0.1\n[Errno 17]\n")
        self.assertEqual(self.services(), "-A -t 10.8.0.1:80 -s rr\n")

    def exporter(self, *command, environment):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = "127.0.0.1:%d" % probe.getsockname()[1]
        process = subprocess.Popen(
            [*command, "prometheus-node-exporter", "--collector.disable-defaults", "--collector.ipvs",
             "--web.listen-address=" + address], env=environment, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop, process)

        def metrics():
            try:
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as reply:
                    return reply.read().decode()
            except OSError:
                return ""

        within(30, metrics, "the exporter answers")
        return metrics()

    def test_node_exporter(self):
        """A Go program: it makes its system calls itself, so the launcher it is."""
        if not shutil.which("prometheus-node-exporter"):
            self.skipTest("no prometheus-node-exporter")
        for words in ("-A -t 10.8.0.1:80 -s wrr", "-a -t 10.8.0.1:80 -r 10.1.0.1:80 -m -w 5",
                      "-A -f 9 -s rr", "-a -f 9 -r 10.1.0.2 -g"):
            self.assertEqual(self.run_program("ipvsadm", *words.split()).returncode, 0)
        text = self.exporter(NLVS_RUN, "--", environment=self.plain)
        self.assertIn('node_scrape_collector_success{collector="ipvs"} 1', text)
        self.assertIn("node_ipvs_connections_total 0", text)
        labels = 'local_address="10.8.0.1",local_mark="",local_port="80",proto="TCP"'
        found = re.search(r"node_ipvs_backend_weight\{%s,remote_address=\"10.1.0.1\",remote_port=\"80\"\} 5"
                          % labels, text)
        self.assertTrue(found, text)
        self.assertIn('local_mark="00000009"', text)

    def test_ldirectord(self):
        """Perl around ipvsadm: checks pages, and takes servers out and in."""
        if not shutil.which("ldirectord"):
            self.skipTest("no ldirectord")
        servers = [WebServer(), WebServer()]
        self.addCleanup(servers[1].stop)
        configuration = self.write("ldirectord.cf", "".join([
            "checktimeout=2\ncheckinterval=1\nautoreload=no\nquiescent=no\n"
            "logfile=\"%s\"\n" % os.path.join(self.directory, "log"),
            "virtual=10.8.0.1:80\n",
            *["\treal=127.0.0.1:%d masq 3\n" % server.port for server in servers],
            "\tservice=http\n\tscheduler=wlc\n\tprotocol=tcp\n\tchecktype=negotiate\n"
            "\trequest=\"index.html\"\n\treceive=\"alive\"\n"]))
        process = subprocess.Popen(["ldirectord", "-d", configuration, "start"], env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop, process)

        def destinations():
            return sorted(int(port) for port in re.findall(r"-r 127.0.0.1:(\d+) -m -w 3", self.services()))

        within(40, lambda: destinations() == sorted(one.port for one in servers), "both servers")
        self.assertIn("-A -t 10.8.0.1:80 -s wlc\n", self.services())
        servers[0].stop()
        within(40, lambda: destinations() == [servers[1].port], "the dead server goes")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    if os.geteuid() == 0:
        enter_namespace()
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
