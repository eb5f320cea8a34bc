#!/usr/bin/env python3
"""Every file that a document names exists.

A name is a back-quoted path that begins with a folder of the repository. Names ending in '/' are
folders. What the build makes is not in the repository and not checked.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = (
    "README.md", "docs/architecture.md", "docs/deviations.md", "docs/journal.md", "docs/linux.md",
    "docs/operations.md", "docs/performance.md", "docs/security.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/README.md")),
)
FOLDERS = "compat|netlink-shim|kni|forwarding|daemon|tests|tools|conf|docs"
NAME = re.compile(rf"`((?:{FOLDERS})/[A-Za-z0-9_./-]*)`")


def missing(text, exists):
    """Names in the text that do not exist, in order, each once."""
    names = dict.fromkeys(NAME.findall(text))
    return [name for name in names if not exists(name)]


def in_repository(name):
    path = ROOT / name
    return path.is_dir() if name.endswith("/") else path.exists()


def main():
    # A checker that finds nothing must not pass because it looks at nothing.
    assert missing("`compat/net/none.hpp` `compat/`", lambda name: name == "compat/") == [
        "compat/net/none.hpp"
    ]
    failures = 0
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        if document == "docs/architecture.md" and len(NAME.findall(text)) < 30:
            print(f"{document}: names too few files to follow a flow")
            failures += 1
        for name in missing(text, in_repository):
            print(f"{document}: {name} does not exist")
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
