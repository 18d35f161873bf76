"""What a tree is taken for, from the names in it."""

from __future__ import annotations

import pytest

from app.adapters.builder.detect import AppKind, detect
from app.adapters.builder.procfile import parse_procfile
from app.models import FailureCode
from app.ports.builder import BuildFailed


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"Dockerfile", "Procfile", "requirements.txt"}, AppKind.DOCKERFILE),
        ({"Procfile", "requirements.txt"}, AppKind.PYTHON),
        ({"Procfile", "pyproject.toml", "uv.lock"}, AppKind.PYTHON),
        ({"Procfile", "pyproject.toml", "package.json"}, AppKind.PYTHON),
        ({"Procfile", "package.json", "package-lock.json"}, AppKind.NODE),
        ({"Procfile", "server.sh"}, AppKind.PLAIN),
        ({"Procfile", "uv.lock"}, AppKind.PLAIN),
        ({"index.html"}, AppKind.STATIC),
        ({"Staticfile", "readme.md"}, AppKind.STATIC),
    ],
)
def test_kind(files: set[str], kind: AppKind) -> None:
    assert detect(files).kind is kind


@pytest.mark.parametrize(
    ("files", "root"),
    [
        ({"index.html", "dist/index.html"}, "."),
        ({"public/index.html"}, "public"),
        ({"dist/index.html"}, "dist"),
    ],
)
def test_static_site_is_served_from_where_its_index_is(files: set[str], root: str) -> None:
    assert detect(files).root == root


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (set(), "Add your app"),
        ({"main.py"}, "a Dockerfile, a Procfile with a `web:` line, or an index.html"),
        ({"requirements.txt", "app.py"}, "a Procfile with a line such as"),
        ({"dockerfile"}, "`Dockerfile`, not `dockerfile`"),
        ({"PROCFILE"}, "`Procfile`, not `PROCFILE`"),
    ],
)
def test_nothing_to_build_says_what_to_add(files: set[str], advice: str) -> None:
    with pytest.raises(BuildFailed) as raised:
        detect(files)
    assert raised.value.code is FailureCode.NOTHING_TO_BUILD
    assert advice in raised.value.hint


def test_package_without_a_lock_says_how_to_make_one() -> None:
    with pytest.raises(BuildFailed, match=r"no package-lock\.json"):
        detect({"Procfile", "package.json"})


def test_procfile_lines_become_processes() -> None:
    text = "\ufeff# the app\nweb: python app.py --port $PORT\r\n\nworker-2 :  celery\n"
    assert parse_procfile(text) == {"web": "python app.py --port $PORT", "worker-2": "celery"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("worker: x", "no `web` process"),
        ("", "no `web` process"),
        ("web python app.py", "Line 1"),
        ("web: a\nweb: b", "a second time"),
        ("web: " + "a" * 5000, "4096 characters"),
        ("web:", "Line 1"),
        ("-web: x", "Line 1"),
    ],
)
def test_bad_procfile_is_refused_naming_the_line(text: str, problem: str) -> None:
    with pytest.raises(BuildFailed, match=problem):
        parse_procfile(text)
