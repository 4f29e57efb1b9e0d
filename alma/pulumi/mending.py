"""Mending a state with pending creates, once somebody has said what became of each.

`pulumi refresh --clear-pending-creates` forgets them and `--import-pending-creates` loses them,
so the state is exported, edited and imported: a create that did happen becomes a resource with
its physical id, which a destroy then deletes; one that did not is dropped.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

CREATING: Final = "creating"
"""The pending operation of a create (`sdk/go/common/apitype/deployments.go`)."""


def mend(document: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """The exported state with its pending creates resolved: URN to physical id in `found`.

    A create that is not in `found` never happened, and is dropped. Of a replacement the old
    resource is marked for deletion, as the engine does it. Other pending operations are dropped
    as well: their resource is in the state, and the next update or destroy repeats them.
    """
    mended = copy.deepcopy(dict(document))
    deployment = mended.get("deployment") or {}
    resources = deployment.setdefault("resources", [])
    for operation in deployment.pop("pending_operations", None) or []:
        resource = operation["resource"]
        if operation["type"] != CREATING or resource["urn"] not in found:
            continue
        for old in resources:
            if old["urn"] == resource["urn"]:
                old["delete"] = True
        resource["id"] = found[resource["urn"]]
        # Its outputs were never told. A delete is given the outputs: the inputs are the best
        # there is, and for many providers they hold what a delete needs besides the id.
        resource.setdefault("outputs", copy.deepcopy(resource.get("inputs", {})))
        resources.append(resource)
    return mended
