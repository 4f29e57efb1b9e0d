"""What is started begins only when it is told to, and then as if `subprocess` had started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from alma.system.starting import Starting, is_starting
from tests.waiting import until

DIES = """
import os, signal, sys
import subprocess, time
from alma.system.starting import Starting
held = Starting(["touch", sys.argv[1]], os.environ, stdout=subprocess.DEVNULL)
print(held.pid, flush=True)
if sys.argv[3:] and not os.fork():
    os.close(1)
    time.sleep(float(sys.argv[3]))
    os._exit(0)
part = held._message[: int(sys.argv[2])]
os.write(held._tell, part)
os.kill(os.getpid(), signal.SIGKILL)
"""
BEGINS = """
import os, signal, sys, time
from alma.system.starting import Starting
held = Starting(["touch", sys.argv[1]], os.environ)
if not (child := os.fork()):
    os.close(1)
    time.sleep(600)
    os._exit(0)
print(held.begin().wait(), flush=True)
os.kill(child, signal.SIGKILL)
"""
SHOWS = """
import json, os, signal, sys
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(json.dumps({
    "words": sys.argv[1:],
    "environ": sorted(map(repr, os.environb.items())),
    "cwd": os.getcwd(),
    "umask": os.umask(0),
    "stdin": sys.stdin.read(),
    "leads": os.getsid(0) == os.getpid(),
    "signals": [line for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk"))],
    "descriptors": sorted(os.listdir("/dev/fd")),
}))
"""


def by_subprocess(words: list[str], environ: Any, **options: Any) -> subprocess.Popen[bytes]:
    """As it would be without alma."""
    return subprocess.Popen(words, env=environ, **options)


def by_alma(words: list[str], environ: Any, **options: Any) -> subprocess.Popen[bytes]:
    """Held, and begun."""
    return Starting(words, environ, **options).begin()


def test_it_begins_when_it_is_told_to_and_not_before(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    held = Starting(["touch", str(mark)], os.environ)
    waits = psutil.Process(held.pid)
    until(lambda: is_starting(waits.cmdline()), "it waits to begin")
    until(lambda: waits.status() == psutil.STATUS_SLEEPING, "it waits to begin")
    assert not mark.exists()
    process = held.begin()
    assert process.pid == held.pid
    assert process.wait(60) == 0
    assert mark.exists()


def test_what_is_forgotten_ends_without_having_begun(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    held = Starting(["touch", str(mark)], os.environ, stdin=subprocess.PIPE)
    held.forget()
    assert not psutil.pid_exists(held.pid)
    assert not mark.exists()


@pytest.mark.parametrize("told", [0, 4, 12, -1], ids=["none", "length", "part", "all but one byte"])
def test_it_does_not_begin_when_who_started_it_is_killed(told: int, tmp_path: Path) -> None:
    """Before it is told to, and while it is told."""
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", DIES, str(mark), str(told)]
    killed = subprocess.run(command, check=False, stdout=subprocess.PIPE, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    until(lambda: is_gone(int(killed.stdout)), "what it has started is gone")
    assert not mark.exists()


def test_it_does_not_wait_for_who_was_forked_meanwhile(tmp_path: Path) -> None:
    """Without an exec, as `multiprocessing` does it: all pipes are open there as well."""
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", DIES, str(mark), "12", "600"]
    killed = subprocess.run(command, check=False, stdout=subprocess.PIPE, timeout=300)
    until(lambda: is_gone(int(killed.stdout)), "what it has started is gone")
    assert not mark.exists()
    begins = [sys.executable, "-c", BEGINS, str(mark)]
    done = subprocess.run(begins, check=False, stdout=subprocess.PIPE, timeout=300)
    assert done.stdout.split() == [b"0"]
    assert mark.exists()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 1", None), ("exit 125", None), ("kill -9 $$", -9)]
)
def test_the_end_of_what_was_to_become_it_is_not_its_own(
    script: str, code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an interpreter that does not start; but who is killed was killed."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    held = Starting(["true"], os.environ, stdin=subprocess.PIPE)
    if code is None:
        with pytest.raises(ChildProcessError, match=f"python, .* ended with {script[5:]}"):
            held.begin()
    else:
        with held.begin() as process:
            assert process.wait(60) == code


def test_no_descriptor_is_left() -> None:
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208 - of this process
    Starting(["true"], os.environ, stdin=subprocess.PIPE).forget()
    with Starting(["true"], os.environ, stdin=subprocess.PIPE).begin():
        pass
    for words, options in ((["./none"], {"stdin": subprocess.PIPE}), (["true"], {"cwd": "none"})):
        with pytest.raises(FileNotFoundError):
            Starting(words, os.environ, **options).begin()  # type: ignore[arg-type]
    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("ignored", [False, True], ids=["heard", "ignored"])
def test_it_is_as_subprocess_starts_it(ignored: bool, tmp_path: Path) -> None:
    environ = {**os.environ, "odd-name.x": "1", "LONG": "x" * 100_000, "ONE": "a=b", "EMPTY": ""}
    environ["BYTES"] = os.fsdecode(b"\xff\xfe")
    seen = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None
    try:
        for start in (by_subprocess, by_alma):
            with (tmp_path / "stdin").open("w+b") as stdin:
                stdin.write(b"said")
                stdin.seek(0)
                process = start(
                    [sys.executable, "-c", SHOWS, "", "a b", os.fsdecode(b"\xff"), "-x"],
                    environ,
                    cwd=tmp_path,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    umask=0o057,
                )
                seen.append((*process.communicate(timeout=60), process.returncode))
    finally:
        if ignored:
            signal.signal(signal.SIGINT, before)
    assert seen[0][2] == 0, seen[0]
    assert seen[1] == seen[0]


def test_a_program_is_found_where_its_own_path_says(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    (tmp_path / "first" / "told").write_text("no program")
    (tmp_path / "second" / "told").write_text("#!/bin/sh\necho $0\n")
    (tmp_path / "second" / "told").chmod(0o755)
    environ = {"PATH": f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second:/usr/bin:/bin"}
    for start in (by_subprocess, by_alma):
        for words, cwd in ((["told"], tmp_path), (["./told"], tmp_path / "second")):
            process = start(words, environ, cwd=cwd, stdout=subprocess.PIPE)
            said, _ = process.communicate(timeout=60)
            assert Path(tmp_path / "second", said.decode().strip()).name == "told"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda _: None,
        lambda path: path.write_text("#!/bin/sh\n"),
        lambda path: (path.write_text("\1"), path.chmod(0o755)),
        lambda path: path.mkdir(),
        lambda path: (path.write_text("#!/not/there\n"), path.chmod(0o755)),
        lambda path: (path.parent / "folder").write_text(""),
    ],
    ids=["missing", "not executable", "no program", "a folder", "no interpreter", "no cwd"],
)
@pytest.mark.parametrize("named", ["by path", "by name"])
def test_what_cannot_be_started_is_said_as_subprocess_says_it(
    break_it: Callable[[Path], None], named: str, tmp_path: Path
) -> None:
    break_it(tmp_path / "program")
    words = [str(tmp_path / "program")] if named == "by path" else ["program"]
    cwd = tmp_path / "folder" if (tmp_path / "folder").exists() else tmp_path
    said = []
    for start in (by_subprocess, by_alma):
        with pytest.raises(OSError) as raised:  # noqa: PT011 - which one is compared
            start(words, {"PATH": f"{tmp_path}:/usr/bin"}, cwd=cwd)
        error = raised.value
        said.append((type(error), error.errno, error.strerror, error.filename))
    assert said[1] == said[0]


@pytest.mark.parametrize(
    ("words", "environ"),
    [(["true", "a\0b"], {}), (["true"], {"A": "\0"}), (["true"], {"A=B": ""})],
    ids=["an argument", "a value", "a name"],
)
def test_what_no_process_can_be_given_is_refused_before(
    words: list[str], environ: dict[str, str]
) -> None:
    for start in (by_subprocess, by_alma):
        with pytest.raises(ValueError, match=r"null byte|environment variable name"):
            start(words, environ)


def test_too_much_to_be_given_is_said(tmp_path: Path) -> None:
    for start in (by_subprocess, by_alma):
        with pytest.raises(OSError, match="Argument list too long"):
            start(["/bin/true", "x" * (1 << 22)], {}, cwd=tmp_path)


def is_gone(pid: int) -> bool:
    """Ended, whether or not anybody has asked for its end: that is up to who has adopted it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
