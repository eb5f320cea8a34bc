"""A client of the IPVS family on python3-pyroute2's generic netlink sockets, for client_test.py."""

import socket

from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, genlmsg, nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket

NEW_SERVICE, GET_SERVICE, GET_INFO = 1, 4, 15


class Message(genlmsg):
    prefix = "IPVS_CMD_ATTR_"
    nla_map = (
        ("IPVS_CMD_ATTR_UNSPEC", "none"),
        ("IPVS_CMD_ATTR_SERVICE", "service"),
    )

    class service(nla):  # noqa: N801, pyroute2 finds it by this name
        nla_map = (
            ("IPVS_SVC_ATTR_UNSPEC", "none"),
            ("IPVS_SVC_ATTR_AF", "uint16"),
            ("IPVS_SVC_ATTR_PROTOCOL", "uint16"),
            ("IPVS_SVC_ATTR_ADDR", "cdata"),
            ("IPVS_SVC_ATTR_PORT", "be16"),
            ("IPVS_SVC_ATTR_FWMARK", "uint32"),
            ("IPVS_SVC_ATTR_SCHED_NAME", "asciiz"),
            ("IPVS_SVC_ATTR_FLAGS", "cdata"),
            ("IPVS_SVC_ATTR_TIMEOUT", "uint32"),
            ("IPVS_SVC_ATTR_NETMASK", "cdata"),
        )


class Information(genlmsg):
    nla_map = (
        ("IPVS_INFO_ATTR_UNSPEC", "none"),
        ("IPVS_INFO_ATTR_VERSION", "uint32"),
        ("IPVS_INFO_ATTR_CONN_TAB_SIZE", "uint32"),
    )


def message(kind, command):
    result = kind()
    result["cmd"] = command
    result["version"] = 1
    return result


def new_service():
    request = message(Message, NEW_SERVICE)
    request["attrs"] = [("IPVS_CMD_ATTR_SERVICE", {"attrs": [
        ("IPVS_SVC_ATTR_AF", socket.AF_INET),
        ("IPVS_SVC_ATTR_PROTOCOL", socket.IPPROTO_TCP),
        ("IPVS_SVC_ATTR_ADDR", socket.inet_aton("10.8.0.1") + bytes(12)),
        ("IPVS_SVC_ATTR_PORT", 80),
        ("IPVS_SVC_ATTR_SCHED_NAME", "rr"),
        ("IPVS_SVC_ATTR_FLAGS", bytes(4) + b"\xff" * 4),
        ("IPVS_SVC_ATTR_TIMEOUT", 0),
        ("IPVS_SVC_ATTR_NETMASK", b"\xff" * 4),
    ]})]
    return request


def main():
    opened = GenericNetlinkSocket()
    opened.bind("IPVS", Information)
    answer, = opened.nlm_request(message(Information, GET_INFO), opened.prid, NLM_F_REQUEST)
    version = answer.get_attr("IPVS_INFO_ATTR_VERSION")
    print(f"{version >> 16}.{version >> 8 & 255}.{version & 255}")
    print("IPVS" if opened.prid else "no family")
    opened.marshal.msg_map[opened.prid] = Message
    opened.nlm_request(new_service(), opened.prid, NLM_F_REQUEST | NLM_F_ACK)
    for one in opened.nlm_request(message(Message, GET_SERVICE), opened.prid, NLM_F_REQUEST | 0x300):
        service = one.get_attr("IPVS_CMD_ATTR_SERVICE")
        address = socket.inet_ntoa(bytes(service.get_attr("IPVS_SVC_ATTR_ADDR"))[:4])
        print(service.get_attr("IPVS_SVC_ATTR_SCHED_NAME"), address)
    try:
        opened.nlm_request(new_service(), opened.prid, NLM_F_REQUEST | NLM_F_ACK)
    except NetlinkError as error:
        print(f"[Errno {error.code}]")


main()
