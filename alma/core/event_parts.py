"""What events are made of: what is left, why something failed, what was touched, who did it.

`gc=False` as in `alma.core.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, field


class Leftover(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Something that may still exist. Empty strings where a part is not known."""

    step: str
    stack: str = ""
    urn: str = ""
    id: str = ""
    reason: str = ""


class LogEnd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The last lines of a file of a log, without secrets: another host does not have the file."""

    name: str
    text: str


class Failure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Why an operation failed, in the provider's own words where there are any.

    `kind`: program, provider, action, locked, cancelled, timeout, worker, passphrase, backend,
    pending (a create was cut off, and nobody could say what became of it), refused (a service
    said no, and would again), unverified, unready (it is done, and what must hold then does
    not), or unknown. `log` is the file of all that was said.
    """

    kind: str
    message: str
    urn: str = ""
    hint: str = ""
    log: str = ""
    log_ends: tuple[LogEnd, ...] | UnsetType = UNSET


IN_DOUBT: Final = "creating"
"""The `op` of a create that was begun and of which nobody knows whether it happened."""
UNANSWERED: Final = "unanswered"
"""As IN_DOUBT, where the provider lives and the service's answer never reached it."""
UNREADABLE: Final = "unreadable"
"""As IN_DOUBT, where the provider has done its work, and its answer could not be taken."""
UPDATING: Final = "updating"
DELETING: Final = "deleting"
"""As UNANSWERED and UNREADABLE, of an update or a delete: the state shows what was before it."""
IMPORTED: Final = "import"
"""The `op` of what an operation took into its state, and did not make."""
DOUBTFUL: Final = (IN_DOUBT, UNANSWERED, UNREADABLE)


class ResourceChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One resource that an operation touched: `op` is Pulumi's word (create, update, ...)."""

    urn: str
    op: str
    id: str = ""


class Parent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The run of which another one is a part: at which step, and for which item of it."""

    run: str
    step: str
    item: str = ""


class Notifier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Who is told of a run, and of what: `on` are kinds of notice (see `alma.core.notice`).

    `kind` is webhook, slack or command. `settings` say where, without a secret: the names of
    variables in place of values.
    """

    name: str
    kind: str
    on: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


class Process(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A process for good: host (after `#` its boot and namespace), pid, start (seconds, epoch)."""

    host: str
    pid: int
    started: float
    ephemeral: bool | UnsetType = UNSET
    """Of a runner: its host says of itself that it is gone when its runner is (a container)."""

    @property
    def machine(self) -> str:
        """The host's name alone, for people."""
        return self.host.partition("#")[0]


class Workflow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A workflow of Temporal that drives a run, and where."""

    id: str
    address: str
    namespace: str


class Gone(Struct, frozen=True, kw_only=True, gc=False):
    """Hosts (`Process.host`) that do not exist any more, whatever their backend's locks say.

    Hosts may be of one name: a lock that is older than `since` (seconds, epoch, by their clock) is
    of another, and so is one that is newer than `until`.
    """

    hosts: frozenset[str] = frozenset()
    since: float = 0.0
    until: float = float("inf")

    @property
    def machines(self) -> frozenset[str]:
        """Their names alone."""
        return frozenset(host.partition("#")[0] for host in self.hosts)


NONE_GONE: Final = Gone()
