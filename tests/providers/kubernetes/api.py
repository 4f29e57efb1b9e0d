"""The API server, through the Kubernetes Python client: documents go in and come out as they are.

An error is one sentence that says what was refused, by which server, and why.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3.exceptions
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

NOT_FOUND, UNAUTHORIZED, FORBIDDEN = 404, 401, 403
PATIENCE = 30
"""Seconds for one request."""
MANAGER = "pulumi-kubernetes"
"""Who owns the fields that are set here; the official provider's name."""
# Strict: a field that the server does not know is an error, not a warning that nobody reads.
_WRITE = {"fieldManager": MANAGER, "fieldValidation": "Strict"}


class ApiError(Exception):
    """The server refused, or did not answer: `status` is None then."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ConfigError(Exception):
    """The kubeconfig is missing, is none, or has not what is asked of it."""


@dataclass(frozen=True)
class Cluster:
    """One cluster as one user."""

    client: ApiClient
    origin: str
    """Where its kubeconfig came from, for errors."""
    namespace: str
    """Where objects go that name no namespace."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when the engine wants what is under way to end."""

    @property
    def url(self) -> str:
        """The server's URL."""
        return str(self.client.configuration.host)

    def get(self, path: str) -> dict[str, Any] | None:
        """The object, or None if there is none."""
        try:
            return self._call("GET", path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def list(self, path: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """The objects of a collection that have these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        items = self._call("GET", path, query={"labelSelector": selector})["items"]
        return list(items)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object that was not there."""
        return self._call("POST", path, body, query=_WRITE, kind="application/json")

    def apply(self, path: str, body: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        """Server-side apply: the fields of `body` are owned, those owned before and left out go.

        Raises ApiError (409) when somebody else owns a field, unless `force` takes it.
        """
        query = {**_WRITE, "force": "true" if force else "false"}
        return self._call("PATCH", path, body, query=query, kind="application/apply-patch+yaml")

    def patch(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        """Apply a JSON patch."""
        return self._call("PATCH", path, operations, kind="application/json-patch+json")

    def delete(self, path: str) -> None:
        """Ask for the deletion of it and of what belongs to it; gone already is a success."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        try:
            self._call("DELETE", path, options, kind="application/json")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if kind else {})
        if kind and kind.endswith("yaml"):
            body = json.dumps(body)  # JSON is YAML, and the client sends text as it is
        request = self.client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self.client.call_api(*request, _request_timeout=PATIENCE)
            text = response.read().decode()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(self._unreachable(error)) from error
        try:
            answer = json.loads(text or "{}")
        except ValueError:
            answer = {"message": text[:200]}
        if not 200 <= response.status < 300:
            raise ApiError(self._refused(method, path, response.status, answer), response.status)
        return dict(answer)

    def _unreachable(self, error: BaseException) -> str:
        return (
            f"the Kubernetes API server {self.url} is not reachable: {_reason(error)}. "
            f"Is the cluster up, and is it the one that {self.origin} should name?"
        )

    def _refused(self, method: str, path: str, status: int, answer: Mapping[str, Any]) -> str:
        said = str(answer.get("message") or answer.get("reason") or "no reason given")
        if status == UNAUTHORIZED:
            return (
                f"the Kubernetes API server {self.url} does not know the credentials that "
                f"{self.origin} has ({status} {said}): renew the token or certificate there"
            )
        if status == FORBIDDEN:
            return f"the Kubernetes API server {self.url} forbids it ({status}): {said}"
        return f"the Kubernetes API server {self.url} refused {method} {path} ({status}): {said}"


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """The cluster of a kubeconfig: a path, its contents, or else KUBECONFIG's or the home's.

    Asks the server nothing. Raises ConfigError.
    """
    given = _contents(kubeconfig) if kubeconfig else None
    file = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    origin = "the kubeconfig in the config" if given else f"kubeconfig {file}"
    settings = Configuration()
    settings.retries = False  # an operation that is to be repeated says so by its step's `retry`
    try:
        loader = KubeConfigLoader(
            given or KubeConfigMerger(_existing(file)).config,
            active_context=context,
            config_base_path=None,  # paths in it are relative to its own file
        )
        loader.load_and_set(settings)
        chosen = loader.current_context
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{origin} cannot be used: {' '.join(str(error).split())}") from error
    there = chosen["context"].get("namespace") or "default"
    return Cluster(ApiClient(settings), f"context {chosen['name']} of {origin}", namespace or there)


def _contents(kubeconfig: str) -> dict[str, Any] | None:
    """The kubeconfig itself, if that is what was given; None for a path."""
    if "\n" not in kubeconfig and not kubeconfig.lstrip().startswith("{"):
        return None
    try:
        contents = yaml.safe_load(kubeconfig)
    except yaml.YAMLError:
        contents = None
    if not isinstance(contents, dict):
        # Without the parser's words: they quote the contents, which hold credentials.
        raise ConfigError("the kubeconfig in the config is no YAML or JSON object")
    return contents


def _existing(files: str) -> str:
    paths = [Path(part).expanduser() for part in files.split(os.pathsep) if part]
    if not any(path.is_file() for path in paths):
        raise ValueError("there is no such file; set kubernetes:kubeconfig or KUBECONFIG")
    return os.pathsep.join(map(str, paths))


def _reason(error: BaseException) -> str:
    """Why there was no answer, in a few words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())
