"""The OpenAPI 3.1 document, made of the table that also routes, so that the two cannot differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from app.rest.endpoint import Endpoint, Nothing, PlainText
from app.rest.errors import ErrorAnswer

_REF = "#/components/schemas/{name}"


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """As JSON values."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PaaS REST API",
            "version": "1",
            "description": "The same services as GraphQL at /graphql, for curl. A path is answered "
            "with and without its trailing slash.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoints),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    types: set[Any] = {ErrorAnswer}
    types |= {endpoint.input for endpoint in endpoints if endpoint.takes_body}
    types |= {endpoint.answer for endpoint in endpoints if endpoint.answer is not None}
    types.discard(PlainText)
    ordered = sorted(types, key=lambda kind: str(kind.__name__))
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    return dict(sorted(schemas.items()))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _camel(endpoint.name),
        "summary": endpoint.summary,
        "responses": {str(endpoint.status): _success(endpoint), "default": _FAILURE},
    }
    parameters = [_path_parameter(name) for name in endpoint.parameters]
    if not endpoint.takes_body and endpoint.input is not Nothing:
        parameters += [_query_parameter(field) for field in msgspec.structs.fields(endpoint.input)]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes_body:
        operation["requestBody"] = {"required": True, "content": _json(endpoint.input)}
    return operation


def _success(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer is None:
        return {"description": "Done."}
    if endpoint.answer is PlainText:
        text = {"text/plain": {"schema": {"type": "string"}}}
        return {"description": endpoint.summary, "content": text}
    return {"description": endpoint.summary, "content": _json(endpoint.answer)}


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


_FAILURE = {
    "description": "Nothing was changed; `code` says what kind of failure it was.",
    "content": _json(ErrorAnswer),
}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameter(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    return {
        "name": field.encode_name,
        "in": "query",
        "required": field.required,
        "schema": msgspec.json.schema(field.type),
    }


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found.group(1).upper(), name)
