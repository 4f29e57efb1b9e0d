"""The base of a stand-in provider: Pulumi's provider protocol over a table of kinds.

A stand-in is a package `tests.providers.<name>` with a `PROVIDER`, an instance of a subclass of
`StandIn`, and a `__main__` that serves it:

    class Cloud(StandIn):
        name = "cloud"
        settings = frozenset({"endpoint"})
        kinds = table(Server(), Disk())

        def connect(self, config):
            return Client(config["endpoint"])

        def explain(self, error):
            return str(error) if isinstance(error, CloudError) else None

`kind.Kind` says how a resource type is written.
"""

from __future__ import annotations

import json
from importlib.metadata import version

from pulumi.provider.experimental import provider as sdk
from pulumi.runtime.proto.provider_pb2 import DiffResponse

from tests.providers import server
from tests.providers.calls import Calls
from tests.providers.differences import detailed, replaces, tops
from tests.providers.kind import Kind, Made, PartlyMadeError, Props
from tests.providers.refresh import inputs_of
from tests.providers.schema import schema
from tests.providers.server import CallError
from tests.providers.values import (
    UNKNOWN,
    FailureError,
    decoded,
    dress,
    dress_map,
    has_unknown,
    plain_map,
)

__all__ = [
    "UNKNOWN",
    "FailureError",
    "Kind",
    "Made",
    "PartlyMadeError",
    "Props",
    "StandIn",
    "decoded",
    "serve",
    "table",
]

# What the engine itself puts among a provider's settings.
_ENGINES_OWN = frozenset({"version", "pluginDownloadURL", "__internal"})


def table(*kinds: Kind) -> dict[str, Kind]:
    """The kinds by their type tokens."""
    return {kind.token: kind for kind in kinds}


def serve(provider: StandIn) -> None:
    """Be the plugin, of the version of the provider's SDK that is installed. Does not return."""
    server.serve(provider, version(f"pulumi-{provider.name}"))


class StandIn(Calls):
    """A provider over `kinds` and `functions`. Everything else is refused by name."""

    async def get_schema(self, request: sdk.GetSchemaRequest) -> sdk.GetSchemaResponse:  # noqa: ARG002
        """What a program in YAML must know of the types before it runs."""
        found = schema(self.name, version(f"pulumi-{self.name}"), self.kinds.values())
        return sdk.GetSchemaResponse(json.dumps(found))

    async def check_config(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        """Refuse settings that this stand-in does not know."""
        unknown = sorted(request.new_inputs.keys() - self.settings - _ENGINES_OWN)
        reason = f"the stand-in for {self.name} does not know this setting; it knows: " + ", ".join(
            sorted(self.settings)
        )
        failures = [sdk.CheckFailure(key, reason) for key in unknown]
        return sdk.CheckResponse(request.new_inputs, failures)

    async def diff_config(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        """Other settings are taken over; they replace nothing."""
        changed = plain_map(request.old_state) != plain_map(request.new_inputs)
        # The SDK (3.259) puts into the answer what it is given here, and means the enum.
        some, none = DiffResponse.DIFF_SOME, DiffResponse.DIFF_NONE
        return sdk.DiffResponse(changes=some if changed else none)  # type: ignore[arg-type]

    async def configure(self, request: sdk.ConfigureRequest) -> sdk.ConfigureResponse:
        """Connect, unless a setting is still unknown in a preview."""
        config = plain_map(request.args)
        if not has_unknown(config):
            self._api = await self._do(f"configuring {self.name}", self.connect, config)
        return sdk.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def invoke(self, request: sdk.InvokeRequest) -> sdk.InvokeResponse:
        """Call a function of the provider's."""
        function = self.functions.get(request.tok)
        if function is None:
            raise CallError(self._has_no(request.tok, self.functions))
        result = await self._do(request.tok, function, self._api, plain_map(request.args))
        return sdk.InvokeResponse({key: dress(value) for key, value in result.items()})

    async def check(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        """Refuse what the stand-in does not know, and make up a name where there is none."""
        kind, where = self._kind(request.urn)
        old, new = plain_map(request.old_inputs), plain_map(request.new_inputs)
        problems = [
            (key, f"{kind.token} of the stand-in for {self.name} has no such input")
            for key in sorted(new.keys() - (new.keys() if kind.inputs is None else kind.inputs))
            if not key.startswith("__")
        ]
        problems += await self._do(f"checking {where}", lambda: list(kind.check(new)))
        new = kind.complete(old, new, request.name, request.random_seed)
        inputs = dress_map(new, request.new_inputs, secret=frozenset())
        return sdk.CheckResponse(inputs, [sdk.CheckFailure(*problem) for problem in problems])

    async def diff(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        """What an update would change, and whether it needs another resource."""
        kind, _where = self._kind(request.urn)
        old, new = self._old_inputs(), plain_map(request.new_inputs)
        changed = detailed(kind, old, new)
        state = plain_map(request.old_state)
        for path in kind.drifted(self._api, state, new):
            changed.setdefault(path, sdk.PropertyDiff(sdk.PropertyDiffKind.UPDATE, False))
        replacing = tops(path for path in changed if replaces(kind, path))
        # With the same name given twice, the new one would find the old one in its place.
        given = kind.autoname in new and kind.autoname not in new.get("__defaults", ())
        taken = given and kind.autoname not in replacing
        return sdk.DiffResponse(
            changes=bool(changed),
            replaces=replacing,
            stables=sorted(kind.outputs - kind.volatile),
            delete_before_replace=kind.delete_first or taken,
            diffs=tops(changed),
            detailed_diff=changed,
        )

    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        """Create a resource; in a preview, tell what is known of it."""
        kind, where = self._kind(request.urn)
        inputs = self._full(kind, request.properties)
        if request.preview:
            made = Made("", kind.planned(inputs))
        else:
            made = await self._make(f"creating {where}", kind, request.properties, inputs)
        return sdk.CreateResponse(made.id, self._dressed(kind, request.properties, made.outputs))

    async def update(self, request: sdk.UpdateRequest) -> sdk.UpdateResponse:
        """Change a resource in place; in a preview, tell what is known of it."""
        kind, where = self._kind(request.urn)
        old, inputs = plain_map(request.olds), self._full(kind, request.news)
        # What was found where nothing had been given (a region, a default) is told again, too.
        given = self._old_inputs().keys() - kind.outputs
        kept = {key: value for key, value in old.items() if key not in given}
        if request.preview:
            changed = dict.fromkeys(kind.volatile - inputs.keys(), UNKNOWN)
        else:
            work = (kind.update, self._api, request.resource_id, old, inputs)
            changed = await self._do(f"updating {where}", *work, like=(kind, request.news))
        return sdk.UpdateResponse(self._dressed(kind, request.news, {**kept, **changed}))

    async def read(self, request: sdk.ReadRequest) -> sdk.ReadResponse:
        """A resource as it is now: for a refresh, an import or a `get`."""
        kind, where = self._kind(request.urn)
        state = plain_map(request.properties)
        work = (kind.read, self._api, request.resource_id, state)
        found = await self._do(f"reading {where}", *work)
        if found is None:
            return sdk.ReadResponse()
        inputs = inputs_of(kind, plain_map(request.inputs), found)
        likes = (request.inputs, request.properties)
        secret = kind.secret
        return sdk.ReadResponse(
            request.resource_id,
            dress_map({**state, **found}, *likes, secret=secret),
            dress_map(inputs, *likes, secret=secret),
        )

    async def delete(self, request: sdk.DeleteRequest) -> None:
        """Delete a resource; one that is gone already is a success."""
        kind, where = self._kind(request.urn)
        state = plain_map(request.properties)
        await self._do(f"deleting {where}", kind.delete, self._api, request.resource_id, state)
