"""``python -m app.cli.client.generate``: one typed module for each ``operations/*.graphql``.

With ``--check`` it writes nothing, and fails when a module is not what the documents and ``schema.graphql``
say. What is generated: a frozen msgspec struct for each selection, and a function for each operation,
whose answer is that of its one root field. Why not ariadne-codegen: docs/decisions/a-light-client.md.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    build_schema,
    is_abstract_type,
    is_required_input_field,
    parse,
    print_ast,
    type_from_ast,
    validate,
    value_from_ast_untyped,
)

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parents[2] / "schema.graphql"
SHARED = "shared"
_SCALARS = {
    "ID": "str",
    "String": "str",
    "Int": "int",
    "Long": "int",
    "Float": "float",
    "Boolean": "bool",
    "DateTime": "datetime",
    "JSON": "Any",
}


class BadDocument(Exception):
    """A document that the schema, or this generator, does not take."""


@dataclass
class Module:
    """What is being written for one document."""

    schema: GraphQLSchema
    name: str
    fragments: dict[str, FragmentDefinitionNode]
    shared: frozenset[str] = frozenset()
    """Fragments of ``shared.graphql``, whose structs are imported."""
    structs: dict[str, str] = field(default_factory=dict)
    """By name, each after those that it uses."""
    imported: set[str] = field(default_factory=set)

    def struct(self, name: str, parent: str, selection: SelectionSetNode, tag: str = "") -> str:
        """The name of the struct that holds ``selection`` of the type ``parent``."""
        selections = selection.selections
        if len(selections) == 1 and isinstance(selections[0], FragmentSpreadNode) and not tag:
            return self.fragment(selections[0].name.value)
        bases, lines = [], []
        for each in selections:
            if isinstance(each, FragmentSpreadNode):
                bases.append(self.fragment(each.name.value))
            elif isinstance(each, FieldNode) and each.name.value != "__typename":
                key = (each.alias or each.name).value
                python = _snake(key)
                lines.append(f"    {python}: {self.field_type(name, parent, each)}")
        options = f', tag_field="__typename", tag="{tag}"' if tag else ""
        above = ", ".join(bases) or "Struct"
        head = f'class {name}({above}, frozen=True, kw_only=True, rename="camel"{options}):'
        self.structs.setdefault(name, "\n".join([head, *(lines or ["    pass"])]))
        return name

    def fragment(self, name: str) -> str:
        if name in self.shared:
            self.imported.add(name)
        elif name not in self.structs:
            found = self.fragments[name]
            self.struct(name, found.type_condition.name.value, found.selection_set)
        return name

    def field_type(self, owner: str, parent: str, node: FieldNode) -> str:
        declared = self.schema.get_type(parent)
        assert isinstance(declared, GraphQLObjectType | GraphQLInterfaceType)
        graphql_type = declared.fields[node.name.value].type
        key = (node.alias or node.name).value
        return self._annotation(graphql_type, owner + key[0].upper() + key[1:], node.selection_set)

    def _annotation(self, found: object, name: str, selection: SelectionSetNode | None) -> str:
        if isinstance(found, GraphQLNonNull):
            return self._bare(found.of_type, name, selection)
        return f"{self._bare(found, name, selection)} | None"

    def _bare(self, found: object, name: str, selection: SelectionSetNode | None) -> str:
        if isinstance(found, GraphQLList):
            return f"list[{self._annotation(found.of_type, name, selection)}]"
        if isinstance(found, GraphQLScalarType):
            return _SCALARS[found.name]
        if isinstance(found, GraphQLEnumType):
            return "str"  # an older client must be able to show what a newer server says
        assert selection is not None
        inline = [s for s in selection.selections if isinstance(s, InlineFragmentNode)]
        if is_abstract_type(found) and inline:
            return " | ".join(self._inline(name, each) for each in inline)
        return self.struct(name, found.name, selection)  # type: ignore[attr-defined]

    def _inline(self, name: str, node: InlineFragmentNode) -> str:
        assert node.type_condition is not None
        kind = node.type_condition.name.value
        return self.struct(f"{name}On{kind}", kind, node.selection_set, tag=kind)

    def input(self, found: GraphQLInputObjectType) -> str:
        lines = []
        for name, each in found.fields.items():
            annotation = self.input_annotation(each.type)
            lines.append(f"    {_snake(name)}: {annotation}{_default(each)}")
        options = 'frozen=True, kw_only=True, rename="camel", omit_defaults=True'
        self.structs.setdefault(
            found.name, "\n".join([f"class {found.name}(Struct, {options}):", *lines])
        )
        return found.name

    def input_annotation(self, found: object) -> str:
        if isinstance(found, GraphQLNonNull):
            return self._bare_input(found.of_type)
        return f"{self._bare_input(found)} | None"

    def _bare_input(self, found: object) -> str:
        if isinstance(found, GraphQLList):
            return f"Sequence[{self.input_annotation(found.of_type)}]"
        if isinstance(found, GraphQLInputObjectType):
            return self.input(found)
        if isinstance(found, GraphQLEnumType):
            self.structs[found.name] = (
                f"{found.name} = Literal[{', '.join(map(repr, found.values))}]"
            )
            return found.name
        assert isinstance(found, GraphQLScalarType)
        return _SCALARS[found.name]


def module_of(schema: GraphQLSchema, name: str, text: str, shared: str) -> str:
    """The Python of one document, which may use the fragments of ``shared``. Raises BadDocument."""
    fragments = {} if name == SHARED else _fragments(parse(shared))
    document = parse(text)
    whole = DocumentNode(definitions=(*document.definitions, *fragments.values()))
    errors = [e for e in validate(schema, whole) if "is never used" not in e.message]
    if errors:
        raise BadDocument(f"{name}.graphql: {errors[0].message}")
    own = _fragments(document)
    module = Module(schema, name, {**fragments, **own}, frozenset(fragments))
    functions = [
        _function(module, each)
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode)
    ]
    for fragment in own:
        module.fragment(fragment)
    body = "\n\n\n".join([*module.structs.values(), *functions])
    return _formatted(f"{_head(module, body)}\n\n\n{body}\n")


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = [d for d in document.definitions if isinstance(d, FragmentDefinitionNode)]
    return {each.name.value: each for each in found}


def _function(module: Module, operation: OperationDefinitionNode) -> str:
    if operation.name is None or len(operation.selection_set.selections) != 1:
        raise BadDocument(f"{module.name}.graphql: each operation has a name and one root field")
    name, (root,) = operation.name.value, operation.selection_set.selections
    assert isinstance(root, FieldNode)
    kind = operation.operation.value
    root_type = module.schema.get_root_type(operation.operation)
    assert isinstance(root_type, GraphQLObjectType)
    answer = module._annotation(root_type.fields[root.name.value].type, name, root.selection_set)
    constant = f"_{_snake(name).upper()}"
    parameters, variables = _variables(module, operation.variable_definitions or ())
    verb, answered = (
        ("subscribe", f"Iterator[{answer}]") if kind == "subscription" else ("execute", answer)
    )
    source = "\n\n".join(print_ast(node) for node in _with_fragments(module, operation))
    return (
        f'{constant} = Operation[{answer}]("""\n{source}\n""", {answer})\n\n\n'
        f"def {_snake(name)}(client: Client{parameters}) -> {answered}:\n"
        f"    return client.{verb}({constant}, {{{variables}}})"
    )


def _variables(module: Module, definitions: Sequence[VariableDefinitionNode]) -> tuple[str, str]:
    parameters, variables = [], []
    for each in definitions:
        name = each.variable.name.value
        found = type_from_ast(module.schema, each.type)
        annotation = module.input_annotation(found)
        default = " = None" if annotation.endswith("| None") else ""
        python = _snake(name)
        parameters.append(f"{python}: {annotation}{default}")
        variables.append(f'"{name}": {python}')
    return (f", *, {', '.join(parameters)}" if parameters else ""), ", ".join(variables)


def _with_fragments(
    module: Module, operation: OperationDefinitionNode
) -> Iterator[OperationDefinitionNode | FragmentDefinitionNode]:
    yield operation
    needed: dict[str, None] = {}
    _spreads(module, operation.selection_set, needed)
    for name in needed:
        yield module.fragments[name]


def _spreads(module: Module, selection: SelectionSetNode, needed: dict[str, None]) -> None:
    for each in selection.selections:
        if isinstance(each, FragmentSpreadNode):
            if each.name.value not in needed:
                needed[each.name.value] = None
                _spreads(module, module.fragments[each.name.value].selection_set, needed)
        elif isinstance(each, FieldNode | InlineFragmentNode) and each.selection_set is not None:
            _spreads(module, each.selection_set, needed)


def _head(module: Module, body: str) -> str:
    lines = [
        f'"""Made from operations/{module.name}.graphql by `make cli-client`; not to be edited."""',
        "",
    ]
    lines += ["from __future__ import annotations", ""]
    abstract = [word for word in ("Iterator", "Sequence") if f"{word}[" in body]
    if abstract:
        lines.append(f"from collections.abc import {', '.join(abstract)}")
    if "datetime" in body:
        lines.append("from datetime import datetime")
    typed = [word for word in ("Any", "Literal") if re.search(rf"\b{word}\b", body)]
    if typed:
        lines.append(f"from typing import {', '.join(typed)}")
    lines += ["", "from msgspec import Struct", ""]
    if module.imported:
        lines.append(f"from app.cli.client.{SHARED} import {', '.join(sorted(module.imported))}")
    if "Client" in body:
        lines.append("from app.cli.client.transport import Client, Operation")
    return "\n".join(lines)


def _default(found: GraphQLInputField) -> str:
    if is_required_input_field(found):
        return ""
    literal = found.default.literal if found.default is not None else None
    value = value_from_ast_untyped(literal) if literal is not None else None
    return f" = {value!r}" if isinstance(value, bool | int | str) else " = None"


def _snake(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def _formatted(text: str) -> str:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--quiet",
        "--stdin-filename",
        str(HERE / "made.py"),
        "-",
    ]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=HERE)
    return done.stdout


def modules() -> dict[Path, str]:
    """Every module that should be, with its text."""
    schema = build_schema(SCHEMA.read_text())
    found = sorted((HERE / "operations").glob("*.graphql"))
    shared = (HERE / "operations" / f"{SHARED}.graphql").read_text()
    return {
        HERE / f"{each.stem}.py": module_of(schema, each.stem, each.read_text(), shared)
        for each in found
    }


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--check"]:
        stale = [file.name for file, text in modules().items() if not _is(file, text)]
        if stale:
            sys.stderr.write(
                f"Not what the documents say: {', '.join(stale)}. Type: make cli-client\n"
            )
        return 1 if stale else 0
    for file, text in modules().items():
        file.write_text(text)
    return 0


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
