"""Made-up programs for the toolchain's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAMS = ["pulumi", "pulumi-language-yaml", "pulumi-resource-pulumi-python"]

# Builds at once what a build would give: something that says it is a CLI.
FAKE_GO = """\
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(os.getpid(), *sys.argv[1:], file=calls)
print("output of go", file=sys.stderr)
if sys.argv[1] == "build":
    {behaviour}
    target = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    target.write_text("#!/bin/sh" + chr(10) + "echo v3.259.0" + chr(10))
    target.chmod(0o755)
elif sys.argv[1:3] == ["mod", "edit"]:
    pin = pathlib.Path("go.mod")
    version = sys.argv[-1].rpartition("@")[2]
    pin.write_text(pin.read_text().replace("v3.259.0", version))
elif sys.argv[1] == "list":
    print("v3.272.0")
else:
    source = here / "module" / "python" / "dist" / "pulumi-resource-pulumi-python"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("#!/bin/sh" + chr(10))
    print(json.dumps({{"Dir": str(here / "module")}}))
"""


def executable(path: Path, text: str) -> None:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def add_pulumi(directory: Path, version: str = "v3.259.0", *, plugins: bool = True) -> None:
    """Put a CLI there that says this version."""
    executable(directory / "pulumi", f"#!/bin/sh\necho '{version}'\n")
    for name in PROGRAMS[1:] if plugins else ():
        executable(directory / name, "#!/bin/sh\n")


def add_go(directory: Path, behaviour: str = "pass") -> Path:
    """Put a Go there; return the file that has a line for each of its starts."""
    text = FAKE_GO.format(behaviour=behaviour)
    executable(directory / "go", f"#!{sys.executable}\n{text}")
    return directory / "calls"


FAKE_SDK = """\
import pathlib
class PulumiCommand:
    @classmethod
    def install(cls, *, root, version):
        {behaviour}
        directory = pathlib.Path(root, "bin")
        directory.mkdir()
        for name in {names}:
            (directory / name).write_text("#!/bin/sh")
            (directory / name).chmod(0o755)
        (directory / "asked").write_text(str(version))
"""


def add_sdk(directory: Path, behaviour: str) -> None:
    """Put an Automation API there whose installer makes a whole install."""
    executable(directory / "pulumi" / "__init__.py", "")
    text = FAKE_SDK.format(behaviour=behaviour, names=PROGRAMS)
    executable(directory / "pulumi" / "automation.py", text)


# Makes at once what uv would: an environment whose python says how it was started.
FAKE_UV = """\
import pathlib, sys
if "venv" in sys.argv:
    python = pathlib.Path(sys.argv[-1], "bin", "python")
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh" + chr(10) + 'echo "$@"' + chr(10))
    python.chmod(0o755)
print(*sys.argv[1:])
{behaviour}
"""

# Fetches a package of which only the name counts; dpkg-deb unpacks a program from it.
FAKE_APT = """\
import pathlib, sys
options = dict(a[2:].split("=", 1) for a in sys.argv if a.startswith("-o"))
if "install" in sys.argv:
    pathlib.Path(options["Dir::Cache::archives"], "some.deb").touch()
print(*sys.argv[1:])
"""
FAKE_DPKG = """\
import pathlib, sys
for name in (*{paths!r}, "etc/init.d/" + {paths!r}[0].split("/")[-1]):
    program = pathlib.Path(sys.argv[-1], name)
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh" + chr(10) + "echo " + name + ' "$@"' + chr(10))
    program.chmod(0o755)
"""


def add_uv(directory: Path, behaviour: str = "pass") -> None:
    """Put a uv there."""
    text = FAKE_UV.format(behaviour=behaviour)
    executable(directory / "uv", f"#!{sys.executable}\n{text}")


def add_apt(directory: Path, *paths: str) -> None:
    """Put an apt-get and a dpkg-deb there, whose packages have programs at these paths."""
    executable(directory / "apt-get", f"#!{sys.executable}\n{FAKE_APT}")
    executable(directory / "dpkg-deb", f"#!{sys.executable}\n{FAKE_DPKG.format(paths=paths)}")
