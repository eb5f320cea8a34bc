#!/usr/bin/env python3
"""The checker finds what it is there to find."""

import sys
import unittest

sys.dont_write_bytecode = True
import check_includes  # noqa: E402


def violations(path, *includes, known=True):
    text = "#pragma once\n" + "".join(f"#include {include}\n" for include in includes)
    return check_includes.include_violations(path, text, lambda header: known)


class CheckIncludesTest(unittest.TestCase):
    def test_allowed_includes_pass(self):
        for path, *includes in (
            ("compat/net/port.hpp", "<cstdint>", "<linux/netlink.h>", '"compat/net/bytes.hpp"'),
            ("forwarding/worker.cpp", "<rte_mbuf.h>", "<atomic>", '"compat/net/port.hpp"'),
            ("kni/mirror.cpp", "<netlink/route/link.h>", '"forwarding/nic/eal.hpp"'),
            ("netlink-shim/preload/libc.cpp", "<dlfcn.h>", '"netlink-shim/core/rules.hpp"'),
            ("netlink-shim/endpoint/session.cpp", "<boost/asio/io_context.hpp>", "<vector>"),
            ("daemon/main.cpp", '"kni/kernel_port.hpp"', "<fmt/format.h>", "<fuse_lowlevel.h>"),
            ("tests/daemon/options_test.cpp", '"daemon/options.hpp"', "<boost/test/unit_test.hpp>"),
        ):
            with self.subTest(path=path):
                self.assertEqual(violations(path, *includes), [])

    def test_each_crossed_border_is_a_violation(self):
        for path, include in (
            ("compat/net/port.hpp", "<rte_mbuf.h>"),
            ("compat/net/port.hpp", "<sys/socket.h>"),
            ("compat/net/port.hpp", '"forwarding/identifiers.hpp"'),
            ("forwarding/worker.cpp", "<boost/asio/io_context.hpp>"),
            ("forwarding/worker.cpp", "<fmt/format.h>"),
            ("forwarding/worker.cpp", "<netlink/netlink.h>"),
            ("forwarding/worker.cpp", '"kni/kernel_port.hpp"'),
            ("kni/mirror.cpp", '"forwarding/pipeline.hpp"'),
            ("kni/mirror.cpp", '"daemon/log.hpp"'),
            ("netlink-shim/preload/libc.cpp", "<vector>"),
            ("netlink-shim/preload/libc.cpp", '"compat/net/port.hpp"'),
            ("netlink-shim/core/rules.cpp", '"netlink-shim/preload/libc.hpp"'),
            ("netlink-shim/endpoint/session.cpp", '"forwarding/identifiers.hpp"'),
            ("netlink-shim/endpoint/session.cpp", "<rte_eal.h>"),
            ("daemon/main.cpp", '"tests/support/hex.hpp"'),
            ("forwarding/worker.cpp", "<unheard/of.hpp>"),
            ("elsewhere/file.cpp", "<cstdint>"),
        ):
            with self.subTest(path=path, include=include):
                self.assertEqual(len(violations(path, include)), 1)

    def test_includes_are_written_from_the_root(self):
        self.assertEqual(len(violations("compat/net/port.hpp", '"bytes.hpp"', known=False)), 1)

    def test_a_header_needs_its_pragma(self):
        self.assertEqual(
            check_includes.include_violations("compat/net/port.hpp", "", lambda header: True),
            ["has no #pragma once"],
        )

    def test_references_to_the_outside_are_found(self):
        self.assertEqual(len(check_includes.outside_references("see ../" + "shared/x")), 1)
        self.assertEqual(check_includes.outside_references("shared_ptr ../support"), [])


if __name__ == "__main__":
    unittest.main()
