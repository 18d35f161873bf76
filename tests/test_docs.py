"""What the documentation names exists: files, functions and tests in backticks, and pages that it links to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "nomad" / "README.md", *(ROOT / "docs").rglob("*.md")])
_TICKED = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FOLDERS = "app|bench|docs|jobs|migrations|nomad|samples|tests"
_PLACE = re.compile(rf"(?P<path>(?:{_FOLDERS})/[\w./*-]*)(?::(?P<name>[A-Za-z_][\w.]*))?")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def problem_of(place: str, page: Path) -> str | None:
    """Why this is no place of the tree, nor of the page's folder; None where it does not look like one."""
    matched = _PLACE.fullmatch(place)
    if matched is None:
        return None
    path, name = matched["path"], matched["name"]
    if not any(list(top.glob(path.rstrip("/"))) for top in (ROOT, page.parent)):
        return f"there is no {path}"
    if name and name not in set(_names(ast.parse((ROOT / path).read_text()), "")):
        return f"{path} has no {name}"
    return None


def _names(node: ast.AST, within: str) -> Iterator[str]:
    """Functions, classes and values of a module, and those of its classes as ``Class.name``."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield within + name
            case ast.ClassDef(name=name):
                yield within + name
                yield from _names(child, f"{within}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield within + name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_place_that_a_page_names_exists(page: Path) -> None:
    text = _FENCED.sub("", page.read_text())
    problems = [why for ticked in _TICKED.findall(text) if (why := problem_of(ticked, page))]
    lost = [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    assert (problems, lost) == ([], [])


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("app/db.py", None),
        ("app/db.py:Database.write_transaction", None),
        ("app/*/service.py", None),
        ("app/pushes/service.py:STEPS", None),
        ("make up", None),
        ("app/dbs.py", "there is no app/dbs.py"),
        ("app/db.py:Database.commit", "app/db.py has no Database.commit"),
        ("app/db.py:wake", "app/db.py has no wake"),
    ],
)
def test_a_place_that_does_not_exist_is_found_out(place: str, problem: str | None) -> None:
    assert problem_of(place, ROOT / "README.md") == problem
