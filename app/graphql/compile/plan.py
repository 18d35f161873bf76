"""Compiled once, used again: for each operation of a document, the plans that were made of it.

A plan is good for every asking that decides as the one did that it was made for. That an operation is not covered
is remembered in the same way.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from graphql import GraphQLError, OperationType, get_variable_values
from graphql.execution.values import VariableValues
from sqlalchemy import Dialect, Select
from strawberry.schema import Schema

from app.access.actor import Actor
from app.errors import PaasError
from app.graphql.compile.request import Asked, Read, Shape, Uncovered
from app.graphql.compile.statement import Compiler
from app.graphql.cost import MAX_COST, Price, cost_extension
from app.graphql.documents import CACHED_DOCUMENTS, Checked, checked
from app.graphql.limits import is_clean

_MOST_PLANS = 8
"""Of one operation."""


@dataclass(frozen=True)
class Plan:
    guards: tuple[tuple[Read, Any], ...]
    statement: str | None
    """None: not covered."""
    parameters: tuple[Read, ...] = ()
    unused: tuple[Read, ...] = ()
    """What the statement has no use for, such as the cursor of a page of which only the count is asked;
    it is read all the same, since it may be refused."""

    def fits(self, asked: Asked) -> bool:
        return all(read(asked) == value for read, value in self.guards)


@dataclass(frozen=True)
class Statement:
    """What to ask the database, whose answer is the text of ``data``, and what follows that text."""

    text: str
    values: list[Any]
    tail: bytes
    cost: int


class Plans:
    """All that a process has made."""

    def __init__(self, schema: Schema, dialect: Dialect, spelled: Mapping[str, str]) -> None:
        self._schema = schema
        self._dialect = dialect
        self._spelled = spelled
        self._operation = lru_cache(maxsize=CACHED_DOCUMENTS)(self._prepared)

    def statement(
        self, query: str, name: str | None, variables: Mapping[str, Any] | None, actor: Actor
    ) -> Statement | None:
        """None when Strawberry is to answer."""
        operation = self._operation(query, name)
        return None if operation is None else operation.statement(variables or {}, actor)

    def _prepared(self, query: str, name: str | None) -> _Operation | None:
        try:
            found = checked(self._schema._schema, query)
        except GraphQLError:
            return None
        operation = found.operation(name)
        if found.errors or operation is None or operation.operation is not OperationType.QUERY:
            return None
        price = found.price(self._schema._schema, operation)
        return _Operation(self._schema, self._dialect, self._spelled, found, name, price)


@dataclass
class _Operation:
    schema: Schema
    dialect: Dialect
    spelled: Mapping[str, str]
    checked: Checked
    name: str | None
    price: Price
    plans: list[Plan] = field(default_factory=list)

    def statement(self, variables: Mapping[str, Any], actor: Actor) -> Statement | None:
        values = self._coerced(variables)
        cost = self.price.at(variables)
        if values is None or cost > MAX_COST:
            return None
        asked = Asked(values, actor, self.spelled)
        try:
            plan = self._plan(asked)
            if plan.statement is None:
                return None
            parameters = [read(asked) for read in plan.parameters]
            for read in plan.unused:
                read(asked)
        except Uncovered:
            return None
        return Statement(plan.statement, parameters, _tail(cost), cost)

    def _coerced(self, variables: Mapping[str, Any]) -> VariableValues | None:
        """None for variables that are refused."""
        operation = self.checked.operation(self.name)
        assert operation is not None
        if not is_clean(variables):
            return None
        if not operation.variable_definitions:
            return _NO_VARIABLES
        core = self.schema._schema
        found = get_variable_values(core, operation.variable_definitions, dict(variables))
        return found if isinstance(found, VariableValues) else None

    def _plan(self, asked: Asked) -> Plan:
        """Raises Uncovered when a guard cannot be read: a page that is refused, say."""
        for plan in self.plans:
            if plan.fits(asked):
                return plan
        plan = self._compiled(asked)
        self.plans = [plan, *self.plans][:_MOST_PLANS]
        return plan

    def _compiled(self, asked: Asked) -> Plan:
        operation = self.checked.operation(self.name)
        root = self.schema._schema.query_type
        assert operation is not None
        assert root is not None
        shape = Shape(asked)
        try:
            compiler = Compiler(self.schema, self.checked.fragments, shape)
            statement = compiler.query(root, operation.selection_set)
        except (Uncovered, PaasError):
            return Plan(tuple(shape.guards), None)
        return self._written(statement, shape)

    def _written(self, statement: Select[Any], shape: Shape) -> Plan:
        written = statement.compile(
            dialect=self.dialect, compile_kwargs={"render_postcompile": True}
        )
        constants = written.params
        parameters = tuple(
            shape.binds.get(name) or _constant(constants[name])
            for name in written.positiontup or ()
        )
        used = set(written.positiontup or ())
        unused = tuple(read for name, read in shape.binds.items() if name not in used)
        return Plan(tuple(shape.guards), written.string, parameters, unused)


_NO_VARIABLES = VariableValues({}, {})


def _constant(value: Any) -> Read:
    stored = value.value if isinstance(value, enum.Enum) else value
    return lambda _: stored


@lru_cache(maxsize=1024)
def _tail(cost: int) -> bytes:
    return b',"extensions":' + msgspec.json.encode(cost_extension(cost)) + b"}"
