"""How far an installation may be shared between apps follows from what is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.builder.requirements import from_text, read_requirements
from app.ports.builder import BuildFailed

_LOCK = """
version = 1
[[package]]
name = "web"
source = { virtual = "." }
[[package]]
name = "idna"
version = "3.10"
source = { registry = "https://index.test/simple" }
"""


@pytest.mark.parametrize(
    "text",
    [
        "requests==2.32.3",
        "uvicorn[standard] >= 0.30, < 1  # server",
        "tomli; python_version < '3.11'",
        "idna==3.10 \\\n    --hash=sha256:" + "a" * 64,
        "",
    ],
)
def test_plain_names_are_shared(text: str) -> None:
    read = from_text(text)
    assert read.shareable
    assert not read.needs_tree


@pytest.mark.parametrize(
    "text",
    [
        "-r /etc/passwd",
        "-r other.txt",
        "--index-url https://evil.test/simple\nrequests",
        "./vendor/thing",
        ".",
        "thing @ https://evil.test/thing.whl",
        "thing @ file:///etc/passwd",
        "git+https://host.test/x.git",
        "wheels/x-1-py3-none-any.whl",
    ],
)
def test_anything_else_serves_its_own_app_and_commit_only(text: str) -> None:
    read = from_text(text)
    assert not read.shareable
    assert read.needs_tree


def test_editable_becomes_an_ordinary_install() -> None:
    assert from_text("-e ./lib\n--editable=./other\n").text == "./lib\n./other\n"


def test_lock_is_of_its_app_alone_since_it_may_name_any_registry(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(_LOCK)
    (tmp_path / "pyproject.toml").write_text('[project]\nname="web"\nversion="1"\n')
    read = read_requirements(tmp_path)
    assert not read.shareable
    assert not read.needs_tree


def test_pyproject_alone_gives_its_dependencies(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname="w"\ndependencies=["idna==3.10"]\n')
    assert read_requirements(tmp_path).text == "idna==3.10\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", b"[project\n"),
        ("pyproject.toml", b'[project]\ndynamic = ["dependencies"]\n'),
        ("requirements.txt", b"\xff\xfe"),
        ("requirements.txt", b"a" * (5 * 1024 * 1024)),
    ],
)
def test_unreadable_manifest_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BuildFailed, match=name):
        read_requirements(tmp_path)


def test_manifest_that_links_out_of_the_tree_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret").write_text("requests")
    (tmp_path / "tree" / "requirements.txt").symlink_to("../secret")
    assert read_requirements(tmp_path / "tree").empty
