"""Real builds of slugs, without a network: plain trees, and Python packages from the tree itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.models import BuildKind, FailureCode
from tests.builds.workshop import Workshop, wheel

PLAIN: dict[str, str | bytes] = {
    "Procfile": "web: ./server one",
    "server": "#!/bin/sh\necho serving $1 at $PORT in $(pwd)\n",
}
GREETER = wheel(
    "greeter",
    "1.0",
    {
        "greeter.py": "def main(): print('greetings')\n",
        "late.pth": "extra\n",
        "extra/from_pth.py": "WORD = 'by pth'\n",
        "json_shadow.py": "",
    },
    "greet = greeter:main",
)
PYTHON: dict[str, str | bytes] = {
    "Procfile": "web: python app.py\ngreet: greet\nsh: cd / && echo $HOME_OF_APP in $(pwd)",
    "requirements.txt": "./wheels/greeter-1.0-py3-none-any.whl\n",
    "wheels/greeter-1.0-py3-none-any.whl": GREETER,
    "app.py": "import from_pth, greeter, os\ngreeter.main()\nprint(from_pth.WORD, os.environ['PYTHONUNBUFFERED'])\n",
}


async def test_plain_procfile_runs_its_line_in_the_tree(workshop: Workshop) -> None:
    built = await workshop.build(PLAIN)
    assert built.kind is BuildKind.SLUG
    assert built.processes == {"web": "./server one"}
    ran = await workshop.run(built)
    assert ran.stdout.startswith("serving one at 8080 in ")
    assert built.size == await workshop.slugs.size(built.artifact)


async def test_same_tree_gives_the_same_slug(workshop: Workshop) -> None:
    first = workshop.tree(PLAIN)
    second = workshop.tree(dict(reversed(PLAIN.items())))
    os.utime(second / "server", (1, 1))
    os.chmod(second / "Procfile", 0o640)
    assert (await workshop.build(first)).artifact == (await workshop.build(second)).artifact


async def test_changed_tree_gives_another_slug(workshop: Workshop) -> None:
    other = {**PLAIN, "server": "#!/bin/sh\necho other\n"}
    assert (await workshop.build(PLAIN)).artifact != (await workshop.build(other)).artifact


async def test_python_app_finds_packages_scripts_and_pth_files(workshop: Workshop) -> None:
    built = await workshop.build(PYTHON)
    ran = await workshop.run(built)
    assert ran.stdout == "greetings\nby pth 1\n", ran.stderr
    assert (await workshop.run(built, "greet")).stdout == "greetings\n"
    assert built.runtime["language"] == "python"


async def test_compound_line_keeps_its_meaning(workshop: Workshop) -> None:
    built = await workshop.build(PYTHON)
    assert (await workshop.run(built, "sh")).stdout.endswith("in /\n")
    assert (await workshop.run(built, "WORD=x sh -c 'echo $WORD'")).stdout == "x\n"
    assert (await workshop.run(built, "exit 3")).returncode == 3


async def test_missing_interpreter_is_said_in_words(workshop: Workshop) -> None:
    built = await workshop.build(PYTHON)
    ran = await workshop.run(built, path="/nowhere")
    assert ran.returncode == 127
    assert f"built for python{built.runtime['version']}" in ran.stderr


async def test_unchanged_dependencies_are_not_installed_again(workshop: Workshop) -> None:
    tree = {**PYTHON, "requirements.txt": ""}
    assert await workshop.build(tree)
    await workshop.build(PYTHON, commit="1" * 40)
    await workshop.build(PYTHON, commit="1" * 40)
    assert "Dependencies are unchanged: reusing them." in workshop.log


async def test_dependencies_from_the_tree_are_of_one_commit_and_app(workshop: Workshop) -> None:
    await workshop.build(PYTHON, commit="1" * 40)
    await workshop.build(PYTHON, commit="2" * 40)
    assert "Dependencies are unchanged: reusing them." not in workshop.log
    await workshop.build(PYTHON, commit="1" * 40, app_id="app_2")
    assert "Dependencies are unchanged: reusing them." not in workshop.log


async def test_failed_installation_says_why(workshop: Workshop) -> None:
    failed = await workshop.fail({**PYTHON, "requirements.txt": "./wheels/absent.whl\n"})
    assert failed.code is FailureCode.BUILD_FAILED
    assert "absent.whl" in failed.message


async def test_procfile_without_web_fails_before_anything_is_installed(workshop: Workshop) -> None:
    failed = await workshop.fail({**PYTHON, "Procfile": "worker: x"})
    assert failed.code is FailureCode.NOTHING_TO_BUILD
    assert not any("Installing" in line for line in workshop.log)


async def test_tree_may_not_bring_its_own_start_wrapper(workshop: Workshop) -> None:
    built = await workshop.build({**PLAIN, ".paas/start": "echo hijacked", ".paas/x": ""})
    assert ".paas/x" not in await workshop.names(built)
    assert (await workshop.run(built)).stdout.startswith("serving")


async def test_slug_beyond_its_limit_names_the_number(workshop: Workshop) -> None:
    workshop.settings["build_max_slug_mb"] = 1
    failed = await workshop.fail({**PLAIN, "big": b"\0" * (1024 * 1024 + 1)})
    assert failed.code is FailureCode.BUILD_LIMIT
    assert "1 MB" in failed.message


async def test_link_out_of_the_tree_is_refused(workshop: Workshop) -> None:
    tree = workshop.tree(PLAIN)
    (tree / "sub").mkdir()
    (tree / "sub" / "passwords").symlink_to("../../../etc/passwd")
    failed = await workshop.fail(tree)
    assert failed.code is FailureCode.UNSAFE_SOURCE
    assert "sub/passwords" in failed.message


async def test_link_inside_of_the_tree_stays_a_link(workshop: Workshop) -> None:
    tree = workshop.tree(PLAIN)
    (tree / "sub").mkdir()
    (tree / "sub" / "server").symlink_to("../server")
    unpacked = await workshop.unpack(await workshop.build(tree))
    assert os.readlink(unpacked / "sub" / "server") == "../server"


async def test_nothing_is_left_in_the_scratch_folder(workshop: Workshop) -> None:
    await workshop.build(PYTHON)
    await workshop.fail({**PYTHON, "requirements.txt": "./wheels/absent.whl\n"})
    assert await workshop.builder.leftovers() == []


async def test_names_in_any_script_survive_packing(workshop: Workshop) -> None:
    tree = workshop.tree(PLAIN)
    odd = ["naïve café", "日本", "a" * 200, os.fsdecode(b"latin-\xe9")]
    for name in odd:
        (tree / name).write_text("x")
    assert {*odd} <= {*await workshop.names(await workshop.build(tree))}


@pytest.mark.parametrize("name", ["Procfile", "requirements.txt"])
async def test_manifest_may_be_a_link_within_the_tree(workshop: Workshop, name: str) -> None:
    tree = workshop.tree(PYTHON)
    (tree / "conf").mkdir()
    (tree / name).rename(tree / "conf" / name)
    (tree / name).symlink_to(Path("conf") / name)
    assert (await workshop.run(await workshop.build(tree))).stdout.startswith("greetings")
