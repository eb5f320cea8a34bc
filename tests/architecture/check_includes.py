#!/usr/bin/env python3
"""Who may include whom. The table below is the layering of the repository; a folder inherits
nothing from its parent, the longest match counts. Prints every violation, exits 1 if there is one.

usage: check_includes.py [ROOT]
"""

import re
import sys
from pathlib import Path

# What an <include> belongs to; the first pattern that matches counts.
LIBRARIES = {
    "freestanding": r"array|atomic|bit|cerrno|climits|compare|concepts|cstdarg|cstddef|cstdint|cstring"
                    r"|initializer_list|limits|span|string_view|type_traits|utility",
    "std": r"[a-z_]+",
    "uapi": r"linux/.*",
    "address": r"arpa/inet\.h|netinet/.*|net/.*",
    "dpdk": r"rte_.*",
    "asio": r"boost/(asio|system)[./].*",
    "boost-test": r"boost/(test|crc).*",
    "libmnl": r"libmnl/.*",
    "libnl": r"netlink/.*",
    "fuse": r"fuse.*",
    "toml": r"toml\+\+/.*",
    "fmt": r"fmt/.*",
    "cpu": r"[a-z0-9]*intrin\.h",
    "sanitizer": r"sanitizer/.*",
    "posix": r"(sys/)?[a-z_]+\.h",
}

# folder: (our folders or files it may include, libraries it may include)
C_ONLY = {"freestanding", "address", "posix", "uapi"}
PLAIN = {"freestanding", "std", "address", "uapi"}
LAYERS = {
    "compat": ({"compat"}, PLAIN | {"libmnl"}),
    "forwarding": ({"compat", "forwarding"}, PLAIN | {"posix", "dpdk", "cpu"}),
    "forwarding/nic": ({"compat", "forwarding"}, PLAIN | {"posix", "dpdk", "libmnl"}),
    "kni": (
        {"compat", "forwarding/nic", "forwarding/config", "forwarding/identifiers.hpp", "kni"},
        PLAIN | {"posix", "dpdk", "asio", "libnl", "libmnl"},
    ),
    "netlink-shim/core": ({"netlink-shim/core"}, C_ONLY),
    "netlink-shim/preload": ({"netlink-shim/core", "netlink-shim/preload"}, C_ONLY),
    # The launcher performs the preload library's redirections in its own process.
    "netlink-shim/launcher": (
        {"netlink-shim/core", "netlink-shim/launcher", "netlink-shim/preload"}, PLAIN | {"posix"},
    ),
    "netlink-shim/endpoint": (
        {"compat", "netlink-shim/core", "netlink-shim/endpoint"}, PLAIN | {"posix", "asio"},
    ),
    "daemon": (
        {"compat", "daemon", "forwarding", "kni", "netlink-shim/core", "netlink-shim/endpoint"},
        PLAIN | {"posix", "dpdk", "asio", "libmnl", "fuse", "toml", "fmt"},
    ),
    "tools": ({"compat", "daemon", "forwarding", "netlink-shim", "tools"}, set(LIBRARIES)),
    "tests": (
        {"compat", "daemon", "forwarding", "kni", "netlink-shim", "tests"}, set(LIBRARIES),
    ),
}

SOURCES = {".hpp", ".cpp", ".h", ".c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# The repository stands alone: nothing may point outside it. (Written in parts so that this file
# passes its own check.)
OUTSIDE = ("../" + "shared", "/work" + "/")


def is_below(path, folder):
    return path == folder or path.startswith(folder + "/")


def layer_of(path):
    """The folder of the table that rules over `path`, None if there is none."""
    return max((folder for folder in LAYERS if is_below(path, folder)), key=len, default=None)


def library_of(header):
    return next((name for name, text in LIBRARIES.items() if re.fullmatch(text, header)), None)


def include_violations(path, text, exists):
    """What is wrong with the includes of the file `path`; `exists` tells whether a path from the
    root is a file."""
    layer = layer_of(path)
    if layer is None:
        return ["stands in a folder that the table does not know"]
    ours, libraries = LAYERS[layer]
    found = []
    for quote, header in INCLUDE.findall(text):
        if quote == "<":
            library = library_of(header)
            if library is None:
                found.append(f"<{header}> belongs to no known library")
            elif library not in libraries:
                found.append(f"{layer} may not use {library}: <{header}>")
        elif not exists(header):
            found.append(f'"{header}" is not a path from the root')
        elif not any(is_below(header, folder) for folder in ours):
            found.append(f'{layer} may not know "{header}"')
    if path.endswith(".hpp") and "#pragma once" not in text:
        found.append("has no #pragma once")
    return found


def outside_references(text):
    return [f"refers to {name}" for name in OUTSIDE if name in text]


def files_of(root):
    for entry in sorted(root.iterdir()):
        if entry.name == ".git" or entry.name.startswith("build") or entry.name == ".cache":
            continue
        if entry.is_dir():
            yield from (path for path in sorted(entry.rglob("*")) if path.is_file())
        elif entry.is_file():
            yield entry


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    checked = violations = 0
    for file in files_of(root):
        path = file.relative_to(root).as_posix()
        text = file.read_bytes().decode("utf-8", "replace")
        found = outside_references(text)
        if file.suffix in SOURCES:
            checked += 1
            found += include_violations(path, text, lambda header: (root / header).is_file())
        for what in found:
            print(f"{path}: {what}")
        violations += len(found)
    print(f"{checked} source files, {violations} violations")
    return 1 if violations or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
