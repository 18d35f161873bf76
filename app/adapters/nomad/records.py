"""Namespaces, Variables and deregistration: plain records, kept with python-nomad.

The library is synchronous, so its calls run in a few threads over one pooled session. It leaves TLS
unverified by default, and applies its client-wide namespace to no Variable (they would land in
``default``): both are therefore given on every call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import nomad
import requests
from nomad.api.exceptions import (
    BadRequestNomadException,
    BaseNomadException,
    URLNotAuthorizedNomadException,
    URLNotFoundNomadException,
    VariableConflict,
)

from app.adapters.nomad.connection import Connection
from app.adapters.nomad.gateway import POLICY_HINT
from app.errors import Conflict
from app.ports.scheduler import JobRef, SchedulerRejected, SchedulerUnavailable
from jobs.render import SECRETS_MARK

T = TypeVar("T")

_THREADS = 4
_MAX_BYTES = 60_000
"""Of one release's variables as JSON. Nomad takes 64 KiB a Variable, and its parser 64 KiB a line."""
DEFAULT_NAMESPACE = "default"
"""Nomad's own; it can be neither made nor removed."""


class Records:
    def __init__(self, connection: Connection, *, timeout: float = 10.0) -> None:
        self._connection = connection
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="nomad")
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=_THREADS)
        self._session.mount(connection.address, adapter)
        self._session.trust_env = False
        self._client = self._connect(connection.token)

    async def ensure_namespace(self, name: str) -> None:
        """Raises SchedulerRejected when it is missing and we may not make it."""
        if await self._exists(name):
            return
        if not self._connection.namespace_token:
            raise _namespace_hint(name, "make")
        body = {"Name": name, "Description": "An organization of the PaaS", "Meta": {"paas": "1"}}
        client = self._connect(self._connection.namespace_token)
        await self._call(client.namespace.create_namespace, body)

    async def delete_namespace(self, name: str) -> None:
        if name == DEFAULT_NAMESPACE or not await self._exists(name):
            return
        if not self._connection.namespace_token:
            raise _namespace_hint(name, "remove")
        client = self._connect(self._connection.namespace_token)
        try:
            await self._call(client.namespace.delete_namespace, name)
        except NotThere:
            return

    async def put_variable(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        """Create it, or find it with the same values. Raises Conflict, or SchedulerRejected when too large."""
        items = {SECRETS_MARK: "1", **values}
        size = len(json.dumps(items))
        if size > _MAX_BYTES:
            raise SchedulerRejected(
                f"The variables of {ref} take {size:,} bytes; Nomad holds {_MAX_BYTES:,} for one release.",
                hint="Keep large values in files or an object store, and their place in a variable.",
            )
        create = self._client.variable.create_variable
        payload = {"Namespace": ref.namespace, "Path": path, "Items": items}
        try:
            await self._call(create, path, payload, namespace=ref.namespace, cas=0)
        except Conflict:
            held = await self._call(
                self._client.variable.get_variable, path, namespace=ref.namespace
            )
            if held["Items"] != items:
                raise Conflict(f"{ref}: the variables at {path} exist with other values.") from None

    async def list_variables(self, ref: JobRef, prefix: str) -> Sequence[str]:
        held = await self._call(
            self._client.variables.get_variables, prefix, namespace=ref.namespace
        )
        return [variable["Path"] for variable in held or ()]

    async def delete_variable(self, ref: JobRef, path: str) -> None:
        try:
            await self._call(self._client.variable.delete_variable, path, namespace=ref.namespace)
        except NotThere:
            return

    async def deregister(self, ref: JobRef, *, purge: bool) -> None:
        deregister = self._client.job.deregister_job
        try:
            await self._call(deregister, ref.id, namespace=ref.namespace, purge=purge)
        except NotThere:
            return

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    async def _exists(self, name: str) -> bool:
        try:
            await self._call(self._client.namespace.get_namespace, name)
        except NotThere:
            return False
        return True

    def _connect(self, token: str) -> Any:
        at = self._connection
        return nomad.Nomad(  # type: ignore[attr-defined]  # mypy finds our folder of that name
            address=at.address,
            token=token or None,
            timeout=self._timeout,
            verify=at.ca_file or True,
            cert=(at.client_cert, at.client_key) if at.client_cert else (),
            session=self._session,
        )

    async def _call(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(function, *args, **named))
        except URLNotFoundNomadException as error:
            raise NotThere(str(error)) from error
        except VariableConflict as error:
            raise Conflict(f"Nomad: {_text(error)}") from error
        except URLNotAuthorizedNomadException as error:
            raise SchedulerRejected(
                f"Nomad does not allow this: {_text(error)}", hint=POLICY_HINT
            ) from error
        except BadRequestNomadException as error:
            raise SchedulerRejected(f"Nomad refuses this: {_text(error)}") from error
        except (BaseNomadException, requests.RequestException) as error:
            raise SchedulerUnavailable(
                f"Nomad at {self._connection.address} does not answer: {_text(error)}"
            ) from error


class NotThere(Exception):
    """404; never leaves this module's callers."""


def _text(error: Exception) -> str:
    response = getattr(error, "nomad_resp", None)
    text = getattr(response, "text", None)
    return str(text if text is not None else response or error)[:500]


def _namespace_hint(name: str, verb: str) -> SchedulerRejected:
    command = "apply" if verb == "make" else "delete"
    return SchedulerRejected(
        f"Nomad's namespace {name} must be {'made' if verb == 'make' else 'removed'}, "
        "and Nomad lets only a management token do that.",
        hint=f"An operator types `nomad namespace {command} {name}`; or give the platform a management "
        "token for this alone in PAAS_NOMAD_NAMESPACE_TOKEN_FILE.",
    )
