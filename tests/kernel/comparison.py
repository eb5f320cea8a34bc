"""What two runs of one case may differ in, hidden before texts are compared.

Hidden is only what runs down, is a rate of the moment or is random on the kernel itself:

- expiry times of connections: listings, /proc/net/ip_vs_conn, /proc/net/ip_vs_conn_sync;
- the order of those connections (a hash with a random seed): they are sorted;
- the order of services where the kernel's hash decides it (--nosort, /proc/net/ip_vs, a dump):
  services are sorted, each with its destinations in the order they came;
- estimated rates: --rate, and the last line of ip_vs_stats and ip_vs_stats_percpu;
- the lines of CPUs in ip_vs_stats_percpu (the sum below them stays).
"""

import difflib
import re

CONNECTION_FILES = ("/proc/net/ip_vs_conn", "/proc/net/ip_vs_conn_sync")
SERVICE_LINE = re.compile(r"(TCP|UDP|SCTP|FWM|IP_\d+) ")


def sort_after(lines, header_lines):
    return lines[:header_lines] + sorted(lines[header_lines:])


def mask_connection_listing(text):
    lines = [re.sub(r"^(\S+) +\d+:\d\d ", r"\1 MM:SS ", line) for line in text.split("\n")]
    return "\n".join(sort_after(lines, 2))


def mask_connection_file(text):
    """The expiry is the number after the state and, in the one file, the origin; its width stays."""
    header, *lines = text.split("\n")
    expiry = re.compile(r"( [A-Z_]+(?: +(?:LOCAL|SYNC))?)( +\d+)(?= |$)")

    def hide(line):
        start, rest = line[:40], line[40:]
        return start + expiry.sub(lambda m: m[1] + "N".rjust(len(m[2])), rest, count=1)

    return "\n".join([header, *sorted(hide(line) for line in lines)])


def mask_statistics(text):
    text = re.sub(r"(?m)^( *Conns/s.*\n).*$", r"\1(rates)", text)
    if not text.startswith("       Total"):
        return text
    return re.sub(r"(?m)^( {1,2}[0-9A-F]+( +[0-9A-F]+){5}\n)+", "", text)


def mask_rates(text):
    return re.sub(r"(?m)( +\d+[KMGT]?){5}$", " (rates)", text)


def sort_services(text, starts):
    blocks, head = [], []
    for line in text.split("\n"):
        if starts(line):
            blocks.append([line])
        else:
            (blocks[-1] if blocks else head).append(line)
    # The final newline belongs to the text, not to the last service.
    tail = []
    if blocks and blocks[-1][-1] == "":
        tail = [blocks[-1].pop()]
    return "\n".join(head + [line for block in sorted(blocks) for line in block] + tail)


def sort_dump(text):
    """The services of each datagram, a message each."""
    datagrams = re.split(r"(?m)^(?=\d+ bytes from )", text)
    return "".join(sort_services(one, lambda line: line.startswith("  IPVS ")) for one in datagrams)


def masked(command, text):
    """The text of stdout as it is compared."""
    if text.startswith("IPVS connection entries"):
        return mask_connection_listing(text)
    if command.split()[-1] in CONNECTION_FILES:
        return mask_connection_file(text)
    if "/proc/net/ip_vs_stats" in command:
        return mask_statistics(text)
    if "--rate" in command:
        text = mask_rates(text)
    if command.startswith("ipvsadm -S") and "--nosort" in command:
        return sort_services(text, lambda line: line.startswith("-A "))
    if "--nosort" in command or command == "cat /proc/net/ip_vs":
        return sort_services(text, lambda line: bool(SERVICE_LINE.match(line)))
    if command == "genl --flags 0x300 GET_SERVICE":
        return sort_dump(text)
    return text


def differences(command, expected, actual):
    """Lines of a unified diff for each of stdout, stderr and the exit status that differs."""
    lines = []
    for key in ("stdout", "stderr", "exit"):
        wanted, got = expected[key], actual[key]
        if key == "stdout":
            wanted, got = masked(command, wanted), masked(command, got)
        if wanted != got:
            lines += difflib.unified_diff(
                str(wanted).split("\n"), str(got).split("\n"), f"{key} recorded", f"{key} here",
                lineterm="",
            )
    return lines
