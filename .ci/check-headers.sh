#!/bin/sh
# Compiles every header alone: each must bring what it needs.
# usage: check-headers.sh [FOLDER...]
set -eu
cd "$(dirname -- "$0")/.."
[ $# -gt 0 ] || set -- compat forwarding kni netlink-shim daemon tests
flags="-std=c++23 -fsyntax-only -march=native -I. -DALLOW_EXPERIMENTAL_API -D_FILE_OFFSET_BITS=64
    $(pkg-config --cflags libdpdk libmnl libnl-route-3.0 fuse3 | sed 's/-I/-isystem /g')"
# The repository's path prefix is not in any header name, so plain word splitting is safe.
# shellcheck disable=SC2086
find "$@" -name '*.hpp' -print0 |
    xargs -0 -P "$(nproc)" -I '{}' sh -c '
        header=$1; shift
        "${CXX:-g++}" "$@" -x c++ -include "$header" /dev/null ||
            { echo "$header does not compile alone" >&2; exit 1; }
    ' sh '{}' $flags
