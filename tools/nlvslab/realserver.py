"""A real server of the lab: nginx and a UDP echo that say who they are, and a decapsulator."""

import sys
from pathlib import Path

from .system import run, wait_until
from .topology import DEFAULT_ROUTE, ECHO_PORT, HTTP_PORT, ROUTER, SPARE_PORTS, WEIGHTED_PORT

HERE = Path(__file__).resolve().parent

NGINX = """\
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {state}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log {state}/access.log;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    keepalive_requests 1000000;
    # A server that is asked more than its listen queue holds would look like a lossy director.
    server {{
{listen}
        root {state}/www;
        default_type text/plain;
        location = / {{ return 200 "{name}\\n"; }}
        location = /source {{ return 200 "{name} $remote_addr\\n"; }}
        # keepalived asks here, so that its checks do not appear in access.log.
        location = /health {{ access_log off; return 200 "alive\\n"; }}
        location /store/ {{ dav_methods PUT; client_max_body_size 64m; }}
    }}
}}
"""


class RealServer:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.namespace = lab.namespace(name)
        self.state = lab.state / name

    def start(self):
        self._addresses()
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "www" / "store").mkdir(parents=True, exist_ok=True)
        # Larger than any socket buffer, and different at every offset of a segment.
        big = b"".join(b"%07d\n" % line for line in range(128 * 1024))
        (self.state / "www" / "big").write_bytes(big)
        listen = "\n".join(
            f"        listen {host}:{port} backlog=4096;"
            for port in (HTTP_PORT, WEIGHTED_PORT, *SPARE_PORTS)
            for host in ("0.0.0.0", "[::]")
        )
        config = NGINX.format(state=self.state, name=self.name, listen=listen)
        (self.state / "nginx.conf").write_text(config)
        self.start_nginx()
        self.start_echo()
        self._start("decapsulate", sys.executable, HERE / "decapsulate.py", "decap0")
        wait_until(lambda: self.namespace.has_link("decap0"), 15, f"tunnel end of {self.name}")

    def _addresses(self):
        topology = self.lab.topology
        # A director that asks for a virtual address must not be answered by the servers that
        # also have it (the usual arrangement of direct routing).
        self.namespace.sysctl(
            {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}
        )
        for family, length in ((4, 32), (6, 128)):
            router = topology.back.address(ROUTER, family)
            gateway, default = topology.gateway(family), DEFAULT_ROUTE[family]
            lines = [
                f"route add {default} via {gateway}",
                f"route add {default} via {router} dev eth0 table 100",
            ]
            for method in ("dr", "tun"):
                virtual = topology.virtual_address(method, family)
                lines.append(f"addr add {virtual}/{length} dev lo")
                lines.append(f"rule add from {virtual} lookup 100")
            self.namespace.batch(lines, family)

    def _start(self, role, *command):
        return self.lab.start(self.name, role, self.namespace.command(*command))

    def start_nginx(self):
        self._start("nginx", "nginx", "-c", self.state / "nginx.conf", "-e", "stderr")
        self._wait_for_listener("tcp", HTTP_PORT, "nginx")

    def start_echo(self):
        self._start("echo", sys.executable, HERE / "udp_echo.py", self.name, ECHO_PORT)
        self._wait_for_listener("udp", ECHO_PORT, "UDP echo")

    def _wait_for_listener(self, protocol, port, what):
        # ss of Debian 12 reads namespaces itself, but sockets by /proc need no netlink module.
        suffix = f":{port:04X}"

        def listening():
            for family in ("", "6"):
                lines = self.namespace.run("cat", f"/proc/net/{protocol}{family}").splitlines()
                if not any(line.split()[1].endswith(suffix) for line in lines[1:]):
                    return False
            return True

        wait_until(listening, 10, f"{what} of {self.name}")

    def kill_nginx(self):
        """As a crash: master and workers at once, connections reset by the kernel."""
        pid = self.lab.processes.pid(self.name, "nginx")
        children = run("pgrep", "-P", pid, check=False).split()
        self.lab.processes.kill(self.name, "nginx")
        for child in children:
            run("kill", "-KILL", child, check=False)

    def requests_served(self):
        log = self.state / "access.log"
        return len(log.read_text().splitlines()) if log.exists() else 0
