"""What one operation is asked with, and how a statement is made for more than one such asking.

The compiler never looks at a variable itself. It either *decides* by one, which becomes a condition for using
the plan again, or *binds* it, which becomes a parameter of the statement. The actor is the same: all of it
decides, but for its ids, which are bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLDirective,
    GraphQLField,
    Node,
    VariableNode,
    Visitor,
    get_argument_values,
    visit,
)
from graphql.execution.values import VariableValues
from sqlalchemy import BindParameter, ColumnElement, String, bindparam
from sqlalchemy.types import TypeEngine

from app.access.actor import Actor

T = TypeVar("T")


class Uncovered(Exception):
    """Strawberry answers this operation."""


@dataclass(frozen=True)
class Asked:
    """One request, as far as an answer depends on it."""

    variables: VariableValues
    actor: Actor
    spelled: Mapping[str, str]
    """Settings of the platform that texts are spelled with."""
    read: dict[Reader, Any] = field(default_factory=dict)
    """What was read already: many ask for the same."""


Read = Callable[[Asked], Any]


class Reader:
    """What reads one field's or directive's arguments in an asking, once."""

    def __init__(
        self,
        definition: GraphQLField | GraphQLDirective,
        node: FieldNode | DirectiveNode,
        convert: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> None:
        self._definition, self._node, self._convert = definition, node, convert
        self.varies = _uses_variables(node)
        """There is a variable among them."""
        self._constant = None if self.varies else self._values(None)

    def __call__(self, asked: Asked) -> dict[str, Any]:
        if self._constant is not None:
            return self._constant
        if self not in asked.read:
            asked.read[self] = self._values(asked.variables)
        found: dict[str, Any] = asked.read[self]
        return found

    def _values(self, variables: VariableValues | None) -> dict[str, Any]:
        return self._convert(get_argument_values(self._definition, self._node, variables))


@dataclass
class Shape:
    """What the statement that is being made depends on, and the parameters that it is to be given."""

    asked: Asked
    guards: list[tuple[Read, Any]] = field(default_factory=list)
    binds: dict[str, Read] = field(default_factory=dict)

    def decide(self, read: Callable[[Asked], T], *, varies: bool = True) -> T:
        """``varies``: another asking may read something else."""
        value = read(self.asked)
        if varies:
            self.guards.append((read, value))
        return value

    def bind(self, read: Read, kind: TypeEngine[Any] | None = None) -> BindParameter[Any]:
        name = f"asked_{len(self.binds)}"
        self.binds[name] = read
        return bindparam(name, type_=kind or String(), required=False)

    def actor(self) -> Actor:
        """The actor to make conditions of rows with: its ids are parameters."""
        self.decide(_without_ids)
        ids: dict[str, Any] = {
            name: self.bind(_of_actor(name))
            for name in ("user_id", "token_id")
            if self.decide(_is_known(name))
        }
        return replace(self.asked.actor, **ids)


def _of_actor(name: str) -> Read:
    return lambda asked: getattr(asked.actor, name)


def _is_known(name: str) -> Read:
    return lambda asked: getattr(asked.actor, name) is not None


def _without_ids(asked: Asked) -> tuple[Any, ...]:
    actor = asked.actor
    return actor.is_admin, actor.grant, actor.session_id is not None


def _uses_variables(node: FieldNode | DirectiveNode) -> bool:
    found: list[Node] = []

    class Look(Visitor):
        def enter_variable(self, variable: VariableNode, *_: Any) -> None:
            found.append(variable)

    for argument in node.arguments or ():
        visit(argument, Look())
    return bool(found)


@dataclass(frozen=True)
class Asking:
    """An entry's ``Argument``: the one of this name among those that are read."""

    shape: Shape
    arguments: Reader
    name: str

    def decide(self, read: Callable[[Any], T]) -> T:
        return self.shape.decide(
            lambda asked: read(self.arguments(asked)[self.name]), varies=self.arguments.varies
        )

    def bind(self, read: Callable[[Any], str] = str) -> ColumnElement[str]:
        return self.shape.bind(lambda asked: read(self.arguments(asked)[self.name]))
