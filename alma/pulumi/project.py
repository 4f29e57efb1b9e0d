"""The project and settings files that a CLI process reads; made by alma, apart from the user's.

Every stack has a directory of alma's own, outside the user's checkout (a work_dir in a git
repository costs a `git status` an operation). It holds `Pulumi.yaml` and `Pulumi.<stack>.yaml`.

A user's project directory is only read. `up` and `preview` run in it, with `--config-file`
naming the settings here: the user's own `Pulumi.<stack>.yaml` with alma's config over it.
`stack init` and `config set` run here, because they write the settings file; `destroy`, because
the user's may be broken or gone. So Pulumi itself writes nothing in the user's directory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec.structs import replace

from alma.errors import BackendError, DefinitionError
from alma.pulumi.engine import StackRef
from alma.system import files
from alma.system.own import require_own

_EXTENSIONS: Final = (".yaml", ".yml", ".json")
_ENCRYPTION: Final = ("secretsprovider", "encryptedkey", "encryptionsalt")
"""How a stack's secrets are encrypted: kept when the config is written anew."""


def directory_of(ref: StackRef, backend_url: str, environ: Mapping[str, str]) -> Path:
    """alma's directory for this project on this backend: always the same, not made here.

    Raises `RefusedError` where it may be somebody else's: what stands there names plugins to run.
    """
    home = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '/var/lib')}/.local/state"
    require_own(Path(home), "alma")
    place = f"{backend_url} {ref.organization}" if ref.organization else backend_url
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return Path(home) / "alma" / "work" / f"{ref.project}-{digest}"


def settings_path(directory: Path, stack: str) -> Path:
    """The stack's settings file there."""
    return directory / f"Pulumi.{stack}.yaml"


def write_project(directory: Path, ref: StackRef, cwd: str) -> None:
    """Write `Pulumi.yaml`: the name, and what a plugin needs to start as it does for the user."""
    project: dict[str, Any] = {"runtime": "python", **ref.options.project, "name": ref.project}
    main = ref.work_dir or project.get("main") or cwd
    if Path(main).is_dir():
        project["main"] = main  # Plugins are started there, so relative paths in them hold.
    if ref.work_dir:
        project |= _borrowed(Path(ref.work_dir))
    try:
        files.make_directory(directory)
        require_own(directory.parent, directory.name)
        text = yaml.safe_dump(project, sort_keys=False)
        files.replace(directory / "Pulumi.yaml", text, durable=False)
    except OSError as error:
        raise unwritable(directory, error) from error


def unwritable(directory: Path, error: OSError) -> BackendError:
    """Of alma's own directory, which is in the user's home unless they say another place."""
    return BackendError(
        f"alma's directory {directory} cannot be written: {error.strerror}.",
        hint="Make it writable, or set XDG_STATE_HOME.",
    )


def require_project(ref: StackRef) -> None:
    """Raise `DefinitionError` unless `ref.work_dir` is a Pulumi project of the step's name."""
    found = _load(Path(ref.work_dir))
    if found is None:
        raise DefinitionError(
            f"{ref.work_dir} holds no Pulumi project (there is no Pulumi.yaml).",
            hint="Point work_dir at the directory of a Pulumi project.",
        )
    if found.get("name") != ref.project:
        raise DefinitionError(
            f"The project in {ref.work_dir} is named {found.get('name')!r}, "
            f"but its step is for {ref.project!r}.",
            hint=f"Add the step with project={found.get('name')!r}.",
        )


def write_settings(
    directory: Path,
    ref: StackRef,
    plain: Mapping[str, Any],
    *,
    fresh: bool,
    defaults: Mapping[str, Any] | None = None,
    alone: bool = False,
) -> Path:
    """Write the stack's settings: the user's, with `plain` config (by full key) over them.

    Under them are the `defaults`: for what neither the settings nor the project file configure.

    The encryption settings are the user's, else those there before, unless `fresh`: a new stack
    gets new ones. Values are kept as nodes, so that nothing of the user's is read as another
    type and written back differently. With `alone` only what is for the engine itself is taken
    from the user's config: `pulumi:autonaming` and its like.
    """
    path = settings_path(directory, ref.stack)
    users = _over(_compose(_users_settings(ref)), ref.options.settings)
    old = None if fresh else _compose(path)
    merged = {key: node for key, node in users.items() if key != "config"}
    if not any(key in merged for key in _ENCRYPTION):
        merged |= {key: node for key, node in (old or {}).items() if key in _ENCRYPTION}
    config = {
        key: node
        for key, node in _entries(users.get("config")).items()
        if (key if ":" in key else f"{ref.project}:{key}") not in plain
        and (not alone or key.startswith("pulumi:"))
    }
    config |= {key: _node(value) for key, value in plain.items()}
    known = {*config, *_users_config(ref)}
    config |= {key: _node(value) for key, value in (defaults or {}).items() if key not in known}
    if config:
        merged["config"] = _mapping(config)
    text = yaml.serialize(_mapping(merged), allow_unicode=False) if merged else ""
    files.replace(path, text, durable=False)
    return path


def backend_of(ref: StackRef) -> str:
    """What the project itself says of its backend, as it stands there."""
    said = (_load(Path(ref.work_dir)) if ref.work_dir else ref.options.project) or {}
    backend = said.get("backend")
    return str(backend.get("url") or "") if isinstance(backend, dict) else ""


def secrets_provider_of(ref: StackRef) -> str:
    """What a new stack's secrets are to be encrypted by: as the step says, else the settings."""
    users = _over(_compose(_users_settings(ref)), ref.options.settings)
    node = users.get("secretsprovider")
    said = node.value if isinstance(node, yaml.ScalarNode) else ""
    return ref.options.secrets_provider or str(said)


def encrypted_by(ref: StackRef, provider: str) -> StackRef:
    """The stack with this provider of secrets, where neither step nor settings have their own."""
    users = _over(_compose(_users_settings(ref)), ref.options.settings)
    if not provider or ref.options.secrets_provider or any(key in users for key in _ENCRYPTION):
        return ref
    return replace(ref, options=replace(ref.options, secrets_provider=provider))


def runtime_of(ref: StackRef) -> str:
    """The language of a user's project; empty where its file does not say."""
    runtime = (_load(Path(ref.work_dir)) or {}).get("runtime")
    return str((runtime.get("name") if isinstance(runtime, dict) else runtime) or "")


def local_plugins(ref: StackRef) -> frozenset[str]:
    """The providers that a project has plugins of its own for, or packages."""
    found = (_load(Path(ref.work_dir)) or {}) if ref.work_dir else ref.options.project
    plugins = found.get("plugins")
    providers = (plugins.get("providers") if isinstance(plugins, dict) else None) or []
    names = [str(one.get("name", "")) for one in providers if isinstance(one, dict)]
    packages = found.get("packages")
    return frozenset([*names, *(packages if isinstance(packages, dict) else ())])


def salt_of(ref: StackRef) -> tuple[str, str]:
    """The salt that the settings of a stack are encrypted with, and where it is said; or nothing.

    A passphrase is what is salted: another provider of secrets has none.
    """
    path = _users_settings(ref)
    users = _over(_compose(path), ref.options.settings)
    node = users.get("encryptionsalt")
    salt = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    given = "encryptionsalt" in ref.options.settings
    where = str(path) if path is not None and not given else "opts.stack_settings"
    return (salt, where) if salt else ("", "")


def _borrowed(work_dir: Path) -> dict[str, Any]:
    """What a destroy needs of a user's project file: runtime options and plugin paths."""
    found = _load(work_dir) or {}
    borrowed: dict[str, Any] = {}
    runtime = found.get("runtime")
    if isinstance(runtime, dict):
        options = dict(runtime.get("options") or {})
        if isinstance(options.get("virtualenv"), str):
            options["virtualenv"] = str(work_dir / options["virtualenv"])
        borrowed["runtime"] = {**runtime, "options": options}
    elif runtime:
        borrowed["runtime"] = runtime
    plugins = found.get("plugins")
    if isinstance(plugins, dict):
        borrowed["plugins"] = {
            kind: [
                {**entry, "path": str(work_dir / entry["path"])} if "path" in entry else entry
                for entry in entries or []
            ]
            for kind, entries in plugins.items()
        }
    packages = found.get("packages")
    if isinstance(packages, dict):
        borrowed["packages"] = {name: _package(work_dir, said) for name, said in packages.items()}
    return borrowed


def _package(work_dir: Path, said: Any) -> Any:
    """A package with its local source absolute, in whichever form it is written."""
    if isinstance(said, dict) and "source" in said:
        return {**said, "source": _package(work_dir, said["source"])}
    if not isinstance(said, str) or "://" in said:
        return said
    # `IsLocalPluginPath` in Pulumi's sdk/go/common/resource/plugin/host.go.
    local = said.startswith(("./", "..", "/")) or (work_dir / said).exists()
    return os.path.normpath(work_dir / said) if local else said


def _load(work_dir: Path) -> dict[str, Any] | None:
    for extension in _EXTENSIONS:
        path = work_dir / f"Pulumi{extension}"
        if path.is_file():
            try:
                found = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError) as error:
                raise DefinitionError(f"{path} cannot be read: {error}.") from error
            return found if isinstance(found, dict) else {}
    return None


def _users_settings(ref: StackRef) -> Path | None:
    """The user's own settings file of this stack: beside the project file, or where it says."""
    if not ref.work_dir:
        return None
    folder = Path(ref.work_dir) / str((_load(Path(ref.work_dir)) or {}).get("stackConfigDir", ""))
    candidates = (folder / f"Pulumi.{ref.stack}{extension}" for extension in _EXTENSIONS)
    return next((path for path in candidates if path.is_file()), None)


def _users_config(ref: StackRef) -> frozenset[str]:
    """The keys that the user's project file itself configures, for all of its stacks."""
    found = (_load(Path(ref.work_dir)) or {}).get("config") if ref.work_dir else None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def declared_arrays(ref: StackRef) -> frozenset[str]:
    """The keys, in full, that a user's project says are arrays."""
    found = (_load(Path(ref.work_dir)) or {}).get("config")
    return frozenset(
        key if ":" in key else f"{ref.project}:{key}"
        for key, said in (found.items() if isinstance(found, dict) else ())
        if isinstance(said, dict) and said.get("type") == "array"
    )


def _compose(path: Path | None) -> dict[str, yaml.Node]:
    if path is None or not path.is_file():
        return {}
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DefinitionError(f"{path} cannot be read: {error}.") from error
    return _entries(node)


def _over(users: dict[str, yaml.Node], given: Mapping[str, Any]) -> dict[str, yaml.Node]:
    """The user's settings file with the settings that the program gives over it."""
    nodes = {key: _node(value) for key, value in given.items()}
    if "config" in nodes:
        config = {**_entries(users.get("config")), **_entries(nodes["config"])}
        nodes["config"] = _mapping(config)
    return {**users, **nodes}


def _entries(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value}


def _mapping(entries: Mapping[str, yaml.Node]) -> yaml.MappingNode:
    pairs = [(_node(key), value) for key, value in entries.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


class _Quoting(yaml.SafeDumper):
    """Quotes every string: YAML 1.1 and the CLI's YAML disagree on what else is a number."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def _node(value: Any) -> yaml.Node:
    text = yaml.dump(value, Dumper=_Quoting, width=float("inf"))
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        raise ValueError("a value has no YAML form")  # Never: `dump` writes a node for each.
    return node
