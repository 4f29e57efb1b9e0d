"""The stand-in for the kubernetes provider, over the Kubernetes Python client.

It does as pulumi-kubernetes 4.34 does in its default settings, for the types that
`stacks.kubernetes` uses: names are made up where there are none, a create is a POST (an object that
is there already is an error and not taken over), an update is a server-side apply, a delete returns
when the object is gone, and what is not ready in time is kept in the state as one to mend or to
delete.
"""

from tests.providers.kubernetes.provider import PROVIDER

__all__ = ["PROVIDER"]
