"""FTP through masquerading: vsftpd and curl, every way to make a data connection."""

import contextlib
import hashlib
import re
import subprocess

from harness import ONE_ARM, ONE_WORKER, TWO_WORKERS, case, endpoint, expect, expect_equal
from nlvslab.measure import within
from nlvslab.system import run

FAMILIES = (4, 6)
PORT = 21
CONTENT = b"".join(b"%07d\n" % line for line in range(40000))

VSFTPD = """\
background=NO
listen={v4}
listen_ipv6={v6}
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root={root}
secure_chroot_dir={empty}
connect_from_port_20=YES
seccomp_sandbox=NO
isolate_network=NO
xferlog_enable=NO
ftpd_banner={name}
"""

# curl's words for each way. It must not know better than the server where to call.
WAYS = {
    "PASV": ("--disable-epsv", "--no-ftp-skip-pasv-ip"),
    "EPSV": ("--ftp-pasv",),
    "PORT": ("--ftp-port", "-", "--disable-eprt"),
    "EPRT": ("--ftp-port", "-"),
}


@contextlib.contextmanager
def ftp_servers(bench, family, names):
    started = []
    try:
        for name in names:
            folder = bench.lab.state / name / f"ftp-{family}"
            (folder / "root").mkdir(parents=True, exist_ok=True)
            (folder / "empty").mkdir(exist_ok=True)
            (folder / "root" / "file").write_bytes(CONTENT)
            (folder / "root" / "name").write_text(name)
            config = folder / "vsftpd.conf"
            config.write_text(VSFTPD.format(
                v4="NO" if family == 6 else "YES", v6="YES" if family == 6 else "NO",
                root=folder / "root", empty=folder / "empty", name=name,
            ))
            role = f"ftp-{family}"
            bench.lab.start(name, role, bench.lab.namespace(name).command("vsftpd", config))
            started.append((name, role))
            listening = ["ss", "-Hltn", f"sport = :{PORT}"]
            namespace = bench.lab.namespace(name)
            within(10, lambda: namespace.run(*listening).strip(), f"vsftpd of {name} listens")
        yield
    finally:
        for name, role in started:
            bench.lab.processes.stop(name, role)


def serve_ftp(bench, family, names):
    if bench.lab.engine == "kernel":
        run("modprobe", "ip_vs_ftp")
    virtual = bench.virtual("nat", family, PORT)
    bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
    for name in names:
        bench.director.ipvsadm("-a", "-t", virtual, "-r", bench.server(name, family, PORT), "-m")
    return virtual


def fetch(bench, virtual, way, times=1):
    """The same file that often over one control connection; returns its digests and the talk."""
    options = " ".join(WAYS[way])
    urls = " ".join(f"-o - ftp://{virtual}/file" for _ in range(times))
    text = bench.lab.client.run(
        "bash", "-c",
        f"curl -sSgv -m 20 {options} {urls} 2>$0.talk | split -b {len(CONTENT)} "
        "--filter='sha256sum'; cat $0.talk; rm -f $0.talk",
        bench.lab.state / f"curl-{way}", timeout=40,
    )
    digests = re.findall(r"^([0-9a-f]{64})  -$", text, re.MULTILINE)
    return digests, text


@case((ONE_WORKER, TWO_WORKERS, ONE_ARM), ("PASV 4", "PORT 4", "EPSV 4", "EPRT 4", "EPSV 6", "EPRT 6"))
def ftp_transfers_files(bench, way_and_family):
    way, family = way_and_family.split()
    family = int(family)
    names = ("rs1", "rs2")
    with ftp_servers(bench, family, names):
        virtual = serve_ftp(bench, family, names)
        good = hashlib.sha256(CONTENT).hexdigest()
        # Several control connections, that with several workers each meets each data connection.
        for _ in range(2 * bench.kind.workers**2):
            digests, talk = fetch(bench, virtual, way, times=3)
            expect_equal(digests, [good] * 3, f"files; curl said {talk[-3000:]}")
            expect(way in talk, f"{way} was used: {talk[-3000:]}")
            if way == "PASV":
                announced = bench.address("nat", 4).replace(".", ",")
                expect(f"({announced}," in talk, f"the reply names {announced}: {talk[-3000:]}")


class Control:
    """A control connection by hand, from the client's namespace."""

    def __init__(self, bench, family):
        address = bench.address("nat", family)
        self.process = subprocess.Popen(
            bench.lab.client.command(
                "python3", "-c",
                "import socket, sys, threading\n"
                f"s = socket.create_connection(({address!r}, {PORT}), 10)\n"
                "f = s.makefile('rw', newline='')\n"
                "print(s.getsockname()[1], f.readline(), sep='\\n', end='', flush=True)\n"
                "for line in sys.stdin:\n"
                "    f.write(line.rstrip() + '\\r\\n'); f.flush()\n"
                "    print(f.readline(), end='', flush=True)\n",
            ),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.port = int(self.process.stdout.readline())
        self.banner = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def listed_connections(bench):
    rows = bench.director.ipvsadm("-Lcn").splitlines()[2:]
    return [tuple(row.split()[i] for i in (0, 2, 3, 4, 5)) for row in rows if row.strip()]


def applications(bench):
    return bench.director.run("cat", "/proc/net/ip_vs_app")


def counted_connections(bench, name, family):
    """Active and inactive ones of the server, as ipvsadm -Ln shows."""
    rows = bench.director.ipvsadm("-Ln").splitlines()
    row = next(row.split() for row in rows if bench.server(name, family, PORT) in row)
    return int(row[-2]) + int(row[-1])


@case((ONE_WORKER, TWO_WORKERS), FAMILIES)
def announced_data_connections_are_listed(bench, family):
    with ftp_servers(bench, family, ("rs1",)):
        serve_ftp(bench, family, ("rs1",))
        client = bench.topology.nodes["client"].attachments[0].segment.address(2, family)
        before = int(re.search(r"^TCP  21 +(\d+) +ftp +$", applications(bench), re.MULTILINE)[1])
        # A server that comes back soon after it went has the connections it had.
        kept = counted_connections(bench, "rs1", family)
        with Control(bench, family) as control:
            expect("rs1" in control.banner, control.banner)
            for line in ("USER anonymous", "PASS x@y"):
                if not control.say(line).startswith("331"):
                    break
            if family == 4:
                text = control.say("PASV")
                numbers = re.search(r"\(([0-9,]+)\)", text)[1].split(",")
                port = int(numbers[4]) * 256 + int(numbers[5])
                expect_equal(".".join(numbers[:4]), bench.address("nat", 4), "announced address")
            else:
                port = int(re.search(r"\(\|\|\|(\d+)\|\)", control.say("EPSV"))[1])
            wanted = (
                "TCP", "LISTEN", endpoint(client, 0),
                endpoint(bench.address("nat", family), port), bench.server("rs1", family, port),
            )
            within(5, lambda: wanted in listed_connections(bench), f"{wanted} is listed")
            counted = counted_connections(bench, "rs1", family)
            expect_equal(counted - kept, 2, "control and data connection are counted")
            used = int(re.search(r"^TCP  21 +(\d+) +ftp +$", applications(bench), re.MULTILINE)[1])
            expect_equal(used, before + 1, "users of the helper")
            # The control connection goes on after its reply has changed its length.
            expect("215" in control.say("SYST"), "the next command is answered")
