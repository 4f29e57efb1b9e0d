"""Which variables a foreign program is given: all but those that are flags of its own.

A tool takes many of its flags from the environment as well. What was meant for another command,
or was there at `up` and is not at the undo, would change what an operation does: so it gets none
of them. Credentials, paths, proxies and inputs pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from alma.core.secret import Secret

PULUMI: Final = (
    r"PULUMI_(OPTION_(?!OTEL_TRACES$|TRACING$).*|RUN_PROGRAM|CONTINUE_ON_ERROR|PARALLEL(_\w+)?"
    r"|STACK|SKIP_CHECKPOINTS|CONFIG(?!_PASSPHRASE(_FILE)?$).*|K8S_(DELETE|SKIP_UPDATE)_UNREACHABLE)"
)
"""The CLI's (`cmd/pulumi/pulumi.go` binds each flag to an option of its name; the others are of
`sdk/go/common/env`), what a language runtime takes a program's config from, and what has a provider
call it a success that it could not reach its cluster. Where traces go changes no operation."""
PYTHON: Final = (
    r"PYTHON(INSPECT|OPTIMIZE|WARNINGS|STARTUP|VERBOSE|DEBUG|PROFILEIMPORTTIME|DUMPREFS\w*"
    r"|MALLOCSTATS|SAFEPATH|NOUSERSITE|IOENCODING|BREAKPOINT)"
)
"""The flags of an interpreter. Where it is and what it may import are none."""
SAFE_PATH: Final = "PYTHONSAFEPATH"
"""Has an interpreter look for modules neither beside its script nor where it was started."""
TERRAFORM: Final = r"TF_(CLI_ARGS(_.*)?|WORKSPACE|DATA_DIR)"
"""Also which state it is: a module's is the one that its directory selects."""
ANSIBLE: Final = r"ANSIBLE_(STDOUT_CALLBACK|CALLBACK\w*|LOAD_CALLBACK_PLUGINS|RUN_TAGS|SKIP_TAGS)"
"""What is told of a play, which is how it is judged, and which of its tasks are run."""

_TELLING: Final = re.compile(
    r"(.*_)?(SECRET|SECRET_?(ACCESS_)?KEY|ACCESS_KEY|ACCOUNT_KEY|API_?KEY|AUTH_KEY|PRIVATE_KEY"
    r"|JOURNAL_KEY|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|PGPASSWORD|MYSQL_PWD)(_\w+)?",
    re.IGNORECASE,
)
"""Names of variables that hold a secret: those of clouds, providers, databases and CI servers."""
_NO_VALUE: Final = re.compile(r".*_(ID|FILE|PATH|URL|URI|TYPE|NAME|VERSION|REGION)", re.IGNORECASE)
"""Names of variables about a secret, which is elsewhere."""
_SHORTEST: Final = 12
"""Characters. Taking a word such as `test`, LocalStack's, out of every log would take out much."""

_LOCALE: Final = ("LC_ALL", "LC_CTYPE", "LANG")
_UTF8: Final = re.compile(r"utf-?8", re.IGNORECASE)


def flags_in(environ: Mapping[str, str], *families: str) -> list[str]:
    """The names of those that are not passed on."""
    pattern = re.compile("|".join(families))
    return sorted(name for name in environ if pattern.fullmatch(name))


def without_flags(environ: Mapping[str, str], *families: str) -> dict[str, str]:
    """The environment without these families."""
    flags = set(flags_in(environ, *families))
    return {name: value for name, value in environ.items() if name not in flags}


def secrets_in_environment(environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """The credentials that a program finds there, to be kept out of what it says."""
    return tuple(
        Secret(value)
        for name, value in environ.items()
        if len(value) >= _SHORTEST
        and not value.startswith("/")
        and _TELLING.fullmatch(name)
        and not _NO_VALUE.fullmatch(name)
    )


def in_utf8(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with a locale whose texts are UTF-8, which Ansible insists on."""
    chosen = next((environ[name] for name in _LOCALE if environ.get(name)), "")
    return dict(environ) if _UTF8.search(chosen) else {**environ, "LC_ALL": "C.UTF-8"}
