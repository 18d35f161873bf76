"""The engine's folders, and writing into them so that a crash leaves the old file or the new one.

{home}/agent/            0700: agent.sock, agent.lock, index
  jobs/NAMESPACE/JOB     one JobRecord each
  secrets/NAMESPACE/JOB/ one file per release, 0600
  copies/ID/             state.json, document.json, stdout.log, stderr.log: not the app's to read
{home}/apps/             0711: what the apps' user may enter
  copies/ID/             a copy's working folder
  slugs/SHA256/          unpacked once, read-only
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from app.agent.records import CopyRecord, JobRecord, SpoolRecord
from app.errors import Conflict, ExternalFailure
from app.ports.scheduler import JobRef, Output


class Store:
    """All of it is small and synchronous: a few kilobytes a call, on the event loop's thread."""

    def __init__(self, home: Path, apps: Path) -> None:
        self.folder = home / "agent"
        self.apps = apps.resolve()

    def prepare(self) -> None:
        for folder, mode in ((self.folder, 0o700), (self.apps, 0o711)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        for name in ("jobs", "secrets", "copies"):
            (self.folder / name).mkdir(exist_ok=True)
        for name in ("copies", "slugs"):
            (self.apps / name).mkdir(exist_ok=True)
            (self.apps / name).chmod(0o711)

    # Jobs

    def next_index(self) -> int:
        """A number that this machine's engine never gave before, also across purges and restarts."""
        path = self.folder / "index"
        index = int(path.read_text()) + 1 if path.exists() else 1
        _write(path, str(index).encode(), durable=True)
        return index

    def save_job(self, job: JobRecord) -> None:
        path = self._job_path(job.namespace, job.id)
        path.parent.mkdir(exist_ok=True)
        _write(path, msgspec.json.encode(job), durable=True)

    def delete_job(self, job: JobRecord) -> None:
        self._job_path(job.namespace, job.id).unlink(missing_ok=True)
        self.remove_namespace_if_empty(job.namespace)

    def jobs(self) -> Iterator[JobRecord]:
        for path in sorted((self.folder / "jobs").glob("*/*.json")):
            yield _read(path, JobRecord)

    def remove_namespace_if_empty(self, namespace: str) -> None:
        for kind in ("jobs", "secrets"):
            _remove_if_empty(self.folder / kind / _name(namespace))

    def _job_path(self, namespace: str, job: str) -> Path:
        return self.folder / "jobs" / _name(namespace) / f"{_name(job)}.json"

    # Secrets

    def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        """Raises Conflict when the path already holds other values: they never change."""
        file = self._secrets_folder(ref) / f"{_name(path)}.json"
        if file.exists():
            if _read(file, dict[str, str]) != dict(values):
                raise Conflict(
                    f"The secrets {path} of job {ref} exist with other values.",
                    hint="A release's variables never change: make a new release.",
                )
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, msgspec.json.encode(dict(values)), durable=True)

    def secrets(self, ref: JobRef, path: str) -> dict[str, str] | None:
        file = self._secrets_folder(ref) / f"{_name(path)}.json"
        return _read(file, dict[str, str]) if file.exists() else None

    def list_secrets(self, ref: JobRef) -> list[str]:
        return sorted(unquote(file.stem) for file in self._secrets_folder(ref).glob("*.json"))

    def delete_secrets(self, ref: JobRef, path: str) -> None:
        folder = self._secrets_folder(ref)
        (folder / f"{_name(path)}.json").unlink(missing_ok=True)
        _remove_if_empty(folder)
        _remove_if_empty(folder.parent)

    def _secrets_folder(self, ref: JobRef) -> Path:
        return self.folder / "secrets" / _name(ref.namespace) / _name(ref.id)

    # Copies

    def create_copy(self, copy: CopyRecord, document: Mapping[str, Any]) -> None:
        folder = self.copy_folder(copy.id)
        folder.mkdir()
        for path in self.log_paths(copy.id):
            path.touch(mode=0o600)
        _write(folder / "document.json", msgspec.json.encode(document))
        self.save_copy(copy)

    def save_copy(self, copy: CopyRecord) -> None:
        folder = self.copy_folder(copy.id)
        if folder.exists():
            _write(folder / "state.json", msgspec.json.encode(copy))

    def save_spool(self, copy_id: str, spool: SpoolRecord) -> None:
        if self.copy_folder(copy_id).exists():
            _write(self.copy_folder(copy_id) / "spool.json", msgspec.json.encode(spool))

    def spool(self, copy_id: str) -> SpoolRecord:
        """How far a container's output was copied here."""
        path = self.copy_folder(copy_id) / "spool.json"
        found: SpoolRecord = _read(path, SpoolRecord) if path.exists() else SpoolRecord()
        return found

    def save_copy_document(self, copy_id: str, document: Mapping[str, Any]) -> None:
        _write(self.copy_folder(copy_id) / "document.json", msgspec.json.encode(document))

    def copies(self) -> Iterator[tuple[CopyRecord, dict[str, Any]]]:
        """Every copy with its document; a folder whose creation was cut off is removed."""
        for folder in sorted((self.folder / "copies").iterdir()):
            if not (folder / "state.json").exists():
                self.delete_copy(folder.name)
                continue
            yield (
                _read(folder / "state.json", CopyRecord),
                _read(folder / "document.json", dict[str, Any]),
            )

    def delete_copy(self, copy_id: str) -> None:
        shutil.rmtree(self.work_folder(copy_id), ignore_errors=True)
        shutil.rmtree(self.copy_folder(copy_id), ignore_errors=True)

    def copy_folder(self, copy_id: str) -> Path:
        return self.folder / "copies" / copy_id

    def work_folder(self, copy_id: str) -> Path:
        return self.apps / "copies" / copy_id

    def log_path(self, copy_id: str, stream: Output) -> Path:
        return self.copy_folder(copy_id) / f"{stream}.log"

    def log_paths(self, copy_id: str) -> list[Path]:
        return [self.log_path(copy_id, stream) for stream in Output]

    def stray_work_folders(self, known: set[str]) -> Iterator[Path]:
        for folder in (self.apps / "copies").iterdir():
            if folder.name not in known:
                yield folder


def _name(part: str) -> str:
    """A name from outside as one safe file name: no slash, no leading dot."""
    return quote(part, safe="").replace(".", "%2E")


def _write(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Atomically replace ``path`` (mode 0600); ``durable`` also survives a power cut."""
    scratch = path.with_name(f".{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    scratch.replace(path)


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise ExternalFailure(
            f"The engine's file {path} does not parse: {error}",
            hint="Move it away and restart `paas agent`; the platform registers the job again.",
        ) from error


def _remove_if_empty(folder: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
