"""``paas engine install`` with a Go that is a shell script: what is found, built, shared and said."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.engines import install
from app.errors import ExternalFailure, PreconditionFailed

FAKE_GO = """#!/bin/sh
# Writes what -o names, as `go build` does, and notes each call.
echo "$1 $GOMODCACHE" >> "$CALLS"
[ "$1" = mod ] && mkdir -p "$GOMODCACHE/source" && exit 0
{behaviour}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n' > "$2"
chmod +x "$2"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a shell, nothing built, and no engine on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "mkdir", "chmod", "sleep"):
        (programs / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(install, "_install_packages", lambda _: None)
    monkeypatch.setattr(install, "_NEEDED_GB", 0)
    return programs


def put(programs: Path, name: str, text: str) -> None:
    (programs / name).write_text(text)
    (programs / name).chmod(0o755)


def builds(machine: Path) -> int:
    return (machine.parent / "calls").read_text().count("build ")


def test_what_is_on_path_is_used_and_nothing_built(machine: Path) -> None:
    put(machine, "nomad", "#!/bin/sh\n")
    put(machine, "consul", "#!/bin/sh\n")
    said: list[str] = []
    install.install(said.append)
    assert install.find("nomad") == machine / "nomad"
    assert f"Consul: {machine / 'consul'}" in said


def test_both_are_built_once_and_their_sources_removed(machine: Path, tmp_path: Path) -> None:
    put(machine, "go", FAKE_GO.format(behaviour=""))
    install.install(lambda _: None)
    install.install(lambda _: None)
    folder = tmp_path / "cache" / "paas" / "engines"
    assert sorted(path.name for path in (folder / "bin").iterdir()) == [
        "consul-1.16.1",
        "nomad-1.6.3",
    ]
    assert not (folder / "modules").exists()
    assert builds(machine) == 2
    assert install.find("nomad") == folder / "bin" / "nomad-1.6.3"


def test_two_at_once_build_once(machine: Path) -> None:
    put(machine, "go", FAKE_GO.format(behaviour="sleep 0.2"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: install.install(lambda _: None), range(2)))
    assert builds(machine) == 2


def test_a_failed_build_leaves_no_binary_and_says_why(machine: Path, tmp_path: Path) -> None:
    put(machine, "go", FAKE_GO.format(behaviour="echo cannot find module >&2; exit 1"))
    with pytest.raises(ExternalFailure, match="cannot find module"):
        install.install(lambda _: None)
    assert install.find("nomad") is None
    assert list((tmp_path / "cache" / "paas" / "engines" / "bin").iterdir()) == []


def test_without_go_it_says_what_to_do(machine: Path) -> None:
    with pytest.raises(PreconditionFailed) as failure:
        install.install(lambda _: None)
    assert "install Go" in (failure.value.hint or "")


def test_without_room_it_says_how_much_is_needed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine, "go", FAKE_GO.format(behaviour=""))
    monkeypatch.setattr(install, "_NEEDED_GB", 10**9)
    with pytest.raises(PreconditionFailed, match="GB are free"):
        install.install(lambda _: None)
    assert not os.environ.get("GOMODCACHE")
