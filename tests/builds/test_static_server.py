"""The server that static sites are started with."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.adapters.builder.serve_static import application


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "index.html": "<h1>home</h1>",
        "404.html": "<h1>lost</h1>",
        "about.html": "about",
        "docs/index.html": "docs",
        "app.css": "a{}" * 2000,
        ".paas/start": "secret",
        ".env": "secret",
        ".well-known/security.txt": "contact",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(application(str(folder)))


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("/", 200, "<h1>home</h1>"),
        ("/about", 200, "about"),
        ("/docs/", 200, "docs"),
        ("/docs", 200, "docs"),
        ("/absent", 404, "<h1>lost</h1>"),
        ("/.well-known/security.txt", 200, "contact"),
    ],
)
def test_pages(client: TestClient, path: str, status: int, content: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (status, content)


@pytest.mark.parametrize(
    "path", ["/.env", "/.paas/start", "/docs/../.env", "/%2e%2e/%2eenv", "/.%65nv"]
)
def test_hidden_files_do_not_exist(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_browser_keeps_a_file_until_its_content_changes(folder: Path) -> None:
    """Also when size and time stay the same, as they do between two slugs."""
    first = TestClient(application(str(folder))).get("/")
    tag = {"if-none-match": first.headers["etag"]}
    assert TestClient(application(str(folder))).get("/", headers=tag).status_code == 304
    assert "last-modified" not in first.headers
    (folder / "index.html").write_text("<h1>HOME</h1>")
    from app.adapters.builder.serve_static import content_tag

    content_tag.cache_clear()
    assert TestClient(application(str(folder))).get("/", headers=tag).text == "<h1>HOME</h1>"


def test_large_text_is_compressed_and_ranges_are_not(client: TestClient) -> None:
    assert client.get("/app.css").headers["content-encoding"] == "gzip"
    part = client.get("/app.css", headers={"range": "bytes=0-2"})
    assert (part.status_code, part.text) == (206, "a{}")
    assert "content-encoding" not in part.headers


def test_link_out_of_the_site_is_not_followed(folder: Path, client: TestClient) -> None:
    (folder / "out").symlink_to("/etc/hostname")
    assert client.get("/out").status_code == 404


def test_other_methods_are_refused(client: TestClient) -> None:
    assert client.post("/").status_code == 405
