"""A tree that means harm: what its code can reach while it builds, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.adapters.builder import users
from app.adapters.builder.users import borrowed_user
from app.ids import new_id
from app.models import FailureCode
from app.ports.builder import BuildFailed
from tests.builds.workshop import Workshop, others_processes, running

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give builds another user")


@as_root
async def test_platforms_files_cannot_be_read(workshop: Workshop) -> None:
    workshop.home.mkdir(parents=True, exist_ok=True)
    secret = workshop.home / "secret.key"
    secret.write_text("the key")
    secret.chmod(0o600)
    tree = running(f"print(open({str(secret)!r}).read()); sys.exit('read it')")
    failed = await workshop.fail(tree)
    assert "Permission denied" in "\n".join(workshop.log)
    assert "the key" not in "\n".join(workshop.log) + failed.message


@as_root
async def test_platforms_environment_and_memory_cannot_be_read(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAAS_SECRET_KEY", "a-platform-secret")
    code = f"""
print(sorted(os.environ))
print("uid", os.getuid(), os.getgroups())
for path in ("/proc/{os.getpid()}/environ", "/proc/{os.getpid()}/mem"):
    try:
        open(path, "rb").read(1); print("opened", path)
    except PermissionError:
        print("closed", path)
sys.exit(1)
"""
    await workshop.fail(running(code))
    said = "\n".join(workshop.log)
    assert "PAAS_SECRET_KEY" not in said
    assert "opened /proc" not in said
    assert said.count("closed /proc") == 2
    assert "uid 0" not in said


@as_root
async def test_dependencies_of_others_cannot_be_altered(workshop: Workshop) -> None:
    await workshop.build({"Procfile": "web: x"})
    area = (workshop.home / "builder").resolve()
    places = [str(area / "layers"), str(users.fetcher_home()), str(area / "tools"), str(area)]
    code = f"""
for place in {places!r}:
    try:
        pathlib.Path(place, "planted").write_text("x"); print("planted in", place)
    except PermissionError:
        print("closed", place)
sys.exit(1)
"""
    await workshop.fail(running(code))
    said = "\n".join(workshop.log)
    assert said.count("closed ") == len(places)
    assert "planted in" not in said


@as_root
async def test_process_that_leaves_its_session_is_killed(workshop: Workshop) -> None:
    mark = new_id("daemon")
    code = f"""
import subprocess
subprocess.Popen(["sh", "-c", "sleep 300; : {mark}"], start_new_session=True,
                 env={{}}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
    await workshop.build(running(code))
    assert others_processes(mark) == []


@as_root
async def test_what_it_writes_where_everybody_may_is_removed(workshop: Workshop) -> None:
    litter = Path("/tmp") / new_id("litter")
    await workshop.build(running(f"os.mkdir({str(litter)!r}); open('{litter}/x', 'w').write('x')"))
    assert not litter.exists()


async def test_talk_without_end_is_cut_at_the_limit(workshop: Workshop) -> None:
    written = 0

    async def limited(line: str) -> None:
        nonlocal written
        written += 1
        if written > 1000:
            raise BuildFailed(FailureCode.BUILD_LIMIT, "more than 1000 lines", "")

    workshop._write = limited  # type: ignore[method-assign]
    ten_million = "for _ in range(1000): os.write(1, b'line\\n' * 10_000)\nsys.exit(1)"
    failed = await workshop.fail(running(ten_million))
    assert failed.code is FailureCode.BUILD_LIMIT
    assert written == 1001


async def test_endless_line_is_cut(workshop: Workshop) -> None:
    await workshop.fail(running("sys.stdout.write('x' * 50_000_000); sys.exit(1)"))
    assert max(len(line) for line in workshop.log) <= 8 * 1024 + 64 * 1024


@pytest.mark.parametrize("files", [1, 200])
async def test_disk_is_not_filled(workshop: Workshop, files: int) -> None:
    workshop.settings["build_max_slug_mb"] = 20
    code = f"""
for number in range({files}):
    with open(str(number), "wb") as out:
        for _ in range(10_240 // {files}): out.write(b"x" * 1_048_576)
"""
    failed = await workshop.fail(running(code))
    assert failed.code is FailureCode.BUILD_LIMIT
    assert "40 MB" in failed.message


async def test_cancelling_stops_everything(workshop: Workshop) -> None:
    mark = new_id("sleeper")
    code = f"""
import subprocess
print("asleep", flush=True)
subprocess.run(["sh", "-c", "sleep 300; : {mark}"])
"""
    building = asyncio.create_task(workshop.build(running(code)))
    while not others_processes(mark) and not building.done():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert not building.done()
    building.cancel()
    await asyncio.gather(building, return_exceptions=True)
    assert others_processes(mark) == []
    assert await workshop.builder.leftovers() == []


async def test_leftovers_of_a_dead_worker_are_cleaned(workshop: Workshop) -> None:
    """A build's process that outlived its worker is found by the id in its environment."""
    build_id, mark = new_id("bld"), new_id("orphan")
    await workshop.build({"Procfile": "web: x"})
    left = (workshop.home / "builder").resolve() / "staging" / build_id
    left.mkdir()
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"sleep 300; : {mark}", env={"PAAS_BUILD_ID": build_id}, start_new_session=True
    )
    assert await workshop.builder.leftovers() == [build_id]
    await workshop.builder.clean(build_id)
    assert await process.wait() == -9
    assert not left.exists()


async def test_secret_is_there_for_the_build_and_not_in_the_slug(workshop: Workshop) -> None:
    tree = running("print('length', len(os.environ['TOKEN']))")
    tree["hostile/backend.py"] += "    assert os.environ['TOKEN'] == \"it's a \\n secret $HOME\"\n"
    built = await workshop.build(tree, env={"TOKEN": "it's a \n secret $HOME"})
    unpacked = await workshop.unpack(built)
    for path in unpacked.rglob("*"):
        if path.is_file():
            assert b"it's a " not in path.read_bytes() or path.suffix == ".py"


async def test_variable_cannot_take_over_the_program_that_drops_privileges(
    workshop: Workshop,
) -> None:
    """LD_PRELOAD of a tenant reaches its own commands at most, never one that is still root."""
    trace = workshop.home / "trace"
    tree = running("print('uid', os.getuid())")
    await workshop.build(tree, env={"LD_PRELOAD": "/nonexistent.so", "BASH_ENV": str(trace)})
    preload_complaints = [line for line in workshop.log if "cannot be preloaded" in line]
    assert preload_complaints, "the variable did not reach the tenant's own command"


async def test_variable_with_an_unusable_name_is_refused(workshop: Workshop) -> None:
    failed = await workshop.fail(running("pass"), env={"A=1;id;B": "x"})
    assert "not a usable name" in failed.message


@as_root
async def test_two_builds_never_share_a_user() -> None:
    async with borrowed_user() as first, borrowed_user() as second:
        assert first.uid != second.uid
        assert 0 not in {first.uid, second.uid}


@as_root
async def test_link_to_a_file_of_the_machine_is_not_packed(workshop: Workshop) -> None:
    code = "os.link('/etc/hostname', os.path.join(os.environ['HOME'], 'x'))"
    failed = await workshop.fail(running(code))
    assert failed.code is FailureCode.BUILD_FAILED
