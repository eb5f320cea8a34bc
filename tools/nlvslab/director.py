"""A director of the lab: nlvsd with its shadow interfaces, and the unmodified keepalived.

With the engine "kernel" the director's ports are the interfaces themselves and Linux does the
forwarding: the same lab then shows what the same tools do with kernel LVS (needs ip_vs).
"""

import json
import socket

from .services import VIRTUAL_MAC_DEVICE, keepalived_configuration, lab_services
from .system import LabError, run, wait_until
from .topology import DEFAULT_ROUTE, ROUTER

NLVSD_START = 10  # seconds; the daemon promises one, a loaded machine may need more


class Director:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.namespace = lab.namespace(name)
        self.state = lab.state / name
        self.attachments = lab.topology.nodes[name].attachments
        self.engine = lab.engines.get(name, lab.engine)

    # -- commands ---------------------------------------------------------------------------

    def environment(self):
        """What makes the stock tools speak to nlvsd."""
        if self.engine == "kernel":
            return {}
        return {"LD_PRELOAD": str(self.lab.build / "lib" / "libnlvs-shim.so")}

    def run(self, *words, **options):
        return run(
            *self.namespace.command("env", *self._assignments(), *words), **options
        )

    def _assignments(self):
        # Set behind nsenter and not around it: only the tool itself is to be preloaded.
        return [f"{key}={value}" for key, value in self.environment().items()]

    def ipvsadm(self, *words, **options):
        return self.run("ipvsadm", *words, **options)

    # -- start and stop ---------------------------------------------------------------------

    def start(self, keepalived=True):
        self.state.mkdir(parents=True, exist_ok=True)
        if self.engine == "kernel":
            self._become_kernel_director()
        else:
            self._prepare_ports()
            self.start_nlvsd()
        self.configure_shadows()
        if keepalived:
            self.start_keepalived()

    def _prepare_ports(self):
        for attachment in self.attachments:
            device = attachment.device
            # The port belongs to nlvsd: the kernel must not speak on it by itself. Promiscuous,
            # because the addresses nlvsd answers to live on the shadow interface.
            self.namespace.sysctl({f"net.ipv6.conf.{device}.disable_ipv6": 1})
            self.namespace.ip("link", "set", device, "promisc", "on", "up")

    def _become_kernel_director(self):
        self.namespace.sysctl(
            {"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1}
        )
        for attachment in self.attachments:
            shadow = self.lab.topology.shadow(attachment)
            self.namespace.batch(
                [f"link set {attachment.device} name {shadow}", f"link set {shadow} up"]
            )

    def configure_shadows(self):
        """Plain iproute2 on the shadow interfaces; the daemon learns it from the kernel."""
        topology = self.lab.topology
        lines = []
        for attachment in self.attachments:
            shadow = topology.shadow(attachment)
            segment, host = attachment.segment, attachment.host
            lines.append(f"link set {shadow} up")
            lines.append(f"addr replace {segment.ipv4(host)}/24 dev {shadow}")
            lines.append(f"addr replace {segment.ipv6(host)}/64 dev {shadow} nodad")
        for family in (4, 6):
            router = topology.front.address(ROUTER, family)
            lines.append(f"route replace {DEFAULT_ROUTE[family]} via {router} dev dp0")
        self.namespace.batch(lines)

    def nlvsd_configuration(self):
        lines = ["keep_addresses = true", ""] if self.lab.keep_addresses else []
        for attachment in self.attachments:
            lines += [
                "[[port]]",
                f'netdev = "{attachment.device}"',
                f'shadow = "{self.lab.topology.shadow(attachment)}"',
                f'backend = "{self.lab.backend}"',
                "",
            ]
        lines += [
            "[workers]",
            f"count = {self.lab.workers}",
            "",
            "[memory]",
            'huge = "off"',
            f"megabytes = {self.lab.megabytes}",
            "",
            "[log]",
            'target = "stderr"',
        ]
        if len(self.lab.topology.directors) > 1:
            # What one process can send is to be a flood, on any machine.
            lines += ["", "[punt]", "unsolicited = 200", "rest = 500"]
        return "\n".join(lines) + "\n"

    def start_nlvsd(self, *arguments):
        """Starts the daemon and waits for the READY=1 that systemd would wait for. It has the services
        of its predecessor in this namespace, unless the arguments say --fresh."""
        config = self.state / "nlvs.toml"
        config.write_text(self.nlvsd_configuration())
        # A path, because an abstract name would belong to this network namespace only.
        notify = self.state / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            ready.settimeout(0.1)
            pid = self.lab.start(
                self.name,
                "nlvsd",
                self.namespace.command(
                    self.lab.build / "bin" / "nlvsd", "--foreground", "--config", config,
                    *arguments,
                ),
                {"NOTIFY_SOCKET": str(notify)},
            )

            def is_ready():
                if self.lab.processes.pid(self.name, "nlvsd") is None:
                    log = (self.state / "nlvsd.log").read_text(errors="replace").strip()
                    raise LabError(f"nlvsd of {self.name} ended: {log[-400:]}")
                try:
                    return b"READY=1" in ready.recv(4096)
                except TimeoutError:
                    return False

            wait_until(is_ready, NLVSD_START, f"nlvsd of {self.name} ready")
        notify.unlink(missing_ok=True)
        for attachment in self.attachments:
            shadow = self.lab.topology.shadow(attachment)
            if not self.namespace.has_link(shadow):
                raise LabError(f"nlvsd of {self.name} is ready but made no {shadow}")
        return pid

    def restart_nlvsd(self):
        self.lab.processes.stop(self.name, "nlvsd")
        self.start_nlvsd()
        self.configure_shadows()

    def start_keepalived(self, services=None):
        config = self.state / "keepalived.conf"
        if services is None:
            services = lab_services(self.lab.topology, checked=not self.lab.slow)
        config.write_text(
            keepalived_configuration(
                self.lab.topology, self.name, services, self.lab.virtual_mac, self.lab.sync,
                advertise=3 if self.lab.slow else 0.5,
            )
        )
        self.run("keepalived", "-t", "-f", config)
        # Its own log and pid files, because every director runs on the same file system.
        return self.lab.start(
            self.name,
            "keepalived",
            self.namespace.command(
                "env", *self._assignments(), "keepalived",
                "--dont-fork", "--log-console", "--log-detail", "--no-syslog",
                "--use-file", config,
                "--pid", self.state / "keepalived.pid",
                "--vrrp_pid", self.state / "vrrp.pid",
                "--checkers_pid", self.state / "checkers.pid",
            ),
        )

    def stop_keepalived(self):
        self.lab.processes.stop(self.name, "keepalived")

    def crash(self):
        """The director dies. Its cables first, or else keepalived's VRRP process, told by the kernel
        that its parent is gone, would still say goodbye."""
        self._cables("down")
        pid = self.lab.processes.pid(self.name, "keepalived")
        children = run("pgrep", "-P", pid, check=False).split() if pid else []
        self.lab.processes.kill(self.name, "keepalived")
        for child in children:
            run("kill", "-KILL", child, check=False)
        if self.engine != "kernel":
            self.lab.processes.kill(self.name, "nlvsd")
            # A dead nlvsd leaves them to the next one; a dead machine leaves nothing.
            for attachment in self.attachments:
                shadow = self.lab.topology.shadow(attachment)
                self.namespace.ip("link", "del", shadow, check=False)

    def revive(self):
        """After crash(): what booting the machine again does."""
        self._cables("up")
        if self.engine != "kernel":
            self.start_nlvsd("--fresh")
        self.configure_shadows()
        self.start_keepalived()

    def _cables(self, state):
        """A dead machine's cables have no carrier: pulled at the switch."""
        switch = self.lab.namespace("switch")
        for attachment in self.attachments:
            switch.ip("link", "set", f"{self.name}-{attachment.device}", state)

    # -- questions --------------------------------------------------------------------------

    def is_master(self):
        address = self.lab.topology.virtual_address("nat", 4)
        device = VIRTUAL_MAC_DEVICE if self.lab.virtual_mac else "dp0"
        return f"{address}/32" in self.namespace.addresses(device)

    def report(self, name, table=None):
        """A table of one of nlvsctl's reports."""
        nlvsctl = self.lab.build / "bin" / "nlvsctl"
        return json.loads(self.namespace.run(nlvsctl, name, "--json"))[table or name]

    def nlvsd_pid(self):
        return self.lab.processes.pid(self.name, "nlvsd")

    def services(self):
        """{(protocol, 'address:port'): [(address:port, weight), ...]} from ipvsadm -Sn, which is
        the form meant for programs."""
        table = {}
        for line in self.ipvsadm("-Sn").splitlines():
            words = line.split()
            kind = "-t" if "-t" in words else "-u" if "-u" in words else "-f"
            key = ({"-t": "TCP", "-u": "UDP", "-f": "FWM"}[kind], words[words.index(kind) + 1])
            if words[0] == "-A":
                table[key] = []
            else:
                server = words[words.index("-r") + 1]
                table[key].append((server, int(words[words.index("-w") + 1])))
        return table
