"""A browser: Chromium, from Debian's packages where PATH has none."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.toolchain import debian

PROGRAMS = ("chromium", "google-chrome")
"""What it is called by its packagers; only the first is ever made."""
INSTALL = "install Chromium (Debian's chromium)"


def directories() -> list[Path]:
    """Return the directory that holds `chromium` or `google-chrome`."""
    if (found := program()) is not None:
        return [found.parent]
    # What the package has in `bin` is a script that looks for the rest under /usr. Without a font
    # a page has no text, and the package depends on none.
    packages = ("chromium", "fonts-dejavu-core")
    return [debian.directory("chromium", *packages, install=INSTALL, folder="lib/chromium")]


def program(path: str | None = None) -> Path | None:
    """Return the browser on PATH, or on another path like it."""
    found = [shutil.which(name, path=path) for name in PROGRAMS]
    return next((Path(one) for one in found if one is not None), None)
