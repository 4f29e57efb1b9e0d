"""All that decides what a stack's `up` makes, to tell later whether anything has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from alma.core.validation import is_whole
from alma.pulumi.engine import Engine, StackRef
from alma.steps.base import IncomparableError, StateNow
from alma.steps.values import tree_digest


class ProgramDigest(Struct, frozen=True, kw_only=True):
    """Of an inline program: of what it does and holds, and of the local modules it stands on.

    `opaque` is the class of an object that it holds and nobody can look into.
    """

    code: str
    modules: str
    opaque: str = ""

    @classmethod
    def of(cls, program: Callable[..., Any]) -> ProgramDigest:
        """As the program is now."""
        from alma.core.code_digest import whole_digest
        from alma.system.imported import modules_digest

        code, opaque = whole_digest(program)
        return cls(code=code, modules=modules_digest(program), opaque=opaque)


class SeenStack(Struct, kw_only=True):
    """The part of its handler that only looks."""

    ref: StackRef
    engine: Engine
    program_digest: ProgramDigest | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Config of providers, for what neither `config` nor the user's project says."""

    async def state_now(self) -> StateNow:
        """No process on a file backend."""
        now = await self.engine.inspect(self.ref)
        return StateNow(fingerprint=now.fingerprint, at=now.at)

    def given(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002 - one Protocol
        """Its program, config and options, and what they stand on."""
        return _given_to(self.ref, self.program_digest, self.config, self.defaults)

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:
        """The outputs in the state, decrypted only where a secret one is asked for."""
        outputs = (await self.engine.inspect(self.ref)).outputs
        if all(is_whole(outputs[name]) for name in names if name in outputs):
            return outputs
        return await self.engine.reveal(self.ref)


def _given_to(
    ref: StackRef,
    program: ProgramDigest | None,
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    """By what a person calls it. Raises IncomparableError where that cannot be told."""
    found: dict[str, Any] = {}
    if program is not None:
        if program.opaque:
            raise IncomparableError(
                f"its program holds an object that cannot be compared ({program.opaque})"
            )
        found["program"] = program.code
        found["a module that its program imports"] = program.modules
        found["installed packages"] = _packages()
    found |= {f"config `{key}`": value for key, value in config.items()}
    if ref.work_dir:
        found["files of its project"] = tree_digest(Path(ref.work_dir), ())
    found["where AWS steps go"] = dict(defaults)
    found["an environment variable of its options"] = dict(ref.options.env)
    return found


@cache
def _packages() -> str:
    from alma.system.imported import packages_digest

    return packages_digest()
