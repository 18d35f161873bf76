"""``GET /artifacts/slugs/…``: whoever holds the URL gets the slug, and nobody else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.adapters.local.slugs import LocalSlugStore
from app.crypto import SecretBox
from app.http import slugs

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def store(tmp_path: Path, secret_box: SecretBox) -> LocalSlugStore:
    return LocalSlugStore(tmp_path / "slugs", secret_box, "http://testserver")


@pytest.fixture
def client(store: LocalSlugStore) -> TestClient:
    return TestClient(Starlette(routes=slugs.routes(SimpleNamespace(slugs=store))))


@pytest.fixture
async def sha256(store: LocalSlugStore, tmp_path: Path) -> str:
    (tmp_path / "archive").write_bytes(CONTENT)
    return await store.put(tmp_path / "archive")


def test_signed_url_gives_the_archive_with_its_length(
    client: TestClient, store: LocalSlugStore, sha256: str
) -> None:
    answer = client.get(store.url(sha256))
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "application/gzip"
    head = client.head(store.url(sha256))
    assert (head.content, head.headers["content-length"]) == (b"", str(len(CONTENT)))


@pytest.mark.parametrize("signature", ["", "?sig=", "?sig=0", "?sig=%C3%A9"])
def test_wrong_signature_and_absent_slug_look_the_same(
    client: TestClient, store: LocalSlugStore, sha256: str, signature: str
) -> None:
    refused = client.get(f"/artifacts/slugs/{sha256}.tar.gz{signature}")
    absent = client.get(store.url("0" * 64))
    assert refused.status_code == absent.status_code == 404
    assert refused.json() == absent.json()
    assert refused.json()["error"]["code"] == "NOT_FOUND"


def test_signed_nonsense_is_not_found(client: TestClient, store: LocalSlugStore) -> None:
    assert client.get(store.url("nonsense")).status_code == 404
