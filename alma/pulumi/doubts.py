"""What the error of a call leaves open: refused, or done by a provider whose answer was lost.

A create whose call fails is in no state, and has no pending operation there either; of an update
or a delete the state shows what was before it. So its error is all that tells, and where it arose
decides: what the engine, gRPC or an SDK say *after* the provider was called is no refusal. Where
in doubt, it is a doubt. Imports no pulumi.
"""

from __future__ import annotations

import re
from typing import Final

from alma.core.events import DELETING, IN_DOUBT, UNANSWERED, UNREADABLE, UPDATING
from alma.pulumi.failures import readable

_LOST: Final = (
    r"(error reading from server|transport is closing|connection error: desc"
    r"|the (client )?connection is (closing|draining)|(read|write|dial) (tcp|unix)\b"
    r"|stream terminated by RST_STREAM|server closed the stream without sending trailers"
    r"|unexpected HTTP status code received from server|malformed (header|grpc-status))"
)
"""How grpc-go words a broken connection to a plugin, at the beginning of the message
(`internal/transport/http2_client.go`, `rpc_util.go`)."""

_UNREADABLE: Final = (
    # grpc-go and grpc's Python server, of an answer that cannot be sent or taken.
    r"grpc: (received message|failed to (unmarshal|decompress)|error (un)?marshal)"
    r"|(received|sent) message larger than max|failed to serialize response"
    # The engine, of what it was given (`Create` in pkg/resource/plugin/provider_plugin.go, `Apply`
    # of a CreateStep in pkg/resource/deploy/step.go).
    r"|plugin returned empty resource\.ID from create|provider did not return an ID from Create"
    r"|error hooks execution failed|maximum number of error hook retries"
    # The engine, of the answer's properties (`UnmarshalPropertyValue` in
    # pkg/resource/plugin/rpc.go, `Deserialize` of assets and archives; newer ones name the place
    # before or behind it: sdk/go/propertyrpc, property_filter.go).
    r"|^unexpected (unknown|asset|archive|asset archive) (property value for|value at) "
    r"|(^|: )malformed (RPC )?(secret|byte string|resource reference|output value)\b"
    r"|(^|: )unexpected (asset|archive) (hash|text|path|URI|contents) of type "
    r"|(^|: )archive member '[^']{0,200}' is not an asset or archive"
    r"|(^|: )unknown (signature \"|value kind )"
    r"|^unrecognized signature .* in property map|^failed to compute (asset|archive) hash"
    # Python, of what a dynamic provider's `create` has returned (`Create` in pulumi/dynamic, then
    # `serialize_properties` and protobuf).
    r"|^'[\w.]+' object (has no attribute '(outs|id)'|does not support item assignment)"
    r"|^(list|tuple|string|range) indices must be integers"
    r"|^While processing input: |^bad argument type for built-in operation"
    r"|surrogates not allowed|^'utf-?8' codec can't decode|maximum recursion depth exceeded"
    r"|^int too large to convert to float|^There is no (current|running) event loop"
)
"""How it is worded that a provider has done its work, and its answer cannot be taken."""

_UNANSWERED: Final = (
    r"connection (was )?(reset|closed)|broken pipe|\bEOF\b|remote end closed"
    r"|incomplete ?read|server (disconnected|closed)|client connection lost|sent GOAWAY"
    r"|awaiting (response )?headers|read (tcp|udp|unix)\b.{0,200}?timeout|stream error: stream"
    r"|timed ?out|(read|request) ?time-?out|time-?out (while|waiting|exceeded|expired)"
    r"|(^|: )timeout: |timeout(error|exception)"
    r"|deadline ?exceeded|context cancell?ed|request ?cancell?ed|may still be processing"
    r"|bad ?gateway|service (temporarily )?unavailable|serviceunavailable|gateway ?time-?out"
    r"|leader changed|(status( ?code)?|https?|error|code)['\"]?\W{0,4}50[234]\b"
)
"""How Go's net/http and x/net/http2, Python's http.client, urllib3, requests and botocore, etcd,
Kubernetes, the clouds' services and gateways word it that nobody saw the answer."""
_UNASKED: Final = (
    r"(connect(ion)? ?time(d )?-?out|connecttimeout|tls handshake timeout|dial (tcp|udp|unix)\b"
    r"|while (dialing|connecting))"
)
"""A connection that never came about. One that was refused, or a name that was not found, has none
of the words above: nothing was asked then, either."""

_SERVED: Final = (
    r"File \"[^\"]*[/\\]pulumi[/\\]dynamic[/\\]__main__\.py\", line \d+, "
    r"in (Create|Update|Delete)\n +(?P<code>.+)"
)
"""Where the dynamic provider's server was (its SDK from 3.260 on sends the traceback)."""
_UNTIL_MADE: Final = (
    *("deserialize_properties(request", "get_provider("),
    *("provider.create(", "provider.update(", "provider.delete("),
)


def unseen(operation: str, message: str) -> str:
    """The op of what an operation on a resource left open by failing so; empty: it was refused."""
    doubt = doubt_of(message)
    if operation.startswith("create"):
        return doubt
    if not doubt:
        return ""
    if operation.startswith("delete"):
        return DELETING
    return UPDATING if operation == "update" else ""


def doubt_of(message: str) -> str:
    """The op of what a create with this error left open, or empty: it was refused."""
    served = re.search(_SERVED, message)
    if served is not None and not any(call in served["code"] for call in _UNTIL_MADE):
        return UNREADABLE
    said = readable(message)
    if re.match(_LOST, said):
        return IN_DOUBT
    if re.search(_UNREADABLE, re.sub(r"^\w*Error: ", "", said), re.IGNORECASE):
        return UNREADABLE
    return UNANSWERED if lost_answer(said) else ""


def lost_answer(message: str) -> bool:
    """Whether a provider had asked its service, and the answer never came."""
    if re.search(_UNASKED, message, re.IGNORECASE):
        return False
    return bool(re.search(_UNANSWERED, message, re.IGNORECASE))
