"""One lab: up, down, and the way to its nodes."""

import json
import os
import shutil
from pathlib import Path

from .director import Director
from .realserver import RealServer
from .system import LabError, Namespace, ProcessTable, stop_pids, wait_until
from .topology import DEFAULT_ROUTE, ROUTER, Topology

STATE_ROOT = Path("/run/nlvs-lab")
REPOSITORY = Path(__file__).resolve().parent.parent.parent
ENGINES = ("nlvs", "kernel")
SWITCH = "switch"


class Lab:
    """A lab by name. The state directory says all that another process needs to find it again."""

    def __init__(self, name, variant="two-arm", directors=2, real_servers=3, workers=1,
                 engine="nlvs", build=None, megabytes=128, keep_addresses=False,
                 virtual_mac=False, sync=False, engines=None, slow=False, backend="auto"):
        """`engines` names the directors, if any, whose engine is another one. On a `slow` machine
        nobody is pronounced dead early: no health checks, patient VRRP."""
        if not name or len(name) > 40 or not name.replace("-", "").replace("_", "").isalnum():
            raise LabError(f"'{name}' is no lab name (letters, digits, '-' and '_')")
        if engine not in ENGINES:
            raise LabError(f"no engine '{engine}' (there are: {' '.join(ENGINES)})")
        self.name = name
        self.topology = Topology(variant, directors, real_servers)
        self.workers = workers
        self.engine = engine
        self.build = Path(build or os.environ.get("NLVS_BUILD") or REPOSITORY / "build").resolve()
        self.megabytes = megabytes
        self.keep_addresses = keep_addresses
        self.virtual_mac = virtual_mac
        self.sync = sync
        self.engines = engines or {}
        self.slow = slow
        self.backend = backend
        self.state = STATE_ROOT / name
        self.processes = ProcessTable(self.state / "processes")
        self.directors = {n: Director(self, n) for n in self.topology.directors}
        self.real_servers = {n: RealServer(self, n) for n in self.topology.real_servers}

    # -- finding labs -----------------------------------------------------------------------

    @classmethod
    def load(cls, name):
        try:
            return cls(name, **json.loads((STATE_ROOT / name / "lab.json").read_text()))
        except (OSError, ValueError, TypeError):
            raise LabError(f"there is no lab '{name}' (tools/lab list)") from None

    @staticmethod
    def names():
        if not STATE_ROOT.is_dir():
            return []
        return sorted(path.name for path in STATE_ROOT.iterdir() if path.is_dir())

    def _save(self):
        self.state.mkdir(parents=True)
        settings = {
            "variant": self.topology.variant,
            "directors": len(self.topology.directors),
            "real_servers": len(self.topology.real_servers),
            "workers": self.workers,
            "engine": self.engine,
            "build": str(self.build),
            "megabytes": self.megabytes,
            "keep_addresses": self.keep_addresses,
            "virtual_mac": self.virtual_mac,
            "sync": self.sync,
            "engines": self.engines,
            "slow": self.slow,
            "backend": self.backend,
        }
        (self.state / "lab.json").write_text(json.dumps(settings, indent=4) + "\n")

    # -- nodes ------------------------------------------------------------------------------

    def namespace(self, node):
        return Namespace(f"{self.name}-{node}")

    def nodes(self):
        return [SWITCH, *self.topology.nodes]

    def start(self, node, role, command, environment=None):
        directory = self.state / node
        directory.mkdir(parents=True, exist_ok=True)
        return self.processes.start(node, role, command, directory / f"{role}.log", environment)

    def command(self, node, words):
        """The command line that runs words on a node; on a director with the shim loaded."""
        if node not in self.nodes():
            raise LabError(f"no node '{node}' (there are: {' '.join(self.nodes())})")
        if self.topology.is_director(node):
            assignments = self.directors[node].environment()
            words = ["env", *[f"{k}={v}" for k, v in assignments.items()], *words]
        return self.namespace(node).command(*words)

    @property
    def client(self):
        return self.namespace("client")

    def master(self):
        """The director that owns the virtual addresses, or None while nobody or both do."""
        masters = [d for d in self.directors.values() if d.is_master()]
        return masters[0] if len(masters) == 1 else None

    # -- up ---------------------------------------------------------------------------------

    def up(self, keepalived=True):
        if self.state.exists():
            raise LabError(f"lab '{self.name}' exists; 'tools/lab down {self.name}' removes it")
        self._check_host()
        self._save()
        try:
            self._wire()
            for server in self.real_servers.values():
                server.start()
            for director in self.directors.values():
                director.start(keepalived)
            if keepalived:
                self.wait_for_master()
                self.wait_for_services()
            else:
                self.give_addresses(next(iter(self.directors.values())))
        except BaseException:
            self.down(keep_logs=True)
            raise

    def _check_host(self):
        if os.geteuid() != 0:
            raise LabError("a lab needs root")
        if not Path("/dev/net/tun").exists():
            raise LabError("/dev/net/tun is missing (modprobe tun)")
        if self.engine == "nlvs":
            for product in ("bin/nlvsd", "lib/libnlvs-shim.so"):
                if not (self.build / product).exists():
                    raise LabError(f"{self.build / product} is missing; tools/build makes it")

    def _wire(self):
        switch = self.namespace(SWITCH)
        switch.create()
        # No IGMP/MLD querier lives here, so snooping would cut off VRRP and neighbour discovery.
        switch.batch(
            [
                f"link add {segment.name} up type bridge mcast_snooping 0 forward_delay 0"
                for segment in self.topology.segments
            ]
        )
        for node in self.topology.nodes.values():
            namespace = self.namespace(node.name)
            namespace.create()
            for attachment in node.attachments:
                self._plug(switch, namespace, node, attachment)
            self._configure(namespace, node)

    def _plug(self, switch, namespace, node, attachment):
        device = attachment.device
        # As many queues as workers: every worker has one of each port.
        queues = max(self.workers, 1)
        port = f"{node.name}-{device}"
        switch.ip(
            "link", "add", port, "type", "veth",
            "peer", "name", device, "netns", namespace.name,
            "numtxqueues", queues, "numrxqueues", queues,
        )
        switch.batch([f"link set {port} master {attachment.segment.name} up"])
        # A veth hands over packets whose checksum nobody has computed yet, and segments larger
        # than the MTU, trusting that both ends are this kernel. nlvsd is another end: it reads
        # the bytes from a packet socket and must rewrite real checksums.
        for where, name in ((namespace, device), (switch, port)):
            where.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")

    def _configure(self, namespace, node):
        if self.topology.is_director(node.name):
            return
        lines = []
        for attachment in node.attachments:
            segment, host = attachment.segment, attachment.host
            lines.append(f"link set {attachment.device} up")
            lines.append(f"addr add {segment.ipv4(host)}/24 dev {attachment.device}")
            lines.append(f"addr add {segment.ipv6(host)}/64 dev {attachment.device} nodad")
        if node.name == "client":
            for family in (4, 6):
                router = node.attachments[0].segment.address(ROUTER, family)
                lines.append(f"route add {DEFAULT_ROUTE[family]} via {router}")
        namespace.batch(lines)
        if node.name == "router":
            namespace.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})

    def give_addresses(self, director):
        """The virtual addresses by hand, where no keepalived does it."""
        topology = self.topology
        lines = []
        for family, options in ((4, "/32"), (6, "/128 nodad")):
            for method in ("nat", "dr", "tun"):
                virtual = topology.virtual_address(method, family)
                lines.append(f"addr replace dev dp0 {virtual}{options}")
            gateway = topology.gateway(family)
            lines.append(f"addr replace dev {topology.back_shadow()} {gateway}{options}")
        director.namespace.batch(lines)

    def wait_for_master(self, timeout=15):
        return wait_until(self.master, timeout, "one director has the virtual addresses")

    def wait_for_services(self, timeout=30):
        """Until keepalived has configured every service and found every real server alive."""
        expected = len(self.real_servers)

        def complete():
            for director in self.directors.values():
                services = director.services()
                if not services or any(len(s) != expected for s in services.values()):
                    return False
            return True

        wait_until(complete, timeout, "all real servers in service", interval=0.2)

    # -- down -------------------------------------------------------------------------------

    def down(self, keep_logs=False):
        """Removes everything that carries the lab's name; works on half-built and crashed labs."""
        self.processes.stop(role="keepalived", grace=10)
        self.processes.stop()
        namespaces = [Namespace(path.name) for path in self._namespace_paths()]
        for namespace in namespaces:
            stop_pids(namespace.pids(), grace=2)
            namespace.delete()
        if keep_logs:
            kept = Path("/tmp") / f"nlvs-lab-{self.name}-{os.getpid()}"
            shutil.rmtree(kept, ignore_errors=True)
            if self.state.exists():
                shutil.copytree(self.state, kept, ignore=_not_worth_keeping)
                print(f"lab: logs kept in {kept}", flush=True)
        shutil.rmtree(self.state, ignore_errors=True)

    def _namespace_paths(self):
        return [p for n in self.nodes() if (p := self.namespace(n).path).exists()]


def _not_worth_keeping(directory, names):
    """Pages of servers, and sockets, which are no files to copy."""
    return {n for n in names if n in ("www", "notify") or (Path(directory) / n).is_socket()}
