"""The three stacks with the real engine: up, changed, damaged, and down without their programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local import process, web
from tests.stacks import engine
from tests.stacks.engine import EngineError

pytestmark = [pytest.mark.lives, pytest.mark.usefixtures("pulumi_cli")]


class World:
    """The stacks of one test: a file backend, a data directory, and a work_dir per stack."""

    def __init__(self, base: Path, worker: ProcessPoolExecutor) -> None:
        self.worker = worker
        self.base = base
        self.data = base / "state-home" / "alma-local"

    def up(self, name: str, **config: Any) -> dict[str, Any]:
        """Bring a stack up with this config; `db_password` is a secret one."""
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
        work_dir = str(self.base / "up" / name)
        return self.worker.submit(engine.up, name, work_dir, texts).result(timeout=300)

    def cli(self, name: str, *command: str, **environment: str) -> None:
        """Run the CLI where there is no program, and no way to import one but the state's."""
        work_dir = self.base / "elsewhere" / name
        work_dir.mkdir(parents=True, exist_ok=True)
        (work_dir / "Pulumi.yaml").write_text(f"name: local-{name}\n")
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
        subprocess.run(
            ["pulumi", *command, "--stack", "dev", "--non-interactive"],
            cwd=work_dir,
            env=env,
            check=True,
            timeout=300,
        )

    def destroy(self, name: str, **environment: str) -> None:
        """Destroy a stack without its program, and see that its state is empty."""
        self.cli(name, "destroy", "--yes", "--skip-preview", **environment)
        assert self.resources(name) == []

    def state(self, name: str) -> Path:
        """The state file of a stack."""
        return self.base / "backend" / ".pulumi" / "stacks" / f"local-{name}" / "dev.json"

    def resources(self, name: str) -> list[str]:
        """Names of the dynamic resources in a stack's state."""
        latest = json.loads(self.state(name).read_text())["checkpoint"]["latest"]
        types = [r["urn"].split("::")[2:] for r in latest.get("resources") or []]
        return sorted(name for kind, name in types if "dynamic" in kind)

    def nothing_left(self) -> bool:
        """Whether no file and no process of this test is left."""
        needle = str(self.base)
        running = [p for p in psutil.process_iter(["cmdline"]) if needle in str(p.info["cmdline"])]
        return not running and not [*self.data.rglob("*")]


@pytest.fixture
def world(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (scratch / "backend").mkdir()
    for key, value in {
        "PULUMI_BACKEND_URL": f"file://{scratch / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "passphrase",
        "ALMA_TEST_PASSPHRASE": "never",
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
        "XDG_STATE_HOME": str(scratch / "state-home"),
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    # Spawned: gRPC does not survive a fork.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as worker:
        yield World(scratch, worker)


def get(url: str) -> Any:
    status, _, body = web.request("GET", url)
    assert status == 200, body
    return json.loads(body)


def served_by(url: str, times: int = 12) -> set[str]:
    return {get(url)["server"] for _ in range(times)}


def running(pid: int) -> bool:
    try:
        # Whoever adopts our orphans may take its time to wait for them.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pid: int) -> Callable[[], bool]:
    return lambda: not running(pid)


def test_three_tiers_up_changed_damaged_and_down_without_their_programs(world: World) -> None:
    db = world.up("database", greeting="hello", rows=["one"])
    access = {"db_url": db["url"], "db_password": db["password"]}
    app = world.up("servers", **access)
    front = world.up("balancer", upstreams=app["urls"])
    page = get(front["url"])
    assert (page["greeting"], page["messages"]) == ("hello", ["one"])
    assert served_by(front["url"]) == {"server-0", "server-1"}

    # No secret in any file, and the provider is not readable in the state either.
    for file in world.base.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert db["password"].encode() not in content, file
            assert b"__import__" not in content, file

    # Up again changes nothing.
    assert world.up("database", greeting="hello", rows=["one"]) == db
    assert world.up("servers", **access) == app
    assert world.up("balancer", upstreams=app["urls"]) == front

    # In place: the database keeps its password, the servers and the balancer their processes.
    assert world.up("database", greeting="hello again", rows=["one"]) == db
    more = world.up("servers", count=3, **access)
    assert more["pids"][:2] == app["pids"]
    assert more["urls"][:2] == app["urls"]
    assert world.up("balancer", upstreams=more["urls"]) == front
    assert get(front["url"])["greeting"] == "hello again"
    assert process.until(lambda: len(served_by(front["url"])) == 3, 60)

    # A death behind Pulumi's back: skipped by the balancer, and no hindrance to a destroy.
    os.kill(more["pids"][1], signal.SIGKILL)
    assert process.until(gone(more["pids"][1]), 60)
    assert served_by(front["url"]) == {"server-0", "server-2"}

    world.destroy("balancer")
    world.destroy("servers")
    world.destroy("database", PYTHONPATH=str(process.ROOT))
    for pid in (front["pid"], *more["pids"]):
        assert not running(pid)
    assert world.nothing_left()
    world.destroy("servers")  # nothing to do is a success


def test_what_died_is_started_again_where_it_was(world: World) -> None:
    db = world.up("database")
    access = {"db_url": db["url"], "db_password": db["password"]}
    app = world.up("servers", **access)
    front = world.up("balancer", upstreams=app["urls"])
    for pid in (app["pids"][0], front["pid"]):
        os.kill(pid, signal.SIGKILL)
        assert process.until(gone(pid), 60)
    Path(db["path"]).unlink()

    assert world.up("database") == db
    again = world.up("servers", **access)
    assert again["urls"] == app["urls"]
    assert again["pids"][1] == app["pids"][1]
    assert world.up("balancer", upstreams=again["urls"])["url"] == front["url"]
    assert process.until(lambda: served_by(front["url"]) == {"server-0", "server-1"}, 60)

    # A refresh sees what is gone, and only that.
    os.kill(again["pids"][0], signal.SIGKILL)
    assert process.until(gone(again["pids"][0]), 60)
    world.cli("servers", "refresh", "--yes", "--skip-preview")
    assert world.resources("servers") == ["server-1"]

    for name in ("balancer", "servers", "database"):
        world.destroy(name)
    assert world.nothing_left()


def test_a_balancer_that_gets_no_healthy_upstream_fails_and_leaves_nothing(world: World) -> None:
    db = world.up("database")
    app = world.up("servers", db_url=db["url"], db_password=db["password"])
    with pytest.raises(EngineError) as failure:
        world.up("balancer", upstreams=app["urls"], health_path="/nope", wait=0.5)
    expected = "balancer: none of 2 upstreams answers /nope with 200 within 0.5 s: 404, 404"
    assert expected in str(failure.value)
    assert world.resources("balancer") == []
    assert not (world.data / "local-balancer-dev").exists()

    # A working balancer that is given bad settings goes on with those it had.
    front = world.up("balancer", upstreams=app["urls"], health_path="/healthz")
    with pytest.raises(EngineError, match="none of 2 upstreams answers /nope"):
        world.up("balancer", upstreams=app["urls"], health_path="/nope", wait=0.5)
    assert process.until(lambda: web.request("GET", front["url"])[0] == 200, 60)

    for name in ("balancer", "servers", "database"):
        world.destroy(name)
    assert world.nothing_left()


def test_a_wrong_password_fails_the_servers_and_leaves_nothing(world: World) -> None:
    db = world.up("database")
    with pytest.raises(EngineError) as failure:
        world.up("servers", db_url=db["url"], db_password="wrong-and-secret")
    assert "server-0: the database refuses the password" in str(failure.value)
    assert "wrong-and-secret" not in str(failure.value)
    assert not (world.data / "local-servers-dev").exists()
    world.destroy("servers")
    world.destroy("database")
    assert world.nothing_left()


def test_another_port_replaces_and_another_path_moves(world: World) -> None:
    db = world.up("database", path=str(world.base / "first"))
    assert db["path"] == str(world.base / "first" / "database.sqlite")
    moved = world.up("database", path=str(world.base / "second" / "my.db"))
    assert moved["url"] == f"sqlite:///{world.base / 'second' / 'my.db'}"
    assert not (world.base / "first").exists()

    with web.Listener((web.HOST, 0), web.JsonHandler) as probe:
        port = probe.server_port
    access = {"db_url": moved["url"], "db_password": moved["password"], "count": 1}
    before = world.up("servers", **access)
    after = world.up("servers", base_port=port, **access)
    assert after["urls"] == [f"http://127.0.0.1:{port}"]
    assert not running(before["pids"][0])
    world.destroy("servers")
    world.destroy("database")
    assert not (world.base / "second").exists()
    assert world.nothing_left()


def test_bad_config_is_refused_before_anything_is_made(world: World) -> None:
    for name, config, complaint in (
        ("database", {"path": "relative.db"}, "path must be an absolute path"),
        ("servers", {"db_url": "x", "db_password": "y"}, "looks like sqlite:////"),
        ("balancer", {"upstreams": []}, "must be a list of http:// URLs"),
    ):
        with pytest.raises(EngineError, match=complaint):
            world.up(name, **config)
    assert world.nothing_left()
