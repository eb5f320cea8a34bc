"""What answers IPVS in a case: the kernel the runner runs on, or nlvsd."""

import os
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 30


class Kernel:
    name = "kernel"

    def prepare(self, surroundings, directory):
        subprocess.run(["modprobe", "-a", "ip_vs"], check=False)
        surroundings.make_links(lambda interface: interface)
        surroundings.configure_director()

    def environment(self):
        return {}

    def end(self):
        """Its state goes with the namespace."""


class Nlvsd:
    name = "nlvsd"

    def __init__(self, daemon, library):
        self.daemon = Path(daemon).resolve()
        self.library = Path(library).resolve()
        self.process = None
        self.directory = None

    def prepare(self, surroundings, directory):
        self.directory = directory
        ports = surroundings.traffic
        surroundings.make_links(
            lambda interface: interface.replace("eth", "nic") if ports else interface
        )
        if ports:
            for interface in surroundings.interfaces():
                device = interface.replace("eth", "nic")
                Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        else:
            surroundings.configure_director()
        self.start(surroundings.interfaces() if ports else ())
        if ports:
            surroundings.configure_director()

    def configuration(self, interfaces):
        text = "".join(
            f'[[port]]\nnetdev = "{one.replace("eth", "nic")}"\nshadow = "{one}"\n'
            for one in interfaces
        )
        return text + '[ftp]\nports = []\n[memory]\nhuge = "off"\nmegabytes = 64\n[log]\ntarget = "stderr"\n'

    def start(self, interfaces):
        """Waits for the daemon's word that it is ready, as systemd does."""
        configuration = self.directory / "nlvs.toml"
        configuration.write_text(self.configuration(interfaces))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(self.directory / "notify"))
            notified.settimeout(0.2)
            with (self.directory / "log").open("wb") as log:
                self.process = subprocess.Popen(
                    [self.daemon, "-c", configuration, "--foreground"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, **self.run_directory(),
                         "NOTIFY_SOCKET": str(self.directory / "notify")},
                )
            self.await_ready(notified)

    def await_ready(self, notified):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if b"READY=1" in notified.recv(4096):
                    return
            except TimeoutError:
                continue
        self.process.kill()
        self.process.wait()
        raise RuntimeError(f"nlvsd did not get ready: {self.log()}")

    def run_directory(self):
        return {"NLVS_RUN_DIR": str(self.directory / "run")}

    def environment(self):
        return {**self.run_directory(), "LD_PRELOAD": str(self.library)}

    def log(self):
        return (self.directory / "log").read_text(errors="replace").strip()

    def end(self):
        """It must have lived to the end of the case, and end cleanly."""
        if self.process is None or self.process.returncode is not None:
            return
        if self.process.poll() is not None:
            raise RuntimeError(f"nlvsd ended with {self.process.returncode}: {self.log()}")
        self.process.terminate()
        try:
            status = self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("nlvsd did not end on SIGTERM") from None
        if status != 0:
            raise RuntimeError(f"nlvsd ended with {status}: {self.log()}")
