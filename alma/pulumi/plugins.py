"""Which of Pulumi's plugins a stack needs, and whether they are here: known before it is begun.

They are looked for as `getPluginInfoAndPath` in Pulumi's sdk/go/common/workspace/plugins.go does:
in the project file, on PATH, beside the CLI, among those that were installed. What can be
downloaded is not missing, as Pulumi does that when it is needed, unless it was told not to.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from alma.errors import BackendError, ToolError
from alma.pulumi import checkpoint
from alma.pulumi.cli import Cli
from alma.pulumi.engine import StackRef
from alma.pulumi.project import local_plugins, runtime_of

_BUNDLED: Final = ("pulumi-nodejs", "pulumi-python")
"""Providers that come with the CLI, and from nowhere else; so do all languages that it knows."""
_ENGINES_OWN: Final = "pulumi"
"""Of stack references and stashes: the engine is their provider itself, and no plugin."""
_NO_DOWNLOADS: Final = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
_ATTACHED: Final = {"language": "PULUMI_DEBUG_LANGUAGES", "resource": "PULUMI_DEBUG_PROVIDERS"}
"""Variables that name, as `name:port`, what runs already and is not started."""
HERE: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The minor version of this Python: code that another one has compiled is none to it."""
DYNAMIC: Final = "pulumi-python:"
"""How the type of a dynamic resource of Python's begins."""
_CODE: Final = (b"_create_code", b"CodeType")
"""What makes code in a pickle: dill's, which the SDK uses, and cloudpickle's."""
_PROVIDER: Final = "pulumi:providers:"
_INSTALL: Final = (
    "It comes with Pulumi (https://www.pulumi.com/docs/install/): have it on PATH or beside the CLI"
)


def find(kind: str, name: str, cli: Cli | None, environ: Mapping[str, str]) -> str:
    """The path of a plugin, of whatever version; empty when there is none."""
    program = f"pulumi-{kind}-{name}"
    beside = str(Path(cli.path).resolve().parent) if cli else ""
    search = os.pathsep.join(filter(None, (environ.get("PATH", ""), beside)))
    home = Path(environ.get("PULUMI_HOME") or Path(environ.get("HOME", "/"), ".pulumi"))
    installed = (path / program for path in (home / "plugins").glob(f"{kind}-{name}-v*"))
    first = next((str(path) for path in installed if path.is_file()), "")
    return shutil.which(program, path=search) or first


def require(
    refs: Iterable[StackRef], root: Path | None, cli: Cli, environ: Mapping[str, str]
) -> None:
    """Raise `ToolError` for the first plugin that one of these stacks cannot do without."""
    for words, mend in missing(refs, root, cli, environ):
        raise ToolError(f"{words}.", hint=f"{mend}.")


def missing(
    refs: Iterable[StackRef], root: Path | None, cli: Cli | None, environ: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Each plugin that a project's language, or what a stack's state holds, needs and is not here.

    In words, and how to get it.
    """
    told: set[tuple[str, str]] = set()
    for ref in refs:
        env = {**environ, **ref.options.env}
        for kind, name, version, why in _needed(ref, root, cli, env):
            if (kind, name) in told or not _is_missing(kind, name, cli, env):
                continue
            told.add((kind, name))
            of = f"{ref.project}/{ref.stack}"
            yield (
                f"Stack {of} needs the plugin pulumi-{kind}-{name}, which was not found: {why}",
                _mend(kind, name, version),
            )


def _needed(
    ref: StackRef, root: Path | None, cli: Cli | None, environ: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str]]:
    """Kind, name, version and why."""
    language = runtime_of(ref) if ref.work_dir else ""
    if language:
        yield "language", language, "", f"its project is written in {language}"
    bundled = "pulumi-nodejs" if language in ("nodejs", "bun") else "pulumi-python"
    if not _forbidden(environ) and find("resource", bundled, cli, environ):
        return  # All else can be had, so the state, which may be large, need not be read.
    local = local_plugins(ref)
    for name, version in _providers(ref, root).items():
        if name not in local:
            yield "resource", name, version, "its resources are made by it"


def _providers(ref: StackRef, root: Path | None) -> dict[str, str]:
    """The providers in the state, each with its version; none where that is not a file's."""
    if root is None:
        return {}
    try:
        document = checkpoint.load(root, ref)
    except (checkpoint.NeedsCli, BackendError):
        return {}  # The stack's own reader will say so.
    entries = ((document or {}).get("deployment") or {}).get("resources") or []
    found = {}
    for entry in entries:
        kind = str(entry.get("type", ""))
        if kind.startswith(_PROVIDER):
            name, version = _plugin(kind.removeprefix(_PROVIDER), entry.get("inputs") or {})
            found[name] = version
    found.pop(_ENGINES_OWN, None)
    return found


def _plugin(package: str, inputs: Mapping[str, Any]) -> tuple[str, str]:
    """Of a package that a plugin was told to be, that plugin (`__internal` in the state)."""
    own = inputs.get("__internal")
    own = own if isinstance(own, Mapping) else {}
    return str(own.get("name") or package), str(own.get("version") or inputs.get("version") or "")


def _is_missing(kind: str, name: str, cli: Cli | None, environ: Mapping[str, str]) -> bool:
    attached = environ.get(_ATTACHED[kind], "").split(",")
    if any(one.partition(":")[0].strip() == name for one in attached):
        return False
    here_or_never = kind == "language" or name in _BUNDLED or _forbidden(environ)
    return here_or_never and not find(kind, name, cli, environ)


def _forbidden(environ: Mapping[str, str]) -> bool:
    return environ.get(_NO_DOWNLOADS, "").lower() in ("1", "true")


def compiled(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of dynamic resources whose provider was pickled by value, in a state with its secrets.

    Its methods are in it as bytecode, which no other minor version of Python can run: it ends the
    process, or does something else. One that is pickled by its module's name has none.
    """
    found = []
    for entry in (document.get("deployment") or {}).get("resources") or []:
        if not str(entry.get("type", "")).startswith(DYNAMIC):
            continue
        kept = (entry.get("outputs") or {}).get("__provider", "")
        if isinstance(kept, Mapping):  # a secret
            kept = json.loads(kept.get("plaintext") or '""')
        if any(maker in base64.b64decode(str(kept)) for maker in _CODE):
            found.append(str(entry["urn"]).split("::", 3)[-1])
    return tuple(found)


def require_python(ref: StackRef, document: Mapping[str, Any], made: str) -> None:
    """Raise `ToolError` where a deployment with its secrets has code of another Python than this.

    `made` is the one that it was made by; empty where that is not known.
    """
    if made not in ("", HERE) and (names := compiled(document)):
        raise other_python(ref, names, made)


def other_python(ref: StackRef, names: Iterable[str], made: str) -> ToolError:
    """That dynamic resources are code which this Python cannot run, and the way out."""
    return ToolError(
        f"Stack {ref.project}/{ref.stack} has dynamic resources ({', '.join(names)}) "
        f"whose provider is code of Python {made}, and this is Python {HERE}.",
        hint=f"Install the saga's packages for Python {made} and go on with that: "
        f"python{made} -m alma ...",
    )


def _mend(kind: str, name: str, version: str) -> str:
    if kind == "language" or name in _BUNDLED:
        return _INSTALL
    return f"Install it: pulumi plugin install resource {name} {version}".rstrip()
