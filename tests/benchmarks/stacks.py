"""The works over real stacks: chains, stacks side by side, a failure and its undo, one alone."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.room import Room, projects, script
from tests.benchmarks.timing import Arm, WrongAnswerError, timed

CHAIN = 5
WIDE, PARALLEL = 10, 4


def _value(prefix: str, count: int) -> str:
    return "/".join(["start", *(f"{prefix}{number}" for number in range(1, count + 1))])


def chain() -> list[Arm]:
    """Five stacks in a row that hand on an output; fresh, then once more with nothing to do.

    alma's a third time with `changed=True`, which has no counterpart.
    """
    inline = {"fresh": _value("chain-s", CHAIN), "no-op": _value("chain-s", CHAIN)}
    in_yaml = {"fresh": _value("cli-s", CHAIN), "no-op": _value("cli-s", CHAIN)}

    def both(name: str) -> dict[str, list[str]]:
        return dict.fromkeys(("fresh", "no-op"), script(name, CHAIN))

    changed = {"changed": script("alma_chain.py", CHAIN, "changed")}
    return [
        Arm(
            "A",
            both("alma_chain.py") | changed,
            inline | {"changed": inline["no-op"]},
        ),
        Arm("B", both("api_chain.py"), inline),
        Arm("C", both("cli_chain.sh"), in_yaml, partial(projects, count=CHAIN)),
    ]


def wide() -> list[Arm]:
    """Ten stacks that do not depend on each other, four at a time."""
    answers = {"fresh": str(WIDE)}
    return [
        Arm(name, {"fresh": script(file, WIDE, PARALLEL)}, answers)
        for name, file in (("A", "alma_wide.py"), ("B'", "api_wide.py"))
    ]


def failure() -> list[Arm]:
    """The last of five fails: until all is undone, and for alma until that is verified."""
    return [
        Arm("A", {"undone": script("alma_chain.py", CHAIN, "broken")}, {"undone": "COMPENSATED"}),
        Arm("B", {"undone": script("api_chain.py", CHAIN, "broken")}, {"undone": "DESTROYED"}),
    ]


SINGLE = """\
from alma import Saga

saga = Saga("single", stack="dev")
saga.add_stack("only", work_dir="cli-s1")
"""

ACTIONS = """\
from alma import Saga

saga = Saga("actions", stack="dev")
for number in range(5):
    saga.add_step(f"s{number}", action=lambda: None, compensation="none")
"""


def single() -> list[Arm]:
    """One project in YAML by itself: the whole process of `alma-pulumi up` and of `pulumi up`."""

    def prepare(room: Room) -> None:
        projects(room, 1)
        (room.path / "saga.py").write_text(SINGLE)

    up = "pulumi up --yes --skip-preview --non-interactive --stack dev --cwd cli-s1"
    first = f"pulumi stack init dev --no-select --non-interactive --cwd cli-s1 >&2 && {up} >&2"
    ours = "alma-pulumi up >&2 && echo done"
    done = {"fresh": "done", "no-op": "done"}
    shell = {"fresh": ours, "no-op": ours}
    bare = {"fresh": f"{first} && echo done", "no-op": f"{up} >&2 && echo done"}
    return [
        Arm("A", {phase: ["sh", "-c", text] for phase, text in shell.items()}, done, prepare),
        Arm("C", {phase: ["sh", "-c", text] for phase, text in bare.items()}, done, prepare),
    ]


def commands() -> list[Arm]:
    """`--help` and `status` of alma, and of a script that does nothing."""

    def prepare(room: Room) -> None:
        (room.path / "saga.py").write_text(ACTIONS)
        _, said = timed(room, ["alma-pulumi", "up"])
        if "COMPLETED" not in said:
            raise WrongAnswerError(said)

    def quiet(text: str) -> list[str]:
        return ["sh", "-c", f"{text} >&2 && echo done"]

    bare = " ".join(script("bare_click.py"))
    done = {"help": "done", "status": "done"}
    ours = {"help": quiet("alma-pulumi --help"), "status": quiet("alma-pulumi status")}
    theirs = {"help": quiet(f"{bare} --help"), "status": quiet(f"{bare} status")}
    return [Arm("A", ours, done, prepare), Arm("click", theirs, done)]
