"""Virtual services as keepalived configuration, and the services the lab starts with."""

from dataclasses import dataclass, field

from .topology import DIRECTORS, ECHO_PORT, HTTP_PORT, WEIGHTED_PORT

DELAY = 1  # seconds between two health checks
VIRTUAL_MAC_DEVICE = "vrrp.51"  # of the instance, where it has a MAC address of its own
KINDS = {"nat": "NAT", "dr": "DR", "tun": "TUN"}


@dataclass
class Server:
    """A destination: the real server's address, its port and weight."""

    address: str
    port: int
    weight: int = 1


@dataclass
class VirtualService:
    address: str
    port: int
    protocol: str = "TCP"
    scheduler: str = "rr"
    method: str = "nat"
    persistence: int = 0
    checked: bool = True
    servers: list = field(default_factory=list)

    def keepalived(self):
        lines = [
            f"virtual_server {self.address} {self.port} {{",
            f"    delay_loop {DELAY}",
            f"    lvs_sched {self.scheduler}",
            f"    lvs_method {KINDS[self.method]}",
            f"    protocol {self.protocol}",
        ]
        if self.persistence:
            lines.append(f"    persistence_timeout {self.persistence}")
        for server in self.servers:
            lines += [
                f"    real_server {server.address} {server.port} {{",
                f"        weight {server.weight}",
                *(self._check(server) if self.checked else []),
                "    }",
            ]
        return "\n".join([*lines, "}"])

    def _check(self, server):
        """HTTP services are asked for a page; a UDP service shares the fate of its server, so a
        TCP connection to that server's nginx stands for it."""
        patience = ["connect_timeout 1", "retry 0", "delay_before_retry 1", f"delay_loop {DELAY}"]
        if self.protocol == "TCP":
            body = ["url {", "    path /health", "    status_code 200", "}", *patience]
            kind = "HTTP_GET"
        else:
            body = [f"connect_port {HTTP_PORT}", *patience]
            kind = "TCP_CHECK"
        return [
            f"        {kind} {{",
            *[f"            {line}" for line in body],
            "        }",
        ]


def lab_services(topology, checked=True):
    """Every forwarding method, family and protocol once; weighted services on port 8080."""
    services = []
    for family in (4, 6):
        for method in KINDS:
            virtual = topology.virtual_address(method, family)
            for protocol, port in (("TCP", HTTP_PORT), ("UDP", ECHO_PORT)):
                servers = [
                    Server(topology.real_address(name, family), port)
                    for name in topology.real_servers
                ]
                services.append(
                    VirtualService(
                        virtual, port, protocol, "rr", method, checked=checked, servers=servers
                    )
                )
        servers = [
            Server(topology.real_address(name, family), WEIGHTED_PORT, weight)
            for weight, name in enumerate(topology.real_servers, start=1)
        ]
        virtual = topology.virtual_address("nat", family)
        services.append(
            VirtualService(
                virtual, WEIGHTED_PORT, "TCP", "wrr", "nat", checked=checked, servers=servers
            )
        )
    return services


def vrrp_instance(topology, director, state, virtual_mac, advertise):
    """One instance owns all addresses of both families: what fails over, fails over together."""
    # The interface it speaks on is tracked by itself; keepalived warns about naming it again.
    others = {topology.shadow(a) for a in topology.nodes[director].attachments} - {"dp0"}
    tracked = [f"        {name}" for name in sorted(others)]
    # Without a device: on the macvlan that keepalived makes for the virtual MAC address.
    device = "" if virtual_mac else " dev dp0"
    addresses = [
        f"{topology.virtual_address(method, 4)}/32{device}" for method in KINDS
    ] + [f"{topology.gateway(4)}/32 dev {topology.back_shadow()}"]
    # VRRP version 3 carries one family; addresses of the other one are 'excluded' from the
    # advertisement and move all the same.
    excluded = [
        f"{topology.virtual_address(method, 6)}/128 dev dp0" for method in KINDS
    ] + [f"{topology.gateway(6)}/128 dev {topology.back_shadow()}"]
    priority = 150 - 50 * topology.directors.index(director)
    further = [] if virtual_mac else further_instances(
        topology, director, state, priority, advertise
    )
    return "\n".join(
        [
            "vrrp_instance lab {",
            f"    state {state}",
            "    interface dp0",
            *([f"    use_vmac {VIRTUAL_MAC_DEVICE}"] if virtual_mac else []),
            f"    priority {priority}",
            "    version 3",
            "    virtual_router_id 51",
            f"    advert_int {advertise}",
            *(["    track_interface {", *tracked, "    }"] if tracked else []),
            "    virtual_ipaddress {",
            *[f"        {address}" for address in addresses],
            "    }",
            "    virtual_ipaddress_excluded {",
            *[f"        {address}" for address in excluded],
            "    }",
            "}",
            *further,
        ]
    )


def further_instances(topology, director, state, priority, advertise):
    """VRRP as it is also spoken: over IPv6, and to a named peer instead of a group. Their addresses
    belong to no service."""
    own = DIRECTORS[director]
    peers = [DIRECTORS[name] for name in topology.directors if name != director]
    common = [
        f"    state {state}", "    interface dp0", f"    priority {priority}", "    version 3",
        f"    advert_int {advertise}",
    ]
    lines = [
        "vrrp_instance lab6 {",
        *common,
        "    virtual_router_id 52",
        "    virtual_ipaddress {",
        "        fe80::52 dev dp0",
        f"        {topology.front.ipv6(152)}/128 dev dp0",
        "    }",
        "}",
    ]
    if not peers:
        return lines
    return lines + [
        "vrrp_instance unicast {",
        *common,
        "    virtual_router_id 53",
        f"    unicast_src_ip {topology.front.ipv4(own)}",
        "    unicast_peer {",
        *[f"        {topology.front.ipv4(host)}" for host in peers],
        "    }",
        "    virtual_ipaddress {",
        f"        {topology.front.ipv4(153)}/32 dev dp0",
        "    }",
        "}",
    ]


def keepalived_configuration(
    topology, director, services, virtual_mac=False, sync=False, advertise=0.5
):
    parts = [
        "global_defs {",
        f"    router_id {director}",
        "    script_user root",
        "    enable_script_security",
        "    vrrp_garp_master_delay 1",
        # Master where the instance is, backup elsewhere.
        *(["    lvs_sync_daemon dp0 lab id 51"] if sync else []),
        "}",
        "",
        vrrp_instance(topology, director, "BACKUP", virtual_mac, advertise),
    ]
    for service in services:
        parts += ["", service.keepalived()]
    return "\n".join(parts) + "\n"
