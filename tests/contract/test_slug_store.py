"""Every SlugStore keeps archives by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.adapters.local.slugs import LocalSlugStore
from app.adapters.memory.slugs import MemorySlugStore
from app.crypto import SecretBox
from app.errors import NotFound
from app.ports.builder import SlugStore

ABSENT = "0" * 64


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, secret_box: SecretBox) -> SlugStore:
    if request.param == "memory":
        return MemorySlugStore()
    return LocalSlugStore(tmp_path / "slugs", secret_box, "http://api.test:7070/")


def _archive(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(content)
    return path


async def _read(store: SlugStore, sha256: str) -> bytes:
    return b"".join([chunk async for chunk in store.open(sha256)])


async def test_what_is_put_can_be_read_under_its_digest(store: SlugStore, tmp_path: Path) -> None:
    content = b"slug" * 200_000
    sha256 = await store.put(_archive(tmp_path, content))
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert await store.has(sha256)
    assert await store.size(sha256) == len(content)
    assert await _read(store, sha256) == content


async def test_same_archive_twice_is_one(store: SlugStore, tmp_path: Path) -> None:
    first = await store.put(_archive(tmp_path, b"same"))
    assert await store.put(_archive(tmp_path, b"same")) == first
    assert await store.list() == [first]


async def test_absent_slug(store: SlugStore) -> None:
    assert not await store.has(ABSENT)
    with pytest.raises(NotFound):
        await store.size(ABSENT)
    with pytest.raises(NotFound):
        await _read(store, ABSENT)
    await store.delete(ABSENT)
    assert await store.list() == []


async def test_deleted_slug_is_gone(store: SlugStore, tmp_path: Path) -> None:
    kept = await store.put(_archive(tmp_path, b"kept"))
    gone = await store.put(_archive(tmp_path, b"gone"))
    await store.delete(gone)
    assert await store.list() == [kept]


async def test_url_is_stable_and_its_signature_is_of_one_slug(store: SlugStore) -> None:
    url = store.url(ABSENT)
    assert url == store.url(ABSENT)
    signature = url.partition("sig=")[2]
    assert store.verify(ABSENT, signature)
    for wrong in ("", "x", "é", signature[:-1], signature.upper()):
        assert not store.verify(ABSENT, wrong)
    assert not store.verify("1" * 64, signature)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
async def test_digest_that_is_none_reaches_no_file(
    tmp_path: Path, secret_box: SecretBox, digest: str
) -> None:
    local = LocalSlugStore(tmp_path / "slugs", secret_box, "http://api.test")
    with pytest.raises(NotFound):
        await local.has(digest)


async def test_url_outlives_a_rotation_of_the_key(tmp_path: Path) -> None:
    old, new = b"o" * 32, b"n" * 32
    before = LocalSlugStore(tmp_path, SecretBox([old]), "http://api.test")
    after = LocalSlugStore(tmp_path, SecretBox([new, old]), "http://api.test")
    assert after.verify(ABSENT, before.url(ABSENT).partition("sig=")[2])
